"""What every engine offers: a request goes in, events come out.

An engine may run a model here, ask a server, replay what was stored or follow a test's script. Whoever answers turns
sees only this module, so heavy libraries stay in the process that computes.
"""

import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypedDict

FinishReason = Literal["stop", "length", "cancelled"]
FailureKind = Literal[
    "deadline",  # too slow, or hung
    "out_of_memory",
    "context_too_long",
    "empty",  # nothing, or only white space
    "engine",  # a fault inside the engine
    "unavailable",  # closing, or a server that is busy or away
    "refused",  # a server that will never accept this: wrong key, unknown model
]
# What another try of the same turn may mend; the others need a person or a shorter conversation.
RETRYABLE: frozenset[FailureKind] = frozenset({"deadline", "out_of_memory", "empty", "engine", "unavailable"})


class Message(TypedDict):
    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. Temperature 0 takes the likeliest; top_k 0 and top_p 1 leave all tokens in."""

    temperature: float = 0.7
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    max_new_tokens: int = 160

    def __post_init__(self):
        checks = {
            "temperature": self.temperature >= 0,
            "top_p": 0 < self.top_p <= 1,
            "top_k": self.top_k >= 0,
            "repetition_penalty": self.repetition_penalty > 0,
            "max_new_tokens": self.max_new_tokens >= 1,
        }
        for name, holds in checks.items():
            if not holds:
                raise ValueError(f"sampling.{name} cannot be {getattr(self, name)}.")


@dataclass(frozen=True)
class GenRequest:
    """One reply that is wanted."""

    key: str
    messages: list[Message]
    sampling: Sampling = Sampling()
    stop: tuple[str, ...] = ()
    seed: int = 0
    variant: str | None = None  # which of its models: an adapter here, a name on a server; None: the bare base
    deadline: float | None = None  # on the clock of time.monotonic()
    conversation: str = ""  # turns of one conversation share a prefix, which an engine may keep

    def __post_init__(self):
        roles = [message["role"] for message in self.messages]
        # Given none, chat templates put in their own, which can name the model.
        if roles[:1] != ["system"] or not self.messages[0]["content"].strip():
            raise ValueError("The first message must be a system message that is not empty.")
        if roles[-1] != "user" or set(roles[1:]) - {"user", "assistant"}:
            raise ValueError("After the system message come user and assistant messages, the last one a user's.")


@dataclass(frozen=True)
class Token:
    """The next piece of text: whole characters only. The index counts pieces."""

    text: str
    index: int


@dataclass(frozen=True)
class Timings:
    """Seconds since the request was submitted."""

    started: float  # when the model took it up
    first_token: float
    total: float


@dataclass(frozen=True)
class Final:
    """The whole reply, and what a reviewer needs to believe it."""

    text: str
    finish_reason: FinishReason
    prompt_ids: tuple[int, ...]
    output_ids: tuple[int, ...]
    timings: Timings
    batch_size: int = 1  # rows computed together when it started
    batch_mean: float = 1.0  # and on average
    cached_tokens: int = 0  # of the prompt, taken from an earlier turn
    details: dict[str, Any] = field(default_factory=dict)  # what a server said about itself

    @property
    def tokens(self) -> int:
        """How many tokens the reply has; a server tells their number only, or not even that (0)."""
        return len(self.output_ids) or (self.details.get("usage") or {}).get("completion_tokens") or 0


@dataclass(frozen=True)
class Failure:
    """No reply. The message is for operators; participants see one wording for all kinds and all arms."""

    kind: FailureKind
    message: str
    retry_after: float | None = None  # seconds, when a server asked for it
    prompt_ids: tuple[int, ...] = ()
    output_ids: tuple[int, ...] = ()

    @property
    def retryable(self) -> bool:
        return self.kind in RETRYABLE


Event = Token | Final | Failure


class Engine(Protocol):
    def submit(self, request: GenRequest) -> Iterator[Event]:
        """Take the request now; the iterator blocks for each event and ends after one Final or Failure."""

    def cancel(self, key: str) -> None:
        """Stop a reply early: it ends with what it has, as `cancelled`. Unknown keys are fine."""

    def capacity(self) -> int:
        """How many replies it makes at once; more may be submitted and wait."""

    def stalled_for(self) -> float:
        """Seconds since the last sign of life of what computes here; 0 while there is nothing to do, or on a server."""

    def describe(self) -> dict[str, Any]:
        """Provenance: kind, versions, device, hashes. Stored with every attempt."""

    def close(self) -> None:
        """Fail what is open, free the model. Nothing may be submitted afterwards."""


class EventStream:
    """Events on their way from an engine's thread to whoever waits for them.

    A hung engine must not hang its callers: some seconds after the deadline the stream ends by itself.
    """

    GRACE = 3.0

    def __init__(self, deadline: float | None = None, give_up: Callable[[], None] | None = None):
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._deadline = deadline
        self._give_up = give_up
        self._ended = False

    def put(self, event: Event) -> None:
        self._events.put(event)

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        if self._ended:
            raise StopIteration
        event = self._next()
        self._ended = not isinstance(event, Token)
        return event

    def _next(self) -> Event:
        if self._deadline is None:
            return self._events.get()
        try:
            return self._events.get(timeout=max(0.0, self._deadline + self.GRACE - time.monotonic()))
        except queue.Empty:
            if self._give_up:
                self._give_up()
            return Failure("deadline", "The engine gave no sign of life by the deadline.")
