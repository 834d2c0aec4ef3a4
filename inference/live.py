"""The text of replies on its way to those who wait for it, kept in this process while it is fresh.

Threads write; threads and coroutines read, each from where it stopped. The row of the turn stays the truth: a reader
who finds nothing here looks there.
"""

import asyncio
import threading
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Literal, NamedTuple

from django.conf import settings

Kind = Literal["token", "reset", "final", "error"]


class EventId(NamedTuple):
    """Where a reader stopped. Later attempts come after earlier ones."""

    attempt: int
    seq: int

    def __str__(self) -> str:
        return f"{self.attempt}-{self.seq}"

    @classmethod
    def read(cls, text: str) -> "EventId":
        """From a browser's Last-Event-ID; anything else starts at the beginning."""
        attempt, _, seq = text.partition("-")
        if not (attempt.isascii() and attempt.isdigit() and seq.isascii() and seq.isdigit()):
            return START
        return cls(int(attempt[:9]), int(seq[:9]))


START = EventId(0, 0)


@dataclass(frozen=True)
class LiveEvent:
    id: EventId
    kind: Kind
    text: str

    @property
    def ends(self) -> bool:
        return self.kind in ("final", "error")


@dataclass
class Stream:
    attempt: int
    events: list[LiveEvent] = field(default_factory=list)
    touched: float = field(default_factory=time.monotonic)

    @property
    def ended(self) -> bool:
        return bool(self.events) and self.events[-1].ends


class LiveText:
    """A short memory of recent events by turn code: at most `streams` of them, finished ones for `keep` seconds."""

    def __init__(self, streams: int = 500, keep: float = 60.0):
        self._streams: dict[str, Stream] = {}
        self._listeners: defaultdict[str, set[Callable[[], None]]] = defaultdict(set)
        self._lock = threading.Lock()
        self._most = streams
        self._keep = keep

    def begin(self, code: str, attempt: int) -> None:
        """A new attempt: what an earlier one had shown is void."""
        with self._lock:
            self._forget_old()
            before = self._streams.pop(code, None)
            if before and before.attempt >= attempt:
                self._streams[code] = before
                return
            self._streams[code] = Stream(attempt)
        if attempt > 1:
            self.append(code, attempt, "reset", "")

    def append(self, code: str, attempt: int, kind: Kind, text: str) -> None:
        """Add an event. An attempt that is not the newest any more is not heard, nor is anything after the end."""
        with self._lock:
            stream = self._streams.get(code)
            if stream is None or stream.attempt != attempt or stream.ended:
                return
            stream.events.append(LiveEvent(EventId(attempt, len(stream.events) + 1), kind, text))
            stream.touched = time.monotonic()
            listeners = list(self._listeners.get(code, ()))
        for notify in listeners:
            notify()

    def read(self, code: str, after: EventId = START) -> list[LiveEvent]:
        with self._lock:
            stream = self._streams.get(code)
            return stream.events[bisect_right(stream.events, after, key=attrgetter("id")) :] if stream else []

    def is_writing(self, code: str) -> bool:
        """Whether more is to come from this process."""
        with self._lock:
            stream = self._streams.get(code)
            return stream is not None and not stream.ended

    def wait(self, code: str, after: EventId, timeout: float) -> list[LiveEvent]:
        """What comes after, as soon as there is something; for threads."""
        arrived = threading.Event()
        with self._listening(code, arrived.set):
            if not (events := self.read(code, after)) and arrived.wait(timeout):
                events = self.read(code, after)
        return events

    async def follow(self, code: str, after: EventId, timeout: float) -> list[LiveEvent]:
        """The same for coroutines."""
        loop, arrived = asyncio.get_running_loop(), asyncio.Event()
        with self._listening(code, lambda: _call(loop, arrived.set)):
            if events := self.read(code, after):
                return events
            try:
                await asyncio.wait_for(arrived.wait(), timeout)
            except TimeoutError:
                return []
        return self.read(code, after)

    async def pause(self, code: str, seconds: float) -> None:
        """Let that much time pass, or less where the reply ends."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def look() -> None:
            if not self.is_writing(code):
                _call(loop, ended.set)

        with self._listening(code, look), suppress(TimeoutError):
            if self.is_writing(code):
                await asyncio.wait_for(ended.wait(), seconds)

    def forget(self, code: str) -> None:
        with self._lock:
            self._streams.pop(code, None)

    @contextmanager
    def _listening(self, code: str, notify: Callable[[], None]) -> Iterator[None]:
        with self._lock:
            self._listeners[code].add(notify)
        try:
            yield
        finally:
            with self._lock:
                self._listeners[code].discard(notify)
                if not self._listeners[code]:
                    del self._listeners[code]

    def _forget_old(self) -> None:
        too_old = time.monotonic() - self._keep
        for code in [code for code, stream in self._streams.items() if stream.ended and stream.touched < too_old]:
            del self._streams[code]
        while len(self._streams) >= self._most:
            del self._streams[next(iter(self._streams))]


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(function)
    except RuntimeError:
        # The reader's loop has been closed: nobody waits any more.
        return


def of_this_installation() -> LiveText:
    """Between processes text travels through Redis; within one it need not."""
    if settings.REDIS_URL:
        from inference.redislive import RedisLiveText

        return RedisLiveText(settings.REDIS_URL)
    return LiveText()


live = of_this_installation()
