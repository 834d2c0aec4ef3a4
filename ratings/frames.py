"""What a study gathered, as plain rows and columns: the one door through which reports see the tables.

A pool is what is balanced, counted and reported together: one kind of participant in the versions that share a design.
Rows hold only people whose consent stands; whoever withdrew left no row. People under an open exclusion are counted in
`flow` and listed among the participants, and everything else leaves them out. Attention checks and practice are no
ratings and are never mixed with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, get_args

from django.db import connection, transaction
from django.db.models import Count, Exists, OuterRef, Prefetch, Q, QuerySet

from accounts.models import AuditEntry, User
from accounts.sealed import lookup_hash
from inference import provenance
from inference.leases import LeaseState
from inference.models import Attempt, Conversation, Turn
from ratings.models import (
    Answer,
    Arm,
    Assignment,
    Consent,
    Criterion,
    DataExport,
    Event,
    Exclusion,
    Exposure,
    Item,
    Participant,
    Rating,
    StoredReply,
    Study,
    StudyVersion,
    Visit,
    Withdrawal,
)
from ratings.models.people import VisitQuerySet
from ratings.studyfile.publishing import definition_of
from ratings.studyfile.schema import StudyFile, Tick

if TYPE_CHECKING:
    import numpy as np

TICKS = get_args(Tick)
# Rows fetched at a time: memory stays the same however large a study is.
CHUNK = 2000
# Conversations at a time: each comes with the tokens of its replies, and every reply's prompt holds all before it.
TALKS = 50


class NothingPublished(Exception):
    """There is no such study or version to report on; the message says so."""


@dataclass(frozen=True)
class Pool:
    """Participants of one kind in the versions that share a design; `version` is the newest of these."""

    version: StudyVersion
    kind: str

    @property
    def study(self) -> Study:
        return self.version.study

    @property
    def definition(self) -> StudyFile:
        return definition_of(self.version)

    def versions(self) -> QuerySet[StudyVersion]:
        return StudyVersion.objects.pooled_with(self.version)

    def visits(self) -> VisitQuerySet:
        return Visit.objects.of_pool(self.version, self.kind)

    def consenting(self) -> VisitQuerySet:
        """Visits whose data may be read: consent was given and has not been taken back."""
        taken_back = Consent.objects.filter(tick="take_part", withdrawn_at__isnull=False)
        return self.visits().filter(consented_at__isnull=False).exclude(pk__in=taken_back.values("visit"))

    def analysed(self) -> VisitQuerySet:
        return self.consenting().exclude(participant__in=open_exclusions().values("participant"))

    def withdrawals(self) -> QuerySet[Withdrawal]:
        return Withdrawal.objects.filter(version__in=self.versions(), kind=self.kind)


def find_study(slug: str) -> Study:
    study = Study.objects.filter(slug=slug).first()
    if study is None:
        raise NothingPublished(f"There is no study called {slug!r}.")
    return study


def pool_of(study: Study, kind: str = Participant.Kind.REAL, number: int | None = None) -> Pool:
    """The pool of the study's current version, or of the published version with this number."""
    if number is None:
        version = study.current_version or study.versions.published().last()
    else:
        version = study.versions.published().filter(number=number).first()
    if version is None:
        which = "no published version" if number is None else f"no published version {number}"
        raise NothingPublished(f"{study.slug} has {which}.")
    newest = StudyVersion.objects.pooled_with(version).select_related("study").order_by("number").reverse()[0]
    return Pool(newest, kind)


@contextmanager
def snapshot() -> Iterator[None]:
    """One state of the database for many queries, so that they agree, without keeping anyone from writing."""
    if connection.in_atomic_block:
        yield
        return
    connection.ensure_connection()
    with _reading() if connection.vendor == "sqlite" else nullcontext(), transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


@contextmanager
def _reading() -> Iterator[None]:
    """Transactions of SQLite that take no lock, where ours take it at once."""
    sqlite: Any = connection
    mode, sqlite.transaction_mode = sqlite.transaction_mode, "DEFERRED"
    try:
        yield
    finally:
        sqlite.transaction_mode = mode


