"""Answers turns in this process: in the only one of a quickstart, or in a worker that Celery wakes."""

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from secrets import token_hex

from django.db import DatabaseError, connection

from inference import answering, heartbeat, workers
from inference.engines.base import Engine, Failure, FailureKind
from inference.leases import SWEEP_EVERY
from inference.models import Turn
from inference.pool import ModelUnavailable, Pool, Status, pool

log = logging.getLogger(__name__)

# Slots that replies made in advance leave free, so that a person never waits for one of them to end.
KEPT_FOR_PEOPLE = 2
LOOK_AHEAD = 200


class LocalDispatcher:
    """A thread that hands open turns to threads of their own, which only wait for the engine.

    It looks when it is woken and every SWEEP_EVERY seconds, so a lost wake-up costs two seconds at most, and what a
    killed process left behind is taken up once its lease has run out.
    """

    def __init__(self, engines: Pool = pool, answers: Collection[str] | None = None):
        self.worker = f"local-{os.getpid()}-{token_hex(4)}"
        self._engines = engines
        self._answers = answers  # keys of chat models; None: whatever is asked for
        self._changed = threading.Condition()
        self._woken = self._stopping = False
        # Whose engine is done, and shown still, holds no slot: None.
        self._in_hand: dict[int, tuple[Engine | None, bool]] = {}
        self._told: dict[str, Status] = {}
        self._told_at = 0.0
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def stop(self, patience: float = 10.0) -> None:
        """Claim nothing more, let replies finish for so many seconds, then give the others back."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()
        with self._changed:
            self._changed.wait_for(lambda: not self._in_hand, timeout=patience)
        for work in answering.keeper.works_of(self.worker):
            work.stop()
        connection.close()

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._hand_out()
                self._tell()
                self._beat()
            except Exception:
                log.exception("The dispatcher could not look for work; it looks again.")
                # A connection that broke stays broken.
                connection.close()
            with self._changed:
                self._changed.wait_for(lambda: self._woken or self._stopping, timeout=SWEEP_EVERY)
                self._woken = False
        with suppress(DatabaseError):
            workers.say_goodbye(self.worker)
        connection.close()

    def _tell(self) -> None:
        """Say that this worker lives, and how its engines are: at once when that has changed."""
        slots = self._engines.slots() | self._engines.refused()
        states = {engine: slot.status for engine, slot in slots.items()}
        if states != self._told or time.monotonic() - self._told_at > workers.TELL_EVERY:
            with self._changed:
                in_hand = Counter(engine for engine, _ in self._in_hand.values())
            by_name = {name: in_hand[slot.engine] for name, slot in slots.items() if slot.engine}
            workers.tell(self.worker, slots, by_name)
            self._told, self._told_at = states, time.monotonic()

    def _beat(self) -> None:
        """All is well: this thread gets round, the database answers, and so can every model."""
        slots = self._engines.slots().values()
        if slots and all(slot.status == "ready" for slot in slots):
            heartbeat.beat()

    def _hand_out(self) -> None:
        with self._changed:
            taken = list(self._in_hand)
        turns = Turn.objects.claimable()
        if self._answers is not None:
            turns = turns.filter(conversation__setup__chat_model__key__in=self._answers)
        waiting = (
            turns.in_order_of_service()
            .exclude(pk__in=taken)
            .select_related("conversation__setup__chat_model")
            .only("background", "conversation__setup__chat_model")[:LOOK_AHEAD]
        )
        for turn in waiting:
            try:
                engine = self._engines.engine_for(turn.conversation.answered_by.chat_model)
            except ModelUnavailable as problem:
                # People are told, or wait for a server that is away; replies made in advance wait in any case.
                if not turn.background:
                    kind: FailureKind = "unavailable" if problem.is_away else "refused"
                    answering.refuse(turn.pk, self.worker, Failure(kind, str(problem)))
                continue
            if engine and self._has_a_slot(engine, turn.background):
                self._begin(turn.pk, engine, turn.background)

    def _has_a_slot(self, engine: Engine, background: bool) -> bool:
        with self._changed:
            rows = Counter(is_background for running, is_background in self._in_hand.values() if running is engine)
        if not background:
            return rows.total() < engine.capacity()
        # While people chat, replies in advance are made one at a time.
        most = 1 if rows[False] else max(1, engine.capacity() - KEPT_FOR_PEOPLE)
        return rows[True] < most and rows.total() < engine.capacity()

    def _begin(self, pk: int, engine: Engine, background: bool) -> None:
        with self._changed:
            self._in_hand[pk] = engine, background
        threading.Thread(target=self._answer, args=(pk, engine), name=f"turn-{pk}", daemon=True).start()

    def _free(self, pk: int) -> None:
        """Let the next reply have the slot."""
        with self._changed:
            if taken := self._in_hand.get(pk):
                self._in_hand[pk] = None, taken[1]
                self._woken = True
                self._changed.notify_all()

    def _answer(self, pk: int, engine: Engine) -> None:
        try:
            answering.answer(pk, self.worker, engine, when_computed=lambda: self._free(pk))
        except Exception:
            # The turn is open still, or closed as failed; the others go on.
            log.exception("Turn %s could not be answered.", pk)
            time.sleep(0.1)
        finally:
            connection.close()
            with self._changed:
                del self._in_hand[pk]
                self._woken = True
                self._changed.notify_all()
