"""One try at a reply: claim the turn, ask the engine, let out what may be shown, and finish it once.

The turn's row decides who may answer. Whoever lost it, by stalling or by being stopped, changes nothing any more.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from queue import SimpleQueue
from random import uniform
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Min
from django.utils import timezone

from inference import capacity
from inference.engines.base import Engine, Event, Failure, Final, GenRequest, Message, Sampling, Timings, Token
from inference.leases import RENEW_EVERY, LeaseState
from inference.live import live
from inference.models import Attempt, ChatModel, Turn
from inference.pool import pool
from inference.release import Mask, Pace, Release

log = logging.getLogger(__name__)

# After a hung engine was told to stop, the turn is taken from it this much later.
GRACE = 3.0
# Workers that were lost with a turn say nothing against it, up to so many: it may be what kills them.
LOST_FOR_NOTHING = 3
# What failed is tried again after 1, 2, 4 seconds and so on, but never later than this.
LONGEST_WAIT = 15.0


def answer(turn_pk: int, worker: str, engine: Engine, when_computed: Callable[[], None] | None = None) -> None:
    """Try to answer a turn. Safe to call twice or never: the row says who may, and how often.

    `when_computed` is called where a reply is still being shown while its engine is free for the next.
    """
    if work := claim(turn_pk, worker, engine):
        work.when_computed = when_computed
        with keeper.holding(work):
            work.run(engine)


def refuse(turn_pk: int, worker: str, failure: Failure) -> None:
    """Fail a turn that no engine here can take."""
    if work := claim(turn_pk, worker, None):
        work.fail(failure)


def claim(turn_pk: int, worker: str, engine: Engine | None) -> "Work | None":
    with transaction.atomic():
        turns = Turn.objects.select_for_update(of=("self",)).select_related("conversation__setup__chat_model")
        turn = turns.filter(pk=turn_pk).first()
        if turn is None or (attempt := Turn.objects.claim(turn_pk, worker, turn.attempts, computed_at=None)) is None:
            return None
        if turn.attempts and not turn.tries.filter(number=turn.attempts).exists():
            # Its worker was killed or has stalled: this is all that is known of that try.
            _record(turn, turn.attempts, turn.worker, turn.claimed_at, outcome="lost")
            if turn.tries.filter(outcome="lost").count() <= LOST_FOR_NOTHING:
                turn.attempts_allowed += 1
                turn.save(update_fields=["attempts_allowed"])
    work = Work(turn, attempt, worker, engine)
    if attempt > turn.attempts_allowed:
        work.fail(Failure("engine", "Every worker that tried this turn was lost."))
        return None
    return work


class Work:
    """One attempt, while it lasts."""

    def __init__(self, turn: Turn, attempt: int, worker: str, engine: Engine | None):
        self.turn, self.attempt, self.worker, self.engine = turn, attempt, worker, engine
        self.setup, self.policy = turn.conversation.answered_by, turn.conversation.policy
        self.claimed_at, self._claimed = timezone.now(), time.monotonic()
        # An empty reply is tried once more with the next seed; every other retry repeats the draw.
        self.emptied = turn.tries.filter(outcome="empty").count() if attempt > 1 else 0
        self.seed = turn.seed + self.emptied
        self.first_token_at: Any = None
        self._asked = 0.0
        self._releases: list[tuple[float, int]] = []
        self._shown: list[str] = []
        self.is_closed = False
        # Nobody waits for a reply that is made in advance, so it is never paced.
        pace = None if turn.background else self.policy.get("pace")
        self._pace = Pace(pace, self.policy["release"]) if pace else None
        # A clock of another machine may be ahead.
        self._sent = self._claimed - max(0.0, (self.claimed_at - turn.asked_at).total_seconds())
        self._cut = threading.Event()
        self._is_cut_off = False
        self.computed: float | None = None  # the age at which the engine of a paced reply was done
        self.when_computed: Callable[[], None] | None = None

    @property
    def key(self) -> str:
        return f"{self.turn.code}-{self.attempt}"

    @property
    def age(self) -> float:
        """Seconds since the claim."""
        return time.monotonic() - self._claimed

    def run(self, engine: Engine) -> None:
        if not self.turn.background:
            live.begin(self.turn.code, self.attempt)
        try:
            self._follow(engine)
        except Exception:
            self.fail(Failure("engine", "A fault in the worker."))
            raise

    def fail(self, failure: Failure) -> None:
        """Give the turn back for another try, or close it as failed when no more are due."""
        waits = failure.kind == "unavailable" and self._may_wait()
        again = waits or (
            failure.retryable
            and failure.kind != "unavailable"
            and self.attempt < self.turn.attempts_allowed
            and not (failure.kind == "empty" and self.emptied)
        )
        log.log(
            logging.ERROR if failure.kind == "refused" else logging.WARNING,
            "Turn %s, attempt %s: %s: %s",
            self.turn.pk,
            self.attempt,
            failure.kind,
            failure.message,
            extra={
                "turn": self.turn.pk,
                "attempt": self.attempt,
                "worker": self.worker,
                "model": self.setup.chat_model.key,
                "failure": failure.kind,
            },
        )
        self.is_closed = True
        self._cut.set()
        with transaction.atomic():
            if again:
                # Waiting for a server that is busy or away is no attempt used up.
                free = {"attempts_allowed": F("attempts_allowed") + 1} if waits else {}
                held = Turn.objects.give_back(self.turn.pk, self.attempt, self._next_try(failure), **free)
            else:
                held = Turn.objects.finish(self.turn.pk, self.attempt, LeaseState.FAILED, failure=failure.kind)
            self._record(failure.kind, prompt_ids=failure.prompt_ids, output_ids=failure.output_ids)
        if held and not again and not self.turn.background:
            live.append(self.turn.code, self.attempt, "error", "")
        if failure.kind == "refused" and self.setup.chat_model.engine == ChatModel.Engine.OPENAI:
            self._leave_the_model_alone(failure.message)

    def _leave_the_model_alone(self, reason: str) -> None:
        """Nobody new is sent to a model that its server refuses; it is tried again after a while."""
        if self.engine:
            pool.refuse(self.setup.chat_model, self.engine, reason)

    def stop(self) -> None:
        """Let go of the turn because this process ends; that is nobody's failure, so it costs no attempt."""
        self.is_closed = True
        with transaction.atomic():
            Turn.objects.give_back(self.turn.pk, self.attempt, attempts_allowed=F("attempts_allowed") + 1)
            self._record("stopped")
        self.cancel()

    def cancel(self) -> None:
        self._cut.set()
        if self.engine:
            self.engine.cancel(self.key)

    def _follow(self, engine: Engine) -> None:
        release = Release(self.policy["release"], Mask([*self.setup.chat_model.names, *self.policy["mask"]]))
        request, self._asked = self.request(), self.age
        events = engine.submit(request)
        for event in self._read_ahead(events) if self._pace else events:
            if isinstance(event, Token):
                if self.first_token_at is None:
                    self.first_token_at = timezone.now()
                self._show(release.feed(event.text))
            elif isinstance(event, Failure):
                self.fail(event)
            elif event.finish_reason == "cancelled":
                # Nobody but us cancels: this process ends, the first token was late, or the turn is not ours any more.
                if not self.is_closed:
                    self.fail(Failure("deadline", "The first word did not come in time."))
            elif not event.text.strip():
                self.fail(Failure("empty", "The reply is empty.", None, event.prompt_ids, event.output_ids))
            else:
                self._show(release.finish(cut_off=event.finish_reason == "length"), finished=True)
                self._finish(event)

    def _read_ahead(self, events: Iterator[Event]) -> Iterator[Event]:
        """The engine's events, taken from it as soon as they are there: how slowly they are shown is no matter of its.

        A failure is told at once, whatever is yet to be shown.
        """
        ahead: SimpleQueue[Event | Exception | None] = SimpleQueue()

        def read() -> None:
            try:
                for event in events:
                    if not isinstance(event, Token):
                        self.computed = self.age
                    if isinstance(event, Failure):
                        self._cut.set()
                    ahead.put(event)
            except Exception as problem:  # noqa: BLE001  raised again by whoever waits
                self._cut.set()
                ahead.put(problem)
            else:
                ahead.put(None)
            if self.when_computed:
                self.when_computed()
            self._note_computed()

        reader = threading.Thread(target=read, name=f"engine-{self.key}", daemon=True)
        reader.start()
        while (event := ahead.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event
        reader.join(timeout=5.0)  # it only writes down by now that it is done

    def _note_computed(self) -> None:
        """Tell other processes as well that its engine is free, so that nobody is told to wait for it."""
        try:
            Turn.objects.held(self.turn.pk, self.attempt).update(computed_at=timezone.now())
        except DatabaseError as fault:
            log.warning("That a reply is made could not be written down: %s", fault)
        finally:
            connection.close()

    def request(self) -> GenRequest:
        earlier = self.turn.conversation.turns.filter(index__lt=self.turn.index).order_by("index")
        messages: list[Message] = [{"role": "system", "content": self.setup.system}]
        messages += [_message(turn) for turn in earlier]
        return GenRequest(
            key=self.key,
            messages=messages,
            sampling=Sampling(**self.setup.sampling),
            stop=tuple(self.setup.stops),
            seed=self.seed,
            variant=self.setup.chat_model.variant,
            deadline=self._claimed + self.policy["turn_s"],
            # A reply made in advance has no turn after it.
            conversation="" if self.turn.background else self.turn.conversation.code,
        )

    def _show(self, pieces: list[str], finished: bool = False) -> None:
        for due, piece in self._pace.feed(pieces, finished) if self._pace else [(0.0, piece) for piece in pieces]:
            if self._pace and self._cut.wait(max(0.0, self._sent + due - time.monotonic())):
                self._is_cut_off = True
                return
            self._shown.append(piece)
            self._releases.append((round(self.age, 3), len(piece)))
            if not self.turn.background:
                live.append(self.turn.code, self.attempt, "token", piece)

    def _finish(self, final: Final) -> None:
        if self._is_cut_off:
            # What was shown of it is not the reply.
            if not self.is_closed:
                message = "It was cut off before all of it was shown."
                self.fail(Failure("deadline", message, None, final.prompt_ids, final.output_ids))
            return
        released = "".join(self._shown).strip()
        self.is_closed = True
        with transaction.atomic():
            held = Turn.objects.finish(
                self.turn.pk,
                self.attempt,
                LeaseState.DONE,
                text=final.text,
                released=released,
                finish_reason=final.finish_reason,
                failure="",
            )
            self._record(
                "done" if held else "lost",
                prompt_ids=final.prompt_ids,
                output_ids=final.output_ids,
                batch_size=final.batch_size,
                batch_mean=round(final.batch_mean, 2),
                cached_tokens=final.cached_tokens,
                seconds=self._seconds(final.timings),
                server=final.details,
                **_counts_told(final),
            )
        if held:
            self._tell(final.tokens)
            seconds = self.age if self.computed is None else self.computed
            capacity.note(self.setup.chat_model.engine_name, final.tokens, seconds, final.batch_mean)
            if not self.turn.background:
                live.append(self.turn.code, self.attempt, "final", released)

    def _record(
        self, outcome: str, prompt_ids: tuple[int, ...] = (), output_ids: tuple[int, ...] = (), **more: Any
    ) -> None:
        model = self.setup.chat_model
        engine = self.engine.describe() if self.engine else None
        # Of all adapters that the engine serves, the one that spoke here.
        adapter = engine.pop("adapters", {}).get(model.variant) if engine else None
        provenance = {
            "model": model.key,
            "revision": model.revision,
            "setup": self.setup.digest,
            "sampling": asdict(Sampling()) | self.setup.sampling,
            "stops": self.setup.stops,
            "engine": engine,
            "adapter": adapter,
            "host": settings.HOST_LABEL,
            "queued_s": round((self.claimed_at - self.turn.asked_at).total_seconds(), 3),
            "releases": self._releases,
            "prompt_tokens": len(prompt_ids),
            "tokens": len(output_ids),
            **more,
        }
        _record(
            self.turn,
            self.attempt,
            self.worker,
            self.claimed_at,
            outcome=outcome,
            seed=self.seed,
            first_token_at=self.first_token_at,
            finished_at=timezone.now(),
            prompt_ids=list(prompt_ids),
            output_ids=list(output_ids),
            provenance=provenance,
        )

    def _tell(self, tokens: int) -> None:
        first = (self.first_token_at - self.claimed_at).total_seconds() if self.first_token_at else None
        fields = {"turn": self.turn.pk, "attempt": self.attempt, "worker": self.worker, "tokens": tokens}
        fields |= {"model": self.setup.chat_model.key, "first_token_s": first, "total_s": round(self.age, 3)}
        log.info(
            "Turn %s, attempt %s: %s tokens in %.2f s.", self.turn.pk, self.attempt, tokens, self.age, extra=fields
        )

    def _seconds(self, timings: Timings) -> dict[str, float]:
        """When what happened in the engine, in seconds since the claim."""
        asked = self._asked
        moments = {"asked": asked, "started": asked + timings.started, "first_token": asked + timings.first_token}
        moments |= {"last_token": asked + timings.total, "total": self.age}
        return {name: round(seconds, 4) for name, seconds in moments.items()}

    def _next_try(self, failure: Failure) -> Any:
        if failure.kind == "empty":
            return None
        seconds = failure.retry_after
        if seconds is None:
            # Attempts that cost nothing may be many.
            seconds = min(LONGEST_WAIT, 2.0 ** min(10, self.attempt - 1))
            if failure.kind == "unavailable":
                # Those who wait for the same server do not all come back at the same moment.
                seconds *= uniform(0.5, 1.0)
        return timezone.now() + timedelta(seconds=seconds)

    def _may_wait(self) -> bool:
        """Whether the turn is younger, since its first claim, than one reply may take."""
        first = self.turn.tries.aggregate(at=Min("claimed_at"))["at"] or self.claimed_at
        return timezone.now() - first < timedelta(seconds=self.policy["turn_s"])


def _message(turn: Turn) -> Message:
    is_reply = turn.role == Turn.Role.ASSISTANT
    return {"role": "assistant" if is_reply else "user", "content": turn.text or ""}


def _counts_told(final: Final) -> dict[str, int]:
    """How many tokens a server counted, which shows none of them; nothing where the tokens themselves are known."""
    usage = final.details.get("usage") or {}
    return {} if final.output_ids else {"prompt_tokens": usage.get("prompt_tokens") or 0, "tokens": final.tokens}


def _record(turn: Turn, number: int, worker: str, claimed_at: Any, outcome: str, **fields: Any) -> None:
    """Write an attempt down, once: a late worker does not write over what has been recorded of it."""
    if not Turn.objects.filter(pk=turn.pk).exists():
        return  # the participant left meanwhile and had everything deleted
    fields.setdefault("seed", turn.seed)
    Attempt.objects.bulk_create(
        [Attempt(turn=turn, number=number, worker=worker, claimed_at=claimed_at, outcome=outcome, **fields)],
        ignore_conflicts=True,
    )


class Keeper:
    """Renews the leases of everything this process works on, in one statement, from a thread of its own.

    The thread lives while there is something to keep.
    """

    def __init__(self):
        self._works: set[Work] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._idle = threading.Event()

    @contextmanager
    def holding(self, work: Work) -> Iterator[None]:
        with self._lock:
            self._works.add(work)
            if self._thread is None:
                self._idle.clear()
                self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._works.discard(work)
                if not self._works:
                    self._idle.set()

    def works_of(self, worker: str) -> list[Work]:
        with self._lock:
            return [work for work in self._works if work.worker == worker]

    def works_with(self, engine: Engine) -> list[Work]:
        with self._lock:
            return [
                work for work in self._works if work.engine is engine and work.computed is None and not work.is_closed
            ]

    def _run(self) -> None:
        while True:
            self._idle.wait(RENEW_EVERY)
            with self._lock:
                works = list(self._works)
                if not works:
                    self._thread = None
                    break
                self._idle.clear()
            try:
                self.renew(works)
            except Exception:
                # Whatever it is, this thread goes on: without it every reply of this process would be lost.
                log.exception("Leases could not be renewed; trying again.")
                # A connection that broke stays broken.
                connection.close()
        connection.close()

    def renew(self, works: list[Work]) -> None:
        works = [work for work in works if not work.is_closed]
        for work in works:
            if work.computed is not None:
                continue  # it is being shown, in its own time
            late = work.first_token_at is None and work.age > work.policy["first_token_s"]
            if late:
                work.cancel()
            if work.age > (work.policy["first_token_s"] if late else work.policy["turn_s"]) + GRACE:
                work.fail(Failure("deadline", "The engine gave no sign of life."))
        kept = Turn.objects.renew_all({work.turn.pk: work.attempt for work in works})
        for work in works:
            if work.turn.pk not in kept:
                work.cancel()


keeper = Keeper()