def open_exclusions() -> QuerySet[Exclusion]:
    return Exclusion.objects.filter(lifted_at=None)


# Ratings -------------------------------------------------------------------------------------------------------------

_VISIT = "exposure__assignment__visit"
_RATINGS = {
    "participant_id": f"{_VISIT}__participant__participant_id",
    "item_id": "exposure__assignment__item__key",
    "arm": "exposure__arm__key",
    "criterion": "criterion__key",
    "rating": "value",
    "missing_reason": "missing_reason",
    "first_rating": "first_value",
    "position": "exposure__assignment__position",
    "stratum": "exposure__assignment__item__stratum",
    "version": f"{_VISIT}__version__number",
    "outcome": f"{_VISIT}__outcome",
    "shown_at": "exposure__shown_at",
    "submitted_at": "exposure__submitted_at",
    "changed_at": "updated_at",
}
RATING_COLUMNS = (*_RATINGS, "seconds")


def ratings(pool: Pool, *more: str) -> QuerySet:
    """One tuple a rating in the order of the participants' work; can be sliced. `as_rating` gives it names."""
    return (
        Rating.objects.filter(**{f"{_VISIT}__in": pool.analysed()})
        .order_by(f"{_VISIT}_id", "exposure__assignment__position", "exposure_id", "criterion__position")
        .values_list(*_RATINGS.values(), *more)
    )


def as_rating(row: tuple) -> dict[str, Any]:
    rating = dict(zip(_RATINGS, row, strict=True))
    return rating | {"seconds": _seconds(rating["shown_at"], rating["submitted_at"])}


def rating_rows(pool: Pool) -> Iterator[dict[str, Any]]:
    return map(as_rating, ratings(pool).iterator(CHUNK))


def rated_replies(pool: Pool) -> Iterator[dict[str, Any]]:
    """One row a reply that was rated: its `ratings` by criterion, and the comment on it."""
    rows = ratings(pool, "exposure__comment", "exposure_id").iterator(CHUNK)
    for _, group in groupby(rows, key=itemgetter(-1)):
        several = list(group)
        *_, comment, _ = several[0]
        ratings_of_it = [as_rating(row[:-2]) for row in several]
        yield ratings_of_it[0] | {
            "ratings": {rating["criterion"]: rating["rating"] for rating in ratings_of_it},
            "comment": comment or "",
        }


@dataclass(frozen=True)
class RatingColumns:
    """All ratings of a pool as integer codes, each a place in its labels; a missing rating is NaN."""

    criterion: np.ndarray
    participant: np.ndarray
    item: np.ndarray
    arm: np.ndarray
    position: np.ndarray
    rating: np.ndarray
    criteria: tuple[str, ...]
    participants: tuple[str, ...]
    items: tuple[str, ...]
    arms: tuple[str, ...]


def rating_columns(pool: Pool) -> RatingColumns:
    """The ratings for the statistics. Criteria and arms that nobody rated yet are among the labels."""
    return _columns(pool, pool.analysed())


def excluded_columns(pool: Pool) -> RatingColumns | None:
    """The same with the ratings of those whom an exclusion left out; None where it left out nobody."""
    if not pool.consenting().filter(participant__in=open_exclusions().values("participant")).exists():
        return None
    return _columns(pool, pool.consenting())


