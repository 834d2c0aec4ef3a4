"""What people agree to, in separate ticks, none of them made for them; and no is as near as yes."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from ratings.enrolment import StudyFull, enrol
from ratings.models import Consent, Visit
from ratings.path import stages
from ratings.path.forms import PathForm
from ratings.path.pages import Page
from ratings.path.visits import SeeOther, end, serve, show, with_visit
from ratings.studyfile import schema
from ratings.studyfile.publishing import definition_of
from ratings.studyfile.schema import sha256

STAGE = stages.CONSENT

TICKS = {
    "take_part": gettext_lazy(
        "I have read the information above. I take part of my own free will, and I can stop whenever I like."
    ),
    "sensitive": gettext_lazy(
        "What I read, choose and write may touch on feelings or health. I agree that it is stored and studied."
    ),
    "quotes": gettext_lazy("My own words may be quoted, without anything that shows who I am."),
    "training": gettext_lazy("What I write and choose may be used to train AI programs."),
}

NEEDED = {
    "take_part": gettext_lazy("To take part, tick that you have read the information and take part freely."),
    "sensitive": gettext_lazy("To take part, tick that what touches on feelings or health may be stored."),
}


class ConsentForm(PathForm):
    def __init__(self, consent: schema.Consent, data=None, files=None):
        super().__init__(data, files)
        for tick in consent.ticks:
            self.fields[f"consent_{tick}"] = forms.BooleanField(
                label=TICKS[tick],
                required=tick in consent.required,
                error_messages={"required": NEEDED.get(tick, "")},
            )

    def ticks(self) -> list[str]:
        return [name.removeprefix("consent_") for name, given in self.cleaned_data.items() if given]


def text_hash(consent: schema.Consent, tick: str) -> str:
    """Of the very words agreed to: the study's information and the sentence beside the box, as it was shown."""
    return sha256(f"{consent.fingerprint}\n{TICKS[tick]}")


@require_http_methods(["GET", "HEAD", "POST"])
@with_visit(STAGE)
def consent(request: HttpRequest, visit: Visit) -> HttpResponse:
    page = Page(visit, STAGE)
    wording = definition_of(visit.version).consent
    if request.method != "POST":
        return serve(request, visit, "ratings/consent.html", page, form=ConsentForm(wording))
    page.check(request)
    form = ConsentForm(wording, request.POST, request.FILES)
    if not form.is_valid():
        return show(request, visit, "ratings/consent.html", STAGE, page, form=form)
    _keep(visit, wording, form.ticks())
    try:
        enrol(visit)
    except StudyFull:
        end(visit, Visit.Outcome.QUOTA_FULL)
    else:
        stages.advance(visit, STAGE)
    return SeeOther(stages.address_of(visit))


def _keep(visit: Visit, wording: schema.Consent, ticks: list[str]) -> None:
    Consent.objects.bulk_create(
        Consent(visit=visit, tick=tick, text_hash=text_hash(wording, tick), locale=visit.locale) for tick in ticks
    )
    visit.consented_at = timezone.now()
    visit.save(update_fields=["consented_at"])
