"""That a page was served: written down a moment later, together with the others of that moment.

A rating that was acknowledged is still there after a power cut, and for that its commit waits for the disk. Nobody was
promised the note of a page that was merely looked at, so showing one does not write: when the process is killed, the
notes of the last moment are missing, and nothing else.
"""

import atexit
import logging
import threading
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from ratings.models import Event, Exposure, Visit
from ratings.models.answers import HAPPENED, SHOWN

MOMENT = 0.5  # seconds
# What waits while the database cannot be written to; beyond it the oldest are given up.
MOST_WAITING = 10_000

logger = logging.getLogger(__name__)


class Served(NamedTuple):
    visit: int
    at: datetime
    stage: str
    position: int | None
    # The exposure that it showed, where it was shown for the first time.
    exposure: int | None


class Notebook:
    """Notes that wait for their moment, and the thread that writes them."""

    def __init__(self) -> None:
        self._waiting: list[Served] = []
        self._changed = threading.Condition()
        self._writer: threading.Thread | None = None

    def add(self, note: Served) -> None:
        with self._changed:
            self._waiting.append(note)
            del self._waiting[:-MOST_WAITING]
            if self._writer is None or not self._writer.is_alive():
                self._writer = threading.Thread(target=self._write_on, name="served pages", daemon=True)
                self._writer.start()
            self._changed.notify()

    def flush(self) -> None:
        """Write what waits. Notes that could not be written wait for the next time."""
        with self._changed:
            notes, self._waiting = self._waiting, []
        if not notes:
            return
        try:
            write(notes)
        except DatabaseError as fault:
            logger.warning("%d notes of served pages wait: %s", len(notes), fault)
            with self._changed:
                self._waiting = notes + self._waiting

    def _write_on(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
            threading.Event().wait(MOMENT)
            try:
                self.flush()
            finally:
                connection.close()


notebook = Notebook()
atexit.register(notebook.flush)


def note_served(visit: Visit, stage: str, position: int | None = None, exposure: Exposure | None = None) -> None:
    """A page of the path was served. Inside a transaction, a preview's for instance, it is a part of that."""
    first_shown = exposure.pk if exposure is not None and exposure.shown_at is None else None
    note = Served(visit.pk, timezone.now(), stage, position, first_shown)
    if connection.in_atomic_block:
        _store([note])
    else:
        notebook.add(note)


def write(notes: Sequence[Served]) -> None:
    """Store notes at once, but for people who have withdrawn meanwhile: nothing is written about them any more."""
    with transaction.atomic():
        visits = Visit.objects.filter(pk__in={note.visit for note in notes})
        still_here = set(visits.select_for_update(of=("self",)).values_list("pk", flat=True))
        _store([note for note in notes if note.visit in still_here])


def _store(notes: Sequence[Served]) -> None:
    if notes:
        HAPPENED.rows([(note.visit, note.at, Event.Kind.SERVED, note.stage, note.position, {}) for note in notes])
    for note in notes:
        if note.exposure is not None:
            SHOWN.row(note.exposure, note.at)