def _columns(pool: Pool, visits: VisitQuerySet) -> RatingColumns:
    import numpy as np

    rows = (
        Rating.objects.filter(**{f"{_VISIT}__in": visits})
        .order_by()
        .values_list(
            "criterion_id",
            f"{_VISIT}__participant_id",
            "exposure__assignment__item_id",
            "exposure__arm_id",
            "exposure__assignment__position",
            "value",
        )
        .iterator(CHUNK)
    )
    # As floating point a missing value is NaN, and ids are exact up to 2**53.
    parts = [np.empty((0, 6))]
    while batch := list(islice(rows, CHUNK)):
        parts.append(np.array(batch, dtype=np.float64))
    table = np.concatenate(parts)

    versions = pool.versions()
    definition = pool.definition
    criterion, criteria = _coded(
        table[:, 0],
        Criterion.objects.filter(version__in=versions).values_list("pk", "key"),
        [criterion.key for criterion in definition.criteria],
    )
    people = Participant.objects.filter(pk__in=visits.values("participant"))
    participant, participants = _coded(table[:, 1], people.values_list("pk", "participant_id"))
    item, items = _coded(table[:, 2], Item.objects.filter(version__in=versions).values_list("pk", "key"))
    arm, arms = _coded(
        table[:, 3],
        Arm.objects.filter(version__in=versions).values_list("pk", "key"),
        [arm.key for arm in definition.arms],
    )
    position = table[:, 4].astype(np.int64)
    return RatingColumns(criterion, participant, item, arm, position, table[:, 5], criteria, participants, items, arms)


def seconds_taken(pool: Pool) -> dict[tuple[str, int], float]:
    """How long a reply was looked at before its ratings came, by participant and position."""
    exposures = Exposure.objects.filter(assignment__visit__in=pool.analysed())
    rows = exposures.exclude(shown_at=None).exclude(submitted_at=None).order_by().values_list(*_WHEN)
    return {
        (participant, position): (end - start).total_seconds()
        for participant, position, start, end in rows.iterator(CHUNK)
    }


_WHEN = ("assignment__visit__participant__participant_id", "assignment__position", "shown_at", "submitted_at")


def comments(pool: Pool) -> Iterator[tuple[str, str]]:
    """Participant and comment, of those who wrote one."""
    rows = (
        Exposure.objects.filter(assignment__visit__in=pool.analysed())
        .exclude(comment__isnull=True)
        .order_by("pk")
        .values_list("assignment__visit__participant__participant_id", "comment")
    )
    return ((participant, comment) for participant, comment in rows.iterator(CHUNK) if comment)


def outcomes_of_shown(pool: Pool) -> Iterator[tuple[str, str, str, bool]]:
    """Participant, item and arm of every reply that was shown to somebody who is no longer under way, and whether it
    was rated. People under an exclusion are among them: they too stayed or left."""
    seen = Q(shown_at__isnull=False) | Q(conversation__kind=Conversation.Kind.LIVE)
    rows = (
        Exposure.objects.filter(seen, assignment__visit__in=pool.consenting().over())
        .order_by("pk")
        .values_list(
            "assignment__visit__participant__participant_id", "assignment__item__key", "arm__key", "submitted_at"
        )
    )
    return ((participant, item, arm, at is not None) for participant, item, arm, at in rows.iterator(CHUNK))


def _coded(ids: np.ndarray, keys: Iterable[tuple[int, str]], known: Iterable[str] = ()) -> tuple:
    """Codes for ids: the same key in two versions is the same thing."""
    import numpy as np

    key_of = dict(keys)
    places = {key: place for place, key in enumerate(known)}
    distinct, place = np.unique(ids, return_inverse=True)
    codes = np.array([places.setdefault(key_of[int(pk)], len(places)) for pk in distinct], dtype=np.int64)
    return (codes[place] if len(codes) else codes), tuple(places)


# People --------------------------------------------------------------------------------------------------------------


def participants(pool: Pool) -> QuerySet:
    """The visits of everyone whose consent stands, those left out of the analysis among them; can be sliced."""
    return (
        pool.consenting()
        .select_related("participant", "version")
        .defer(*_bulk_of("version"))
        .prefetch_related(
            Prefetch("consents", Consent.objects.filter(withdrawn_at=None)),
            Prefetch("answers", Answer.objects.filter(kind__in=[Answer.Kind.EXIT, Answer.Kind.CHECK])),
            Prefetch("participant__exclusions", open_exclusions()),
        )
        .annotate(
            items_given=Count("assignments", distinct=True),
            items_rated=Count("assignments", filter=Q(assignments__state=Assignment.State.COMPLETED), distinct=True),
        )
        .order_by("pk")
    )


