// Draws each figure whose data lies beside it, in the colours of the page, and in those of paper when it is printed.
"use strict";

const DARK = {
  "#1b2420": "#e3e9e5", "#56625c": "#9daaa3", "#d8ddd6": "#323c37", "#0f6b58": "#69ceb3",
  "#8b9690": "#7d8983", "#e2f1ec": "#17332b", "#ffffff": "#191f1c",
};
const PAPER_WIDTH = 640;
const dark = matchMedia("(prefers-color-scheme: dark)");

function inColours(value, colours) {
  if (Array.isArray(value)) return value.map((part) => inColours(part, colours));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, inColours(part, colours)]));
  }
  return colours[value] ?? value;
}

function draw(place, onPaper) {
  const source = JSON.parse(document.getElementById(place.dataset.figure).textContent);
  const { data, layout } = inColours(source, dark.matches && !onPaper ? DARK : {});
  if (onPaper) layout.width = Math.min(PAPER_WIDTH, place.clientWidth);
  return Plotly.react(place, data, layout, {
    responsive: !onPaper,
    displaylogo: false,
    modeBarButtons: [["toImage"]],
    toImageButtonOptions: { format: "svg", filename: place.dataset.figure },
  });
}

function drawAll(onPaper = false) {
  document.querySelectorAll("[data-figure]").forEach((place) => draw(place, onPaper));
}

drawAll();
dark.addEventListener("change", () => drawAll());
addEventListener("beforeprint", () => drawAll(true));
addEventListener("afterprint", () => drawAll());
