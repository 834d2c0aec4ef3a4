"""Replies shown at the same pace in all arms, however quick their engines are."""

import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import pytest
from django.db import connections

from inference import answering, capacity, conversations
from inference.engines.base import Failure
from inference.engines.scripted import Script, ScriptedEngine
from inference.engines.stored import StoredEngine
from inference.live import live
from inference.models import Turn
from inference.release import Pace
from inference.streaming import look_at

pytestmark = pytest.mark.django_db(transaction=True)
TEXT = "That sounds hard. I am here. Do you want to tell me more?"
# The second sentence is due in a minute.
SLOWLY = 3


@pytest.fixture(autouse=True)
def begins_soon(monkeypatch):
    monkeypatch.setattr(answering, "Pace", partial(Pace, delay=0.1))


@pytest.fixture
def ask(open_conversation):
    def say(**policy):
        return conversations.say(open_conversation(**policy), "I cannot sleep.", 0)

    return say


def shown(reply):
    return "".join(event.text for event in live.read(reply.code) if event.kind == "token")


def until(holds):
    end = time.monotonic() + 5
    while time.monotonic() < end and not holds():
        time.sleep(0.01)
    assert holds()


@contextmanager
def being_shown(reply, engine):
    """The work on this reply in another thread, after its engine is done and its first words were shown."""

    def work():
        answering.answer(reply.pk, "w1", engine)
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    end = time.monotonic() + 5
    while time.monotonic() < end and not shown(reply):
        time.sleep(0.01)
    (held,) = answering.keeper.works_of("w1")
    yield held
    thread.join(timeout=5)
    assert not thread.is_alive()
    reply.refresh_from_db()


def first_sentence_at_once(monkeypatch):
    monkeypatch.setattr(answering, "Pace", partial(Pace, delay=-3 * 60 / SLOWLY))


@pytest.mark.parametrize("release", ["token", "sentence", "whole"])
def test_a_fast_a_slow_and_a_stored_arm_look_alike(ask, monkeypatch, release):
    schedules = []

    class Noted(Pace):
        def feed(self, pieces, finished=False):
            due = super().feed(pieces, finished)
            schedules[-1].extend(due)
            return due

    monkeypatch.setattr(answering, "Pace", partial(Noted, delay=0.1))
    for engine in (
        ScriptedEngine([TEXT]),
        ScriptedEngine([Script(TEXT, pace=0.01)]),
        StoredEngine(lambda request: TEXT, pace=0.005),
    ):
        schedules.append([])
        reply = ask(pace=2400, release=release)
        answering.answer(reply.pk, "w1", engine)
        reply.refresh_from_db()
        assert (reply.state, reply.released) == ("done", TEXT)
        provenance = reply.tries.get().provenance
        moments = [seconds + provenance["queued_s"] for seconds, _ in provenance["releases"]]
        assert len(moments) == len(schedules[-1])
        assert all(at >= due - 0.01 for at, (due, _) in zip(moments, schedules[-1], strict=True))

    assert schedules[0] == schedules[1] == schedules[2]


def test_the_last_word_comes_before_the_end(ask):
    reply = ask(pace=6000)

    answering.answer(reply.pk, "w1", ScriptedEngine([TEXT]))

    events = live.read(reply.code)
    assert [event.kind for event in events] == ["token", "token", "token", "final"]
    assert "".join(event.text for event in events[:-1]) == TEXT


def test_the_engine_is_free_before_anything_is_shown(ask):
    reply = ask(pace=1200)
    shown_by_then = []

    answering.answer(reply.pk, "w1", ScriptedEngine([TEXT]), when_computed=lambda: shown_by_then.append(shown(reply)))

    assert shown_by_then == [""]


def test_the_engine_s_speed_is_learnt_and_not_the_pace(ask, monkeypatch):
    noted = []
    monkeypatch.setattr(answering.capacity, "note", lambda key, tokens, seconds, rows: noted.append(seconds))
    monkeypatch.setattr(answering, "Pace", partial(Pace, delay=0.5))

    answering.answer(ask(pace=6000).pk, "w1", ScriptedEngine([TEXT]))

    assert noted[0] < 0.4


def test_without_a_pace_nothing_waits(ask, monkeypatch):
    monkeypatch.setattr(answering, "Pace", None)

    reply = ask()
    answering.answer(reply.pk, "w1", ScriptedEngine([TEXT]))

    reply.refresh_from_db()
    assert reply.released == TEXT


def test_what_is_made_in_advance_is_never_paced(ask):
    reply = ask(pace=1)
    Turn.objects.filter(pk=reply.pk).update(background=True)

    answering.answer(reply.pk, "w1", ScriptedEngine([TEXT]))

    reply.refresh_from_db()
    assert reply.state == "done"