def as_participant(visit: Any) -> dict[str, Any]:
    """The row of a visit out of `participants`."""
    participant = visit.participant
    ticks = {consent.tick for consent in visit.consents.all()}
    results = [_check_passed(visit, answer) for answer in visit.answers.all() if answer.kind == Answer.Kind.CHECK]
    return {
        "participant_id": participant.participant_id,
        "kind": participant.kind,
        "group": participant.group,
        "wave": participant.wave,
        "version": visit.version.number,
        "outcome": visit.outcome,
        "stage": visit.stage,
        "excluded": "; ".join(exclusion.rule for exclusion in participant.exclusions.all()),
        "locale": visit.locale,
        "direction": visit.direction,
        "viewport": visit.viewport,
        "started_at": visit.started_at,
        "consented_at": visit.consented_at,
        "finished_at": visit.finished_at,
        "seconds": _seconds(visit.started_at, visit.finished_at),
        "items_given": visit.items_given,
        "items_rated": visit.items_rated,
        "checks_passed": results.count(True),
        "checks_failed": results.count(False),
        **{f"consent_{tick}": tick in ticks for tick in TICKS},
        "exit": {answer.key: answer.value for answer in visit.answers.all() if answer.kind == Answer.Kind.EXIT},
    }


def participant_rows(pool: Pool) -> Iterator[dict[str, Any]]:
    return map(as_participant, participants(pool).iterator(CHUNK))


def exit_answers(pool: Pool) -> Iterator[tuple[str, Any]]:
    """Question and answer of those who are analysed."""
    answers = Answer.objects.filter(kind=Answer.Kind.EXIT, visit__in=raters(pool))
    return answers.values_list("key", "value").iterator(CHUNK)


def raters(pool: Pool) -> QuerySet[Visit]:
    """The visits that the numbers rest on: those with at least one rating."""
    return pool.analysed().filter(Exists(Rating.objects.filter(exposure__assignment__visit=OuterRef("pk"))))


def record_export(pool: Pool, export_id: str, user: User | None, filters: dict, participant_ids: set[str]) -> bool:
    """Note whose data leaves the house; False, and nothing noted, when one of them has withdrawn meanwhile."""
    with transaction.atomic():
        still_here = set(pool.consenting().values_list("participant__participant_id", flat=True))
        if not participant_ids <= still_here:
            return False
        people = sorted(lookup_hash("participant", participant_id) for participant_id in participant_ids)
        DataExport.objects.create(export_id=export_id, study=pool.study, by=user, filters=filters, people=people)
        AuditEntry.objects.record(user, "export", pool.study.slug, export=export_id, kind=pool.kind, people=len(people))
    return True


def flow(pool: Pool) -> dict[str, Any]:
    """How many came, and where each of them is now. Those who withdrew are counted from what their withdrawal left."""
    outcome, gone = Visit.Outcome, pool.withdrawals()
    shown = Exposure.objects.filter(assignment__visit=OuterRef("pk")).exclude(shown_at=None, submitted_at=None)
    visits = pool.visits()
    counts = visits.aggregate(
        arrived=Count("pk"),
        consented=Count("pk", filter=Q(consented_at__isnull=False)),
        enrolled=Count("pk", filter=Q(place_until__isnull=False)),
        **{name: Count("pk", filter=Q(outcome=name)) for name in outcome.values},
    )
    withdrawn = gone.aggregate(
        everyone=Count("pk"),
        consented=Count("pk", filter=Q(consented=True)),
        started=Count("pk", filter=Q(stage__in=_AFTER_THE_FIRST_ITEM)),
        completed=Count("pk", filter=Q(had_completed=True)),
    )
    started = visits.filter(Exists(shown)).count()
    stale = Visit.objects.of_pool(pool.version, pool.kind).stale().count()
    excluded = open_exclusions().filter(participant__in=pool.consenting().values("participant"))
    rules = excluded.values("rule").annotate(participants=Count("participant", distinct=True)).order_by("rule")
    analysed = raters(pool)
    return {
        "arrived": counts["arrived"] + withdrawn["everyone"],
        "declined": counts[outcome.DECLINED],
        "screened_out": counts[outcome.SCREENED_OUT],
        "quota_full": counts[outcome.QUOTA_FULL],
        "consented": counts["consented"] + withdrawn["consented"],
        "enrolled": counts["enrolled"] + withdrawn["consented"],
        "started": started + withdrawn["started"],
        "completed": counts[outcome.COMPLETED],
        "left_early": counts[outcome.WITHDREW],
        "safety_stop": counts[outcome.SAFETY_STOP],
        "technical": counts[outcome.TECHNICAL],
        "expired": stale,
        "under_way": visits.filter(outcome="").count() - stale,
        "withdrew": withdrawn["everyone"],
        "withdrew_after_completing": withdrawn["completed"],
        "excluded": excluded.values("participant").distinct().count(),
        "exclusions": list(rules),
        "analysed": analysed.values("participant").distinct().count(),
        "analysed_partial": analysed.exclude(outcome=outcome.COMPLETED).values("participant").distinct().count(),
    }


