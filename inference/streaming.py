"""A reply on its way to one browser, as server-sent events.

A stream holds no database connection: every look at the row opens one and closes it again.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from asgiref.sync import sync_to_async
from django.db import DatabaseError, connection
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from inference import workers
from inference.leases import LeaseState
from inference.live import START, EventId, LiveEvent, live
from inference.models import Turn

log = logging.getLogger(__name__)

HEARTBEAT = 15.0
# How often the row is looked at while nobody in this process is writing its reply.
LOOK_EVERY = 2.0
# No browser gets more than twenty events a second.
PAUSE = 0.05
# What the row says comes after everything that was streamed.
LAST = 999_999_999


@dataclass(frozen=True)
class Look:
    """What the row says: the state of the reply, and its place in the queue while it waits."""

    state: str
    attempts: int = 0
    text: str = ""
    ahead: int = 0
    seconds: int | None = None


async def event_stream(turn_code: str, last_event_id: str = "", locale: str = "en") -> AsyncIterator[bytes]:
    """Events `token reset queue final error` from where the browser stopped; it ends after `final` or `error`."""
    seen = EventId.read(last_event_id)
    looked = spoke = time.monotonic()
    told: Look | None = None
    is_noted = False
    yield b"retry: 1000\n\n"
    while True:
        is_writing = live.is_writing(turn_code)
        if events := await live.follow(turn_code, seen, LOOK_EVERY if is_writing or told else 0):
            for event in merged(events):
                if not is_noted and event.kind in ("token", "final"):
                    is_noted = note_first_bytes(turn_code)
                yield written(event.kind, event.text or failed_text(event.kind, locale), event.id)
            if events[-1].ends:
                return
            seen, spoke = events[-1].id, time.monotonic()
            await live.pause(turn_code, PAUSE)
            continue
        now = time.monotonic()
        if not is_writing or now - looked >= HEARTBEAT:
            try:
                look = await sync_to_async(look_at, thread_sensitive=False)(turn_code)
            except DatabaseError:
                # It is away for a moment; who listens need not know.
                await asyncio.sleep(LOOK_EVERY)
                continue
            if look.state == LeaseState.DONE:
                if not is_noted:
                    note_first_bytes(turn_code)
                yield written("final", look.text, EventId(look.attempts, LAST))
                return
            if look.state not in (LeaseState.QUEUED, LeaseState.RUNNING):
                yield written("error", failed_text("error", locale), EventId(look.attempts, LAST))
                return
            if look.state == LeaseState.QUEUED and look.seconds != 0 and look != told:
                yield written("queue", queue_text(look, locale), position=look.ahead + 1, seconds=look.seconds)
                spoke = now
            looked, told = now, look
        if now - spoke >= HEARTBEAT:
            yield b": still here\n\n"
            spoke = now


def note_first_bytes(turn_code: str) -> bool:
    """Have it written down that the reply is on its way out, by a thread that no stream waits for."""
    asyncio.get_running_loop().run_in_executor(None, first_bytes_sent, turn_code, timezone.now())
    return True


def first_bytes_sent(turn_code: str, at: datetime) -> None:
    try:
        Turn.objects.filter(code=turn_code, first_sent_at=None).update(first_sent_at=at)
    except DatabaseError as fault:
        log.warning("When a reply went out could not be written down: %s", fault)
    finally:
        connection.close()


def wait_for_end(turn_code: str, seconds: float) -> None:
    """Wait in a thread until a reply is finished or has failed, but no longer than this."""
    seen, end = START, time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and Turn.objects.open().filter(code=turn_code).exists():
        ended = False
        look_again = time.monotonic() + min(1.0, left)
        while not ended and (moment := look_again - time.monotonic()) > 0:
            if events := live.wait(turn_code, seen, moment):
                seen, ended = events[-1].id, events[-1].ends


def merged(events: Iterable[LiveEvent]) -> list[LiveEvent]:
    """Pieces of text that came together become one event, with the id of the last."""
    result = []
    for kind, group in groupby(events, key=lambda event: event.kind):
        run = list(group)
        result.append(LiveEvent(run[-1].id, kind, "".join(event.text for event in run)))
    return result


def written(kind: str, text: str, event_id: EventId | None = None, **data: int | None) -> bytes:
    lines = [f"id: {event_id}"] if event_id else []
    lines += [f"event: {kind}", f"data: {json.dumps({'text': text} | data)}"]
    return ("\n".join(lines) + "\n\n").encode()


def look_at(turn_code: str) -> Look:
    try:
        turn = Turn.objects.select_related("conversation__setup__chat_model").filter(code=turn_code).first()
        if turn is None:
            return Look("gone")
        if turn.state != LeaseState.QUEUED:
            return Look(turn.state, turn.attempts, turn.released or "")
        model = turn.conversation.answered_by.chat_model
        people = workers.waited_for(model)
        ahead = people.filter(state=LeaseState.QUEUED, pk__lt=turn.pk).count()
        running = people.being_made().count()
        return Look(turn.state, turn.attempts, "", ahead, workers.wait_seconds(model.engine_name, ahead, running))
    finally:
        connection.close()


def failed_text(kind: str, locale: str) -> str:
    """One wording for every fault and every arm."""
    if kind != "error":
        return ""
    with translation.override(locale):
        return _("This reply could not be made.")


def queue_text(look: Look, locale: str) -> str:
    with translation.override(locale):
        if look.seconds is None:
            return _("You are number %(position)d in the queue.") % {"position": look.ahead + 1}
        return _("You are number %(position)d in the queue: about %(seconds)d seconds.") % {
            "position": look.ahead + 1,
            "seconds": look.seconds,
        }
