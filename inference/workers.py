"""Who answers, here and on other machines: workers say of themselves what they run, how fast, and that they live.

What people are told about waiting comes from here.
"""

import math
from collections.abc import Iterable, Mapping
from typing import cast

from django.utils import timezone

from inference import capacity
from inference.capacity import Pace
from inference.models import ChatModel, Turn, TurnQuerySet, Worker
from inference.pool import Slot, Status, pool

TELL_EVERY = 3.0  # seconds
# People read and type for at least as long as they wait, so no more than half of them wait at the same time.
CHATTERS_PER_REPLY = 2
_names_here: set[str] = set()


def tell(name: str, slots: Mapping[str, Slot], in_hand: Mapping[str, int]) -> None:
    """Write down how the engines of this worker are."""
    _names_here.add(name)
    now = timezone.now()
    rows = [
        Worker(
            name=name,
            engine=engine[: Worker.LONGEST_NAME],
            status=slot.status,
            reason=slot.reason,
            pace=pace.told() if (pace := capacity.pace_of(engine)) else None,
            in_hand=in_hand.get(engine, 0),
            heard_at=now,
        )
        for engine, slot in slots.items()
        if slot.status != "unused"
    ]
    Worker.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["name", "engine"],
        update_fields=["status", "reason", "pace", "in_hand", "heard_at"],
    )


def forget_all() -> None:
    """Whoever told of themselves is gone: this process is the only one that answers."""
    Worker.objects.all().delete()


def say_goodbye(name: str) -> None:
    Worker.objects.filter(name=name).delete()
    _names_here.discard(name)


def state(model: ChatModel) -> Slot:
    """How this model is, wherever it runs: ready as soon as one worker can answer with it."""
    if (here := pool.state(model)).status != "unused":
        return here
    rows = list(_others({model.engine_name, model.offer_name}))
    # A worker may be ready while its server refuses this one model.
    refused = {worker.name: worker for worker in rows if worker.engine == model.offer_name}
    told = [refused.get(worker.name, worker) for worker in rows if worker.engine == model.engine_name]
    found = {worker.status: Slot(cast(Status, worker.status), worker.reason) for worker in told}
    return found.get("ready") or found.get("loading") or found.get("failed") or here


def chat_places(engines: Iterable[str]) -> int | None:
    """How many people may chat at once with engines of which any may answer; None while none has been measured."""
    places: dict[str, int] = {}
    for engine, pace in _paces(engines):
        places[engine] = places.get(engine, 0) + CHATTERS_PER_REPLY * pace.replies_in_time()
    return min(places.values(), default=None)


def waited_for(model: ChatModel) -> TurnQuerySet:
    """The replies that people wait for from the engine that answers for this model."""
    if model.stands_alone or model.engine == ChatModel.Engine.SCRIPTED:
        served = ChatModel.objects.filter(key=model.key)
    else:
        served = ChatModel.objects.filter(engine=model.engine, base=model.base, stands_alone=False)
    return Turn.objects.open().filter(background=False, conversation__setup__chat_model__in=served)


def wait_seconds(engine: str, ahead: int, running: int) -> int | None:
    """About how long until a reply begins that has so many before it in the queue; None when nobody knows."""
    paces = [pace for _, pace in _paces([engine])]
    if not paces:
        return None
    rows = sum(pace.rows for pace in paces)
    before = ahead + 1 - (rows - running)
    if before <= 0:
        return 0
    # Replies that end in a second, all workers together.
    rate = sum(pace.rows / pace.reply_seconds(pace.rows) for pace in paces)
    return math.ceil(before / rate / 5) * 5


def _paces(engines: Iterable[str]) -> list[tuple[str, Pace]]:
    engines = list(engines)
    here = [(engine, pace) for engine in engines if (pace := capacity.pace_of(engine))]
    return here + [(worker.engine, Pace.heard(worker.pace)) for worker in _others(engines) if worker.pace]


def _others(engines: Iterable[str]) -> Iterable[Worker]:
    """Workers in other processes; of this one everything is known at first hand."""
    return Worker.objects.alive().filter(engine__in=list(engines)).exclude(name__in=_names_here)
