"""The browser of one synthetic participant: its own cookies, and an eye for pages that are not as they should be."""

import time
from collections.abc import Callable, Iterable
from urllib.parse import urljoin

import httpx

from ratings.simulate.pages import STAGES, Form, Page, read
from ratings.simulate.stream import Heard, Listener, StreamFault

# A chat page waits up to 20 s for its reply.
LONGEST = httpx.Timeout(90)
TRIES_AGAIN_AFTER = 1.0  # seconds
NOBODY_THERE = (502, 503, 504)


class PageFault(Exception):
    """A page that a person would call broken."""

    def __init__(self, address: str, reason: str):
        super().__init__(f"{address}: {reason}")


class Browser:
    """`patience`: for how many seconds a page that does not come is asked for again. `streams`: where replies are
    followed while they grow, as the script of the chat page does; without it the chat is used without a script."""

    def __init__(self, server: str, sign: Callable[[float], str], patience: float = 0, streams: str | None = None):
        # Browsers say where a form comes from; over TLS the server insists on it.
        origin = {"Origin": server}
        self._http = httpx.Client(base_url=server, headers=origin, follow_redirects=True, timeout=LONGEST)
        self._sign = sign
        self._patience, self._streams = patience, streams
        self._listener = Listener(self._http, patience)
        self.pages = self.reloads = 0

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *raised) -> None:
        self._http.close()

    @property
    def has_script(self) -> bool:
        return self._streams is not None

    @property
    def heard(self) -> list[Heard]:
        """What came of each reply that was followed."""
        return self._listener.heard

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

    def follow(self, page: Page) -> Page:
        """Listen to the reply that a chat page waits for; the page as it is then."""
        address = urljoin(self._streams or page.address, page.events or "")
        try:
            self._listener.follow(address)
        except StreamFault as fault:
            raise PageFault(address, str(fault)) from None
        return self.open(page.address)

    def _page(self, method: str, address: str, data: dict | None = None) -> Page:
        answer = self._answer(method, address, data)
        self.pages += 1 + len(answer.history)
        page = read(str(answer.url), answer.text)
        if fault := _fault_of(answer, page):
            raise PageFault(str(answer.url), fault)
        return page

    def _answer(self, method: str, address: str, data: dict | None) -> httpx.Response:
        """Whoever gets no page asks again, or presses the button again; nothing they sent may then be there twice."""
        headers = {"X-Live": "1"} if self.has_script and "/chat/" in address else {}
        until = time.monotonic() + self._patience
        while True:
            try:
                answer = self._http.request(method, address, data=data, headers=headers)
            except httpx.TransportError as error:
                if time.monotonic() >= until:
                    raise PageFault(address, f"no answer ({type(error).__name__})") from None
            except httpx.HTTPError as error:
                raise PageFault(address, f"no answer ({type(error).__name__})") from None
            else:
                if answer.status_code not in NOBODY_THERE or time.monotonic() >= until:
                    return answer
            self.reloads += 1
            time.sleep(TRIES_AGAIN_AFTER)


def _fault_of(answer: httpx.Response, page: Page) -> str:
    if answer.status_code != 200:
        return f"status {answer.status_code}"
    if "Traceback (most recent call last)" in answer.text:
        return "shows a traceback"
    if page.stage not in STAGES:
        return f"its stage is {page.stage!r}"
    return ""
