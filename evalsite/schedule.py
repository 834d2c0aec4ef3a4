"""What happens from time to time, and how often: for Celery beat, or the thread of the one-process installation."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from django.contrib.sessions.backends.db import SessionStore
from django.db import connection, connections

from evalsite import backups
from inference import operations
from ratings import chatting, enrolment
from ratings.models import Study

log = logging.getLogger(__name__)


def give_back_stale_places() -> None:
    """Places of people who went away are free for others again."""
    for study in Study.objects.open_to_people():
        enrolment.give_back_stale(study)


def clear_expired_logins() -> None:
    SessionStore.clear_expired()


@dataclass
class Entry:
    work: Callable[[], object]
    every: timedelta
    # At once at the start.
    due: float = field(init=False, default=0.0)

    @property
    def name(self) -> str:
        return self.work.__name__


def entries() -> list[Entry]:
    """Copies are of SQLite's file; a PostgreSQL server has its own means, which `docs/production.md` names."""
    copies = [Entry(backups.copy_of_the_day, every=timedelta(days=1))] if connection.vendor == "sqlite" else []
    return [
        Entry(give_back_stale_places, every=timedelta(minutes=1)),
        Entry(chatting.warm_models, every=timedelta(seconds=10)),
        Entry(operations.look_after_workers, every=timedelta(seconds=12)),
        *copies,
        Entry(clear_expired_logins, every=timedelta(days=1)),
    ]


class LocalSchedule:
    """A thread that does what is due. What fails is logged and comes again at its next time."""

    def __init__(self, work: list[Entry] | None = None):
        self.entries = entries() if work is None else work
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="schedule", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, patience: float = 5.0) -> None:
        self._stopping.set()
        self._thread.join(patience)

    def _run(self) -> None:
        while not self._stopping.is_set():
            for entry in self.entries:
                if entry.due <= time.monotonic() and not self._stopping.is_set():
                    do(entry)
            soonest = min((entry.due for entry in self.entries), default=float("inf"))
            self._stopping.wait(min(60.0, max(0.0, soonest - time.monotonic())))
        connections.close_all()


def do(entry: Entry) -> None:
    try:
        entry.work()
    except Exception:  # noqa: BLE001 - one entry's fault must not end the others
        log.exception("%s failed; it is tried again in %s.", entry.name, entry.every)
    finally:
        entry.due = time.monotonic() + entry.every.total_seconds()
