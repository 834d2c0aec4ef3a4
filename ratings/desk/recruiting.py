"""Asking people in: personal links, shown once, as a list, as CSV and as a sheet of QR codes."""

from django import forms
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from ratings import recruitment
from ratings.desk import progress
from ratings.desk.owned import DeskRequest, with_study
from ratings.models import Invitation, Participant, Study


class InvitationForm(forms.Form):
    count = forms.IntegerField(min_value=1, max_value=recruitment.AT_ONCE, initial=20)
    kind = forms.ChoiceField(choices=[(Participant.Kind.REAL, "real"), (Participant.Kind.PILOT, "pilot")])
    group = forms.CharField(max_length=60, required=False)
    wave = forms.CharField(max_length=60, required=False)


@require_http_methods(["GET", "POST"])
@with_study
def invitations(request: DeskRequest, study: Study) -> HttpResponse:
    form = InvitationForm(request.POST if request.method == "POST" else None, initial={"kind": study.kind_now})
    tokens: list[str] = []
    if request.method == "POST" and form.is_valid():
        # Answered at once and not by a redirect: the tokens are kept nowhere that another page could read them.
        tokens = recruitment.invite(study, by=request.user, **form.cleaned_data)
    return render(
        request,
        "desk/invitations.html",
        {
            "study": study,
            "form": form,
            "tokens": tokens,
            "links": [recruitment.link_of(token) for token in tokens],
            "batches": recruitment.batches(study),
            "open_link": recruitment.open_link(study),
        },
    )


@require_POST
@with_study
def links_csv(request: DeskRequest, study: Study) -> HttpResponse:
    """The links that the page has just shown, as a file. The page hands the tokens back, for only it has them."""
    tokens, found = _handed_back(request, study)
    return HttpResponse(
        recruitment.as_csv(tokens, found),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{study.slug}-invitations.csv"'},
    )


@require_POST
@with_study
def qr_sheet(request: DeskRequest, study: Study) -> HttpResponse:
    """The same links as QR codes to print and cut apart."""
    tokens, _ = _handed_back(request, study)
    links = [recruitment.link_of(token) for token in tokens]
    cards = [(number, link, recruitment.qr_code(link)) for number, link in enumerate(links, 1)]
    title = progress.title_of(progress.shown_version(study))
    return render(request, "desk/qr_sheet.html", {"study": study, "cards": cards, "title": title})


def _handed_back(request: DeskRequest, study: Study) -> tuple[list[str], list[Invitation]]:
    tokens = request.POST.get("tokens", "").split()[: recruitment.AT_ONCE]
    found = recruitment.known(study, tokens)
    if not tokens or len(found) != len(tokens):
        raise Http404
    return tokens, found


@require_POST
@with_study
def pilot_yourself(request: DeskRequest, study: Study) -> HttpResponse:
    """Walk through the study as a pilot participant does."""
    if not study.takes_people:
        raise Http404
    return redirect(recruitment.pilot_link(study, request.user))
