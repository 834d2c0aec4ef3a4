"""What workers say of themselves, and what a process that runs no model makes of it."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from inference import capacity, conversations, workers
from inference.capacity import Pace
from inference.engines.scripted import ScriptedEngine
from inference.local import LocalDispatcher
from inference.models import ChatModel, Setup, Worker
from inference.pool import Pool, Slot

ENGINE = "scripted:test-model"


@pytest.fixture(autouse=True)
def nothing_here(db, monkeypatch):
    monkeypatch.setattr(capacity, "_paces", {})
    monkeypatch.setattr(workers, "_names_here", set())


def elsewhere(name: str, status: str = "ready", pace: Pace | None = None, silent: float = 0, **fields) -> Worker:
    """A worker in another process."""
    heard_at = timezone.now() - timedelta(seconds=silent)
    told = pace.told() if pace else None
    return Worker.objects.create(name=name, engine=ENGINE, status=status, pace=told, heard_at=heard_at, **fields)


def pace(rows=4, alone=0.05):
    return Pace(alone=alone, per_row=0.0, prompt=0.0, rows=rows)


def test_a_model_is_ready_when_one_worker_is(chat_model):
    elsewhere("a", "loading")
    elsewhere("b", "failed", reason="No memory.")
    assert workers.state(chat_model).status == "loading"

    elsewhere("c", "ready")
    assert workers.state(chat_model).status == "ready"


def test_why_it_cannot_answer_is_told(chat_model):
    elsewhere("a", "failed", reason="No memory.")

    assert workers.state(chat_model) == Slot("failed", "No memory.")


def test_a_worker_that_has_been_silent_is_gone(chat_model):
    elsewhere("a", "ready", pace(), silent=15)

    assert workers.state(chat_model).status == "unused"
    assert workers.chat_places([ENGINE]) is None


def test_workers_carry_people_together():
    elsewhere("a", pace=pace())
    alone = workers.chat_places([ENGINE])
    elsewhere("b", pace=pace())

    assert workers.chat_places([ENGINE]) == 2 * alone


def test_with_more_workers_the_queue_is_shorter():
    elsewhere("a", pace=pace(rows=1))
    alone = workers.wait_seconds(ENGINE, ahead=4, running=1)
    elsewhere("b", pace=pace(rows=1))

    assert workers.wait_seconds(ENGINE, ahead=4, running=2) < alone


def test_what_a_worker_has_learnt_is_heard():
    learnt = pace()
    for _ in range(6):
        learnt.note(tokens=100, seconds=30, rows=1)
    elsewhere("a", pace=learnt)

    (_, heard), *_ = workers._paces([ENGINE])
    assert heard.reply_seconds(2) == learnt.reply_seconds(2)
    assert heard.replies_in_time() == learnt.replies_in_time()


def test_a_worker_tells_what_it_runs(chat_model):
    capacity.remember(ENGINE, pace())
    workers.tell("w", {ENGINE: Slot("loading")}, {})
    workers.tell("w", {ENGINE: Slot("ready")}, {ENGINE: 3})

    worker = Worker.objects.get()
    assert (worker.status, worker.in_hand, worker.pace["rows"]) == ("ready", 3, 4)


def test_its_own_rows_are_not_counted_twice():
    capacity.remember(ENGINE, pace())
    workers.tell("w", {ENGINE: Slot("ready")}, {})

    assert workers.chat_places([ENGINE]) == workers.CHATTERS_PER_REPLY * 4


@pytest.mark.django_db(transaction=True)
def test_a_dispatcher_tells_of_itself_and_says_goodbye(chat_model):
    pool = Pool()
    pool.register(chat_model, ScriptedEngine(["Hello."]))
    dispatcher = LocalDispatcher(pool)
    dispatcher.start()
    until = time.monotonic() + 5
    while not Worker.objects.filter(name=dispatcher.worker, status="ready").exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    dispatcher.stop()
    pool.close()

    assert not Worker.objects.exists()


def asked(key: str, **fields) -> ChatModel:
    """A model of which somebody waits for a reply."""
    model = ChatModel.objects.create(key=key, **{"base": "small", "names": [key]} | fields)
    setup = Setup.objects.of(model, "You listen.", {}, [])
    conversations.say(conversations.open_live(setup, seed=1), "Hello.", 0)
    return model


def test_people_wait_together_for_a_base_and_its_adapters_and_apart_for_what_stands_alone():
    plain = asked("plain")
    tuned = asked("tuned", adapter="/adapters/tuned")
    alone = asked("alone", adapter="/adapters/alone", stands_alone=True)
    scripts = [asked("one", engine="scripted", base=""), asked("two", engine="scripted", base="")]

    assert [workers.waited_for(model).count() for model in (plain, tuned, alone, *scripts)] == [2, 2, 1, 1, 1]
