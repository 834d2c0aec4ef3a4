"""An engine that follows a script: slow, hanging, failing and empty replies on demand, the same each time."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from inference.engines.base import Event, EventStream, Failure, GenRequest, Token
from inference.engines.stored import StoredEngine, StoredReply


@dataclass(frozen=True)
class Script:
    """What happens to one request. Token ids are the UTF-8 bytes, so they can be read back."""

    text: str = ""
    delay: float = 0.0  # seconds before anything happens
    pace: float = 0.0  # seconds before each piece
    failure: Failure | None = None
    fail_after: int = 0  # pieces shown before it fails
    hang: bool = False  # never answers, cannot be cancelled


class ScriptedEngine(StoredEngine):
    """Replies from a list, one a request, the last one for ever; or from a function of the request."""

    def __init__(
        self,
        replies: Iterable[Script | str | Failure] | Callable[[GenRequest], Script | str | Failure] = ("Hello there.",),
        capacity: int = 8,
    ):
        super().__init__({})
        self.requests: list[GenRequest] = []
        self._capacity = capacity
        self._hangs_since: float | None = None
        self._lock = threading.Lock()
        self._script = replies if callable(replies) else self._in_order(list(replies))

    def _in_order(self, replies: list[Script | str | Failure]) -> Callable[[GenRequest], Script | str | Failure]:
        return lambda request: replies.pop(0) if len(replies) > 1 else replies[0]

    def submit(self, request: GenRequest) -> Iterator[Event]:
        with self._lock:
            self.requests.append(request)
            script = self._script(request)
        if isinstance(script, str):
            script = Script(script)
        elif isinstance(script, Failure):
            script = Script(failure=script)
        cancelled = self._cancelled[request.key] = threading.Event()
        return self._perform(request, script, cancelled, time.monotonic())

    def capacity(self) -> int:
        return self._capacity

    def stalled_for(self) -> float:
        return 0.0 if self._hangs_since is None else time.monotonic() - self._hangs_since

    def describe(self) -> dict[str, Any]:
        return {"engine": "scripted"}

    def _perform(
        self, request: GenRequest, script: Script, cancelled: threading.Event, submitted: float
    ) -> Iterator[Event]:
        if script.hang:
            patience = None
            if request.deadline is not None:
                patience = max(0.0, request.deadline + EventStream.GRACE - time.monotonic())
            self._hangs_since = time.monotonic()
            closed = self._closed.wait(patience)
            self._hangs_since = None
            yield Failure("unavailable", "The engine was closed.") if closed else Failure("deadline", "It hangs.")
            return
        cancelled.wait(script.delay)
        prompt = request.messages[-1]["content"].encode()
        reply = StoredReply(script.text, prompt_ids=tuple(prompt), output_ids=tuple(script.text.encode()))
        for event in self._play(request, reply, cancelled, submitted, script.pace):
            fails_here = event.index >= script.fail_after if isinstance(event, Token) else not cancelled.is_set()
            if script.failure and fails_here:
                yield script.failure
                return
            yield event
