"""The browser of one synthetic participant: its own cookies, and an eye for pages that are not as they should be."""

from collections.abc import Callable, Iterable
from urllib.parse import urljoin

import httpx

from ratings.simulate.pages import STAGES, Form, Page, read

# A chat page waits up to 20 s for its reply.
PATIENCE = httpx.Timeout(90)


class PageFault(Exception):
    """A page that a person would call broken."""

    def __init__(self, address: str, reason: str):
        super().__init__(f"{address}: {reason}")


class Browser:
    def __init__(self, server: str, sign: Callable[[float], str]):
        # Browsers say where a form comes from; over TLS the server insists on it.
        origin = {"Origin": server}
        self._http = httpx.Client(base_url=server, headers=origin, follow_redirects=True, timeout=PATIENCE)
        self._sign = sign
        self.pages = 0

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *raised) -> None:
        self._http.close()

    def open(self, address: str) -> Page:
        return self._page("GET", address)

    def send(
        self,
        page: Page,
        form: Form,
        action: str,
        answers: dict[str, str | Iterable[str]] | None = None,
        seconds: float = 0,
    ) -> Page:
        """Press a button. Fields that are not among the answers go as they are; `seconds` is how long it took."""
        data = {name: field.given for name, field in form.fields.items() if field.given} | (answers or {})
        data["action"] = action
        if "page" in form.fields:
            data["page_time"] = self._sign(seconds)
        return self._page("POST", urljoin(page.address, form.action), data)

    def _page(self, method: str, address: str, data: dict | None = None) -> Page:
        try:
            answer = self._http.request(method, address, data=data)
        except httpx.HTTPError as error:
            raise PageFault(address, f"no answer ({type(error).__name__})") from None
        self.pages += 1 + len(answer.history)
        page = read(str(answer.url), answer.text)
        if fault := _fault_of(answer, page):
            raise PageFault(str(answer.url), fault)
        return page


def _fault_of(answer: httpx.Response, page: Page) -> str:
    if answer.status_code != 200:
        return f"status {answer.status_code}"
    if "Traceback (most recent call last)" in answer.text:
        return "shows a traceback"
    if page.stage not in STAGES:
        return f"its stage is {page.stage!r}"
    return ""
