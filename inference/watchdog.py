"""Notices an engine that hangs: one step of its thread does not come back, so nobody it answers gets another word.

A stuck thread cannot be stopped from inside. A worker of its own ends its process, and whoever keeps the processes
running starts it again; the quickstart, which also serves pages, sets the engine aside and says why.
"""

import faulthandler
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress

from django.conf import settings
from django.db import DatabaseError, connection

from inference import answering
from inference.engines.base import Engine, Failure
from inference.pool import Pool, pool

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0  # seconds
# A call into the driver may keep even this thread from running; then C code ends the process, after so long.
NOTHING_RUNS = 60.0  # seconds
# For giving turns back before the end; those that are not become free when their leases run out.
LAST_WORDS = 2.0  # seconds
HUNG = 70  # the exit status of a worker whose engine hangs
STDERR = 2  # itself: what stands in for it may not reach it

WhenHung = Callable[[str, Engine, str], None]


class Watchdog:
    def __init__(self, when_hung: WhenHung, engines: Pool = pool, patience: float | None = None):
        self._when_hung, self._engines = when_hung, engines
        self._patience = settings.STALLED_AFTER if patience is None else patience
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def look(self) -> None:
        for name, slot in self._engines.slots().items():
            if slot.engine and slot.engine.stalled_for() > self._patience:
                reason = f"The engine hangs: it has had work and given no sign of life for {self._patience:g} seconds."
                self._when_hung(name, slot.engine, reason)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY):
            try:
                self.look()
            except Exception:
                log.exception("The watchdog could not look; it looks again.")
        connection.close()


class ProcessWatchdog(Watchdog):
    """For a worker: ends its process, also when not even the watchdog can run."""

    def __init__(self, engines: Pool = pool, patience: float | None = None):
        super().__init__(end_this_process, engines, patience)

    def look(self) -> None:
        super().look()
        faulthandler.dump_traceback_later(NOTHING_RUNS, exit=True, file=STDERR)

    def stop(self) -> None:
        super().stop()
        faulthandler.cancel_dump_traceback_later()


def end_this_process(name: str, engine: Engine, reason: str) -> None:
    log.error("%s: %s This process ends, to be started again; where its threads are follows.", name, reason)
    faulthandler.dump_traceback(file=STDERR)
    # The database may be away as well, and must not keep us.
    giving_back = threading.Thread(target=give_turns_back, args=(engine, reason), daemon=True)
    giving_back.start()
    giving_back.join(LAST_WORDS)
    os._exit(HUNG)


def set_engine_aside(name: str, engine: Engine, reason: str, engines: Pool = pool) -> None:
    """People are told, arrivals wait, and after a while the model is loaded anew."""
    log.error("%s: %s", name, reason)
    engines.give_up(name, engine, reason)
    give_turns_back(engine, reason)
    engine.close()


def give_turns_back(engine: Engine, reason: str) -> None:
    """Each has had its try: a message that hangs engines must not do so for ever."""
    try:
        for work in answering.keeper.works_with(engine):
            with suppress(DatabaseError):
                work.fail(Failure("deadline", reason))
    finally:
        connection.close()
