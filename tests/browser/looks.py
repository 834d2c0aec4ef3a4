"""What a look at a page notes: axe's findings, what is cut off, the first links, bytes. Tests then read the notes."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

AXE_OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
WINDOWS = ((1280, "light"), (390, "dark"), (320, "light"))
SIDEWAYS = "document.documentElement.scrollWidth - innerWidth"

# WCAG 1.4.12, as a style sheet that no policy about inline styles forbids.
TEXT_SPACING = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important }
                     p { margin-block-end: 2em !important }`);
  document.adoptedStyleSheets = [sheet];
}"""
LARGE_TEXT = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync("html { font-size: 200% !important }");
  document.adoptedStyleSheets = [sheet];
}"""
PLAIN = "() => { document.adoptedStyleSheets = []; }"

# Elements whose text does not fit into them and is hidden. What only screen readers get is meant to be.
CUT_OFF = """() => [...document.querySelectorAll("body *:not(.unseen, .unseen *, .aside, textarea, progress, option)")]
  .filter(element => {
    const style = getComputedStyle(element);
    const hides = style.overflowX === "hidden" || style.overflowX === "clip" || style.overflowY === "hidden";
    return hides && (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1);
  })
  .map(element => element.outerHTML.slice(0, 120))"""

TAB_STOPS = """() => [...document.querySelectorAll("a[href], button, input, textarea, select, summary")]
  .slice(0, 2).map(element => element.textContent.trim() || element.name)"""


@dataclass
class Seen:
    """One page as it was found."""

    name: str
    stage: str | None
    title: str
    html: str
    first_stops: list[str]
    headings: int
    size: int  # bytes over the network, nothing of it cached
    requests: int
    violations: list[str] = field(default_factory=list)
    sideways: list[int] = field(default_factory=list)  # window widths
    cut_off: list[str] = field(default_factory=list)


class Looker:
    """Looks at pages of one tab, and counts what they weigh."""

    def __init__(self, page: Page, windows: tuple = WINDOWS):
        self.page, self.windows = page, windows
        self.seen: list[Seen] = []
        self._size = self._requests = 0
        network = page.context.new_cdp_session(page)
        network.send("Network.enable")
        network.send("Network.setCacheDisabled", {"cacheDisabled": True})
        network.on("Network.requestWillBeSent", self._count)
        network.on("Network.loadingFinished", self._weigh)

    def _count(self, event: dict) -> None:
        if event.get("type") == "Document" and "redirectResponse" not in event:
            self._size = self._requests = 0
        self._requests += 1

    def _weigh(self, event: dict) -> None:
        self._size += event["encodedDataLength"]

    def __call__(self, name: str) -> Seen:
        page = self.page
        page.wait_for_load_state("load")
        seen = Seen(
            name=name,
            stage=page.locator("body").get_attribute("data-stage"),
            title=page.title(),
            html=page.content(),
            first_stops=page.evaluate(TAB_STOPS),
            headings=page.locator("h1").count(),
            size=self._size,
            requests=self._requests,
        )
        before = page.viewport_size
        for width, scheme in self.windows:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            seen.violations += [f"{width} {scheme} {line}" for line in axe(page)]
            if page.evaluate(SIDEWAYS) > 0:
                seen.sideways.append(width)
            picture(page, f"{name}-{width}-{scheme}")
        page.evaluate(TEXT_SPACING)
        seen.cut_off = page.evaluate(CUT_OFF)
        if page.evaluate(SIDEWAYS) > 0:
            seen.cut_off.append("scrolls sideways with wide text")
        page.evaluate(PLAIN)
        page.set_viewport_size(before)
        self.seen.append(seen)
        return seen


def axe(page: Page) -> list[str]:
    """Accessibility faults, one a line: the rule and the place."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found = page.evaluate("options => axe.run(options)", AXE_OPTIONS)
    return [
        f"{rule['id']}: {' '.join(map(str, node['target']))} {node['html'][:140]}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def picture(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
