// The chat without reloading: the reply as it comes, spoken once, whole.
// A reply is only ever put in as text.
(() => {
  "use strict";
  const $ = (selector, root = document) => root.querySelector(selector);
  const once = $("#once"), said = $("#said");
  let sending = false, stream = null;

  const say = (text) => { said.textContent = text; };

  const load = async (options) => {
    const response = await fetch(location.pathname, { ...options, headers: { "X-Live": "1" } });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (page.body.dataset.stage !== "chat" || new URL(response.url).pathname !== location.pathname) {
      location.assign(response.url);
      return null;
    }
    for (const part of ["#log", "#notice", "#hidden", "#after"]) {
      const now = $(part), next = $(part, page);
      if (now && next) now.replaceWith(document.adoptNode(next));
    }
    document.title = page.title;
    const had = $("#write");
    if (had && !$("#write", page)) {
      had.remove();
      $("#after button")?.focus();
    } else if (!had && $("#write", page)) location.reload();
    follow();
    return page;
  };

  const finished = async () => {
    stream?.close();
    stream = null;
    try {
      await load();
    } catch {
      return setTimeout(finished, 2000);
    }
    say(($("#after .notice") || $("#log .reply:last-child"))?.textContent.trim() || "");
  };

  const follow = () => {
    const pending = $("#log .pending");
    if (!pending) return;
    const text = $(".text", pending);
    let shown = "";
    const show = (words) => {
      const atEnd = innerHeight + scrollY > document.documentElement.scrollHeight - 160;
      text.textContent = words || text.dataset.waiting;
      if (atEnd) $("#write")?.scrollIntoView({ block: "end" });
    };
    show("");
    if (!stream) say(text.dataset.waiting);
    stream?.close();
    stream = new EventSource(pending.dataset.events);
    const on = (kind, act) => stream.addEventListener(kind, (event) => act(JSON.parse(event.data).text));
    on("token", (words) => { shown += words; if (!once?.checked) show(shown); });
    on("reset", () => { shown = ""; show(""); });
    on("queue", (words) => show(words));
    on("final", finished);
    // A broken connection has no data and mostly (unless closed, 2) comes back.
    stream.addEventListener("error", (event) => {
      if (event.data) return finished();
      setTimeout(() => { if (pending.isConnected && stream?.readyState !== 1) show(text.dataset.lost); }, 2000);
      if (stream?.readyState === 2) { stream = null; setTimeout(load, 3000); }
    });
  };

  const write = $("#write");
  if (write) {
    const box = $("#id_message");
    write.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (sending) return;
      sending = true;
      const body = new URLSearchParams(new FormData(write));
      body.set("action", "send");
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
    });
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || matchMedia("(pointer: coarse)").matches) return;
      event.preventDefault();
      write.requestSubmit();
    });
    once.closest("[hidden]").hidden = false;
    const calm = matchMedia("(prefers-reduced-motion)").matches;
    try { once.checked = (localStorage.once ?? String(calm)) === "true"; } catch { once.checked = calm; }
    once.addEventListener("change", () => { try { localStorage.once = once.checked; } catch { /* for this page only */ } });
  }
  addEventListener("focus", () => { if (!stream && !sending && write?.isConnected) load().catch(() => {}); });
  history.replaceState(null, "", location.pathname);
  follow();
})();
