"""The ways in: the open link, a personal invitation, a panel's link, and the code to come back with.

Whatever names a person leaves the address at once, for a cookie. Looking at the entry page makes nobody a participant:
that is the button.
"""

import math
from contextlib import nullcontext

from cryptography.fernet import InvalidToken
from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import translation
from django.utils.translation import gettext_lazy as _
from django.utils.translation.trans_real import parse_accept_lang_header
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.sealed import seal, unseal
from ratings import chatting, codes
from ratings.enrolment import arrive, panel_hash
from ratings.models import Event, Invitation, Study, Visit
from ratings.path import limits, panel, stages
from ratings.path.notices import NOTICES
from ratings.path.visits import (
    SeeOther,
    cookie_name,
    direction_of,
    drop_cookie,
    find_visit,
    forget,
    note,
    remember,
    set_cookie,
    study_context,
    with_visit,
)
from ratings.studyfile.publishing import definition_of
from ratings.studyfile.schema import StudyFile

# Between opening a link and pressing the button.
WAY_IN_LASTS = 24 * 3600


@require_http_methods(["GET", "HEAD", "POST"])
def entry(request: HttpRequest, slug: str) -> HttpResponse:
    study = _study(slug)
    if panel.is_panel_link(request.GET):
        return _from_panel(request, study)
    if visit := find_visit(request, slug):
        return SeeOther(stages.address_of(visit))
    version = study.current_version
    if version is None or not study.takes_people:
        return _page(request, study, "ratings/not_open.html", stages.ENDED)
    if not (version.is_ready and chatting.models_ready(version)):
        progress = {"made": version.replies_made, "wanted": version.replies_wanted}
        return _page(request, study, "ratings/preparing.html", stages.PREPARING, **progress)
    posted = request.method == "POST"
    with chatting.one_after_the_other(version) if posted else nullcontext():
        if seconds := chatting.waiting_time(version):
            return _page(request, study, "ratings/waiting.html", stages.PREPARING, minutes=math.ceil(seconds / 60))
        if posted:
            return _start(request, study)
    languages = [(locale, language_name(locale)) for locale in definition_of(version).locales]
    return _page(request, study, "ratings/entry.html", stages.ENTRY, languages=languages)


@require_POST
@with_visit()
def again(request: HttpRequest, visit: Visit) -> HttpResponse:
    """For somebody who declined and thought about it: a new beginning."""
    if visit.outcome != Visit.Outcome.DECLINED:
        return SeeOther(stages.address_of(visit))
    slug = visit.version.study.slug
    return forget(SeeOther(stages.entry_address(slug)), slug)


@require_safe
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """A personal link. Opened again, on whatever device, it leads to the same visit."""
    found = Invitation.objects.select_related("study").filter(token_hash=codes.token_hash(token)).first()
    if found is None:
        return render(request, "ratings/unknown_invitation.html", {"stage": stages.ENDED}, status=404)
    if visit := _visits().filter(participant__invitation=found).first():
        return _come_back(visit)
    slug = found.study.slug
    response = forget(SeeOther(stages.entry_address(slug)), slug)
    set_cookie(response, _invitation_cookie(slug), slug, token, WAY_IN_LASTS)
    return response


@require_http_methods(["GET", "HEAD", "POST"])
def return_by_code(request: HttpRequest, slug: str) -> HttpResponse:
    study = _study(slug)
    if request.method == "POST" and limits.exhausted(request, "return"):
        return limits.too_many(request, "return")
    form = ReturnForm(request.POST or None, study=study)
    if form.is_valid():
        return _come_back(form.visit)
    if form.is_bound:
        limits.count(request, "return")
    return _page(request, study, "ratings/return.html", stages.ENTRY, form=form)


