"""The page about the models: what answers, what waits, how fast, what failed; for every researcher who is signed in.

Models are shared by the whole installation. Arms are shown of one's own studies only; of all others, how many tries.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from inference import operations
from inference.operations import Reply, Tally
from ratings.desk import arms
from ratings.desk.arms import Line
from ratings.desk.owned import DeskRequest, signed_in
from ratings.models import Study, StudyVersion


@dataclass(frozen=True)
class Window:
    """How far back the page looks, and after how many seconds it looks anew."""

    key: str
    label: str
    heading: str
    span: timedelta | None
    every: int


WINDOWS = {
    window.key: window
    for window in (
        Window("15m", "15 minutes", "The last 15 minutes", timedelta(minutes=15), 10),
        Window("1h", "1 hour", "The last hour", timedelta(hours=1), 10),
        Window("24h", "24 hours", "The last 24 hours", timedelta(hours=24), 10),
        Window("7d", "7 days", "The last 7 days", timedelta(days=7), 60),
        Window("all", "All", "From the beginning", None, 60),
    )
}
USUAL = "1h"


@require_GET
@signed_in
def models(request: DeskRequest) -> HttpResponse:
    window = WINDOWS.get(request.GET.get("window", USUAL))
    if window is None:
        raise Http404
    tries = operations.tried(timezone.now() - window.span if window.span else None)
    sample, tallies = operations.sample(tries), operations.tallies(tries)
    arms_of_mine, mine = arms_of(request, tries, sample.replies)
    context = {
        "seen": operations.now(),
        "window": window,
        "windows": WINDOWS.values(),
        "models": lines(sample.replies, tallies),
        "arms": arms_of_mine,
        "others": sum(tally.tries for tally in tallies) - mine,
        "step": sample.step,
    }
    return render(request, "desk/_operations.html" if request.htmx else "desk/operations.html", context)


def arms_of(request: DeskRequest, tries, replies: list[Reply]) -> tuple[list[Line], int]:
    """The arms of one's own studies, and how many tries were for them."""
    versions = StudyVersion.objects.filter(study__in=Study.objects.of(request.user))
    tallies = operations.tallies(tries, arms.CONVERSATION)
    places = arms.places(versions, tallies)
    tallies = [tally for tally in tallies if tally.of in places]
    return arms.lines(places, replies, tallies), sum(tally.tries for tally in tallies)


def lines(replies: list[Reply], tallies: list[Tally]) -> list[Line]:
    by_model = operations.by(lambda reply: [reply.model], replies)
    ends = operations.by(lambda tally: [tally.of], tallies)
    return [
        Line("", model, operations.latency(by_model.get(model, [])), operations.ends(ended))
        for model, ended in sorted(ends.items())
    ]
