"""How work reaches whoever does it. A wake-up may get lost or come twice: the rows say what there is to do."""

import threading
from collections.abc import Collection
from functools import partial

from django.conf import settings
from django.db import transaction

from inference.local import LocalDispatcher
from inference.models import ChatModel

_local: LocalDispatcher | None = None


def wake(model: ChatModel) -> None:
    """Call once a row is written that waits for this model; it is heard when the transaction has been committed."""
    transaction.on_commit(partial(_wake, model.engine_name))


def warm() -> None:
    """Get ready to wake workers elsewhere, so that nobody's first message waits for it. Returns at once."""
    if _local is None and settings.REDIS_URL:
        from inference import tasks

        threading.Thread(target=tasks.warm, name="wake-ups", daemon=True).start()


def start(answers: Collection[str] | None = None) -> LocalDispatcher:
    """Answer turns in this process, until `stop`: those of the models with these keys, or all."""
    global _local
    if _local is None:
        _local = LocalDispatcher(answers=answers)
        _local.start()
    return _local


def is_running() -> bool:
    """Whether it is this process that answers."""
    return _local is not None


def stop(patience: float = 10.0) -> None:
    """Claim nothing more, let replies finish for so many seconds, give the others back."""
    global _local
    if _local is not None:
        _local.stop(patience)
        _local = None


def wake_here() -> None:
    if _local is not None:
        _local.wake()


def _wake(engine: str) -> None:
    if _local is not None:
        _local.wake()
    elif settings.REDIS_URL:
        from inference import tasks

        tasks.send(engine)
