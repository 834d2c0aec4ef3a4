"""One reply a page, with its scales. Earlier pages may be opened and changed until the person finishes."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from ratings import codes
from ratings.models import Answer, Assignment, Criterion, Event, Exposure, StudyVersion, Visit
from ratings.models.prepared import Prepared, PreparedObject
from ratings.path import stages
from ratings.path.dialogue import Dialogue, NotYetMade, dialogue_of, html_of
from ratings.path.pages import Page
from ratings.path.scales import CANNOT_JUDGE, RatingForm, check_name
from ratings.path.served import note_served
from ratings.path.stencil import Stencil
from ratings.path.visits import SeeOther, note, see_current_page, show, study_context, with_visit
from ratings.studyfile.publishing import definition_of
from ratings.studyfile.schema import Check, Item, StudyFile

STAGE = stages.RATE
SECONDS_A_CRITERION = 2
WORDS_A_SECOND = 10
STATES = Prepared(
    ["position", "state"], lambda visit: Assignment.objects.filter(visit=visit).order_by("position"), "visit"
)
EXPOSURE = PreparedObject(
    Exposure,
    [
        *("shown_at", "submitted_at", "asked_to_check", "assignment__state", "assignment__item"),
        *("conversation__code", "conversation__kind"),
    ],
    lambda visit, position: Exposure.objects.filter(assignment__visit=visit, assignment__position=position),
    *("visit", "position"),
)
# A break is worth offering where there are a few replies on each side of it.
FEWEST_FOR_A_BREAK = 6


@dataclass(frozen=True)
class Spot:
    """Where on the way a page is: the same for all who come there."""

    position: int
    total: int
    mode: str
    is_new: bool

    @property
    def name(self) -> str:
        numbers = {"position": self.position, "total": self.total}
        if self.mode == "chat":
            return _("Chat %(position)s of %(total)s") % numbers
        return _("Reply %(position)s of %(total)s") % numbers

    @property
    def offers_a_break(self) -> bool:
        """After each third."""
        thirds = (self.total // 3, 2 * self.total // 3)
        return self.is_new and self.total >= FEWEST_FOR_A_BREAK and self.position - 1 in thirds


@dataclass
class Place:
    """What a participant is shown at a position of their way."""

    visit: Visit
    position: int
    exposure: Exposure
    total: int
    # The position that comes after it; None after the last one.
    following: int | None

    @property
    def spot(self) -> Spot:
        return Spot(self.position, self.total, definition_of(self.visit.version).mode, self.is_new)

    @property
    def is_new(self) -> bool:
        return self.exposure.submitted_at is None

    @property
    def page(self) -> Page:
        submitted = self.exposure.submitted_at
        revision = f"{submitted.timestamp():.6f}" if submitted else ""
        return Page(self.visit, STAGE, self.position, revision)


@require_http_methods(["GET", "HEAD", "POST"])
@with_visit(stages.CHAT, stages.RATE, stages.EXIT)
def rate(request: HttpRequest, visit: Visit, position: int) -> HttpResponse:
    place = _place(visit, position)
    if place is None:
        return see_current_page(request, visit)
    try:
        dialogue = dialogue_of(place.exposure.conversation)
    except NotYetMade:
        return show(request, visit, "ratings/preparing.html", stages.PREPARING)
    definition = definition_of(visit.version)
    checks = [check for check in definition.checks if check.after == position]
    if request.method != "POST":
        form = RatingForm(visit, definition, given=_given(place, checks), checks=checks, comment=definition.comments)
        note_served(visit, STAGE, position, place.exposure)
        return _page(request, place, form)
    place.page.check(request)
    action = request.POST.get("action")
    if action == "back":
        note(visit, Event.Kind.BACK, STAGE, position)
        return SeeOther(_address(visit, max(1, position - 1)))
    form = RatingForm(
        visit,
        definition,
        request.POST,
        request.FILES,
        checks=checks,
        comment=definition.comments,
        skipping=action == "skip",
    )
    if not form.is_valid():
        return _page(request, place, form)
    was_new, seconds = place.is_new, place.page.seconds(request)
    if action == "skip":
        _keep(place, form, dict.fromkeys(form.keys), seconds, reason="skipped")
    elif was_new and not place.exposure.asked_to_check and seconds < _least_seconds(definition, dialogue):
        place.exposure.asked_to_check = True
        place.exposure.save(update_fields=["asked_to_check"])
        return _page(request, place, form, was_quick=True)
    else:
        _keep(place, form, form.scores(), seconds)
    return _go_on(place, was_new)


def _place(visit: Visit, position: int) -> Place | None:
    """The exposure at a position that the visit has reached: the current one, or one that was rated before."""
    states = dict(STATES.rows(visit=visit.pk))
    done = [place for place, state in states.items() if state == Assignment.State.COMPLETED]
    # A chat that broke may have been left out, by the study's word.
    left_out = [place for place, state in states.items() if state == Assignment.State.WITHDRAWN]
    waiting = [place for place in states if place not in done and place not in left_out]
    current = waiting[0] if waiting and visit.stage == STAGE else None
    reached = [place for place in states if place == current or place in done]
    if position not in reached:
        return None
    ahead = waiting[1:] if position == current else [place for place in reached if place > position]
    exposure = EXPOSURE.find(visit=visit.pk, position=position)
    return Place(visit, position, exposure, total=len(states), following=ahead[0] if ahead else None)


def _page(request: HttpRequest, place: Place, form: RatingForm, **context) -> HttpResponse:
    known, item = published(place.visit.version), place.exposure.assignment.item_id
    dialogue, scales = html_of(place.exposure.conversation), form.rows()
    if place.is_new and not form.is_bound and not request.GET:
        own = {"page": place.page.token(), "csrf_token": get_token(request)}
        own |= {"return_code": codes.return_code(place.visit), "dialogue": dialogue, "scales": scales}
        return HttpResponse(_stencil(known, place.spot, item, place.visit.locale).fill(**own))
    context |= {"spot": place.spot, "item": known.items[item], "dialogue": dialogue, "scales": scales, "form": form}
    return show(request, place.visit, "ratings/rate.html", STAGE, place.page, **context)


@lru_cache(maxsize=4096)
def _stencil(known: "Published", spot: Spot, item: int, locale: str) -> Stencil:
    """The page on which nobody has chosen anything yet. What it knows of a person are holes."""
    context = study_context(known.version.study, known.definition, locale)
    context |= {"stage": STAGE, "may_leave": True, "spot": spot, "item": known.items[item]}
    holes = ("page", "csrf_token", "return_code", "dialogue", "scales")
    return Stencil("ratings/rate.html", context, *holes)


def _given(place: Place, checks: list[Check]) -> dict[str, str]:
    """What was answered on this page before, as its form would send it."""
    if place.is_new:
        return {}
    ratings = place.exposure.ratings.values_list("criterion__key", "value", "missing_reason")
    given = {
        key: CANNOT_JUDGE if value is None else str(value) for key, value, reason in ratings if reason != "skipped"
    }
    names = [check_name(check) for check in checks]
    for answer in Answer.objects.filter(visit=place.visit, kind=Answer.Kind.CHECK, key__in=names) if names else ():
        given[answer.key] = str(answer.value)
    return given | {"comment": place.exposure.comment or ""}


def _keep(
    place: Place, form: RatingForm, scores: dict[str, int | None], seconds: float, reason: str = CANNOT_JUDGE
) -> None:
    """Store what was answered, and beside it what was answered first and when it changed."""
    visit, exposure = place.visit, place.exposure
    note(visit, Event.Kind.SUBMITTED, STAGE, place.position, seconds=round(seconds, 1))
    if not place.is_new:
        before = dict(exposure.ratings.values_list("criterion__key", "value"))
        for key, value in scores.items():
            if (was := before.get(key)) != value:
                note(visit, Event.Kind.CHANGED, STAGE, place.position, criterion=key, before=was, after=value)
    criteria = published(visit.version).criteria
    exposure.record({criteria[key]: value for key, value in scores.items()}, reason=reason)
    exposure.submit(form.cleaned_data.get("comment") or None)
    for key, value in form.checked().items():
        Answer.objects.update_or_create(visit=visit, kind=Answer.Kind.CHECK, key=key, defaults={"value": value})


def _go_on(place: Place, was_new: bool) -> HttpResponse:
    """To the next page; for somebody who went back, that is the next of those rated before."""
    visit = place.visit
    if was_new:
        stages.advance(visit, STAGE, left=place.following is not None)
        return SeeOther(stages.address_of(visit, place.following))
    if place.following is None:
        return SeeOther(stages.address_of(visit))
    return SeeOther(_address(visit, place.following))


def _address(visit: Visit, position: int) -> str:
    return reverse("path:rate", args=[visit.version.study.slug, position])


def _least_seconds(definition: StudyFile, dialogue: Dialogue) -> float:
    """Nobody reads and rates faster. In a chat it was read before."""
    reading = dialogue.words / WORDS_A_SECOND if definition.mode == "stored" else 0
    return max(SECONDS_A_CRITERION * len(definition.criteria), reading)


@dataclass(frozen=True, eq=False)
class Published:
    """What never changes of a version, so that a process looks for it once."""

    version: StudyVersion
    definition: StudyFile
    criteria: dict[str, Criterion]
    items: dict[int, Item]


def published(version: StudyVersion) -> Published:
    return _published(version.pk, version.created_at)


@lru_cache(maxsize=64)
def _published(pk: int, created_at: datetime) -> Published:
    version = StudyVersion.objects.select_related("study").get(pk=pk)
    definition = definition_of(version)
    items = {item.key: item for item in definition.items}
    return Published(
        version=version,
        definition=definition,
        criteria={criterion.key: criterion for criterion in version.criteria.all()},
        items={pk: items[key] for pk, key in version.items.values_list("pk", "key")},
    )
