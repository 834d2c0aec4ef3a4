"""How a study is coming on, in few queries: who is where, what each arm has, what happened last. Never an answer."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Max, Q
from django.utils import timezone

from ratings.models import Assignment, Event, Exposure, Study, StudyVersion, Visit, Withdrawal
from ratings.path import stages
from ratings.studyfile.publishing import definition_of

# Without a sign of life for this long, a person counts as gone quiet; they may still come back.
QUIET_AFTER = timedelta(minutes=30)

STEPS = {
    stages.ELIGIBILITY: "Who may take part",
    stages.CONSENT: "Consent",
    stages.INSTRUCTIONS: "Instructions",
    stages.PRACTICE: "Practice",
    stages.RATE: "Ratings",
    stages.EXIT: "Exit questions",
}

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Line:
    """A study in the list."""

    study: Study
    title: str
    completed: int
    target: int
    active: int
    last_activity: datetime | None


@dataclass(frozen=True)
class Step:
    """A stage of the path: how many came to it, are there now, and went no further."""

    label: str
    reached: int
    here: int
    left: int

    @property
    def left_percent(self) -> int:
        return round(100 * self.left / self.reached) if self.reached else 0


@dataclass(frozen=True)
class ArmCount:
    key: str
    people: int
    rated: int
    wanted: int


@dataclass(frozen=True)
class Progress:
    """Everything the live page shows of one kind of participant, over the versions that share a target."""

    arrived: int
    completed: int
    target: int
    active: int
    steps: list[Step]
    outcomes: list[tuple[str, int]]
    arms: list[ArmCount]
    median_minutes: float | None
    events: list[Event]


def lines(studies: Iterable[Study]) -> list[Line]:
    """The list of studies, with three queries for all of them."""
    studies = list(studies)
    completed: Counter[tuple[int, int]] = Counter()
    active: Counter[tuple[int, int]] = Counter()
    real = Visit.objects.filter(version__study__in=studies, participant__kind="real")
    counted = real.values_list("version__study_id", "version__pool").annotate(
        completed=Count("pk", filter=Q(outcome=Visit.Outcome.COMPLETED)),
        active=Count("pk", filter=Q(outcome="", last_seen_at__gt=timezone.now() - QUIET_AFTER)),
    )
    for study, pool, done, under_way in counted.order_by():
        completed[study, pool] = done
        active[study, pool] = under_way
    seen = dict(
        Visit.objects.filter(version__study__in=studies)
        .values_list("version__study")
        .annotate(Max("last_seen_at"))
        .order_by()
    )
    newest = {version.study_id: version for version in _newest_versions(studies)}
    return [
        Line(
            study=study,
            title=title_of(newest[study.pk]),
            completed=completed[study.pk, newest[study.pk].pool],
            target=definition_of(newest[study.pk]).target,
            active=active[study.pk, newest[study.pk].pool],
            last_activity=seen.get(study.pk),
        )
        for study in studies
        if study.pk in newest
    ]


def _newest_versions(studies: list[Study]) -> Iterable[StudyVersion]:
    """The version in use of each study; its draft where none is published."""
    rows = StudyVersion.objects.filter(study__in=studies).only("study_id", "number", "pool", "fingerprint")
    drafts = rows.filter(study__current_version=None)
    return [*drafts, *rows.filter(pk__in=[study.current_version_id for study in studies if study.current_version_id])]


def shown_version(study: Study) -> StudyVersion:
    """The version in use; of a study that was never published, its draft. Every study has one of them."""
    return study.current_version or study.versions.drafts().get()


def title_of(version: StudyVersion) -> str:
    definition = definition_of(version)
    return definition.title if isinstance(definition.title, str) else definition.title[definition.default_locale]


def progress(version: StudyVersion, kind: str) -> Progress:
    visits = Visit.objects.of_pool(version, kind)
    definition = definition_of(version)
    rows = list(
        visits.values("stage", "outcome")
        .annotate(
            people=Count("pk"),
            consented=Count("consented_at"),
            active=Count("pk", filter=Q(last_seen_at__gt=timezone.now() - QUIET_AFTER)),
        )
        .order_by()
    )
    gone = list(
        Withdrawal.objects.filter(version__study=version.study_id, version__pool=version.pool, kind=kind)
        .values("stage", "had_completed")
        .annotate(people=Count("pk"))
        .order_by()
    )
    completed = sum(row["people"] for row in rows if row["outcome"] == Visit.Outcome.COMPLETED)
    return Progress(
        arrived=sum(row["people"] for row in [*rows, *gone]),
        completed=completed,
        target=definition.target,
        active=sum(row["active"] for row in rows if not row["outcome"]),
        steps=_steps(rows, gone, definition.mode == "chat"),
        outcomes=_outcomes(rows, gone),
        arms=_arms(version, visits),
        median_minutes=_median_minutes(visits),
        events=list(
            Event.objects.filter(visit__in=visits)
            .select_related("visit__participant")
            .only("at", "kind", "stage", "position", "visit__participant__participant_id")
            .order_by("-pk")[:10]
        ),
    )


def _place(stage: str, finished: bool) -> int:
    """How far along the path a stage is; a chat and the rating of it are one step."""
    if finished:
        return len(STEPS)
    return list(STEPS).index(stages.RATE if stage == stages.CHAT else stage)


def _steps(rows: Rows, gone: Rows, chat: bool) -> list[Step]:
    reached: Counter[int] = Counter()
    here: Counter[int] = Counter()
    left: Counter[int] = Counter()
    for row in rows:
        finished = row["outcome"] == Visit.Outcome.COMPLETED
        place = _place(row["stage"], finished)
        reached.update(dict.fromkeys(range(place + 1), row["people"]))
        if row["outcome"] and not finished:
            left[place] += row["people"]
        elif not finished:
            here[place] += row["active"]
            left[place] += row["people"] - row["active"]
    for row in gone:
        place = _place(row["stage"], row["had_completed"])
        reached.update(dict.fromkeys(range(place + 1), row["people"]))
        if not row["had_completed"]:
            left[place] += row["people"]
    labels = [*(STEPS | {stages.RATE: "Chats and ratings"} if chat else STEPS).values(), "Finished"]
    return [Step(label, reached[place], here[place], left[place]) for place, label in enumerate(labels)]


def _outcomes(rows: Rows, gone: Rows) -> list[tuple[str, int]]:
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row["outcome"]] += row["people"]
    counts[Visit.Outcome.WITHDREW] += sum(row["people"] for row in gone)
    return [(outcome.label, counts[outcome]) for outcome in Visit.Outcome if counts[outcome]]


def _arms(version: StudyVersion, visits) -> list[ArmCount]:
    """What people who completed rated of each arm, against an equal share of the target."""
    definition = definition_of(version)
    counted = {
        key: (people, rated)
        for key, people, rated in Exposure.objects.filter(assignment__visit__in=visits.completed())
        .values_list("arm__key")
        .annotate(
            people=Count("assignment__visit", distinct=True),
            rated=Count("pk", filter=Q(assignment__state=Assignment.State.COMPLETED)),
        )
        .order_by()
    }
    keys = list(version.arms.values_list("key", flat=True))
    wanted = definition.target * definition.design.items_each // max(1, len(keys))
    return [ArmCount(key, *counted.get(key, (0, 0)), wanted) for key in keys]


def _median_minutes(visits) -> float | None:
    finished = visits.completed().exclude(finished_at=None)
    took = finished.annotate(took=F("finished_at") - F("started_at")).order_by("took").values_list("took", flat=True)
    count = finished.count()
    if not count:
        return None
    middle = took[(count - 1) // 2 : count // 2 + 1]
    return sum(middle, timedelta()).total_seconds() / 60 / len(middle)
