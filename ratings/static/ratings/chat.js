// The chat without reloading: the reply as it comes, spoken once, whole.
// A reply is only ever put in as text.
const $ = (selector, root = document) => root.querySelector(selector);
const once = $("#once"), said = $("#said");
let sending = false, stream = null;
// When a message went out, how soon its reply showed, as the server is told.
let sent = 0, first = 0, times = "";
const since = () => performance.now() - sent | 0;

const say = (text) => { said.textContent = text; };

const load = async (options) => {
  const response = await fetch(location.pathname, { ...options, headers: { "X-Live": "1" } });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  if (page.body.dataset.stage !== "chat" || new URL(response.url).pathname !== location.pathname) {
    return location.assign(response.url);
  }
  for (const part of ["#log", "#notice", "#hidden", "#after"]) {
    const next = $(part, page);
    if (next) $(part)?.replaceWith(next);
  }
  document.title = page.title;
  const had = $("#write"), has = $("#write", page);
  if (had && !has) {
    had.remove();
    $("#after button")?.focus();
  } else if (!had && has) location.reload();
  follow();
  return page;
};

const finished = async () => {
  stream?.close();
  stream = null;
  try { await load(); } catch { return setTimeout(finished, 2000); }
  if (sent) times = [first || since(), since()];
  say(($("#after .notice") || $("#log .reply:last-child"))?.textContent.trim() || "");
};

const follow = () => {
  const pending = $("#log .pending");
  if (!pending) return;
  times = "";
  const text = $(".text", pending);
  let shown = "";
  const show = (words) => {
    const atEnd = innerHeight + scrollY > document.documentElement.scrollHeight - 160;
    text.textContent = words || text.dataset.waiting;
    if (atEnd) write?.scrollIntoView({ block: "end" });
  };
  show("");
  if (!stream) say(text.dataset.waiting);
  stream?.close();
  stream = new EventSource(pending.dataset.events);
  const on = (kind, act) => stream.addEventListener(kind, ({ data }) => act(JSON.parse(data).text));
  on("token", (words) => { shown += words; if (!once?.checked) { show(shown); first ||= since(); } });
  on("reset", () => { shown = ""; show(""); });
  on("queue", show);
  on("final", finished);
  // A broken connection has no data and mostly (unless closed, 2) comes back.
  stream.onerror = ({ data }) => {
    if (data) return finished();
    setTimeout(() => { if (pending.isConnected && stream?.readyState !== 1) show(text.dataset.lost); }, 2000);
    if (stream?.readyState === 2) { stream = null; setTimeout(load, 3000); }
  };
};

const write = $("#write");
if (write) {
  const box = $("#id_message");
  write.onsubmit = async (event) => {
    event.preventDefault();
    if (sending) return;
    sending = true;
    const body = new URLSearchParams(new FormData(write));
    body.set("action", "send");
    sent = event.timeStamp;
    first = 0;
    // Who writes on meanwhile keeps that, too.
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
  };
  box.onkeydown = (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || matchMedia("(pointer: coarse)").matches) return;
    event.preventDefault();
    write.requestSubmit();
  };
  once.closest("[hidden]").hidden = false;
  once.checked = matchMedia("(prefers-reduced-motion)").matches;
  try { once.checked = JSON.parse(localStorage.once ?? once.checked); } catch { /* as it is */ }
  once.onchange = () => { try { localStorage.once = once.checked; } catch { /* for this page only */ } };
}
onfocus = () => { if (!stream && !sending && write?.isConnected) load().catch(() => {}); };
addEventListener("formdata", ({ formData }) => { if (times) formData.set("shown", times); });
history.replaceState(null, "", location.pathname);
follow();
