"""The live page: where people are, what each arm has and how it answers. No ratings, lest anyone stop by them."""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from inference import conversations
from ratings.desk import arms, health
from ratings.desk.owned import DeskRequest, with_study
from ratings.desk.progress import progress
from ratings.models import Participant, Study


@require_POST
@with_study
def retry(request: DeskRequest, study: Study) -> HttpResponse:
    """Ask again for the stored replies that failed. In a chat, the person who waits is asked."""
    if study.current_version is None:
        raise Http404
    asked = conversations.retry_failed(health.failed_replies(study.current_version).filter(background=True))
    messages.success(request, f"{asked} repl{'y is' if asked == 1 else 'ies are'} asked for again.")
    return redirect("desk:live", study.slug)


@require_GET
@with_study
def live(request: DeskRequest, study: Study) -> HttpResponse:
    kind = request.GET.get("kind", study.kind_now)
    if kind not in Participant.Kind:
        raise Http404
    version = study.current_version
    its_health = health.of(version) if version else None
    context = {
        "study": study,
        "version": version,
        "kind": kind,
        "kinds": Participant.Kind,
        "progress": progress(version, kind) if version else None,
        "health": its_health,
        "answering": arms.of_version(version, kind) if version and its_health and its_health.models else None,
        "now": timezone.now(),
    }
    return render(request, "desk/_live.html" if request.htmx else "desk/live.html", context)
