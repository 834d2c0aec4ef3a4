"""Live chats on this machine: which models they need, how many people fit, how long the next one waits."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from math import ceil, floor

from django.db import transaction
from django.utils import timezone

from inference import dispatch, measuring, room, workers
from inference.leases import LeaseState
from inference.measuring import Measured
from inference.models import ChatModel, Setup, Turn
from inference.pool import ModelUnavailable, pool
from ratings.models import Assignment, Exposure, Study, StudyVersion, Visit
from ratings.studyfile.publishing import definition_of
from ratings.studyfile.schema import Chat, texts_of

# Somebody who has not been heard of for so long is not chatting.
SILENT_AFTER = timedelta(minutes=3)
SHORTEST_WAIT = 30  # seconds


def models_ready(version: StudyVersion) -> bool:
    """Whether every model that people of this version chat with can answer."""
    return all(workers.state(model).status == "ready" for model in _models(version))


def warm_models() -> None:
    """Load what people of the open chat studies will want, if it is this process that answers."""
    if not dispatch.is_running():
        return
    for study in Study.objects.open_to_people().select_related("current_version"):
        for model in _models(study.version):
            with suppress(ModelUnavailable):
                pool.engine_for(model)


@contextmanager
def one_after_the_other(version: StudyVersion) -> Iterator[None]:
    """People who begin to chat at the same moment do so in turn, so that the last place is not given to all of them."""
    if not _models(version):
        yield
        return
    with transaction.atomic():
        Study.objects.select_for_update().get(pk=version.study_id)
        yield


def waiting_time(version: StudyVersion) -> int | None:
    """About how many seconds until one more person can chat; None when they can begin now.

    Whoever has begun and is still there holds a place, whichever chat study it is: they share the machine.
    """
    models = _models(version)
    places = workers.chat_places({model.engine_name for model in models}) if models else None
    if places is None:
        return None
    begun = sorted(_people_chatting().values_list("started_at", flat=True))
    if len(begun) < places:
        return None
    lasts = timedelta(minutes=definition_of(version).minutes)
    # So many have to finish before there is a place; those who began first are likely to be first.
    frees = begun[len(begun) - places] + lasts - timezone.now()
    return max(SHORTEST_WAIT, round(frees.total_seconds()))


def occupancy(version: StudyVersion) -> tuple[int, int] | None:
    """How many people chat now and how many can; None where nobody chats or nothing has been measured."""
    models = _models(version)
    places = workers.chat_places({model.engine_name for model in models}) if models else None
    return None if places is None else (_people_chatting().count(), places)


def setups_of(version: StudyVersion) -> list[Setup]:
    """What people of this version chat with; empty where nobody chats."""
    if definition_of(version).mode != "chat":
        return []
    setups = Setup.objects.filter(arms__version=version).distinct()
    return list(setups.select_related("chat_model").order_by("pk"))


def measured(version: StudyVersion) -> Measured | None:
    """What the slowest of its models was measured to carry; None while one of them has not been measured."""
    found = [measuring.kept(model) for model in _models(version)]
    if not found or None in found:
        return None
    return min(filter(None, found), key=lambda measured: measured.chats)


@dataclass(frozen=True)
class Shortage:
    """An arm whose chats may grow beyond what its model can read."""

    arm: str
    wanted: int  # tokens
    context: int
    # The longest messages, in characters, with which all exchanges fit.
    fitting: int


def shortages(version: StudyVersion) -> list[Shortage]:
    """The arms whose longest possible chat may not fit, as far as it is known what their models can read."""
    definition = definition_of(version)
    if definition.mode != "chat":
        return []
    told = [text for item in definition.shown_items for text in texts_of(item.scenario or "")]
    arms = version.arms.exclude(setup=None).select_related("setup__chat_model").order_by("position")
    return [short for arm in arms if arm.setup and (short := _shortage(arm.key, arm.setup, definition.chat, told))]


def _shortage(arm: str, setup: Setup, chat: Chat, told: list[str]) -> Shortage | None:
    most = chat.exchanges.max
    if (context := room.context_of(setup.chat_model)) is None:
        return None
    # Of several languages, the one that takes the most tokens.
    characters = min((room.characters_a_token(setup.chat_model, [text]) for text in told if text), default=room.LATIN)
    opening = max((len(text) for text in texts_of(chat.opening or "")), default=0) / characters
    wanted = room.wanted(setup, most, chat.longest_message / characters) + ceil(opening)
    if wanted <= context:
        return None
    without = room.wanted(setup, most, 0) + opening
    fitting = floor(max(0, context - without) / most * characters / 50) * 50
    return Shortage(arm, wanted, context, fitting)


def failed_reply(visit: Visit) -> Turn | None:
    """The reply because of which a visit cannot go on with its chat."""
    exposure = current_exposure(visit)
    if exposure is None or exposure.conversation is None:
        return None
    last = exposure.conversation.turns.order_by("index").last()
    return last if last and last.state in (LeaseState.FAILED, LeaseState.BLOCKED) else None


def current_exposure(visit: Visit) -> Exposure | None:
    """What the visit chats with now."""
    unfinished = (Assignment.State.RESERVED, Assignment.State.ACTIVE)
    waiting = Exposure.objects.filter(assignment__visit=visit, assignment__state__in=unfinished)
    # PostgreSQL plans each query anew, and three tables more would take it ten times as long as reading them.
    return waiting.select_related("assignment__item", "arm", "conversation").order_by("assignment__position").first()


def _models(version: StudyVersion) -> list[ChatModel]:
    if definition_of(version).mode != "chat":
        return []
    return list(ChatModel.objects.filter(setups__arms__version=version).distinct())


def _people_chatting():
    chats = StudyVersion.objects.published().filter(definition__mode="chat").values("pk")
    return Visit.objects.filter(version__in=chats, outcome="", last_seen_at__gt=timezone.now() - SILENT_AFTER)
