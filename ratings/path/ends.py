"""How it ends: the debrief with its codes, a no that is taken as one, and the other outcomes in kind words."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from ratings import codes
from ratings.models import Answer, Visit
from ratings.path import stages
from ratings.path.forms import PathForm
from ratings.path.visits import SeeOther, see_current_page, show, with_visit
from ratings.studyfile.publishing import definition_of

FEELING = "feeling_now"
FEELINGS = (
    ("good", _("Good")),
    ("as_before", _("About as before")),
    ("a_bit_low", _("A bit low")),
    ("not_good", _("Not good at all")),
)
# Whoever says so is shown the way to help again.
LOW = ("a_bit_low", "not_good")
# Someone who is stopped, or for whom there was no room, is paid as if they had finished.
PAID_IN_FULL = (Visit.Outcome.QUOTA_FULL, Visit.Outcome.SAFETY_STOP, Visit.Outcome.TECHNICAL)


class FeelingForm(PathForm):
    def __init__(self, data=None, files=None):
        super().__init__(data, files)
        self.fields[FEELING] = forms.ChoiceField(choices=FEELINGS, required=False)


def code_of(visit: Visit) -> str:
    """What proves the outcome: the person's own code, or the panel's code for it. Some outcomes have none."""
    completion = definition_of(visit.version).completion
    if completion.mode == "fixed":
        return next((code for outcome, code in completion.codes.items() if outcome == visit.outcome), "")
    if visit.outcome == Visit.Outcome.COMPLETED or visit.outcome in PAID_IN_FULL:
        return codes.completion_code(visit)
    return ""


@require_http_methods(["GET", "HEAD", "POST"])
@with_visit()
def debrief(request: HttpRequest, visit: Visit) -> HttpResponse:
    if visit.outcome != Visit.Outcome.COMPLETED:
        return see_current_page(request, visit)
    form = FeelingForm(request.POST or None, request.FILES or None)
    if form.is_valid():
        if feeling := form.cleaned_data[FEELING]:
            Answer.objects.update_or_create(
                visit=visit, kind=Answer.Kind.EXIT, key=FEELING, defaults={"value": feeling}
            )
        return SeeOther(stages.address_of(visit))
    answer = visit.answers.filter(kind=Answer.Kind.EXIT, key=FEELING).first()
    return show(
        request,
        visit,
        "ratings/debrief.html",
        stages.DEBRIEF,
        form=form,
        feelings=FEELINGS,
        feeling=answer.value if answer else "",
        feels_low=answer is not None and answer.value in LOW,
        outcome=visit.outcome,
        completion_code=code_of(visit),
        withdrawal_code=codes.withdrawal_code(visit),
    )


@require_safe
@with_visit()
def declined(request: HttpRequest, visit: Visit) -> HttpResponse:
    if visit.outcome != Visit.Outcome.DECLINED:
        return see_current_page(request, visit)
    return show(
        request,
        visit,
        "ratings/declined.html",
        stages.DECLINED,
        outcome=visit.outcome,
        code=code_of(visit),
    )


@require_safe
@with_visit()
def ended(request: HttpRequest, visit: Visit) -> HttpResponse:
    if not visit.is_over or visit.outcome in stages.END_PAGES:
        return see_current_page(request, visit)
    return show(
        request,
        visit,
        "ratings/ended.html",
        stages.ENDED,
        outcome=visit.outcome,
        code=code_of(visit),
        paid_in_full=visit.outcome in PAID_IN_FULL,
        withdrawal_code=codes.withdrawal_code(visit) if visit.consented_at else "",
    )
