"""How many people this machine lets chat at once, found by letting simulated chats wait for real replies.

Unlike the pace that a worker guesses from a few short replies, this tries it: more and more chats that ask at the same
moment, in contexts that grow, until one reply in twenty comes too late. Pages and streams are not in it.
"""

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from statistics import quantiles
from typing import Any

from django.conf import settings

from inference.capacity import REPLY_WITHIN
from inference.engines.base import Engine, Failure, Final, GenRequest, Message, Sampling, Timings, Token
from inference.models import ChatModel, Setup
from inference.workers import CHATTERS_PER_REPLY

# What each simulated chat says before a number of chats counts as tried.
EXCHANGES = 3
TOO_LATE = 0.05  # the share of replies that may be
MOST_AT_ONCE = 512
Say = Callable[[int, int], str]


class NothingMeasured(Exception):
    """The model gave no reply at all; the message says why."""


@dataclass(frozen=True)
class Level:
    """So many replies made at once, and how long people waited for them. None: more than one in twenty was too late."""

    at_once: int
    p50: float | None = None
    p95: float | None = None
    first_p50: float | None = None
    first_p95: float | None = None
    tokens_per_second: float = 0.0

    @property
    def chats(self) -> int:
        """People read and type for at least as long as they wait, so only some of them wait at the same time."""
        return self.at_once * CHATTERS_PER_REPLY

    @property
    def is_in_time(self) -> bool:
        return self.p95 is not None and self.p95 <= REPLY_WITHIN


@dataclass(frozen=True)
class Measured:
    """What a machine carries with one engine."""

    chats: int
    p95: float | None
    measured_at: str
    host: str
    is_least: bool = False  # time was over before more chats were too many

    @property
    def is_here(self) -> bool:
        return self.host == settings.HOST_LABEL


class Trial:
    """So many chats that ask as soon as they are answered, until each has said what it has to say."""

    def __init__(self, engine: Engine, setups: Sequence[Setup], say: Say, at_once: int, until: float):
        self._engine, self._setups, self._say, self._at_once, self._until = engine, setups, say, at_once, until
        self._lock = threading.Lock()
        self._waits: list[float] = []
        self._firsts: list[float] = []
        self._tokens = self._late = 0
        self._left = at_once
        self._over = threading.Event()
        self._open: set[str] = set()
        self.problem = ""

    def run(self) -> Level | None:
        """None when the time was over before it was decided."""
        began = time.monotonic()
        chats = [threading.Thread(target=self._chat, args=(number,), daemon=True) for number in range(self._at_once)]
        for chat in chats:
            chat.start()
        for chat in chats:
            chat.join()
        speed = round(self._tokens / (time.monotonic() - began), 1)
        if self._is_too_slow():
            return Level(self._at_once, tokens_per_second=speed)
        if self._left or self.problem:
            return None
        return Level(self._at_once, *_spread(self._waits), *_spread(self._firsts), tokens_per_second=speed)

    def _is_too_slow(self) -> bool:
        return self._late > TOO_LATE * self._at_once * EXCHANGES

    def _chat(self, number: int) -> None:
        setup = self._setups[number % len(self._setups)]
        said: list[Message] = []
        turn = 0
        # Whoever is done goes on for the others' sake, so that as many wait at once until the end.
        while not self._over.is_set():
            if turn % EXCHANGES == 0:
                said = [{"role": "system", "content": setup.system}]
            said.append({"role": "user", "content": self._say(number, turn % EXCHANGES)})
            reply = self._ask(setup, said, number, turn)
            if reply is None:
                break
            said.append({"role": "assistant", "content": reply})
            turn += 1
            if turn == EXCHANGES:
                self._done()

    def _ask(self, setup: Setup, said: list[Message], number: int, turn: int) -> str | None:
        asked = time.monotonic()
        key = f"measure-{self._at_once}-{number}-{turn}"
        request = GenRequest(
            key=key,
            messages=list(said),
            sampling=Sampling(**setup.sampling),
            stop=tuple(setup.stops),
            seed=1000 * number + turn,
            variant=setup.chat_model.variant,
            deadline=min(asked + REPLY_WITHIN, self._until),
            conversation=f"measure-{self._at_once}-{number}-{turn // EXCHANGES}",
        )
        with self._lock:
            self._open.add(key)
        first: float | None = None
        for event in self._engine.submit(request):
            if isinstance(event, Token):
                first = first or time.monotonic() - asked
                continue
            with self._lock:
                self._open.discard(key)
            waited = time.monotonic() - asked
            if isinstance(event, Final):
                return self._note(event, waited, first)
            if event.kind == "empty":
                return self._note(Final("…", "stop", (), event.output_ids, Timings(0, 0, 0)), waited, first)
            if event.kind == "deadline":
                return self._note_late(time.monotonic() >= self._until)
            self.problem = event.message
            self._stop()
        return None

    def _note(self, final: Final, waited: float, first: float | None) -> str | None:
        if final.finish_reason == "cancelled":
            return None
        with self._lock:
            self._waits.append(waited)
            self._firsts.append(first or waited)
            self._tokens += final.tokens
        return final.text

    def _note_late(self, time_is_over: bool) -> str | None:
        if time_is_over:
            self._stop()
            return None
        with self._lock:
            self._late += 1
            self._waits.append(REPLY_WITHIN)  # when it was cut off
        if self._is_too_slow():
            self._stop()
            return None
        return "…"

    def _done(self) -> None:
        with self._lock:
            self._left -= 1
            is_last = not self._left
        if is_last:
            self._stop()

    def _stop(self) -> None:
        """Nobody asks any more, and what is being made is no longer needed."""
        self._over.set()
        with self._lock:
            keys = list(self._open)
        for key in keys:
            self._engine.cancel(key)


