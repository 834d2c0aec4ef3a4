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

from django.db.models import Count, F, IntegerField, Max, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce
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
MOST_REPLIES = 5000
MODEL = "turn__conversation__setup__chat_model__key"
# Not faults: the first is done, the others are tried again by somebody else.
DONE, RETRIED = "done", ("lost", "stopped")

Key = TypeVar("Key", bound=Hashable)
Row = TypeVar("Row")


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
    """What waits for an engine, and what it works on.

    Somebody waits since their message, or since the reply was asked for again after it had failed. A worker could take
    it since then, or since the last try ended, or since the pause after it was over: that is what alarms go by.
    """

    engine: str
    models: list[str]
    waiting: int
    oldest: timedelta | None
    untaken: int
    untaken_for: timedelta | None
    in_advance: int
    untaken_in_advance: int
    untaken_in_advance_for: timedelta | None
    running: int
    shown: int  # made, and shown still at their pace


class OpenTurn(NamedTuple):
    """A reply that is not there yet."""

    model: int
    state: str
    background: bool
    asked_at: datetime
    not_before: datetime | None
    lease_until: datetime | None
    computed_at: datetime | None
    tried_until: datetime | None

    def is_in_hand(self, now: datetime) -> bool:
        """Whether a worker has it that lives."""
        return self.state == LeaseState.RUNNING and self.lease_until is not None and self.lease_until > now

    @property
    def free_since(self) -> datetime:
        """Since when a worker could have taken it."""
        moments = [self.asked_at, self.not_before, self.lease_until, self.tried_until]
        return max(moment for moment in moments if moment)


@dataclass(frozen=True)
class Speed:
    minutes: int
    replies: int
    tokens: int

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / (60 * self.minutes)


class Reply(NamedTuple):
    """A reply to somebody, as far as its times go."""

    conversation: int
    model: str
    asked_at: datetime
    claimed_at: datetime
    first_token_at: datetime | None
    finished_at: datetime | None


class Sample(NamedTuple):
    """Replies to people; where there are very many, one of each `step`, by chance."""

    replies: list[Reply]
    step: int


class Tally(NamedTuple):
    """Tries that ended alike; `given_up`: those after which no further one is made."""

    of: Any
    outcome: str
    background: bool
    tries: int
    given_up: int


@dataclass(frozen=True)
class Spread:
    """The middle and the slow end, in seconds."""

    n: int
    p50: float
    p95: float


@dataclass(frozen=True)
class Latency:
    """First token since the message came, and since a worker took it; the whole reply since the message came."""

    first: Spread | None
    first_from_claim: Spread | None
    whole: Spread | None


@dataclass(frozen=True)
class Ends:
    """How tries ended."""

    tries: int
    replies: int  # to people, not in advance
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


def tried(since: datetime | None) -> QuerySet[Attempt]:
    """The attempts begun since then; None: all."""
    return Attempt.objects.all() if since is None else Attempt.objects.filter(claimed_at__gt=since)


def sample(tries: QuerySet[Attempt], most: int = MOST_REPLIES) -> Sample:
    """The replies to people among these attempts, or so many of them that their times can be trusted."""
    replies = tries.filter(outcome=DONE, turn__background=False)
    step = ceil(replies.count() / most) or 1
    if step > 1:
        # Neighbours may belong to arms by turns, so it is not each so-many-th. Knuth's hash scatters them evenly.
        replies = replies.alias(scattered=F("pk") * 2654435761 % 2**32).filter(scattered__lt=2**32 // step)
    rows = replies.values_list(
        "turn__conversation_id",
        "turn__conversation__setup__chat_model__key",
        Coalesce("turn__requeued_at", "turn__created_at"),
        "claimed_at",
        "first_token_at",
        "finished_at",
    )
    return Sample([Reply(*row) for row in rows], step)


def tallies(tries: QuerySet[Attempt], of: str = MODEL) -> list[Tally]:
    """How these attempts ended, counted for each value of a field."""
    is_last = Q(turn__state=LeaseState.FAILED, number=F("turn__attempts"))
    counted = tries.values_list(of, "outcome", "turn__background").annotate(
        tries=Count("pk"), given_up=Count("pk", filter=is_last)
    )
    return [Tally(*row) for row in counted.order_by()]


def by(key: Callable[[Row], Iterable[Key]], rows: Iterable[Row]) -> dict[Key, list[Row]]:
    """Sort rows by what they belong to, which may be several things or none."""
    groups: defaultdict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        for found in key(row):
            groups[found].append(row)
    return dict(groups)


def latency(replies: Iterable[Reply]) -> Latency:
    replies = list(replies)
    began = [reply for reply in replies if reply.first_token_at]
    return Latency(
        spread(_seconds_between(reply.asked_at, reply.first_token_at) for reply in began),
        spread(_seconds_between(reply.claimed_at, reply.first_token_at) for reply in began),
        spread(_seconds_between(reply.asked_at, reply.finished_at) for reply in replies if reply.finished_at),
    )


def ends(rows: Iterable[Tally]) -> Ends:
    rows = list(rows)
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row.outcome] += row.tries
    return Ends(
        tries=counts.total(),
        replies=sum(row.tries for row in rows if row.outcome == DONE and not row.background),
        kinds={kind: n for kind, n in counts.most_common() if kind != DONE and kind not in RETRIED},
        retried={kind: counts[kind] for kind in RETRIED if counts[kind]},
        given_up=sum(row.given_up for row in rows),
    )


