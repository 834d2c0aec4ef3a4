"""Replays replies that already exist, at a chosen pace, so that stored and live arms look alike."""

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from inference.engines.base import Event, Failure, Final, FinishReason, GenRequest, Timings, Token


@dataclass(frozen=True)
class StoredReply:
    """A reply with the pieces and token ids it once came in; without them its words are the pieces."""

    text: str
    pieces: tuple[str, ...] = ()
    prompt_ids: tuple[int, ...] = ()
    output_ids: tuple[int, ...] = ()

    def __post_init__(self):
        if self.pieces and "".join(self.pieces) != self.text:
            raise ValueError("The pieces of a stored reply must join to its text.")


def words(text: str) -> tuple[str, ...]:
    """The text cut before each word; joined again it is the text."""
    return tuple(re.findall(r"\s*\S+|\s+\Z", text))


class StoredEngine:
    """Replies by request key, from a mapping or a function; `pace` is the seconds between two pieces.

    Nothing is computed, so there is no thread: the caller's own waits for the pace.
    """

    def __init__(
        self,
        replies: Mapping[str, StoredReply | str] | Callable[[GenRequest], StoredReply | str],
        pace: float = 0.0,
    ):
        self._find = replies if callable(replies) else lambda request: replies[request.key]
        self._pace = pace
        self._cancelled: dict[str, threading.Event] = {}
        self._closed = threading.Event()

    def submit(self, request: GenRequest) -> Iterator[Event]:
        cancelled = self._cancelled[request.key] = threading.Event()
        return self._replay(request, cancelled, time.monotonic())

    def cancel(self, key: str) -> None:
        if event := self._cancelled.get(key):
            event.set()

    def capacity(self) -> int:
        return 1024

    def stalled_for(self) -> float:
        return 0.0

    def describe(self) -> dict[str, Any]:
        return {"engine": "stored", "pace": self._pace}

    def close(self) -> None:
        self._closed.set()
        for event in list(self._cancelled.values()):
            event.set()

    def _replay(self, request: GenRequest, cancelled: threading.Event, submitted: float) -> Iterator[Event]:
        try:
            reply = self._find(request)
        except LookupError:
            yield Failure("refused", f"There is no stored reply for {request.key!r}.")
            return
        if isinstance(reply, str):
            reply = StoredReply(reply)
        yield from self._play(request, reply, cancelled, submitted)

    def _play(
        self,
        request: GenRequest,
        reply: StoredReply,
        cancelled: threading.Event,
        submitted: float,
        pace: float | None = None,
    ) -> Iterator[Event]:
        pace = self._pace if pace is None else pace
        reason: FinishReason = "stop"
        shown: list[str] = []
        first = started = time.monotonic() - submitted
        for index, piece in enumerate(reply.pieces or words(reply.text)):
            if cancelled.wait(pace) if pace else cancelled.is_set():
                reason = "cancelled"
                break
            if request.deadline is not None and time.monotonic() > request.deadline:
                yield Failure("deadline", "The reply was not ready by its deadline.", prompt_ids=reply.prompt_ids)
                return
            if not index:
                first = time.monotonic() - submitted
            shown.append(piece)
            yield Token(piece, index)
        self._cancelled.pop(request.key, None)
        text = "".join(shown)
        if self._closed.is_set():
            yield Failure("unavailable", "The engine was closed.")
        elif reason == "stop" and not text.strip():
            yield Failure("empty", "The reply is empty.", prompt_ids=reply.prompt_ids, output_ids=reply.output_ids)
        else:
            yield Final(
                text=text,
                finish_reason=reason,
                prompt_ids=reply.prompt_ids,
                output_ids=reply.output_ids,
                timings=Timings(started, first, time.monotonic() - submitted),
            )
