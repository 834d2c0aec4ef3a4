"""How a person gets into a study: arriving, being given a place and a plan, and losing the place by staying away.

A place is held by everyone who has completed, and by everyone enrolled until `place_until`. Enrolment is one
transaction: it counts the places, allocates, and writes down what it saw.
"""

from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from accounts.sealed import lookup_hash
from inference.canonical import seed_from
from inference.models import public_code
from ratings import codes
from ratings.allocation import ALGORITHM, Seen, allocate
from ratings.models import (
    AllocationRecord,
    Assignment,
    Event,
    Exposure,
    Invitation,
    Item,
    Participant,
    StoredReply,
    Study,
    StudyVersion,
    Visit,
)
from ratings.studyfile.publishing import definition_of

FIRST_STAGE = "eligibility"


class StudyFull(Exception):
    """As many people as the study wants have taken part or are taking part right now."""


@transaction.atomic
def arrive(
    study: Study, kind: str, locale: str, invitation: Invitation | None = None, panel_id: str | None = None
) -> Visit:
    """Open a visit to the current version, or find the one that this invitation or panel id already has."""
    version = study.version
    participant = _participant(study, kind, invitation, panel_id)
    if visit := participant.visits.select_related("version").order_by("-pk").first():
        return visit
    code = public_code()
    visit = Visit.objects.create(
        code=code,
        participant=participant,
        version=version,
        stage=FIRST_STAGE,
        locale=locale,
        seed=seed_from(f"{version.seed}/{participant.participant_id}"),
        **codes.hashes_for(code),
    )
    Event.objects.create(visit=visit, kind=Event.Kind.ARRIVED, stage=visit.stage)
    return visit


def places_left(version: StudyVersion, kind: str) -> int | None:
    """How many more may enrol; None where nobody counts: the target is one of real participants."""
    if kind != Participant.Kind.REAL:
        return None
    return definition_of(version).target - Visit.objects.of_pool(version, kind).holding_a_place().count()


@transaction.atomic
def enrol(visit: Visit) -> None:
    """Give a visit its place and its plan: which items, from which arms, in which order.

    Raises StudyFull. Called again it changes nothing.
    """
    _take_turns(visit)
    if visit.assignments.exists():
        return
    version, kind = visit.version, visit.participant.kind
    _want_a_place(version, kind)
    definition = definition_of(version)
    seen = cells_seen(version, kind)
    plan = allocate(seen, **_design(version), seed=visit.seed)
    AllocationRecord.objects.create(
        version=version, visit=visit, algorithm=ALGORITHM, seed=visit.seed, seen=seen.as_json(), given=plan
    )
    visit.keep_place(definition.place_minutes)
    visit.save(update_fields=["place_until"])
    _lay_out(visit, plan)


def reclaim(visit: Visit) -> None:
    """Give a person who stayed away too long their place back, if it has not been given to someone else.

    Raises StudyFull; the visit then has ended with the outcome `quota_full`.
    """
    with transaction.atomic():
        _take_turns(visit)
        try:
            _want_a_place(visit.version, visit.participant.kind)
        except StudyFull:
            visit.end(Visit.Outcome.QUOTA_FULL)
            full = True
        else:
            full = False
            visit.keep_place(definition_of(visit.version).place_minutes)
            visit.save(update_fields=["place_until"])
            visit.assignments.filter(state=Assignment.State.EXPIRED).update(state=Assignment.State.RESERVED)
    if full:
        raise StudyFull


@transaction.atomic
def give_back_stale(study: Study) -> int:
    """Mark what people who stayed away will not rate; the number of visits. Their place is free by the clock alone."""
    waiting = Assignment.objects.unfinished().values("visit")
    stale = list(Visit.objects.stale().filter(version__study=study, pk__in=waiting))
    Assignment.objects.unfinished().filter(visit__in=stale).update(state=Assignment.State.EXPIRED)
    Event.objects.bulk_create(Event(visit=visit, kind=Event.Kind.EXPIRED, stage=visit.stage) for visit in stale)
    return len(stale)


def replay(record: AllocationRecord) -> list[list[str]]:
    """The plan again, from what was written down: equal to `record.given`, or somebody chose."""
    plan = allocate(Seen(**record.seen), **_design(record.version), seed=record.seed)
    return [list(pair) for pair in plan]


def cells_seen(version: StudyVersion, kind: str) -> Seen:
    """How many people who completed or are under way hold each cell and each position, over the version's pool."""
    rows = (
        Exposure.objects.filter(assignment__visit__in=Visit.objects.of_pool(version, kind).holding_a_place())
        # Left out because a chat broke: nobody rates it.
        .exclude(assignment__state=Assignment.State.WITHDRAWN)
        .values_list("assignment__item__key", "arm__key", "assignment__position")
        .annotate(Count("pk"))
        .order_by()
    )
    return Seen.of(list(rows))


def _take_turns(visit: Visit) -> None:
    """Enrolments into a study wait for each other, so that two at once do not take the same place."""
    Study.objects.select_for_update().get(pk=visit.version.study_id)


def _want_a_place(version: StudyVersion, kind: str) -> None:
    left = places_left(version, kind)
    if left is not None and left <= 0:
        raise StudyFull


def _design(version: StudyVersion) -> dict:
    design = definition_of(version).design
    return {
        "items": list(version.items.filter(split=Item.Split.EVALUATE).values_list("key", flat=True)),
        "arms": list(version.arms.values_list("key", flat=True)),
        "items_each": design.items_each,
        "within": design.arms == "within",
    }


def _lay_out(visit: Visit, plan: list[tuple[str, str]]) -> None:
    items = {item.key: item for item in visit.version.items.all()}
    arms = {arm.key: arm for arm in visit.version.arms.all()}
    replies = {
        ((reply.item_id, reply.arm_id)): reply.conversation_id
        for reply in StoredReply.objects.filter(item__version=visit.version)
    }
    assignments = Assignment.objects.bulk_create(
        Assignment(visit=visit, item=items[item], position=position) for position, (item, _) in enumerate(plan, 1)
    )
    Exposure.objects.bulk_create(
        Exposure(
            assignment=assignment,
            arm=arms[arm],
            conversation_id=replies.get((assignment.item_id, arms[arm].pk)),
        )
        for assignment, (_, arm) in zip(assignments, plan, strict=True)
    )


def panel_hash(study: Study, panel_id: str) -> str:
    """By which a panel's person is found again in a study, and in no other."""
    return lookup_hash(f"panel/{study.pk}", panel_id)


def _participant(study: Study, kind: str, invitation: Invitation | None, panel_id: str | None) -> Participant:
    if invitation is not None:
        invitation = Invitation.objects.select_for_update().get(pk=invitation.pk)
        if invitation.opened_at is None:
            invitation.opened_at = timezone.now()
            invitation.save(update_fields=["opened_at"])
        participant, _ = Participant.objects.get_or_create(
            study=study,
            invitation=invitation,
            defaults={"kind": invitation.kind, "group": invitation.group, "wave": invitation.wave},
        )
        return participant
    if panel_id is not None:
        participant, _ = Participant.objects.get_or_create(
            study=study,
            panel_hash=panel_hash(study, panel_id),
            defaults={"kind": kind, "panel_id": panel_id},
        )
        return participant
    return Participant.objects.create(study=study, kind=kind)