class ReturnForm(forms.Form):
    code = forms.CharField(
        max_length=40,
        error_messages={
            "required": _("Please enter your return code."),
            "max_length": _("This is not a return code."),
        },
    )

    def __init__(self, *args, study: Study, **kwargs):
        super().__init__(*args, **kwargs)
        self.study = study

    def clean_code(self) -> str:
        code = self.cleaned_data["code"]
        visits = _visits().filter(version__study=self.study)
        self.visit = visits.filter(return_code_hash=codes.hash_of("return", code)).first()
        if self.visit is None:
            raise forms.ValidationError(_("Nobody in this study has this code. Please check each letter."))
        return code


def _study(slug: str) -> Study:
    studies = Study.objects.select_related("current_version")
    return get_object_or_404(studies.defer("current_version__source", "current_version__definition"), slug=slug)


def _visits():
    return Visit.objects.select_related("version__study", "participant").order_by("-pk")


def _start(request: HttpRequest, study: Study) -> HttpResponse:
    slug = study.slug
    locale = _locale(request, definition_of(study.version))
    token = request.COOKIES.get(_invitation_cookie(slug), "")
    invited = study.invitations.filter(token_hash=codes.token_hash(token)).first() if token else None
    visit = arrive(study, study.kind_now, locale, invitation=invited, panel_id=_panel_id(request, slug))
    if (direction := direction_of(visit.locale)) != visit.direction:
        visit.direction = direction
        visit.save(update_fields=["direction"])
    response = remember(SeeOther(stages.address_of(visit)), visit)
    for cookie in (_invitation_cookie(slug), _panel_cookie(slug)):
        if cookie in request.COOKIES:
            drop_cookie(response, cookie, slug)
    return response


def _from_panel(request: HttpRequest, study: Study) -> HttpResponse:
    address = stages.entry_address(study.slug)
    try:
        person = panel.person_in(request.GET)
    except panel.BadPanelLink:
        return SeeOther(f"{address}?notice=panel-link")
    known = _visits().filter(version__study=study, participant__panel_hash=panel_hash(study, person))
    if visit := known.first():
        return _come_back(visit)
    response = forget(SeeOther(address), study.slug)
    set_cookie(response, _panel_cookie(study.slug), study.slug, seal(person), WAY_IN_LASTS)
    return response


def _panel_id(request: HttpRequest, slug: str) -> str | None:
    try:
        return unseal(request.COOKIES[_panel_cookie(slug)])
    except (KeyError, InvalidToken):
        return None


def _come_back(visit: Visit) -> HttpResponse:
    note(visit, Event.Kind.RESUMED)
    return remember(SeeOther(stages.address_of(visit)), visit)


def _invitation_cookie(slug: str) -> str:
    return cookie_name(slug).replace("visit-", "invited-")


def _panel_cookie(slug: str) -> str:
    return cookie_name(slug).replace("visit-", "panel-")


def _page(request: HttpRequest, study: Study, template: str, stage: str, **context) -> HttpResponse:
    """A page for somebody without a visit, in the language they choose."""
    context |= {"study": study, "stage": stage, "notice": NOTICES.get(request.GET.get("notice", ""))}
    language = settings.LANGUAGE_CODE
    if version := study.current_version:
        definition = definition_of(version)
        language = _locale(request, definition)
        context |= study_context(study, definition, language)
    with translation.override(language):
        return render(request, template, context)


def language_name(locale: str) -> str:
    """A language in its own words, where Django knows them."""
    try:
        return translation.get_language_info(locale)["name_local"]
    except KeyError:
        return locale


def _locale(request: HttpRequest, definition: StudyFile) -> str:
    """The language that was chosen, else the first of the browser's that the study speaks, else the study's own."""
    chosen = request.POST.get("lang") or request.GET.get("lang")
    wanted = [code for code, _ in parse_accept_lang_header(request.headers.get("Accept-Language", ""))]
    for language in (chosen, *wanted):
        for locale in definition.locales:
            if language and locale.lower() in (language.lower(), language.lower().split("-")[0]):
                return locale
    return definition.default_locale
