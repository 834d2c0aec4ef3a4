// The researcher's pages work without this file. Each part is switched on by a data- attribute.
"use strict";

// data-pause="ID": a button that stops the element of that id from asking for news. In a hidden tab it rests by itself.
for (const button of document.querySelectorAll("[data-pause]")) {
  button.hidden = false;
  let paused = false;
  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? "Go on updating" : "Pause updates";
  });
  document.getElementById(button.dataset.pause).addEventListener("htmx:before:request", (event) => {
    if (paused || document.hidden) event.preventDefault();
  });
}

// data-copy="TEXT": a button that copies it.
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  });
}

// data-print: a button that prints the page.
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// data-fills="ID": a file that is chosen becomes the text of that box, where it can be checked and mended.
for (const input of document.querySelectorAll("[data-fills]")) {
  const box = document.getElementById(input.dataset.fills);
  input.addEventListener("change", async () => {
    const file = input.files[0];
    if (!file || file.size > 900_000 || !/\.ya?ml$/i.test(file.name)) return; // the server says what is wrong with it
    const bytes = await file.arrayBuffer();
    try {
      box.value = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      return;
    }
    input.value = "";
    box.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

// data-editor: line numbers beside the text box, with the lines marked that something is said about.
for (const editor of document.querySelectorAll("[data-editor]")) {
  const box = editor.querySelector("textarea");
  const gutter = document.createElement("div");
  gutter.className = "gutter";
  gutter.setAttribute("aria-hidden", "true");
  editor.prepend(gutter);

  const number = () => {
    const marks = {};
    for (const link of document.querySelectorAll("[data-line]")) {
      if (marks[link.dataset.line] !== "error") marks[link.dataset.line] = link.dataset.severity;
    }
    const count = box.value.split("\n").length;
    gutter.replaceChildren(
      ...Array.from({ length: count }, (_, index) => {
        const line = document.createElement("span");
        line.textContent = index + 1;
        if (marks[index + 1]) line.className = marks[index + 1];
        return line;
      }),
    );
    gutter.scrollTop = box.scrollTop;
  };
  box.addEventListener("input", number);
  box.addEventListener("scroll", () => (gutter.scrollTop = box.scrollTop));
  document.addEventListener("htmx:after:swap", number);
  number();

  // A fault's line leads to its place in the text.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-line]");
    if (!link) return;
    event.preventDefault();
    const lines = box.value.split("\n");
    const line = Math.min(Number(link.dataset.line), lines.length) - 1;
    const start = lines.slice(0, line).reduce((sum, text) => sum + text.length + 1, 0);
    box.focus();
    box.setSelectionRange(start, start + lines[line].length);
    const height = parseFloat(getComputedStyle(box).lineHeight);
    box.scrollTop = Math.max(0, (line - 6) * height);
  });
}
