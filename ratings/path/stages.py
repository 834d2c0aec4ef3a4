"""The stages of a participant's path, their order, and where a visit is on it.

The order is data of the version: a live chat has a chat before each rating. Stages do not know each other; each moves
a visit on with `advance` and sends the person to `address_of`.
"""

from django.urls import reverse
from django.utils import timezone

from ratings.models import Assignment, Visit
from ratings.studyfile.publishing import definition_of
from ratings.studyfile.schema import StudyFile

ELIGIBILITY = "eligibility"
CONSENT = "consent"
INSTRUCTIONS = "instructions"
PRACTICE = "practice"
CHAT = "chat"
RATE = "rate"
EXIT = "exit"

# Stages that are passed once for each item, at a position.
WITH_POSITION = (CHAT, RATE)
BEFORE_CONSENT = (ELIGIBILITY, CONSENT)

PREPARING = "preparing"
ENTRY = "entry"
DEBRIEF = "debrief"
DECLINED = "declined"
ENDED = "ended"
END_PAGES: dict[str, str] = {Visit.Outcome.COMPLETED: DEBRIEF, Visit.Outcome.DECLINED: DECLINED}


def stages_of(definition: StudyFile) -> tuple[str, ...]:
    items = (CHAT, RATE) if definition.mode == "chat" else (RATE,)
    return (ELIGIBILITY, CONSENT, INSTRUCTIONS, PRACTICE, *items, EXIT)


def entry_address(slug: str) -> str:
    return reverse("path:entry", args=[slug])


def address_of(visit: Visit, position: int | None = None) -> str:
    """The page where this visit is now. Whoever knows the position of its current item saves a query."""
    slug = visit.version.study.slug
    if visit.is_over:
        return reverse(f"path:{END_PAGES.get(visit.outcome, ENDED)}", args=[slug])
    if visit.stage in WITH_POSITION:
        return reverse(f"path:{visit.stage}", args=[slug, position or current_position(visit)])
    return reverse(f"path:{visit.stage}", args=[slug])


def current_position(visit: Visit) -> int | None:
    """The place of the first item that is not rated yet; None before enrolment and after the last."""
    unfinished = visit.assignments.unfinished().order_by("position")
    return unfinished.values_list("position", flat=True).first()


def last_rating_of(visit: Visit) -> str:
    """The page of the last item, to look at it again."""
    rated = visit.assignments.filter(state=Assignment.State.COMPLETED).order_by("-position")
    position = rated.values_list("position", flat=True).first()
    return reverse("path:rate", args=[visit.version.study.slug, position])


def advance(visit: Visit, stage: str, left: bool | None = None) -> None:
    """Move a visit on from a stage. From any other it does not move: a page sent twice moves it once.

    `left` says whether items wait after this one; left out, it is looked up.
    """
    if visit.stage != stage or (following := _after(visit, stage, left)) == stage:
        return
    visit.stage = following
    visit.last_seen_at = timezone.now()
    visit.save(update_fields=["stage", "last_seen_at"])


def _after(visit: Visit, stage: str, left: bool | None) -> str:
    definition = definition_of(visit.version)
    order = stages_of(definition)
    if stage == RATE and (left if left is not None else current_position(visit) is not None):
        return CHAT if CHAT in order else RATE
    return order[order.index(stage) + 1]


def skip_item(visit: Visit, position: int) -> None:
    """Go on without rating what could not be had. Nobody's cell is filled by it."""
    visit.assignments.unfinished().filter(position=position).update(state=Assignment.State.WITHDRAWN)
    for stage in WITH_POSITION:
        advance(visit, stage)


def has_items(visit: Visit) -> bool:
    """Whether anything was rated, or is still to be."""
    return visit.assignments.exclude(state=Assignment.State.WITHDRAWN).exists()


def release_items(visit: Visit) -> None:
    """What somebody who leaves will not rate no longer waits for them."""
    visit.assignments.unfinished().update(state=Assignment.State.WITHDRAWN)
