// The chat without reloading. Replies are only ever put in as text.
const $ = (selector, root = document) => root.querySelector(selector);
const once = $("#once"), said = $("#said");
let sending, stream, again;
// When a message went out and its reply showed.
let sent = 0, first = 0, times = "";
const since = () => performance.now() - sent | 0;

const say = (text) => { said.textContent = text; };

const load = async (options) => {
  const response = await fetch(location.pathname, { ...options, headers: { "X-Live": "1" } });
  if (response.status > 499) throw response;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const { url } = response;
  if (page.body.dataset.stage !== "chat" || new URL(url).pathname !== location.pathname) return location.assign(url);
  for (const next of page.querySelectorAll("#log, #notice, #hidden, #after")) $("#" + next.id)?.replaceWith(next);
  document.title = page.title;
  const had = $("#write"), has = $("#write", page);
  if (!had && has) location.reload();
  if (had && !has) {
    had.remove();
    $("#after button")?.focus();
  }
  follow();
  return page;
};

const finished = async () => {
  stream = stream?.close();
  try { await load(); } catch { return setTimeout(finished, 2000); }
  if (sent) times = [first || since(), since()];
  say($("#log .reply:last-child, #after .notice")?.textContent.trim() || "");
};

const follow = () => {
  const pending = $("#log .pending");
  if (!pending) return;
  times = "";
  const text = $(".text", pending);
  let shown = "";
  const show = (words = text.dataset.waiting) => {
    const atEnd = innerHeight + scrollY > document.body.scrollHeight - 160;
    text.textContent = words;
    if (atEnd) write?.scrollIntoView({ block: "end" });
  };
  show();
  if (!stream) say(text.dataset.waiting);
  stream?.close();
  stream = new EventSource(pending.dataset.events);
  const on = (kind, act) => stream.addEventListener(kind, ({ data }) => act(JSON.parse(data).text));
  on("token", (words) => { shown += words; if (!once?.checked) { show(shown); first ||= since(); } });
  on("reset", () => { shown = ""; show(); });
  on("queue", show);
  on("final", finished);
  // No data: the connection broke. Unless closed (2), it comes back.
  stream.onerror = ({ data }) => {
    if (data) return finished();
    setTimeout(() => { if (pending.isConnected && stream?.readyState !== 1) show(text.dataset.lost); }, 2000);
    if (stream?.readyState === 2) setTimeout(finished, 3000);
  };
};

const write = $("#write");
if (write) {
  const box = $("#id_message");
  write.onsubmit = async (e) => {
    e.preventDefault();
    if (sending) return;
    sending = true;
    clearTimeout(again);
    const body = new URLSearchParams(new FormData(write));
    body.set("action", "send");
    sent = e.timeStamp;
    first = 0;
    // What is written meanwhile stays.
    let kept = box.value;
    box.value = "";
    try {
      kept = $("#id_message", await load({ method: "POST", body }) ?? write)?.value ?? "";
    } catch {
      say($("#notice").textContent = write.dataset.slow);
    }
    box.value = kept + box.value;
    sending = false;
    box.focus();
    // Too many wait: later, not all at once.
    const wait = $("#notice").dataset.again * (1e3 + Math.random() * 500);
    if (wait) again = setTimeout(() => box.value === kept && write.requestSubmit(), wait);
  };
  box.onkeydown = (e) => {
    if (e.key !== "Enter" || e.shiftKey || e.isComposing || matchMedia("(pointer: coarse)").matches) return;
    e.preventDefault();
    write.requestSubmit();
  };
  once.closest("[hidden]").hidden = false;
  once.checked = matchMedia("(prefers-reduced-motion)").matches;
  try { once.checked = JSON.parse(localStorage.once ?? once.checked); } catch {}
  once.onchange = () => { try { localStorage.once = once.checked; } catch {} };
}
onfocus = () => { if (!stream && !sending && write?.isConnected) load().catch(() => {}); };
onformdata = ({ formData }) => { if (times) formData.set("shown", times); };
history.replaceState(null, "", location.pathname);
follow();
