"""How the models of a version are: loaded or not, what they still have to make, what went wrong."""

from dataclasses import dataclass

from django.db.models import Count, Exists, OuterRef, Q

from inference import workers
from inference.leases import LeaseState
from inference.models import ChatModel, Turn, TurnQuerySet
from ratings import chatting
from ratings.models import Exposure, StoredReply, StudyVersion

WORDS = {
    "unused": "not loaded yet; the first reply loads it",
    "loading": "loading",
    "ready": "ready",
    "failed": "failed",
}


@dataclass(frozen=True)
class ModelHealth:
    key: str
    status: str
    reason: str

    @property
    def words(self) -> str:
        return WORDS[self.status]


@dataclass(frozen=True)
class Health:
    """Queue lengths are those of the whole installation: all studies share its models."""

    models: list[ModelHealth]
    replies_made: int
    replies_wanted: int
    people_waiting: int
    in_advance: int
    failed: int
    # People who chat now, and how many can at once.
    chatting: tuple[int, int] | None


def of(version: StudyVersion) -> Health:
    queue = Turn.objects.open().aggregate(
        people=Count("pk", filter=Q(background=False)), in_advance=Count("pk", filter=Q(background=True))
    )
    wanted = version.replies_wanted
    return Health(
        models=[_model(model) for model in ChatModel.objects.filter(setups__arms__version=version).distinct()],
        replies_made=version.replies_made if wanted else 0,
        replies_wanted=wanted,
        people_waiting=queue["people"],
        in_advance=queue["in_advance"],
        failed=failed_replies(version).count(),
        chatting=chatting.occupancy(version),
    )


def _model(model: ChatModel) -> ModelHealth:
    slot = workers.state(model)
    return ModelHealth(model.key, slot.status, slot.reason)


def failed_replies(version: StudyVersion) -> TurnQuerySet:
    """Replies that no attempt could make, in this study's stored replies and chats."""
    conversation = OuterRef("conversation")
    stored = StoredReply.objects.filter(item__version=version, conversation=conversation)
    shown = Exposure.objects.filter(arm__version=version, conversation=conversation)
    return Turn.objects.filter(Exists(stored) | Exists(shown), state=LeaseState.FAILED)
