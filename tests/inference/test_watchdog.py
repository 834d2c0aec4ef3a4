import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from inference import conversations, watchdog
from inference.engines.base import Failure, GenRequest
from inference.engines.scripted import Script, ScriptedEngine
from inference.local import LocalDispatcher
from inference.models import Attempt, Turn
from inference.pool import ModelUnavailable, Pool
from inference.watchdog import Watchdog, set_engine_aside

REQUEST = GenRequest("key", [{"role": "system", "content": "You listen."}, {"role": "user", "content": "Hi"}])


@pytest.fixture
def engines():
    pool = Pool()
    yield pool
    pool.close()


@pytest.fixture
def hung(engines, chat_model):
    """An engine that hangs on its only request."""
    engine = ScriptedEngine([Script(hang=True)])
    engines.register(chat_model, engine)
    threading.Thread(target=lambda: list(engine.submit(REQUEST)), daemon=True).start()
    wait_until(lambda: engine.stalled_for() > 0)
    return engine


def wait_until(true, timeout=10):
    end = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def seen(engines, patience):
    found = []
    Watchdog(lambda name, engine, reason: found.append((name, reason)), engines, patience).look()
    return found


def test_a_hung_engine_is_noticed_by_name_with_the_reason(engines, hung, chat_model):
    wait_until(lambda: hung.stalled_for() > 0.05)

    assert seen(engines, 0.05) == [
        (chat_model.engine_name, "The engine hangs: it has had work and given no sign of life for 0.05 seconds.")
    ]


def test_an_engine_is_given_time(engines, hung):
    assert seen(engines, 60) == []


def test_an_idle_engine_does_not_hang(engines, chat_model):
    engine = ScriptedEngine(["Hello."])
    engines.register(chat_model, engine)
    list(engine.submit(REQUEST))

    assert seen(engines, 0) == []


def test_the_watchdog_looks_again_after_a_fault(engines, hung, monkeypatch):
    monkeypatch.setattr(watchdog, "LOOK_EVERY", 0.01)
    called, twice = [], threading.Event()

    def when_hung(*_):
        called.append(1)
        if len(called) == 2:
            twice.set()
        raise RuntimeError

    dog = Watchdog(when_hung, engines, patience=0)
    dog.start()
    try:
        assert twice.wait(10)
    finally:
        dog.stop()


@pytest.mark.django_db(transaction=True)
def test_an_engine_set_aside_is_asked_for_nothing_more_and_says_why(engines, hung, chat_model):
    set_engine_aside(chat_model.engine_name, hung, "It hangs.", engines)

    with pytest.raises(ModelUnavailable, match="It hangs."):
        engines.engine_for(chat_model)
    assert isinstance(next(hung.submit(REQUEST)), Failure)


def test_setting_an_old_engine_aside_leaves_its_successor(engines, chat_model):
    engine = ScriptedEngine(["Hello."])
    engines.register(chat_model, engine)
    engines.give_up(chat_model.engine_name, ScriptedEngine(["Old."]), "It hangs.")

    assert engines.engine_for(chat_model) is engine


@pytest.mark.django_db(transaction=True)
def test_turns_of_a_hung_engine_are_free_for_others_at_once(chat_model, open_conversation, monkeypatch):
    monkeypatch.setattr("inference.local.SWEEP_EVERY", 0.1)
    hangs, answers = ScriptedEngine([Script(hang=True)]), ScriptedEngine(["Hello."])
    with serving(chat_model, hangs):
        reply = conversations.say(open_conversation(), "Hi", 0)
        wait_until(lambda: hangs.stalled_for() > 0)
        with serving(chat_model, answers):
            watchdog.give_turns_back(hangs, "It hangs.")
            wait_until(lambda: Turn.objects.get(pk=reply.pk).released == "Hello.")

    assert list(Attempt.objects.order_by("number").values_list("outcome", flat=True)) == ["deadline", "done"]


@contextmanager
def serving(chat_model, engine):
    pool = Pool()
    pool.register(chat_model, engine)
    dispatcher = LocalDispatcher(pool)
    dispatcher.start()
    try:
        yield
    finally:
        pool.close()
        dispatcher.stop(patience=2)


def test_the_batching_engine_shows_life_at_each_step(folder):
    from inference.engines.huggingface import HuggingFaceEngine

    engine = HuggingFaceEngine(folder, threads=1)
    entered, freed, join = threading.Event(), threading.Event(), engine._batch.join

    def stuck(newcomers):
        entered.set()
        freed.wait(20)
        return join(newcomers)

    engine._batch.join = stuck
    idle = engine.stalled_for()
    events = engine.submit(REQUEST)
    assert entered.wait(10)
    time.sleep(0.05)
    assert (idle, engine.stalled_for() >= 0.05) == (0, True)

    freed.set()
    list(events)
    wait_until(lambda: engine.stalled_for() == 0)
    engine.close()


def test_nobody_waits_for_a_batching_engine_that_was_closed_while_it_hung(folder, monkeypatch):
    from inference.engines.huggingface import HuggingFaceEngine

    monkeypatch.setattr("inference.engines.huggingface.PATIENCE", 0.1)
    engine = HuggingFaceEngine(folder, threads=1)
    entered, freed = threading.Event(), threading.Event()
    engine._batch.join = lambda newcomers: entered.set() or freed.wait(20)
    events = engine.submit(REQUEST)
    assert entered.wait(10)

    engine.close()

    assert next(events).kind == "unavailable"
    freed.set()


END = """
import os, threading, time
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
import django; django.setup()
from inference import watchdog
from inference.engines.base import GenRequest
from inference.engines.scripted import Script, ScriptedEngine
from inference.pool import Pool, Slot
watchdog.LOOK_EVERY = 0.05
watchdog.NOTHING_RUNS = 1.0
"""
HANGS = """
engine, engines = ScriptedEngine([Script(hang=True)]), Pool()
engines._slots["small"] = Slot("ready", engine=engine)
messages = [{"role": "system", "content": "You listen."}, {"role": "user", "content": "SECRET"}]
watchdog.ProcessWatchdog(engines, patience=0.2).start()
list(engine.submit(GenRequest("key", messages)))
"""
HOLDS_EVERYTHING_UP = """
import ctypes
watchdog.ProcessWatchdog(Pool(), patience=60).start()
time.sleep(0.5)
ctypes.PyDLL(None).sleep(30)  # keeps Python's lock, as a stuck driver may
"""


def run(program):
    return subprocess.run([sys.executable, "-c", END + program], capture_output=True, text=True, timeout=25)


def test_a_worker_ends_its_process_when_its_engine_hangs():
    done = run(HANGS)

    assert done.returncode == watchdog.HUNG
    assert "small: The engine hangs" in done.stderr
    assert "File " in done.stderr  # where its threads were
    assert "SECRET" not in done.stderr


def test_a_worker_in_which_nothing_can_run_ends_too():
    done = run(HOLDS_EVERYTHING_UP)

    assert done.returncode == 1
    assert "Timeout" in done.stderr
