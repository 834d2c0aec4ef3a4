"""Whose page this is: the cookie of a visit, and what every page of the path does before its own work.

The cookie, never the address, says who someone is, so nobody can reach another person's pages.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps

from django.conf import settings
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils import timezone, translation

from ratings import codes
from ratings.enrolment import StudyFull, reclaim
from ratings.models import Event, Exposure, Study, Visit, VisitKey
from ratings.models.answers import HAPPENED
from ratings.models.prepared import PreparedObject
from ratings.path import stages
from ratings.path.notices import NOTICES
from ratings.path.pages import OldPage, Page
from ratings.path.served import note_served
from ratings.studyfile.publishing import definition_of
from ratings.studyfile.schema import text_in

COOKIE_AGE = 180 * 24 * 3600
# A place is kept from the last sign of life; writing that down once a minute is enough.
SIGN_OF_LIFE_EVERY = 60
# What pages read of a visit: on the busiest page every column counts.
OF_A_VISIT = (
    *("code", "stage", "outcome", "locale", "seed", "consented_at", "place_until", "last_seen_at"),
    *("version__fingerprint", "version__created_at", "version__study__slug", "version__study__state"),
    *("participant__kind", "participant__participant_id", "participant__study"),
)
VISIT = PreparedObject(
    Visit,
    OF_A_VISIT,
    lambda token_hash, slug: Visit.objects.filter(keys__token_hash=token_hash, version__study__slug=slug),
    *("token_hash", "slug"),
)
RIGHT_TO_LEFT = ("ar", "he", "fa", "ur")


class SeeOther(HttpResponseRedirect):
    """After a POST: look there, with GET."""

    status_code = 303


def with_visit(*of_stages: str):
    """Give a view the visit that the request's cookie belongs to: `view(request, visit, ...)`.

    The view is of these stages: a visit that is elsewhere is sent to where it is. Its POST runs in one transaction that
    holds the visit, so that two of them take turns. Without any stage, the view is for whoever has a visit, also after
    its end.
    """

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def wrapped(request: HttpRequest, slug: str, **kwargs) -> HttpResponse:
            lock = bool(of_stages) and request.method == "POST"
            with transaction.atomic() if lock else nullcontext():
                visit = find_visit(request, slug, lock)
                if visit is None:
                    return SeeOther(stages.entry_address(slug))
                with translation.override(visit.locale):
                    return _answer(request, visit, of_stages, view, kwargs)

        return wrapped

    return decorate


def _answer(request: HttpRequest, visit: Visit, of_stages: tuple[str, ...], view, kwargs: dict) -> HttpResponse:
    study = visit.version.study
    if not of_stages:
        return view(request, visit, **kwargs)
    if study.state == Study.State.CLOSED and not visit.is_over:
        return show(request, visit, "ratings/closed.html", stages.ENDED)
    if visit.has_lost_its_place:
        try:
            reclaim(visit)
        except StudyFull:
            note(visit, Event.Kind.ENDED, outcome=visit.outcome)
        else:
            note(visit, Event.Kind.RESUMED, after="expiry")
    if visit.is_over or visit.stage not in of_stages:
        return see_current_page(request, visit)
    if request.method == "POST":
        if request.POST.get("action") in ("leave", "decline"):
            return _way_out(visit, request.POST["action"])
        _keep_alive(visit)
    try:
        return view(request, visit, **kwargs)
    except OldPage:
        return SeeOther(f"{stages.address_of(visit)}?notice=old-page")


def _way_out(visit: Visit, action: str) -> HttpResponse:
    """Leaving is offered on every page. Before consent there is nothing to decide about, so declining is at once."""
    if action == "decline" and visit.stage in stages.BEFORE_CONSENT:
        end(visit, Visit.Outcome.DECLINED)
        return SeeOther(stages.address_of(visit))
    return redirect("path:leave", visit.version.study.slug)


def _keep_alive(visit: Visit) -> None:
    now = timezone.now()
    if (now - visit.last_seen_at).total_seconds() < SIGN_OF_LIFE_EVERY:
        return
    visit.last_seen_at = now
    if visit.place_until is not None:
        visit.keep_place(definition_of(visit.version).place_minutes)
    visit.save(update_fields=["last_seen_at", "place_until"])


def see_current_page(request: HttpRequest, visit: Visit) -> HttpResponse:
    """The way back for whoever asks for, or sends, a page of a stage where the visit is not."""
    address = stages.address_of(visit)
    return SeeOther(f"{address}?notice=old-page" if request.method == "POST" else address)


def find_visit(request: HttpRequest, slug: str, lock: bool = False) -> Visit | None:
    """The visit to this study whose cookie the browser carries."""
    token = request.COOKIES.get(cookie_name(slug))
    if not token:
        return None
    token_hash = codes.token_hash(token)
    if lock and connection.features.has_select_for_update:
        # In SQLite the transaction itself has nobody beside it.
        Visit.objects.select_for_update(of=("self",)).filter(keys__token_hash=token_hash).values_list("pk").first()
    return VISIT.find(token_hash=token_hash, slug=slug)


def cookie_name(slug: str) -> str:
    return f"__Host-visit-{slug}" if settings.OVER_TLS else f"visit-{slug}"


def set_cookie(response: HttpResponse, name: str, slug: str, value: str, max_age: int = COOKIE_AGE) -> None:
    """A cookie that only our pages of this study read. The prefix `__Host-`, over TLS, asks for the path `/`."""
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        path="/" if settings.OVER_TLS else f"/s/{slug}/",
        secure=settings.OVER_TLS,
        httponly=True,
        samesite="Lax",
    )


def drop_cookie(response: HttpResponse, name: str, slug: str) -> None:
    set_cookie(response, name, slug, "", max_age=0)


def remember(response: HttpResponse, visit: Visit) -> HttpResponse:
    """Let this browser go on with the visit from now on."""
    token, digest = codes.new_token()
    VisitKey.objects.create(visit=visit, token_hash=digest)
    slug = visit.version.study.slug
    set_cookie(response, cookie_name(slug), slug, token)
    return response


def forget(response: HttpResponse, slug: str) -> HttpResponse:
    drop_cookie(response, cookie_name(slug), slug)
    return response


def end(visit: Visit, outcome: str) -> None:
    visit.end(outcome)
    stages.release_items(visit)
    note(visit, Event.Kind.ENDED, outcome=outcome)


def note(visit: Visit, kind: str, stage: str = "", position: int | None = None, **detail) -> None:
    """Write down that something happened. Never what a person wrote."""
    HAPPENED.rows([(visit.pk, timezone.now(), kind, stage or visit.stage, position, detail)])


def serve(
    request: HttpRequest, visit: Visit, template: str, page: Page, exposure: Exposure | None = None, **context
) -> HttpResponse:
    """A stage's page, asked for with GET; that it was served is written down."""
    note_served(visit, page.stage, page.position or None, exposure)
    return show(request, visit, template, page.stage, page, **context)


def show(
    request: HttpRequest,
    visit: Visit,
    template: str,
    stage: str,
    page: Page | None = None,
    status: int = 200,
    **context,
) -> HttpResponse:
    """A page of the path, in the visit's language, with what all of them have in common."""
    definition = definition_of(visit.version)
    if page is not None:
        # A form that is shown again keeps the time at which it was first given out.
        context["page"] = request.POST["page"] if request.method == "POST" else page.token()
    context |= study_context(visit.version.study, definition, visit.locale)
    context |= {
        "stage": stage,
        "may_leave": not visit.is_over,
        "return_code": codes.return_code(visit) if visit.consented_at and not visit.is_over else "",
        # What a form's answer has to say, it says itself; its address still carries the earlier notice.
        "notice": NOTICES.get(request.GET.get("notice", "")) if request.method != "POST" else None,
    }
    return render(request, template, context, status=status)


def study_context(study: Study, definition, locale: str) -> dict:
    return {
        "study": study,
        "definition": definition,
        "title": text_in(definition.title, locale, definition.default_locale),
        "language": locale,
        "direction": direction_of(locale),
    }


def direction_of(locale: str) -> str:
    return "rtl" if locale.split("-")[0] in RIGHT_TO_LEFT else "ltr"
