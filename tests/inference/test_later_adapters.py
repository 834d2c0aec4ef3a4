"""An adapter that is registered while its base already answers: the base is loaded anew, and nobody's reply is lost."""

import threading
import time
from contextlib import suppress

import pytest

from inference.engines.base import Final, GenRequest
from inference.engines.scripted import ScriptedEngine
from inference.models import ChatModel
from inference.pool import ModelUnavailable, Pool


@pytest.fixture(autouse=True)
def old_engines_go_soon(monkeypatch):
    monkeypatch.setattr("inference.pool.RETIRES_AFTER", 0.1)


class Loader:
    """Makes engines that say which of them they are; or fails, or waits."""

    def __init__(self):
        self.engines, self.problems, self.may_go_on = [], [], threading.Event()
        self.may_go_on.set()

    def __call__(self, model):
        assert self.may_go_on.wait(5)
        if self.problems:
            raise self.problems.pop(0)
        self.engines.append(Closable([f"Engine {len(self.engines) + 1}."]))
        return self.engines[-1]


class Closable(ScriptedEngine):
    busy = closed = False

    def stalled_for(self):
        return 0.1 if self.busy else 0.0

    def close(self):
        self.closed = True
        super().close()


@pytest.fixture
def loader():
    return Loader()


@pytest.fixture
def pool(loader):
    pool = Pool(loader)
    yield pool
    pool.close()


def model(key, adapter="", **fields):
    return ChatModel.objects.create(key=key, base="weights", adapter=adapter, **fields)


def wait_until(true):
    until = time.monotonic() + 5
    while not (found := true()):
        assert time.monotonic() < until
        time.sleep(0.01)
    return found


@pytest.fixture
def plain(db):
    return model("plain")


@pytest.fixture
def running(pool, plain):
    """The base's engine, before anybody thought of an adapter."""
    return wait_until(lambda: pool.engine_for(plain))


def test_the_engine_is_loaded_anew_while_the_old_one_goes_on(pool, loader, plain, running):
    loader.may_go_on.clear()
    late = model("late", "/adapters/late")

    assert pool.engine_for(late) is None
    assert pool.engine_for(plain) is running
    assert pool.state(late).status == "loading"
    assert pool.state(plain).status == "ready"

    loader.may_go_on.set()
    second = wait_until(lambda: pool.engine_for(late))
    assert second is not running
    assert pool.engine_for(plain) is second


def test_the_old_engine_is_closed_after_its_last_reply(pool, loader, running):
    running.busy = True
    late = model("late", "/adapters/late")
    wait_until(lambda: pool.engine_for(late))
    time.sleep(0.3)

    assert not running.closed
    request = GenRequest("k", [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}])
    assert isinstance(list(running.submit(request))[-1], Final)
    running.busy = False
    wait_until(lambda: running.closed)


def test_an_adapter_that_was_there_from_the_start_loads_nothing(pool, loader, db):
    early, plain = model("early", "/adapters/early"), model("plain")
    engine = wait_until(lambda: pool.engine_for(plain))

    assert pool.engine_for(early) is engine
    assert len(loader.engines) == 1


def test_a_key_that_stands_for_another_adapter_now_is_loaded_anew(pool, loader, db):
    tuned = model("tuned", "/adapters/one")
    first = wait_until(lambda: pool.engine_for(tuned))
    tuned.adapter = "/adapters/two"
    tuned.save()

    assert wait_until(lambda: pool.engine_for(tuned)) is not first


def test_when_the_adapter_cannot_be_loaded_the_base_still_answers(pool, loader, plain, running):
    loader.problems.append(OSError("The adapter is broken."))
    late = model("late", "/adapters/late")
    with suppress(ModelUnavailable):  # it may have failed before we look
        pool.engine_for(late)
    wait_until(lambda: pool.state(late).status == "failed")

    with pytest.raises(ModelUnavailable, match="The adapter is broken"):
        pool.engine_for(late)
    assert pool.engine_for(plain) is running


def test_an_adapter_that_stands_alone_disturbs_nobody(pool, loader, plain, running):
    alone = model("alone", "/adapters/alone", stands_alone=True)
    wait_until(lambda: pool.engine_for(alone))

    assert pool.engine_for(plain) is running


def test_two_late_adapters_are_loaded_one_after_the_other_at_most(pool, loader, running):
    late = [model("late-1", "/adapters/late-1"), model("late-2", "/adapters/late-2")]
    engines = [wait_until(lambda one=one: pool.engine_for(one)) for one in late]

    assert engines[0] is engines[1]
    assert len(loader.engines) == 2


def test_an_engine_that_is_given_up_is_closed_by_whoever_was_first(db):
    engine, engines = Closable(), Pool()
    model = ChatModel.objects.create(key="far", engine=ChatModel.Engine.OPENAI, base="http://127.0.0.1:1/v1")
    engines.register(model, engine)

    assert engines.give_up(model.engine_name, engine, "It refuses.")
    assert not engines.give_up(model.engine_name, engine, "It refuses.")
    engines.retire(engine)

    wait_until(lambda: engine.closed)
    assert engines.state(model).status == "failed"
