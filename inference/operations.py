"""How answering goes, for whoever keeps it going: workers, queue, speed, failures, and what needs a person now.

Everything is read from the rows that workers write anyway, so any process can tell. Never a word of a dialogue.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any, NamedTuple, TypeVar

from django.db.models import Count, IntegerField, Max, OuterRef, Q, Subquery, Sum
from django.db.models.fields.json import KT
from django.db.models.functions import Cast
from django.utils import timezone

from inference.leases import LeaseState
from inference.models import HEARD_WITHIN, Attempt, ChatModel, Turn, Worker

log = logging.getLogger(__name__)

# A worker that fell silent is shown for so long, so that one sees which it was.
SHOWN_AFTER_SILENCE = timedelta(hours=1)
# A free worker takes what waits within two seconds, and what a dead one left within ten.
TOO_LONG = timedelta(seconds=30)
# Nobody waits for replies made in advance, and people go before them.
TOO_LONG_IN_ADVANCE = timedelta(minutes=10)
# A worker that has work and finishes nothing: at least so long, and some times as long as its replies take.
HUNG_AFTER = 60.0  # seconds
HUNG_REPLIES = 4
# So many failures and not one reply: people are turned away although nobody waits.
FAILING = 5
FAILING_WITHIN = timedelta(minutes=10)
# More rows than this teach nothing about p95, and the page is asked for every few seconds.
MOST_TRIES = 5000
# Not faults: the first is done, the others are tried again by somebody else.
DONE, RETRIED = "done", ("lost", "stopped")

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class WorkerLine:
    name: str
    engine: str
    models: list[str]
    status: str
    reason: str
    in_hand: int
    rows: int | None  # None until it has been measured
    since: datetime
    heard_at: datetime
    alive: bool
    reply_seconds: float | None

    @property
    def is_ready(self) -> bool:
        return self.alive and self.status == Worker.Status.READY

    @property
    def has_room(self) -> bool:
        return self.is_ready and self.in_hand < (self.rows or 1)


@dataclass(frozen=True)
class QueueLine:
    """What waits for an engine, and what it works on."""

    engine: str
    models: list[str]
    waiting: int
    oldest: timedelta | None
    in_advance: int
    oldest_in_advance: timedelta | None
    running: int


@dataclass(frozen=True)
class Speed:
    minutes: int
    replies: int
    tokens: int

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / (60 * self.minutes)


class Try(NamedTuple):
    """An attempt, as far as its times and its end go."""

    conversation: int
    turn: int
    model: str
    outcome: str
    background: bool
    asked_again: bool
    turn_state: str
    created_at: datetime
    claimed_at: datetime
    first_token_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class Spread:
    """The middle and the slow end, in seconds."""

    n: int
    p50: float
    p95: float


@dataclass(frozen=True)
class Latency:
    """First token since the message came, and since a worker took it; the whole reply since the message came."""

    n: int
    first: Spread | None
    first_from_claim: Spread | None
    whole: Spread | None


@dataclass(frozen=True)
class Failures:
    tries: int
    kinds: dict[str, int]
    retried: dict[str, int]
    given_up: int  # replies that nobody made in the end

    @property
    def failed(self) -> int:
        return sum(self.kinds.values())


@dataclass(frozen=True)
class Alarm:
    """Something that a person has to see to. `key` is the same as long as it lasts."""

    kind: str
    subject: str
    reason: str

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.subject


@dataclass(frozen=True)
class Operations:
    at: datetime
    workers: list[WorkerLine]
    queue: list[QueueLine]
    speeds: list[Speed]
    alarms: list[Alarm]


def now() -> Operations:
    models = _models_by_engine()
    workers, queue = _workers(models), _queue(models)
    return Operations(timezone.now(), workers, queue, [speed(1), speed(10)], _alarms(models, workers, queue))


def alarms() -> list[Alarm]:
    models = _models_by_engine()
    return _alarms(models, _workers(models), _queue(models))


def speed(minutes: int) -> Speed:
    """Replies finished lately. A reply takes less than an hour, so an index on the claim finds the rows."""
    since = timezone.now() - timedelta(minutes=minutes)
    done = Attempt.objects.filter(outcome=DONE, finished_at__gt=since, claimed_at__gt=since - timedelta(hours=1))
    found = done.aggregate(replies=Count("pk"), tokens=Sum(Cast(KT("provenance__tokens"), IntegerField())))
    return Speed(minutes, found["replies"], found["tokens"] or 0)


def tries(since: datetime, **only: Any) -> list[Try]:
    """The attempts begun since then, newest first, at most MOST_TRIES of them."""
    rows = Attempt.objects.filter(claimed_at__gt=since, **only).order_by("-claimed_at")
    fields = (
        "turn__conversation_id",
        "turn_id",
        "turn__conversation__setup__chat_model__key",
        "outcome",
        "turn__background",
        "turn__asked_again",
        "turn__state",
        "turn__created_at",
        "claimed_at",
        "first_token_at",
        "finished_at",
    )
    return [Try(*row) for row in rows.values_list(*fields)[:MOST_TRIES]]


def by(key: Callable[[Try], Key | None], rows: Iterable[Try]) -> dict[Key, list[Try]]:
    """Sort attempts by what they belong to; those that belong to nothing are left out."""
    groups: defaultdict[Key, list[Try]] = defaultdict(list)
    for row in rows:
        if (found := key(row)) is not None:
            groups[found].append(row)
    return dict(groups)


def latency(rows: Iterable[Try]) -> Latency:
    """Of replies to people. One asked for again after its failure waited for a person meanwhile, and is left out."""
    done = [row for row in rows if row.outcome == DONE and not row.background and not row.asked_again]
    return Latency(
        len(done),
        spread((row.first_token_at - row.created_at).total_seconds() for row in done if row.first_token_at),
        spread((row.first_token_at - row.claimed_at).total_seconds() for row in done if row.first_token_at),
        spread((row.finished_at - row.created_at).total_seconds() for row in done if row.finished_at),
    )


def spread(seconds: Iterable[float]) -> Spread | None:
    values = sorted(seconds)
    return Spread(len(values), _percentile(values, 50), _percentile(values, 95)) if values else None


def failures(rows: Iterable[Try]) -> Failures:
    rows = list(rows)
    ends = Counter(row.outcome for row in rows)
    return Failures(
        tries=len(rows),
        kinds={kind: n for kind, n in ends.most_common() if kind != DONE and kind not in RETRIED},
        retried={kind: ends[kind] for kind in RETRIED if ends[kind]},
        given_up=len({row.turn for row in rows if row.turn_state == LeaseState.FAILED}),
    )


def _percentile(ordered: list[float], percent: int) -> float:
    """The nearest rank: a value that was measured, not one between two."""
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]


def _models_by_engine() -> dict[str, list[ChatModel]]:
    models = defaultdict(list)
    for model in ChatModel.objects.order_by("key"):
        models[model.engine_name].append(model)
    return dict(models)


def _workers(models: dict[str, list[ChatModel]]) -> list[WorkerLine]:
    now = timezone.now()
    shown = Worker.objects.filter(heard_at__gt=now - SHOWN_AFTER_SILENCE).order_by("name", "engine")
    return [
        WorkerLine(
            name=worker.name,
            engine=worker.engine,
            models=[model.key for model in models.get(worker.engine, [])],
            status=worker.status,
            reason=worker.reason,
            in_hand=worker.in_hand,
            rows=int(worker.pace["rows"]) if worker.pace else None,
            since=worker.since,
            heard_at=worker.heard_at,
            alive=worker.heard_at > now - HEARD_WITHIN,
            reply_seconds=_reply_seconds(worker.pace),
        )
        for worker in shown
    ]


def _reply_seconds(pace: dict[str, Any] | None) -> float | None:
    """How long a long reply takes with all rows in use."""
    if not pace:
        return None
    step = pace["alone"] + pace["per_row"] * (pace["rows"] - 1)
    return pace["slower"] * (pace["prompt"] + pace["long"] * step)


def _queue(models: dict[str, list[ChatModel]]) -> list[QueueLine]:
    now = timezone.now()
    engine_of = {model.pk: engine for engine, served in models.items() for model in served}
    last = Attempt.objects.filter(turn=OuterRef("pk")).order_by("-number").values("finished_at")[:1]
    rows = (
        Turn.objects.open()
        .annotate(tried_until=Subquery(last))
        .values_list(
            "conversation__setup__chat_model",
            "state",
            "background",
            "created_at",
            "not_before",
            "lease_until",
            "tried_until",
        )
    )
    people: defaultdict[str, list[timedelta]] = defaultdict(list)
    advance: defaultdict[str, list[timedelta]] = defaultdict(list)
    running: Counter[str] = Counter()
    for model, state, background, created_at, not_before, lease_until, tried_until in rows:
        engine = engine_of[model]
        if state == LeaseState.RUNNING and lease_until and lease_until > now:
            running[engine] += 1
            continue
        # Since when somebody could have taken it.
        moments = [created_at, not_before, lease_until, tried_until]
        since = max(moment for moment in moments if moment)
        if since <= now:
            (advance if background else people)[engine].append(now - since)
    return [
        QueueLine(
            engine=engine,
            models=[model.key for model in models[engine]],
            waiting=len(people[engine]),
            oldest=max(people[engine], default=None),
            in_advance=len(advance[engine]),
            oldest_in_advance=max(advance[engine], default=None),
            running=running[engine],
        )
        for engine in models
        if people[engine] or advance[engine] or running[engine]
    ]


def _alarms(models: dict[str, list[ChatModel]], workers: list[WorkerLine], queue: list[QueueLine]) -> list[Alarm]:
    found = [alarm for line in queue if (alarm := _waiting_in_vain(line, workers))]
    found += [alarm for worker in workers if (alarm := _hung(worker, models.get(worker.engine, [])))]
    return found + _failing()


def _waiting_in_vain(line: QueueLine, workers: list[WorkerLine]) -> Alarm | None:
    """A queue before busy workers is no fault. One before idle workers is, and one before nobody."""
    own = [worker for worker in workers if worker.engine == line.engine]
    names = ", ".join(line.models)
    if line.oldest and line.oldest > TOO_LONG:
        waits = f"{_count(line.waiting, 'person waits', 'people wait')} for {names}, up to {_seconds(line.oldest)} s"
    elif line.oldest_in_advance and line.oldest_in_advance > TOO_LONG_IN_ADVANCE and not line.running:
        replies = _count(line.in_advance, "reply in advance waits", "replies in advance wait")
        waits = f"{replies} for {names}, up to {_seconds(line.oldest_in_advance)} s"
    else:
        return None
    if idle := [worker.name for worker in own if worker.has_room]:
        return Alarm("idle", line.engine, f"{waits}, while {', '.join(idle)} could take more.")
    if any(worker.is_ready for worker in own):
        return None
    return Alarm("no worker", line.engine, f"{waits}, and no worker is ready: {_whereabouts(own)}.")


def _whereabouts(workers: list[WorkerLine]) -> str:
    if not workers:
        return "none has this model"
    return "; ".join(
        f"{worker.name} is {worker.status}" if worker.alive else f"{worker.name} was last heard of at {_clock(worker)}"
        for worker in workers
    )


def _clock(worker: WorkerLine) -> str:
    return f"{worker.heard_at:%H:%M:%S} UTC"


def _hung(worker: WorkerLine, models: list[ChatModel]) -> Alarm | None:
    """It has work, and nothing has come of what it began for far longer than its replies take."""
    if not (worker.is_ready and worker.in_hand):
        return None
    limit = max(HUNG_AFTER, HUNG_REPLIES * (worker.reply_seconds or 0))
    recent = timezone.now() - timedelta(seconds=limit)
    own = {"worker": worker.name, "turn__conversation__setup__chat_model__in": models}
    # Long before, it may have been idle; only what it began since its last reply counts.
    long_ago = timezone.now() - timedelta(seconds=10 * limit)
    ended = Attempt.objects.filter(claimed_at__gt=long_ago, **own)
    last_reply = ended.filter(outcome=DONE).aggregate(at=Max("finished_at"))["at"] or long_ago
    running = Turn.objects.filter(
        state=LeaseState.RUNNING, worker=worker.name, conversation__setup__chat_model__in=models
    )
    began: list[Any] = [
        *ended.exclude(outcome__in=[DONE, *RETRIED])
        .filter(claimed_at__gt=last_reply)
        .values_list("claimed_at", flat=True),
        *running.filter(claimed_at__gt=last_reply).values_list("claimed_at", flat=True),
    ]
    if not began or min(began) > recent or last_reply > recent:
        return None
    replies = _count(worker.in_hand, "reply", "replies")
    return Alarm(
        "hung",
        f"{worker.name} {worker.engine}",
        f"{worker.name} works on {replies} and has finished nothing for more than {limit:.0f} s.",
    )


def _failing() -> list[Alarm]:
    since = timezone.now() - FAILING_WITHIN
    ends = (
        Attempt.objects.filter(claimed_at__gt=since)
        .exclude(outcome__in=RETRIED)
        .values_list("turn__conversation__setup__chat_model__key")
        .annotate(done=Count("pk", filter=Q(outcome=DONE)), failed=Count("pk", filter=~Q(outcome=DONE)))
        .order_by()
    )
    minutes = FAILING_WITHIN.total_seconds() / 60
    return [
        Alarm("failing", model, f"All {failed} tries with {model} in the last {minutes:.0f} minutes failed.")
        for model, done, failed in ends
        if failed >= FAILING and not done
    ]


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"


def _seconds(age: timedelta) -> int:
    return round(age.total_seconds())


class Watch:
    """Tells the log of each alarm once, and once when it is over.

    Two looks in a row must find it, so that a start of the program, or a worker's, is not an alarm. What was told is
    remembered in this process: a clock that is started anew tells of what lasts once more.
    """

    def __init__(self) -> None:
        self._suspected: set[tuple[str, str]] = set()
        self._told: dict[tuple[str, str], Alarm] = {}

    def look(self) -> None:
        found = {alarm.key: alarm for alarm in alarms()}
        for key in found.keys() & self._suspected - self._told.keys():
            self._told[key] = found[key]
            log.error("Alarm (%s): %s", found[key].kind, found[key].reason, extra={"alarm": found[key].kind})
        for key in self._told.keys() - found.keys():
            over = self._told.pop(key)
            log.error("Over (%s): %s", over.kind, over.subject, extra={"alarm": over.kind})
        self._suspected = set(found)


watch = Watch()


def look_after_workers() -> None:
    """From time to time: what an operator must see goes to the log."""
    watch.look()
