"""Live text between processes, through Redis Streams: whoever makes a reply writes, whoever has its browser reads.

A stream's ids are the events' own, `attempt-seq`, so Redis itself refuses what comes late from an earlier attempt. Text
stays in Redis for minutes; when Redis is away or comes back empty, readers find the whole reply in the turn's row.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from secrets import token_hex
from typing import Any, NamedTuple, cast

import redis

from inference.live import START, EventId, Kind, LiveEvent, LiveText, Stream

log = logging.getLogger(__name__)

KEPT = 600  # seconds after the last event
# A reply has a few hundred pieces; this only bounds what a fault could write.
LONGEST = 5_000
# Pieces that come within this time travel together: nobody's browser is told more often.
TOGETHER = 0.02  # seconds
# A writer that has not been heard of for so long may be dead: readers look at the row.
SILENT_AFTER = 5.0  # seconds
BLOCK = 1_000  # milliseconds
PAUSE = 0.5  # seconds, before Redis is tried again
TIMEOUT = 5.0  # seconds
NOBODY_WAITS_AFTER = 30.0  # seconds
MOST_READERS = 5_000
# In the outbox: this process reads one more stream, and its reader should look up from those it waits for.
RING = None


class Entry(NamedTuple):
    """One event, or several pieces of text as one, as it lies in Redis."""

    code: str
    first: int
    id: EventId
    kind: Kind
    text: str


class RedisLiveText(LiveText):
    """The memory of this process holds what its own readers follow; one thread fills it, another empties the outbox."""

    def __init__(self, url: str):
        super().__init__(streams=MOST_READERS)
        self._client: Any = redis.Redis.from_url(
            url, decode_responses=True, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT, health_check_interval=30
        )
        self._written: dict[str, EventId] = {}
        self._outbox: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._bell = f"live-bell:{token_hex(8)}"
        self._wanted: dict[str, float] = {}
        self._read_to: dict[str, EventId] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._closed = False

    # Writing, in the process that makes the reply.

    def begin(self, code: str, attempt: int) -> None:
        with self._lock:
            self._written[code] = EventId(attempt, 0)
        if attempt > 1:
            self.append(code, attempt, "reset", "")

    def append(self, code: str, attempt: int, kind: Kind, text: str) -> None:
        with self._lock:
            last = self._written.get(code)
            if last is None or last.attempt != attempt:
                return
            event_id = EventId(attempt, last.seq + 1)
            self._written[code] = event_id
            if kind in ("final", "error"):
                del self._written[code]
        self._outbox.put(Entry(code, event_id.seq, event_id, kind, text))
        if kind != "token" or event_id.seq == 1:
            self._hurry.set()
            self._run("publisher", self._publish_on)

    def forget(self, code: str) -> None:
        super().forget(code)
        with self._lock:
            self._written.pop(code, None)
        with suppress(redis.RedisError):
            self._client.delete(key_of(code))

    def _publish_on(self) -> None:
        while not (self._closed and self._outbox.empty()):
            entries = [self._outbox.get()]
            self._hurry.clear()
            while not self._outbox.empty():
                entries.append(self._outbox.get())
            try:
                self._publish(entries)
            except redis.RedisError as fault:
                # The rows keep the replies; what is lost here is only the pleasure of seeing them grow.
                log.warning("%d events of live text were not published: %s", len(entries), fault)
                time.sleep(PAUSE)
            # What comes in the meantime goes together. A first word and an end are waited for: they go out at once.
            self._hurry.wait(TOGETHER)

    def _publish(self, entries: Sequence[Entry | None]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        if RING in entries:
            pipeline.xadd(self._bell, {"ring": 1}, maxlen=1)
            pipeline.expire(self._bell, KEPT)
        for code, first, event_id, kind, text in together([entry for entry in entries if entry]):
            fields = {"first": first, "kind": kind, "text": text}
            pipeline.xadd(key_of(code), fields, id=str(event_id), maxlen=LONGEST, approximate=True)
            pipeline.expire(key_of(code), KEPT)
        # Redis refuses an id that is not larger than the last one: an attempt that is not the newest any more.
        pipeline.execute(raise_on_error=False)

    def close(self) -> None:
        """Publish what waits, then let the threads end."""
        self._closed = True
        self._outbox.put(RING)
        for thread in self._threads.values():
            thread.join(TIMEOUT)

    # Reading, in the process that has the browser.

    def is_writing(self, code: str) -> bool:
        with self._lock:
            stream = self._streams.get(code)
            return stream is not None and not stream.ended and time.monotonic() - stream.touched < SILENT_AFTER

    @contextmanager
    def _listening(self, code: str, notify: Callable[[], None]) -> Iterator[None]:
        with super()._listening(code, notify):
            self._follow(code)
            try:
                yield
            finally:
                with self._lock:
                    self._wanted[code] = time.monotonic()

    def _follow(self, code: str) -> None:
        with self._lock:
            is_new = code not in self._wanted
            self._wanted[code] = time.monotonic()
        self._run("reader", self._read_on)
        if is_new:
            self._outbox.put(RING)
            self._hurry.set()
            self._run("publisher", self._publish_on)

    def _read_on(self) -> None:
        heard = "$"
        while not self._closed:
            try:
                for key, entries in self._client.xread({**self._places(), self._bell: heard}, block=BLOCK) or ():
                    if key == self._bell:
                        heard = entries[-1][0]
                    else:
                        self._take(code_of(key), entries)
            except redis.RedisError as fault:
                log.warning("Live text cannot be read: %s", fault)
                time.sleep(PAUSE)

    def _places(self) -> dict[str, str]:
        """The streams that somebody here waits for, and how far each was read."""
        with self._lock:
            long_ago = time.monotonic() - NOBODY_WAITS_AFTER
            for code in [code for code, at in self._wanted.items() if at < long_ago and code not in self._listeners]:
                del self._wanted[code]
                self._read_to.pop(code, None)
                self._streams.pop(code, None)
            open_ones = [code for code in self._wanted if code not in self._streams or not self._streams[code].ended]
            return {key_of(code): str(self._read_to.get(code, START)) for code in open_ones}

    def _take(self, code: str, entries: Iterable[tuple[str, dict[str, str]]]) -> None:
        with self._lock:
            for written, fields in entries:
                event = LiveEvent(EventId.read(written), cast(Kind, fields["kind"]), fields["text"])
                self._read_to[code] = event.id
                stream = self._streams.get(code)
                if stream is None or stream.attempt < event.id.attempt:
                    stream = self._streams[code] = Stream(event.id.attempt)
                expected = stream.events[-1].id.seq + 1 if stream.events else 1
                # Redis came back empty, perhaps: half a text is none, and the end brings the whole.
                if event.ends or int(fields["first"]) == expected:
                    stream.events.append(event)
                stream.touched = time.monotonic()
            listeners = list(self._listeners.get(code, ()))
        for notify in listeners:
            notify()

    def _run(self, name: str, work: Callable[[], None]) -> None:
        with self._lock:
            if name not in self._threads or not self._threads[name].is_alive():
                self._threads[name] = threading.Thread(target=work, name=f"live text {name}", daemon=True)
                self._threads[name].start()


def key_of(code: str) -> str:
    return f"live:{code}"


def code_of(key: str) -> str:
    return key.removeprefix("live:")


def together(entries: Iterable[Entry]) -> list[Entry]:
    """Neighbouring pieces of one reply as one entry, with the id of the last; replies keep their own order."""
    by_reply = sorted(entries, key=lambda entry: entry.code)
    joined = []
    for (code, _, kind), group in groupby(by_reply, key=lambda entry: (entry.code, entry.id.attempt, entry.kind)):
        run = list(group)
        joined.append(Entry(code, run[0].first, run[-1].id, kind, "".join(entry.text for entry in run)))
    return joined