_AFTER_THE_FIRST_ITEM = ("chat", "rate", "exit", "debrief")


# Checks, events, conversations, versions -----------------------------------------------------------------------------


def checks(pool: Pool) -> Iterator[dict[str, Any]]:
    answers = (
        Answer.objects.filter(kind=Answer.Kind.CHECK, visit__in=pool.analysed())
        .select_related("visit__participant", "visit__version")
        .defer(*_bulk_of("visit__version"))
        .order_by("visit_id", "pk")
    )
    for answer in answers.iterator(CHUNK):
        yield {
            "participant_id": answer.visit.participant.participant_id,
            "version": answer.visit.version.number,
            "check": answer.key,
            "answer": answer.value,
            "passed": _check_passed(answer.visit, answer),
            "answered_at": answer.answered_at,
        }


EVENT_COLUMNS = ("participant_id", "version", "at", "kind", "stage", "position", "detail")


def events(pool: Pool) -> Iterator[dict[str, Any]]:
    rows = (
        Event.objects.filter(visit__in=pool.analysed())
        .order_by("visit_id", "at", "pk")
        .values_list(
            "visit__participant__participant_id", "visit__version__number", "at", "kind", "stage", "position", "detail"
        )
    )
    return (dict(zip(EVENT_COLUMNS, row, strict=True)) for row in rows.iterator(CHUNK))


def chats(pool: Pool) -> Iterator[dict[str, Any]]:
    """Live conversations, with what their participants agreed to."""
    exposures = (
        Exposure.objects.filter(assignment__visit__in=pool.analysed(), conversation__kind=Conversation.Kind.LIVE)
        .select_related("assignment__visit__participant", "assignment__visit__version", "assignment__item", "arm")
        .defer(*_bulk_of("assignment__visit__version"))
        .prefetch_related(
            _turns_told(),
            Prefetch("assignment__visit__consents", Consent.objects.filter(withdrawn_at=None)),
        )
        .order_by("assignment__visit_id", "assignment__position")
    )
    for exposure in exposures.iterator(TALKS):
        visit = exposure.assignment.visit
        ticks = {consent.tick for consent in visit.consents.all()}
        yield {
            "kind": "live",
            "participant_id": visit.participant.participant_id,
            "version": visit.version.number,
            "item_id": exposure.assignment.item.key,
            "arm": exposure.arm.key,
            "position": exposure.assignment.position,
            "consent_quotes": "quotes" in ticks,
            "consent_training": "training" in ticks,
            "messages": _messages(exposure.conversation),
            "failed": _failed(exposure.conversation),
        }


