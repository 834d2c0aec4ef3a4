import threading
import time
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from inference import conversations, dispatch
from inference.engines.base import Failure
from inference.engines.scripted import Script, ScriptedEngine
from inference.local import LocalDispatcher
from inference.models import Attempt, ChatModel, Setup, Turn
from inference.pool import ModelUnavailable, Pool

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick_sweep(monkeypatch):
    monkeypatch.setattr("inference.local.SWEEP_EVERY", 0.3)


@pytest.fixture
def engines():
    pool = Pool()
    yield pool
    pool.close()


@pytest.fixture
def serve(engines, chat_model, monkeypatch):
    """Start a dispatcher with an engine that follows this script."""
    started = []

    def start(*script, capacity=8, engine=None):
        engine = engine or ScriptedEngine(script[0] if callable(script[0]) else script, capacity)
        engines.register(chat_model, engine)
        dispatcher = LocalDispatcher(engines)
        dispatcher.start()
        monkeypatch.setattr(dispatch, "_local", dispatcher)
        started.append(dispatcher)
        return dispatcher

    yield start
    for dispatcher in started:
        dispatcher.stop(patience=2)


def settled(timeout=10, **which):
    """Wait until no such turn is open any more."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if not Turn.objects.open().filter(**which).exists():
            return True
        time.sleep(0.02)
    return False


def test_a_message_is_answered_at_once(serve, open_conversation):
    serve("Hello.")
    conversation = open_conversation()

    begun = time.monotonic()
    reply = conversations.say(conversation, "Hi", 0)

    assert settled(timeout=1.5)
    assert time.monotonic() - begun < 1.5
    reply.refresh_from_db()
    assert reply.released == "Hello."


def test_it_is_woken_by_the_commit_and_not_before(serve, open_conversation):
    dispatcher = serve("Hello.")
    conversation = open_conversation()
    woken = []
    dispatcher.wake = lambda: woken.append(Turn.objects.open().count())

    with transaction.atomic():
        conversations.say(conversation, "Hi", 0)
        assert woken == []

    assert woken == [1]


def test_a_lost_wake_up_costs_one_sweep(serve, open_conversation, monkeypatch):
    serve("Hello.")
    monkeypatch.setattr(dispatch, "_local", None)

    conversations.say(open_conversation(), "Hi", 0)

    assert settled(timeout=4)


def test_doubled_wake_ups_answer_once(serve, open_conversation):
    engine = ScriptedEngine([Script("Hello.", delay=0.2)])
    dispatcher = serve(engine=engine)
    conversations.say(open_conversation(), "Hi", 0)

    for _ in range(20):
        dispatcher.wake()
        time.sleep(0.01)

    assert settled()
    assert len(engine.requests) == 1


def test_two_dispatchers_share_the_work_without_doubling_it(serve, setup_of_model):
    engine = ScriptedEngine(lambda request: Script("Done.", delay=0.02))
    serve(engine=engine)
    serve(engine=engine)
    for number in range(20):
        conversations.stored(setup_of_model, f"Worry {number}", seed=number)

    assert settled()
    assert len(engine.requests) == 20
    assert Attempt.objects.filter(outcome="done").count() == 20


def test_replies_in_advance_are_made_in_batches(serve, setup_of_model):
    most = counting(lambda request: Script("Done.", delay=0.15))
    for number in range(12):
        conversations.stored(setup_of_model, f"Worry {number}", seed=number)
    serve(engine=most, capacity=8)

    assert settled()
    assert 4 <= most.most <= 6  # two of eight places are kept for people


def test_a_person_comes_before_replies_in_advance(serve, setup_of_model, open_conversation):
    engine = ScriptedEngine(lambda request: Script("Done.", delay=0.3), capacity=4)
    for number in range(12):
        conversations.stored(setup_of_model, f"Worry {number}", seed=number)
    serve(engine=engine)
    time.sleep(0.1)

    conversations.say(open_conversation(), "Please", 0)

    assert settled(background=False, timeout=1)
    assert Turn.objects.open().filter(background=True).exists()
    assert settled()


def test_no_more_rows_are_claimed_than_the_engine_takes(serve, open_conversation):
    most = counting(lambda request: Script("Done.", delay=0.1), capacity=3)
    for _ in range(7):
        conversations.say(open_conversation(), "Hi", 0)
    serve(engine=most)

    assert settled()
    assert most.most == 3


def test_a_fault_in_one_turn_leaves_the_others_alone(serve, open_conversation):
    def script(request):
        if request.messages[-1]["content"] == "poison":
            raise RuntimeError("a bug")
        return "Hello."

    serve(script)
    conversations.say(open_conversation(max_attempts=1), "poison", 0)
    conversations.say(open_conversation(), "Hi", 0)

    assert settled(timeout=4)
    assert sorted(Turn.objects.replies().values_list("state", flat=True)) == ["done", "failed"]


def test_a_broken_database_does_not_end_it(serve, open_conversation, monkeypatch):
    from django.db import OperationalError

    dispatcher = serve("Hello.")
    real, failures = dispatcher._hand_out, [OperationalError("locked"), OperationalError("locked")]

    def sometimes():
        if failures:
            raise failures.pop()
        real()

    monkeypatch.setattr(dispatcher, "_hand_out", sometimes)
    conversations.say(open_conversation(), "Hi", 0)

    assert settled(timeout=8)


def test_stopping_lets_replies_finish(serve, open_conversation):
    dispatcher = serve(Script("Slow but sure.", delay=0.5))
    reply = conversations.say(open_conversation(), "Hi", 0)
    time.sleep(0.2)

    dispatcher.stop(patience=5)

    reply.refresh_from_db()
    assert (reply.state, reply.attempts) == ("done", 1)


def test_stopping_gives_back_what_takes_too_long(serve, open_conversation):
    dispatcher = serve(Script("Far too slow.", delay=30))
    reply = conversations.say(open_conversation(), "Hi", 0)
    time.sleep(0.3)

    begun = time.monotonic()
    dispatcher.stop(patience=0.3)

    assert time.monotonic() - begun < 3
    reply.refresh_from_db()
    assert (reply.state, reply.lease_until) == ("queued", None)
    assert reply.tries.get().outcome == "stopped"


def test_after_stopping_nothing_is_claimed(serve, open_conversation):
    dispatcher = serve("Hello.")
    dispatcher.stop()

    reply = conversations.say(open_conversation(), "Hi", 0)
    dispatcher.wake()
    time.sleep(0.3)

    reply.refresh_from_db()
    assert reply.state == "queued"


def test_what_a_killed_worker_left_is_taken_up_when_its_lease_is_over(serve, open_conversation):
    reply = conversations.say(open_conversation(), "Hi", 0)
    Turn.objects.claim(reply.pk, "killed")
    Turn.objects.filter(pk=reply.pk).update(lease_until=timezone.now() + timedelta(seconds=1))
    serve("Hello.")
    time.sleep(0.3)
    reply.refresh_from_db()
    assert reply.worker == "killed"

    assert settled(timeout=6)
    reply.refresh_from_db()
    assert (reply.released, reply.attempts) == ("Hello.", 2)


def test_a_lease_is_renewed_while_a_reply_takes_long(serve, open_conversation, monkeypatch):
    monkeypatch.setattr("inference.answering.RENEW_EVERY", 0.3)
    serve(Script("At last.", delay=2))
    reply = conversations.say(open_conversation(), "Hi", 0)
    time.sleep(0.2)
    Turn.objects.filter(pk=reply.pk).update(lease_until=timezone.now() + timedelta(seconds=1))

    assert settled()
    reply.refresh_from_db()
    assert (reply.state, reply.attempts) == ("done", 1)


def test_while_a_model_is_loading_turns_wait(chat_model, open_conversation, monkeypatch):
    may_load = threading.Event()

    def load(model):
        may_load.wait(10)
        return ScriptedEngine(["Ready now."])

    dispatcher = LocalDispatcher(Pool(load))
    dispatcher.start()
    reply = conversations.say(open_conversation(), "Hi", 0)
    time.sleep(0.3)
    reply.refresh_from_db()
    assert (reply.state, reply.attempts) == ("queued", 0)

    may_load.set()
    assert settled(timeout=6)
    dispatcher.stop()


def test_a_model_that_cannot_be_loaded_is_told_to_people_only(chat_model, setup_of_model, open_conversation):
    def load(model):
        raise OSError("The weights are missing.")

    pool = Pool(load)
    dispatcher = LocalDispatcher(pool)
    dispatcher.start()
    stored = conversations.stored(setup_of_model, "Later", seed=1).turns.get(index=1)
    reply = conversations.say(open_conversation(), "Hi", 0)

    assert settled(timeout=6, background=False)
    dispatcher.stop()
    reply.refresh_from_db()
    stored.refresh_from_db()
    assert (reply.state, reply.failure) == ("failed", "refused")
    assert stored.state == "queued"
    assert (pool.state(chat_model).status, pool.state(chat_model).reason) == ("failed", "The weights are missing.")


def test_a_model_that_could_not_be_loaded_is_tried_again_after_a_while(chat_model, monkeypatch):
    outcomes = [OSError("The disk is full."), ScriptedEngine(["Hello."])]

    def load(model):
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    pool = Pool(load)
    with suppress(ModelUnavailable):  # it may have failed before we look
        pool.engine_for(chat_model)
    wait_until(lambda: pool.state(chat_model).status == "failed")
    with pytest.raises(ModelUnavailable, match="The disk is full"):
        pool.engine_for(chat_model)

    monkeypatch.setattr("inference.pool.TRIED_AGAIN_AFTER", 0)
    wait_until(lambda: pool.engine_for(chat_model))
    assert pool.state(chat_model).reason == ""


def wait_until(true) -> None:
    until = time.monotonic() + 5
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_models_that_differ_in_their_adapter_share_an_engine(db):
    loaded = []

    def load(model):
        loaded.append(model.key)
        return ScriptedEngine(["Hello."])

    pool = Pool(load)
    plain = ChatModel.objects.create(key="plain", base="weights")
    tuned = ChatModel.objects.create(key="tuned", base="weights", adapter="tuned-1")
    while not pool.engine_for(plain):
        time.sleep(0.01)

    assert pool.engine_for(tuned) is pool.engine_for(plain)
    assert loaded == ["plain"]


def test_an_adapter_is_asked_for_by_its_model(serve, engines):
    tuned = ChatModel.objects.create(key="tuned", engine="scripted", adapter="tuned-1")
    engine = ScriptedEngine(["Hello."])
    engines.register(tuned, engine)
    serve("Not I.")

    conversations.stored(Setup.objects.of(tuned, "You listen.", {}, []), "Hi", seed=1)

    assert settled()
    assert engine.requests[0].variant == "tuned"


def test_failures_are_retried_by_the_sweep(serve, open_conversation):
    serve(Failure("engine", "Hiccup."), "Hello.")
    reply = conversations.say(open_conversation(), "Hi", 0)

    assert settled(timeout=6)
    reply.refresh_from_db()
    assert (reply.released, reply.attempts) == ("Hello.", 2)


def counting(script, capacity=8):
    """A scripted engine that knows how many replies it made at the same time at most."""

    class Counting(ScriptedEngine):
        now = most = 0
        guard = threading.Lock()

        def _perform(self, *args):
            with self.guard:
                self.now += 1
                self.most = max(self.most, self.now)
            yield from super()._perform(*args)
            with self.guard:
                self.now -= 1

    return Counting(script, capacity)


def test_a_reply_that_is_only_being_shown_leaves_its_slot_to_the_next(serve, open_conversation):
    engine = ScriptedEngine(["One. And two."], capacity=1)
    dispatcher = serve(engine=engine)
    # The second sentence of each would be due in a minute.
    for _ in range(3):
        conversations.say(open_conversation(pace=3), "Hi", 0)

    end = time.monotonic() + 8
    while time.monotonic() < end and len(engine.requests) < 3:
        time.sleep(0.02)
    asked = len(engine.requests)
    dispatcher.stop(patience=0)

    assert asked == 3
    assert set(Turn.objects.replies().values_list("state", "attempts_allowed")) == {("queued", 4)}
