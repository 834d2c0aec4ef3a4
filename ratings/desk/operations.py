"""The page about the models: what answers, what waits, how fast, what failed; for every researcher who is signed in.

Models are shared by the whole installation. Arms are shown of one's own studies only; of all others, how many tries.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from inference import operations
from inference.operations import Failures, Latency, Try
from ratings.desk.owned import DeskRequest, signed_in
from ratings.models import Exposure, StoredReply, Study

WINDOW = timedelta(hours=1)


@dataclass(frozen=True)
class Line:
    """A model's, or an arm's, last hour."""

    study: str
    name: str
    latency: Latency
    failures: Failures


@require_GET
@signed_in
def models(request: DeskRequest) -> HttpResponse:
    recent = operations.tries(timezone.now() - WINDOW)
    arms, others = arms_of(request, recent)
    context = {
        "seen": operations.now(),
        "models": lines((("", row.model), row) for row in recent),
        "arms": arms,
        "others": others,
        "most": operations.MOST_TRIES if len(recent) == operations.MOST_TRIES else None,
    }
    return render(request, "desk/_operations.html" if request.htmx else "desk/operations.html", context)


def arms_of(request: DeskRequest, recent: list[Try]) -> tuple[list[Line], int]:
    """The arms of one's own studies, and how many tries belong to none of them."""
    places = arms_by_conversation(Study.objects.of(request.user), {row.conversation for row in recent})
    own = [(place, row) for row in recent for place in places.get(row.conversation, ())]
    return lines(own), sum(row.conversation not in places for row in recent)


def arms_by_conversation(studies, conversations: set[int]) -> dict[int, set[tuple[str, str]]]:
    """Study and arm of each; a reply made in advance may be shown in several."""
    places: dict[int, set[tuple[str, str]]] = {}
    for rows in (Exposure.objects, StoredReply.objects):
        own = rows.filter(arm__version__study__in=studies, conversation__in=conversations)
        for conversation, study, arm in own.values_list("conversation", "arm__version__study__slug", "arm__key"):
            places.setdefault(conversation, set()).add((study, arm))
    return places


def lines(placed) -> list[Line]:
    groups: dict[tuple[str, str], list[Try]] = {}
    for place, row in placed:
        groups.setdefault(place, []).append(row)
    return [
        Line(study, name, operations.latency(rows), operations.failures(rows))
        for (study, name), rows in sorted(groups.items())
    ]