def shown_replies(pool: Pool) -> Iterator[dict[str, Any]]:
    """The replies that were made beforehand, one for each item and arm."""
    replies = (
        StoredReply.objects.filter(item__version__in=pool.versions())
        .select_related("item__version", "arm", "conversation")
        .defer(*_bulk_of("item__version"))
        .prefetch_related(_turns_told())
        .order_by("item__version__number", "item__position", "arm__position")
    )
    for reply in replies.iterator(TALKS):
        yield {
            "kind": reply.conversation.kind,
            "version": reply.item.version.number,
            "item_id": reply.item.key,
            "arm": reply.arm.key,
            "messages": _messages(reply.conversation),
            "failed": _failed(reply.conversation),
        }


def arms_of_conversations(pool: Pool) -> dict[int, str]:
    """Every conversation of the pool, live or made beforehand, with the arm that spoke in it."""
    exposures = Exposure.objects.filter(assignment__visit__in=pool.consenting(), conversation__kind="live")
    replies = StoredReply.objects.filter(item__version__in=pool.versions())
    return dict([*exposures.values_list("conversation", "arm__key"), *replies.values_list("conversation", "arm__key")])


def left_out(pool: Pool) -> dict[str, int]:
    """How many people of the study are not among the participants of this pool, and why."""
    others = Visit.objects.filter(version__study=pool.version.study_id)
    return {
        "other_kinds": others.exclude(participant__kind=pool.kind).count(),
        "other_designs": others.filter(participant__kind=pool.kind).exclude(version__pool=pool.version.pool).count(),
        "without_consent": pool.visits().count() - pool.consenting().count(),
        "withdrew": pool.withdrawals().count(),
    }


def versions(pool: Pool) -> list[dict[str, Any]]:
    """Every published version with its participants of this kind; `in_report` says whether it is reported here."""
    mine = Q(visits__participant__kind=pool.kind)
    rows = (
        StudyVersion.objects.published()
        .filter(study=pool.version.study_id)
        .annotate(
            arrived=Count("visits", filter=mine),
            completed=Count("visits", filter=mine & Q(visits__outcome=Visit.Outcome.COMPLETED)),
        )
        .order_by("number")
        .values("number", "fingerprint", "published_at", "pool", "same_meaning", "arrived", "completed")
    )
    return [row | {"in_report": row["pool"] == pool.version.pool} for row in rows]


def _bulk_of(version: str) -> tuple[str, str]:
    """What need not be read again with every row that belongs to a version."""
    return f"{version}__source", f"{version}__definition"


NOT_MADE = (LeaseState.FAILED, LeaseState.BLOCKED)


def _turns_told() -> Prefetch:
    tries = Prefetch("tries", Attempt.objects.order_by("number"))
    turns = Turn.objects.filter(state__in=[LeaseState.DONE, *NOT_MADE]).order_by("index").prefetch_related(tries)
    return Prefetch("conversation__turns", turns)


def _messages(conversation: Any) -> list[dict[str, Any]]:
    """What stood on the participant's screen; where a reply was masked, also what the program had written.

    With each reply that a model made comes how it was made.
    """
    messages = []
    said = [turn for turn in conversation.turns.all() if turn.state == LeaseState.DONE]
    for place, turn in enumerate(said):
        message = {"index": turn.index, "role": turn.role, "text": turn.released or turn.text}
        if turn.released is not None and turn.text is not None and turn.released != turn.text:
            message["before_masking"] = turn.text
        if turn.tries.all():
            message |= provenance.of_reply(turn, prompt_is_told=place == turn.index)
        messages.append(message)
    return messages


def _failed(conversation: Any) -> list[dict[str, Any]]:
    """Replies that were asked for and that nobody was shown, with every try at them."""
    replies = (turn for turn in conversation.turns.all() if turn.role == Turn.Role.ASSISTANT)
    return [{"index": turn.index, **provenance.of_failure(turn)} for turn in replies if turn.state in NOT_MADE]


def _check_passed(visit: Visit, answer: Answer) -> bool:
    """Whether the point was chosen that the check asked for; its key ends with the place it stood at."""
    wanted = {str(check.after): check.answer for check in definition_of(visit.version).checks}
    return answer.value == wanted.get(answer.key.rpartition("-")[2])


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return round((end - start).total_seconds(), 3) if start and end else None
