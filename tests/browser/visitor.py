"""A browser window that minds what nobody looks at: the console, foreign requests, dialogs, bytes."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, Response

# A header of answers that a test gives in the program's place.
BY_THE_TEST = "x-by-the-test"


@dataclass
class Visitor:
    """One browser context with one page, unless more tabs are opened. `faults` has to stay empty."""

    context: BrowserContext
    url: str
    faults: list[str] = field(default_factory=list)
    # Addresses that answered a navigation, or whose part a test played, with an error, which the console repeats.
    refused: set[str] = field(default_factory=set)

    def __post_init__(self):
        self.context.on("request", self._requested)
        self.context.on("response", self._answered)
        self.context.on("console", self._said)
        self.context.on("weberror", lambda error: self.faults.append(f"script error: {error.error}"))
        self.context.on("dialog", self._dialog)
        self.page = self.tab()

    def tab(self) -> Page:
        return self.context.new_page()

    def _requested(self, request: Request) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.faults.append(f"foreign request: {request.url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and (response.request.is_navigation_request() or BY_THE_TEST in response.headers):
            self.refused.add(response.url)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        if message.text.startswith("Failed to load resource") and message.location["url"] in self.refused:
            return
        if "net::ERR_" in message.text:
            return  # a connection that the test itself cut
        if "htmx" in message.text and "AbortError" in message.text:
            return  # a check of a text that is being saved already
        self.faults.append(f"console on {urlsplit(message.page.url).path}: {message.text}")

    def _dialog(self, dialog) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()
