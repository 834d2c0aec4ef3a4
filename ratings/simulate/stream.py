"""Following a reply as a browser's script does: it listens, and listens again where it stopped when the line is cut."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx

# What the stream asks browsers to wait before they come back.
COMES_BACK_AFTER = 1.0  # seconds
# A stream says at least this often that it is still there.
SILENT_FOR = 40.0  # seconds


class StreamFault(Exception):
    """Something that a person would see as a broken reply."""


@dataclass
class Heard:
    """What came of one reply. Times are in seconds since the message was sent."""

    shown: str = ""
    first_text: float | None = None
    ended: float | None = None
    failed: bool = False
    cuts: int = 0
    resets: int = 0
    last_id: str = ""
    # What had been shown was not how the whole reply begins: its middle was lost on the way.
    mended: bool = False

    def take(self, kind: str, text: str, event_id: str, seconds: float) -> None:
        self.last_id = event_id or self.last_id
        if kind == "token":
            self.shown += text
            self.first_text = seconds if self.first_text is None else self.first_text
        elif kind == "reset":
            self.shown, self.resets = "", self.resets + 1
        elif kind == "final":
            self.mended = not text.startswith(self.shown.strip())
            self.shown, self.ended = text, seconds
            self.first_text = seconds if self.first_text is None else self.first_text
        elif kind == "error":
            self.failed, self.ended = True, seconds


@dataclass
class Listener:
    """The EventSource of one participant."""

    http: httpx.Client
    patience: float
    heard: list[Heard] = field(default_factory=list)

    def follow(self, address: str) -> Heard:
        """Listen until the reply has ended; what is wrong raises StreamFault."""
        heard, began = Heard(), time.monotonic()
        self.heard.append(heard)
        lost_at: float | None = None
        while heard.ended is None:
            try:
                for kind, text, event_id in self._events(address, heard.last_id):
                    lost_at = None
                    heard.take(kind, text, event_id, time.monotonic() - began)
            except httpx.TransportError as fault:
                lost_at = lost_at or time.monotonic()
                if time.monotonic() - lost_at > self.patience:
                    raise StreamFault(f"the stream is gone ({type(fault).__name__})") from None
            if heard.ended is None:
                heard.cuts += 1
                time.sleep(COMES_BACK_AFTER)
        return heard

    def _events(self, address: str, last_id: str) -> Iterator[tuple[str, str, str]]:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
        with self.http.stream("GET", address, headers=headers, timeout=SILENT_FOR) as answer:
            if answer.status_code in (502, 503, 504):
                raise httpx.ReadError("the proxy has nobody to ask")
            if answer.status_code != 200:
                raise StreamFault(f"status {answer.status_code}")
            told: dict[str, str] = {}
            for line in answer.iter_lines():
                if not line:
                    if "data" in told:
                        yield told.get("event", "message"), json.loads(told["data"])["text"], told.get("id", "")
                    told = {}
                    continue
                name, _, value = line.partition(":")
                told[name] = value.removeprefix(" ")