def spread(seconds: Iterable[float]) -> Spread | None:
    values = sorted(seconds)
    return Spread(len(values), _percentile(values, 50), _percentile(values, 95)) if values else None


def _percentile(ordered: list[float], percent: int) -> float:
    """The nearest rank: a value that was measured, not one between two."""
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]


def _seconds_between(start: datetime, end: datetime | None) -> float:
    return (end - start).total_seconds() if end else 0.0


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


def open_turns(turns: QuerySet[Turn]) -> list[OpenTurn]:
    """Those of these replies that are not there yet; `turns` are open ones."""
    last = Attempt.objects.filter(turn=OuterRef("pk")).order_by("-number").values("finished_at")[:1]
    # In no order: sorted as turns usually are, SQLite would go through all that there ever were.
    rows = (
        turns.order_by()
        .annotate(tried_until=Subquery(last))
        .values_list(
            "conversation__setup__chat_model",
            "state",
            "background",
            Coalesce("requeued_at", "created_at"),
            "not_before",
            "lease_until",
            "computed_at",
            "tried_until",
        )
    )
    return [OpenTurn(*row) for row in rows]


def _queue(models: dict[str, list[ChatModel]]) -> list[QueueLine]:
    engine_of = {model.pk: engine for engine, served in models.items() for model in served}
    queues = by(lambda turn: [engine_of[turn.model]], open_turns(Turn.objects.open()))
    return [queue_line(engine, models[engine], queues[engine]) for engine in models if engine in queues]


def queue_line(engine: str, models: list[ChatModel], turns: list[OpenTurn]) -> QueueLine:
    now = timezone.now()
    running = [turn for turn in turns if turn.is_in_hand(now)]
    waiting = [turn for turn in turns if not turn.is_in_hand(now)]
    people = [turn for turn in waiting if not turn.background]
    advance = [turn for turn in waiting if turn.background]
    untaken = [now - turn.free_since for turn in people if turn.free_since <= now]
    untaken_in_advance = [now - turn.free_since for turn in advance if turn.free_since <= now]
    return QueueLine(
        engine=engine,
        models=[model.key for model in models],
        waiting=len(people),
        oldest=max((now - turn.asked_at for turn in people), default=None),
        untaken=len(untaken),
        untaken_for=max(untaken, default=None),
        in_advance=len(advance),
        untaken_in_advance=len(untaken_in_advance),
        untaken_in_advance_for=max(untaken_in_advance, default=None),
        running=sum(turn.computed_at is None for turn in running),
        shown=sum(turn.computed_at is not None for turn in running),
    )


def _alarms(models: dict[str, list[ChatModel]], workers: list[WorkerLine], queue: list[QueueLine]) -> list[Alarm]:
    found = [alarm for line in queue if (alarm := _waiting_in_vain(line, workers))]
    found += [alarm for worker in workers if (alarm := _hung(worker, models.get(worker.engine, [])))]
    return found + _failing()


def _waiting_in_vain(line: QueueLine, workers: list[WorkerLine]) -> Alarm | None:
    """A queue before busy workers is no fault. One before idle workers is, and one before nobody."""
    own = [worker for worker in workers if worker.engine == line.engine]
    names = ", ".join(line.models)
    if line.untaken_for and line.untaken_for > TOO_LONG:
        people = _count(line.untaken, "person waits", "people wait")
        waits = f"{people} for {names}, up to {_seconds(line.untaken_for)} s"
    elif line.untaken_in_advance_for and line.untaken_in_advance_for > TOO_LONG_IN_ADVANCE and not line.running:
        replies = _count(line.untaken_in_advance, "reply in advance waits", "replies in advance wait")
        waits = f"{replies} for {names}, up to {_seconds(line.untaken_in_advance_for)} s"
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
    held = Turn.objects.filter(worker=worker.name, conversation__setup__chat_model__in=models)
    running = held.being_made()
    # What is only being shown still was made, and is a sign of life too.
    made = [
        ended.filter(outcome=DONE).aggregate(at=Max("finished_at"))["at"],
        held.filter(state=LeaseState.RUNNING).aggregate(at=Max("computed_at"))["at"],
    ]
    last_reply = max(at for at in [long_ago, *made] if at)
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
