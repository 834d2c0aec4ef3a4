"""A page as a browser has it: where it is, what it says about itself, and the forms that can be sent from it."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlsplit

BEFORE = {"preparing", "entry", "eligibility", "consent", "instructions", "practice"}
ENDS = {"debrief", "declined", "ended"}
STAGES = BEFORE | {"chat", "rate", "exit"} | ENDS
Attributes = dict[str, str | None]


@dataclass
class Field:
    """What a form sends under one name. A group of radios or ticks is one field."""

    kind: str
    options: list[str] = field(default_factory=list)
    # What would be sent if nobody touched it.
    given: list[str] = field(default_factory=list)
    is_check: bool = False


@dataclass
class Form:
    action: str = ""
    fields: dict[str, Field] = field(default_factory=dict)
    buttons: list[str] = field(default_factory=list)

    def of_kind(self, *kinds: str) -> dict[str, Field]:
        return {name: field for name, field in self.fields.items() if field.kind in kinds}


@dataclass
class Page:
    address: str
    stage: str = ""
    outcome: str = ""
    completion_code: str = ""
    forms: list[Form] = field(default_factory=list)
    # Where a page that waits for something asks to be looked at again.
    look_again: str | None = None
    # Where a reply that is being made is streamed.
    events: str | None = None
    words: int = 0

    def form_with(self, name: str) -> Form | None:
        return next((form for form in self.forms if name in form.fields), None)

    def form_to(self, action: str) -> Form | None:
        """The form that has a button for this."""
        return next((form for form in self.forms if action in form.buttons), None)

    @property
    def position(self) -> int:
        """The place of the item, for pages that have one in their address."""
        last = urlsplit(self.address).path.rstrip("/").rpartition("/")[2]
        return int(last) if last.isdigit() else 0


def read(address: str, html: str) -> Page:
    reader = _Reader(Page(address))
    reader.feed(html)
    reader.close()
    return reader.page


class _Reader(HTMLParser):
    """Reads what lies in `<main>`, where a page has all that is its own."""

    def __init__(self, page: Page):
        super().__init__()
        self.page = page
        self.in_main = False
        self.form: Form | None = None
        self.in_check = False
        self.text_field: Field | None = None

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag == "body":
            self.page.stage = given.get("data-stage") or ""
            self.page.outcome = given.get("data-outcome") or ""
            self.page.completion_code = given.get("data-completion-code") or ""
        elif tag == "main":
            self.in_main = True
        elif tag == "form" and self.in_main and given.get("method") == "post":
            self.form = Form(given.get("action") or "")
            self.page.forms.append(self.form)
        elif tag == "article":
            self.page.events = given.get("data-events") or self.page.events
        elif tag == "fieldset":
            self.in_check = "data-check" in given
        elif tag == "a" and self.in_main and (given.get("href") or "?").startswith("?"):
            self.page.look_again = given.get("href") or ""
        elif self.form is not None and given.get("name") and "disabled" not in given:
            self._control(tag, given["name"] or "", given)

    def _control(self, tag: str, name: str, given: Attributes) -> None:
        assert self.form is not None
        value = given.get("value")
        if tag == "button":
            self.form.buttons.append(value or "")
        elif tag == "textarea":
            self.text_field = self.form.fields[name] = Field("text", given=[""])
        elif tag == "input":
            kind = given.get("type") or "text"
            known = self.form.fields.setdefault(name, Field(kind, is_check=self.in_check))
            if kind in ("radio", "checkbox"):
                known.options.append(value or "on")
                if "checked" in given:
                    known.given.append(value or "on")
            else:
                known.given = [value or ""]

    def handle_endtag(self, tag: str) -> None:
        if tag == "main":
            self.in_main = False
        elif tag == "form":
            self.form = None
        elif tag == "fieldset":
            self.in_check = False
        elif tag == "textarea":
            self.text_field = None

    def handle_data(self, data: str) -> None:
        if self.text_field is not None:
            self.text_field.given = [self.text_field.given[0] + data]
        elif self.in_main:
            self.page.words += len(data.split())
