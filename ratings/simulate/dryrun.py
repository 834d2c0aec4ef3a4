"""Send a crowd of synthetic participants through a running server, some at once, and add up what became of them."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

import numpy as np

from ratings.simulate.bots import Bot, Trip
from ratings.simulate.browser import Browser
from ratings.simulate.characters import Character, Mix, crowd
from ratings.simulate.opinions import Opinions
from ratings.simulate.plans import plan_of
from ratings.simulate.stream import Heard
from ratings.studyfile.schema import StudyFile

COMPLETED = "completed"


@dataclass
class Tally:
    """What a dry run gave, counted as the participants saw it."""

    completed: int = 0
    dropped_out: int = 0
    pages: int = 0
    messages: int = 0
    ratings: int = 0
    missing: int = 0
    faults: list[str] = field(default_factory=list)
    characters: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)
    # Pages that did not come and were asked for again; replies that were followed while they grew.
    reloads: int = 0
    heard: list[Heard] = field(default_factory=list)
    # For each arm the expected ratings of what was rated in it: their sum, their number.
    expected: dict[str, tuple[float, int]] = field(default_factory=dict)

    def add(self, bot: Bot, trip: Trip) -> None:
        self.completed += trip.outcome == COMPLETED
        self.dropped_out += trip.dropped_out
        self.pages += trip.pages
        self.messages += trip.messages
        self.reloads += trip.reloads
        self.heard += trip.heard
        if trip.fault:
            self.faults.append(trip.fault)
        _count(self.characters, bot.character.name)
        _count(self.outcomes, trip.outcome or "under_way")
        for position, values in trip.ratings.items():
            given = [value for value in values.values() if value is not None]
            self.ratings += len(given)
            self.missing += len(values) - len(given)
            arm = bot.shown(position)[1]
            total, number = self.expected.get(arm, (0.0, 0))
            self.expected[arm] = total + len(given) * bot.expected(position), number + len(given)

    def replies_heard(self) -> dict | None:
        """How long people waited for the replies that they followed, and what they saw of cut lines."""
        if not self.heard:
            return None
        return {
            "followed": len(self.heard),
            "failed": sum(heard.failed for heard in self.heard),
            "lines_cut": sum(heard.cuts for heard in self.heard),
            "begun_anew": sum(heard.resets for heard in self.heard),
            "mended_at_the_end": sum(heard.mended for heard in self.heard),
            "first_text_s": _spread([heard.first_text for heard in self.heard if heard.first_text is not None]),
            "whole_s": _spread([heard.ended for heard in self.heard if heard.ended is not None]),
        }

    def expected_difference(self, better: str, other: str) -> float | None:
        """How far apart the report should find the arms: rounding and the ends of the scale make an effect smaller."""
        means = [total / number for total, number in map(self.expected.get, (better, other), [(0.0, 0)] * 2) if number]
        return means[0] - means[1] if len(means) == 2 else None


@dataclass(frozen=True)
class DryRun:
    server: str
    study: StudyFile
    seed: int
    mix: Mix
    effect: float
    # Signs a page time, so that the server believes it.
    sign: Callable[[float], str]
    at_once: int = 20
    patience: float = 0
    # Where replies are streamed, if participants follow them.
    streams: str | None = None

    @property
    def arms(self) -> tuple[str, str]:
        """The arm that has the effect, and the one it is compared with."""
        if primary := self.study.design.primary:
            return primary.b, primary.a
        keys = sorted(arm.key for arm in self.study.arms)
        return keys[-1], keys[0]

    def send(self, tokens: list[str], tell: Callable[[str], None]) -> Tally:
        """One participant for each invitation."""
        people = crowd(len(tokens), self.mix, self.seed)
        opinions = Opinions(self.seed, self.study.scale.points, self.effect, self.arms[0])
        tally, started, told = Tally(), time.monotonic(), 0.0
        with ThreadPoolExecutor(self.at_once, thread_name_prefix="participant") as pool:
            trips = [
                pool.submit(self._go, number, character, token, opinions)
                for number, (character, token) in enumerate(zip(people, tokens, strict=True), 1)
            ]
            for through, trip in enumerate(as_completed(trips), 1):
                tally.add(*trip.result())
                elapsed = time.monotonic() - started
                if elapsed - told >= 2 or through == len(trips):
                    told = elapsed
                    tell(f"{through} of {len(trips)} through, {tally.pages} pages, {elapsed:.0f} s")
        return tally

    def _go(self, number: int, character: Character, token: str, opinions: Opinions) -> tuple[Bot, Trip]:
        with Browser(self.server, self.sign, self.patience, self.streams) as browser:
            bot = Bot(number, character, self.seed, browser, self.study, opinions, lambda: plan_of(token))
            return bot, bot.run(f"/i/{token}/")


def _spread(seconds: list[float]) -> dict[str, float] | None:
    if not seconds:
        return None
    p50, p95 = np.percentile(seconds, [50, 95])
    return {"p50": round(float(p50), 2), "p95": round(float(p95), 2), "max": round(max(seconds), 2)}


def _count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1
