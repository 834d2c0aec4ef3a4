"""How work reaches whoever does it. A wake-up may get lost or come twice: the rows say what there is to do."""

from django.db import transaction

from inference.local import LocalDispatcher

_local: LocalDispatcher | None = None


def wake() -> None:
    """Call once a row that somebody waits for is written; it is heard when the transaction has been committed."""
    transaction.on_commit(_wake)


def start() -> LocalDispatcher:
    """Answer turns in this process, until `stop`."""
    global _local
    if _local is None:
        _local = LocalDispatcher()
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


def _wake() -> None:
    # Without a dispatcher here (a command, a page process) the sweep of the one elsewhere finds the row.
    if _local is not None:
        _local.wake()
