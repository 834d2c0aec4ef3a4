"""How fast a model answers on this machine, and so how many replies it can make in time.

Measured when the model has been loaded, corrected by every reply made since.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Self

from inference.engines.base import Engine, Final, GenRequest, Sampling

# A chat is no chat any more when its replies take longer.
REPLY_WITHIN = 15.0  # seconds
# Until replies have been seen, they are taken to be as long as they may usually get.
USUAL_TOKENS = 160
# A worker answers nobody while it measures itself, so it takes few; replies correct the result soon enough.
MEASURED = 8
TOLD = ("alone", "per_row", "prompt", "rows", "slower", "long")


@dataclass
class Pace:
    """What one token costs with one row in the batch, what each further row adds, and how long prompts take."""

    alone: float
    per_row: float
    prompt: float
    rows: int  # the most the engine makes at once
    # Learnt from replies: how much slower than measured it is, and how many tokens a long reply has.
    slower: float = 1.0
    long: float = USUAL_TOKENS
    _tokens: deque[int] = field(default_factory=lambda: deque(maxlen=60), repr=False, compare=False)
    _factors: deque[float] = field(default_factory=lambda: deque(maxlen=20), repr=False, compare=False)

    def note(self, tokens: int, seconds: float, rows: float) -> None:
        """Learn from a finished reply: the machine may be busier, or quieter, than when it was measured."""
        if tokens > 8:
            self._tokens.append(tokens)
            self._factors.append(seconds / (self.prompt + tokens * self._step(rows)))
        if len(self._factors) >= 3:
            self.slower = median(self._factors)
        if len(self._tokens) >= 5:
            self.long = quantiles(self._tokens, n=5)[-1]

    def reply_seconds(self, rows: float) -> float:
        """How long a long reply takes while so many are made."""
        return self.slower * (self.prompt + self.long * self._step(rows))

    def replies_in_time(self) -> int:
        """How many replies can be made at once so that each is there within REPLY_WITHIN; never less than one."""
        in_time = (rows for rows in range(self.rows, 1, -1) if self.reply_seconds(rows) <= REPLY_WITHIN)
        return next(in_time, 1)

    def _step(self, rows: float) -> float:
        return self.alone + self.per_row * (rows - 1)

    def told(self) -> dict[str, float]:
        """What another process has to know of it."""
        return {name: getattr(self, name) for name in TOLD}

    @classmethod
    def heard(cls, told: Mapping[str, float]) -> Self:
        return cls(**{name: told[name] for name in TOLD})  # type: ignore[arg-type]  # rows is whole as it was told


_paces: dict[str, Pace] = {}
_lock = threading.Lock()


def measure(key: str, engine: Engine) -> Pace:
    """Time a few short replies, alone and together, and remember the result for this model."""
    _time(engine, rows=1, tokens=2)  # the first run pays for what is made on demand
    rows = max(2, min(4, engine.capacity()))
    alone, prompt = _time(engine, rows=1, tokens=MEASURED)
    together, _ = _time(engine, rows=rows, tokens=MEASURED)
    pace = Pace(alone, max(0.0, (together - alone) / (rows - 1)), prompt, engine.capacity())
    remember(key, pace)
    return pace


def remember(key: str, pace: Pace) -> None:
    with _lock:
        _paces[key] = pace


def note(key: str, tokens: int, seconds: float, rows: float) -> None:
    with _lock:
        if pace := _paces.get(key):
            pace.note(tokens, seconds, rows)


def pace_of(key: str) -> Pace | None:
    """How fast an engine of this process is, if it was measured."""
    with _lock:
        return _paces.get(key)


def _time(engine: Engine, rows: int, tokens: int) -> tuple[float, float]:
    """Seconds per token in the slowest of so many rows, and until its first token."""

    def one(row: int) -> tuple[float, float]:
        request = GenRequest(
            key=f"measure-{rows}-{tokens}-{row}",
            messages=[
                {"role": "system", "content": "You tell stories."},
                {"role": "user", "content": "Tell me a long story about a lighthouse, a storm and an old dog."},
            ],
            sampling=Sampling(max_new_tokens=tokens),
            seed=row,
            deadline=time.monotonic() + 120,
        )
        *_, last = engine.submit(request)
        if not isinstance(last, Final):
            raise RuntimeError(f"The model was tried and gave no reply: {last}")
        timings = last.timings
        return (timings.total - timings.first_token) / max(1, last.tokens - 1), timings.first_token

    with ThreadPoolExecutor(rows) as threads:
        steps, firsts = zip(*threads.map(one, range(rows)), strict=True)
    return max(steps), max(firsts)
