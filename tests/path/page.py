"""What a test sees of a page: its stage, its form, its text."""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Page:
    status: int
    address: str
    html: str
    stage: str = ""
    outcome: str = ""
    completion_code: str = ""
    hidden: dict[str, str] = field(default_factory=dict)
    radios: dict[str, list[str]] = field(default_factory=dict)
    checked: dict[str, str] = field(default_factory=dict)
    boxes: list[str] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    text: str = ""

    @property
    def position(self) -> int:
        return int(self.address.rstrip("/").split("/")[-1])


class _Reader(HTMLParser):
    def __init__(self, page: Page):
        super().__init__()
        self.page = page
        self.words: list[str] = []

    def handle_starttag(self, tag, attrs):
        given, page = dict(attrs), self.page
        name, value = given.get("name", ""), given.get("value", "")
        if tag == "body":
            page.stage = given.get("data-stage", "")
            page.outcome = given.get("data-outcome", "")
            page.completion_code = given.get("data-completion-code", "")
        elif tag == "a":
            page.links.append(given.get("href", ""))
        elif tag == "button":
            page.actions.append(value)
        elif tag == "fieldset" and "data-check" in given:
            page.checks.append(given["data-check"])
        elif tag == "input" and given["type"] == "hidden":
            page.hidden[name] = value
        elif tag == "input" and given["type"] == "radio":
            page.radios.setdefault(name, []).append(value)
            if "checked" in given:
                page.checked[name] = value
        elif tag == "input" and given["type"] == "checkbox":
            page.boxes.append(name)

    def handle_data(self, data):
        self.words.append(data)


def read_page(response) -> Page:
    """The page that a test client ended at, after its redirects."""
    chain = getattr(response, "redirect_chain", ())
    address = chain[-1][0] if chain else response.request["PATH_INFO"]
    page = Page(response.status_code, address.split("?")[0], response.content.decode())
    reader = _Reader(page)
    reader.feed(page.html)
    page.text = " ".join(" ".join(reader.words).split())
    return page