def test_stopping_while_it_is_shown_gives_it_back_whole(ask, monkeypatch):
    first_sentence_at_once(monkeypatch)
    reply = ask(pace=SLOWLY)

    with being_shown(reply, ScriptedEngine([TEXT])) as work:
        work.stop()

    assert (reply.state, reply.text, reply.attempts_allowed) == ("queued", None, 4)
    assert list(reply.tries.values_list("outcome", flat=True)) == ["stopped"]
    assert [event.kind for event in live.read(reply.code)] == ["token"]


def test_whoever_loses_the_turn_while_it_is_shown_says_no_more(ask, monkeypatch):
    first_sentence_at_once(monkeypatch)
    reply = ask(pace=SLOWLY)

    with being_shown(reply, ScriptedEngine([TEXT])) as work:
        Turn.objects.filter(pk=reply.pk).update(attempts=2, worker="w2")
        answering.keeper.renew([work])

    assert (reply.state, reply.attempts, reply.worker, reply.text) == ("running", 2, "w2", None)
    assert [event.kind for event in live.read(reply.code)] == ["token"]


def test_no_deadline_holds_for_what_is_only_being_shown(ask, monkeypatch):
    first_sentence_at_once(monkeypatch)
    reply = ask(pace=SLOWLY)

    with being_shown(reply, ScriptedEngine([TEXT])) as work:
        work._claimed -= 10_000
        answering.keeper.renew([work])
        is_still_shown = not work.is_closed
        hung = answering.keeper.works_with(work.engine)
        work.stop()

    assert is_still_shown
    assert hung == []


def test_a_failure_is_told_while_the_rest_would_still_be_shown(ask, monkeypatch):
    first_sentence_at_once(monkeypatch)
    reply = ask(pace=SLOWLY)

    answering.answer(
        reply.pk, "w1", ScriptedEngine([Script(TEXT, failure=Failure("engine", "It broke."), fail_after=9)])
    )

    reply.refresh_from_db()
    assert (reply.state, reply.text) == ("queued", None)
    assert list(reply.tries.values_list("outcome", flat=True)) == ["engine"]


def test_a_fault_of_the_engine_s_own_ends_it_too(ask):
    class Broken(ScriptedEngine):
        def _perform(self, *args):
            raise KeyError("adapter")
            yield

    reply = ask(pace=SLOWLY)

    with pytest.raises(KeyError):
        answering.answer(reply.pk, "w1", Broken())

    reply.refresh_from_db()
    assert reply.state == "queued"


def test_a_second_try_catches_up_with_the_first(ask, monkeypatch):
    monkeypatch.setattr(answering, "Pace", partial(Pace, delay=30.0))
    reply = ask(pace=6000)
    Turn.objects.filter(pk=reply.pk).update(created_at=reply.created_at - answering.timedelta(seconds=40))

    answering.answer(reply.pk, "w1", ScriptedEngine([TEXT]))

    reply.refresh_from_db()
    assert reply.tries.get().provenance["releases"][-1][0] < 20


def test_a_reply_that_is_only_being_shown_keeps_no_engine_busy(ask, monkeypatch):
    first_sentence_at_once(monkeypatch)
    reply = ask(pace=SLOWLY)

    with being_shown(reply, ScriptedEngine([TEXT])) as work:
        until(lambda: not Turn.objects.being_made().exists())
        state = Turn.objects.get(pk=reply.pk).state
        work.stop()

    assert state == "running"


def test_what_is_being_made_keeps_its_engine_busy(ask):
    busy = []
    reply = ask(pace=1200)

    def look(request):
        busy.append(Turn.objects.being_made().count())
        return TEXT

    answering.answer(reply.pk, "w1", ScriptedEngine(look))

    assert busy == [1]


def test_a_further_try_keeps_its_engine_busy_again(ask, monkeypatch):
    first_sentence_at_once(monkeypatch)
    reply = ask(pace=SLOWLY)
    with being_shown(reply, ScriptedEngine([TEXT])) as work:
        until(lambda: not Turn.objects.being_made().exists())
        work.stop()

    answering.claim(reply.pk, "w2", None)

    assert Turn.objects.being_made().count() == 1


def test_nobody_is_told_to_wait_for_replies_that_are_only_being_shown(ask, monkeypatch):
    first_sentence_at_once(monkeypatch)
    monkeypatch.setattr(capacity, "_paces", {"scripted:test-model": capacity.Pace(0.05, 0.01, 0.5, rows=1)})
    reply = ask(pace=SLOWLY)

    with being_shown(reply, ScriptedEngine([TEXT])) as work:
        until(lambda: not Turn.objects.being_made().exists())
        look = look_at(ask().code)
        work.stop()

    assert (look.state, look.ahead, look.seconds) == ("queued", 0, 0)


def test_a_reply_asked_for_again_is_paced_from_then_on(ask, monkeypatch):
    reply = ask(pace=6000)
    long_ago = reply.created_at - timedelta(minutes=10)
    Turn.objects.filter(pk=reply.pk).update(created_at=long_ago, state="failed")
    conversations.ask_again(reply)

    work = answering.claim(reply.pk, "w1", None)

    assert work._claimed - work._sent < 60