def levels(engine: Engine, setups: Sequence[Setup], say: Say, seconds: float) -> Iterator[Level]:
    """Try 1, 2, 4 and more replies at once until they come too late, then numbers in between, for so many seconds."""
    _warm(engine, setups[0])
    until = time.monotonic() + seconds
    good, bad, at_once = 0, MOST_AT_ONCE + 1, 1
    while time.monotonic() < until and at_once > good:
        trial = Trial(engine, setups, say, at_once, until)
        level = trial.run()
        if trial.problem:
            raise NothingMeasured(trial.problem)
        if level is None:
            return
        yield level
        if level.is_in_time:
            good = at_once
        else:
            bad = at_once
        at_once = min(2 * good, MOST_AT_ONCE) if bad > MOST_AT_ONCE else (good + bad) // 2


def _warm(engine: Engine, setup: Setup) -> None:
    """The first reply pays for what is made on demand."""
    messages: list[Message] = [{"role": "system", "content": setup.system}, {"role": "user", "content": "Hello."}]
    wanted = GenRequest("measure-first", messages, Sampling(max_new_tokens=2), variant=setup.chat_model.variant)
    *_, last = engine.submit(wanted)
    if isinstance(last, Failure) and last.kind != "empty":
        raise NothingMeasured(last.message)


def result(tried: Sequence[Level]) -> Measured:
    """What these trials say of this machine, as of today."""
    best = max((level for level in tried if level.is_in_time), key=lambda level: level.at_once, default=None)
    failed = [level.at_once for level in tried if not level.is_in_time]
    return Measured(
        chats=best.chats if best else 0,
        p95=best.p95 if best else None,
        measured_at=date.today().isoformat(),
        host=settings.HOST_LABEL,
        is_least=not failed or best is not None and min(failed) > best.at_once + 1,
    )


def keep(model: ChatModel, measured: Measured) -> None:
    """Write down what was measured, for whoever publishes a study with this model."""
    known = _known() | {model.engine_name: asdict(measured)}
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=settings.DATA_DIR, prefix=".capacity-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(known, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    os.replace(name, _file())


def kept(model: ChatModel) -> Measured | None:
    """What was last measured with this model's engine."""
    with suppress(KeyError, TypeError):
        return Measured(**_known()[model.engine_name])
    return None


def _known() -> dict[str, Any]:
    try:
        known = json.loads(_file().read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _file() -> Path:
    return settings.DATA_DIR / "capacity.json"


def _spread(seconds: Sequence[float]) -> tuple[float, float]:
    """Median and 95th percentile."""
    if len(seconds) < 2:
        return (seconds[0], seconds[0])
    cuts = quantiles(seconds, n=20, method="inclusive")
    return round(cuts[9], 2), round(cuts[18], 2)
