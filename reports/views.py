"""The report of a study and its data package, for its owner."""

import tempfile
from urllib.parse import urlencode

from csp.decorators import csp_update
from django import forms
from django.contrib import messages
from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from ratings import looks
from ratings.desk.owned import DeskRequest, with_study
from ratings.frames import NothingPublished, Pool, pool_of, snapshot
from ratings.models import Participant, Study

# What Plotly's script needs: its own style sheet, and pictures that it makes in the browser.
FIGURES = {
    "style-src": [
        "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
        "'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='",
    ],
    "img-src": ["data:", "blob:"],
}


class PoolForm(forms.Form):
    """Which participants: their kind, and a version of the study with whose design they took part."""

    kind = forms.ChoiceField(choices=Participant.Kind, required=False)
    version = forms.IntegerField(min_value=1, required=False)

    def pool(self, study: Study) -> Pool:
        if not self.is_valid():
            raise Http404("There is no such report.")
        return pool_of(study, self.cleaned_data["kind"] or study.kind_now, self.cleaned_data["version"])


class EarlyForm(forms.Form):
    """Why the results are looked at before the planned number; the methods paragraph repeats it."""

    reason = forms.CharField(
        max_length=500,
        label="Why now?",
        error_messages={"required": "Write why the results are looked at before the planned number."},
    )


# The statistics and the figures are imported when they are first asked for, so that the server starts quickly.


@require_safe
@csp_update(FIGURES)
@with_study
def report(request: DeskRequest, study: Study) -> HttpResponse:
    from reports.page import as_page
    from reports.report import study_report

    try:
        pool = PoolForm(request.GET).pool(study)
    except NothingPublished:
        return render(request, "reports/unpublished.html", {"study": study})
    with snapshot():
        numbers = study_report(pool)
    context = {
        "study": study,
        "pool": pool,
        "kinds": Participant.Kind.choices,
        "older": request.GET.get("version"),
        "report": numbers,
        "early": EarlyForm(),
        "page": as_page(numbers, pool.definition),
    }
    return render(request, "reports/report.html", context)


@require_POST
@with_study
def open_early(request: DeskRequest, study: Study) -> HttpResponse:
    """Show results before the planned number, for a reason."""
    pool, early = _posted_pool(request, study), EarlyForm(request.POST)
    if early.is_valid():
        looks.open_early(pool, request.user, early.cleaned_data["reason"])
    else:
        messages.error(request, str(early.errors["reason"][0]))
    return _to_report(request, study, pool)


def _to_report(request: DeskRequest, study: Study, pool: Pool) -> HttpResponse:
    version = request.POST.get("version")
    query = {"kind": pool.kind} | ({"version": version} if version else {})
    return redirect(f"{reverse('reports:report', args=[study.slug])}?{urlencode(query)}")


def _posted_pool(request: DeskRequest, study: Study) -> Pool:
    try:
        return PoolForm(request.POST).pool(study)
    except NothingPublished as nothing:
        raise Http404(str(nothing)) from None


@require_POST
@with_study
def export(request: DeskRequest, study: Study) -> HttpResponse:
    from reports.package import write_package

    pool, early = _posted_pool(request, study), EarlyForm(request.POST)
    if looks.looks_of(pool).hidden:
        # The ratings are the results.
        if not early.is_valid():
            messages.error(request, str(early.errors["reason"][0]))
            return _to_report(request, study, pool)
        looks.open_early(pool, request.user, early.cleaned_data["reason"])
    file = tempfile.TemporaryFile()  # noqa: SIM115  the response closes it
    write_package(pool, request.user, file)
    file.seek(0)
    return FileResponse(  # type: ignore[return-value]
        file, as_attachment=True, filename=f"{study.slug}-{pool.kind}.zip", content_type="application/zip"
    )
