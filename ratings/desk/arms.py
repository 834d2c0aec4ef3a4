"""How the arms of studies answer: how long their replies take, how tries at them ended, who waits. Never a word of one.

Live chats are of one kind of participant; replies made in advance are for all.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from inference import operations
from inference.models import Conversation, Turn
from inference.operations import Ends, Latency, QueueLine, Reply, Tally
from ratings.models import Exposure, StoredReply, StudyVersion

# What the live page of a study tells of.
WINDOW = timedelta(hours=24)
CONVERSATION = "turn__conversation"
AT_ONCE = 10_000
Place = tuple[str, str]


@dataclass(frozen=True)
class Line:
    """A model's, or an arm's, tries in a window of time."""

    study: str
    name: str
    latency: Latency
    ends: Ends


@dataclass(frozen=True)
class Answering:
    """How a study's replies go: those of the last hours by arm, and those that are not there yet."""

    arms: list[Line]
    now: QueueLine
    step: int


def of_version(version: StudyVersion, kind: str) -> Answering:
    """Of all versions that share its arms."""
    versions = version.study.versions.filter(pool=version.pool)
    tries = operations.tried(timezone.now() - WINDOW)
    sample, tallies = operations.sample(tries), operations.tallies(tries, CONVERSATION)
    here = [Exists(rows.filter(conversation=OuterRef("conversation"))) for rows in conversations_of(versions, kind)]
    waiting = operations.open_turns(Turn.objects.open().filter(here[0] | here[1]))
    return Answering(
        lines(places(versions, tallies, kind), sample.replies, tallies),
        operations.queue_line("", [], waiting),
        sample.step,
    )


def conversations_of(
    versions: QuerySet[StudyVersion], kind: str = ""
) -> tuple[QuerySet[Exposure], QuerySet[StoredReply]]:
    """What stands for an arm of these versions: chats, and replies made in advance."""
    chats = Exposure.objects.filter(conversation__kind=Conversation.Kind.LIVE, arm__version__in=versions)
    if kind:
        chats = chats.filter(assignment__visit__participant__kind=kind)
    return chats, StoredReply.objects.filter(arm__version__in=versions)


def places(versions: QuerySet[StudyVersion], tallies: list[Tally], kind: str = "") -> dict[int, set[Place]]:
    """Study and arm of each conversation that was tried; a reply made in advance may be shown in several.

    They are asked for by their numbers: no database can then choose to go through everything that was ever shown.
    """
    tried = sorted({tally.of for tally in tallies})
    found: dict[int, set[Place]] = {}
    for first in range(0, len(tried), AT_ONCE):
        for rows in conversations_of(versions, kind):
            some = rows.filter(conversation__in=tried[first : first + AT_ONCE])
            for conversation, study, arm in some.values_list("conversation", "arm__version__study__slug", "arm__key"):
                found.setdefault(conversation, set()).add((study, arm))
    return found


def lines(places: dict[int, set[Place]], replies: list[Reply], tallies: list[Tally]) -> list[Line]:
    """One for each arm. `tallies` are by conversation."""
    nowhere: set[Place] = set()
    by_arm = operations.by(lambda reply: places.get(reply.conversation, nowhere), replies)
    ends = operations.by(lambda tally: places.get(tally.of, nowhere), tallies)
    return [
        Line(*place, operations.latency(by_arm.get(place, [])), operations.ends(ended))
        for place, ended in sorted(ends.items())
    ]
