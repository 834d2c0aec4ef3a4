"""The live page: where people are, what each arm has, how the models are. No ratings, lest anyone stop by them."""

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from ratings.desk import health
from ratings.desk.owned import DeskRequest, with_study
from ratings.desk.progress import progress
from ratings.models import Participant, Study


@require_GET
@with_study
def live(request: DeskRequest, study: Study) -> HttpResponse:
    kind = request.GET.get("kind", study.kind_now)
    if kind not in Participant.Kind:
        raise Http404
    version = study.current_version
    context = {
        "study": study,
        "version": version,
        "kind": kind,
        "kinds": Participant.Kind,
        "progress": progress(version, kind) if version else None,
        "health": health.of(version) if version else None,
        "now": timezone.now(),
    }
    return render(request, "desk/_live.html" if request.htmx else "desk/live.html", context)
