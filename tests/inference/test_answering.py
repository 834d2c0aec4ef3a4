import threading
from dataclasses import asdict
from datetime import timedelta

import pytest
from django.utils import timezone

from inference import answering, capacity, conversations
from inference.engines.base import Failure, Sampling
from inference.engines.scripted import Script, ScriptedEngine
from inference.leases import LEASE, LeaseState
from inference.live import START, live
from inference.models import Attempt, Turn

pytestmark = pytest.mark.django_db


@pytest.fixture
def reply(open_conversation):
    return conversations.say(open_conversation(), "I cannot sleep.", 0)


def run(reply, *script, worker="w1"):
    engine = script[0] if isinstance(script[0], ScriptedEngine) else ScriptedEngine(script)
    answering.answer(reply.pk, worker, engine)
    reply.refresh_from_db()
    return engine


def due_now(reply):
    Turn.objects.filter(pk=reply.pk).update(not_before=None)


def outcomes(reply):
    return list(reply.tries.order_by("number").values_list("number", "outcome"))


def test_a_reply_is_stored_with_its_attempt(reply):
    engine = run(reply, "That sounds hard. I am here.")

    assert (reply.state, reply.text, reply.finish_reason) == ("done", "That sounds hard. I am here.", "stop")
    assert reply.released == reply.text
    attempt = reply.tries.get()
    assert (attempt.number, attempt.outcome, attempt.worker, attempt.seed) == (1, "done", "w1", reply.seed)
    assert bytes(attempt.output_ids).decode() == reply.text
    assert attempt.claimed_at <= attempt.first_token_at <= attempt.finished_at
    assert engine.requests[0].seed == reply.seed


def test_an_attempt_says_how_the_reply_was_made(reply):
    run(reply, "That sounds hard. I am here.")

    provenance = reply.tries.get().provenance
    assert provenance["engine"] == {"engine": "scripted"}
    assert provenance["sampling"] == asdict(Sampling(temperature=0.7, max_new_tokens=40))
    assert provenance["setup"] == reply.conversation.setup.digest
    assert [length for _, length in provenance["releases"]] == [18, 10]
    assert {"tokens", "batch_size", "batch_mean", "cached_tokens", "seconds", "queued_s"} <= provenance.keys()
    assert "sleep" not in str(provenance)
    assert "hard" not in str(provenance)


def test_the_engine_is_given_the_whole_conversation(reply):
    run(reply, "Tell me more.")
    second = conversations.say(reply.conversation, "It is my exam.", 2)
    engine = run(second, "I see.")

    assert [(m["role"], m["content"]) for m in engine.requests[0].messages] == [
        ("system", "You listen."),
        ("user", "I cannot sleep."),
        ("assistant", "Tell me more."),
        ("user", "It is my exam."),
    ]
    assert engine.requests[0].sampling.max_new_tokens == 40


def test_the_names_of_the_model_are_masked_in_what_is_shown_and_streamed(reply):
    run(reply, "I am Larkspur, made by OpenAI. How are you?")

    assert "Larkspur" in reply.text
    for shown in (reply.released, "".join(event.text for event in live.read(reply.code))):
        assert "Larkspur" not in shown
        assert "OpenAI" not in shown
        assert "How are you?" in shown


def test_names_of_the_policy_are_masked_too(open_conversation):
    reply = conversations.say(open_conversation(mask=["Rosemary Bot"]), "Who are you?", 0)

    run(reply, "I am Rosemary Bot. Hello.")

    assert "Rosemary" not in reply.released


def test_what_is_streamed_is_what_is_stored(reply):
    run(reply, "One thing. And another! Well?")

    events = live.read(reply.code)
    assert [event.kind for event in events] == ["token", "token", "token", "final"]
    assert "".join(event.text for event in events[:-1]) == reply.released == events[-1].text


def test_a_second_wake_up_answers_nothing_twice(reply):
    engine = run(reply, "Once.")
    run(reply, engine)

    assert len(engine.requests) == 1
    assert outcomes(reply) == [(1, "done")]


def test_a_turn_that_somebody_works_on_is_left_alone(reply):
    Turn.objects.claim(reply.pk, "other")

    engine = run(reply, "Not me.")

    assert engine.requests == []
    assert (reply.state, reply.worker) == ("running", "other")


def test_a_failed_attempt_is_repeated_with_the_same_seed(reply):
    engine = ScriptedEngine([Failure("engine", "It broke."), "Better."])
    run(reply, engine)
    assert (reply.state, reply.attempts) == ("queued", 1)
    assert reply.not_before > timezone.now()

    due_now(reply)
    run(reply, engine)
    assert (reply.state, reply.text) == ("done", "Better.")
    assert outcomes(reply) == [(1, "engine"), (2, "done")]
    assert [request.seed for request in engine.requests] == [reply.seed, reply.seed]


def test_it_waits_as_long_as_a_server_asks(reply):
    run(reply, Failure("unavailable", "Busy.", retry_after=30))

    assert reply.not_before > timezone.now() + timedelta(seconds=25)
    assert run(reply, "Too early.").requests == []


def test_after_many_attempts_that_cost_nothing_it_is_still_tried_again_soon(reply):
    Turn.objects.filter(pk=reply.pk).update(attempts=2000, attempts_allowed=3000, claimed_at=timezone.now())

    run(reply, Failure("engine", "It broke."))

    assert timezone.now() < reply.not_before < timezone.now() + timedelta(seconds=20)


def test_after_the_last_attempt_it_has_failed_with_its_reason(reply):
    for _ in range(3):
        run(reply, Failure("engine", "It broke."))
        due_now(reply)

    assert (reply.state, reply.failure, reply.attempts) == ("failed", "engine", 3)
    assert live.read(reply.code)[-1].kind == "error"
    assert run(reply, "Too late.").requests == []


@pytest.mark.parametrize("kind", ["context_too_long", "refused"])
def test_what_no_retry_can_mend_fails_at_once(reply, kind):
    run(reply, Failure(kind, "No."))

    assert (reply.state, reply.failure, reply.attempts) == ("failed", kind, 1)


def test_an_empty_reply_is_tried_once_more_with_the_next_seed(reply):
    engine = ScriptedEngine(["  ", "There."])
    run(reply, engine)
    run(reply, engine)

    assert reply.text == "There."
    assert outcomes(reply) == [(1, "empty"), (2, "done")]
    assert [attempt.seed for attempt in reply.tries.order_by("number")] == [reply.seed, reply.seed + 1]


def test_two_empty_replies_are_a_failure(reply):
    engine = ScriptedEngine([""])
    run(reply, engine)
    run(reply, engine)

    assert (reply.state, reply.failure) == ("failed", "empty")


def test_partial_text_of_a_failed_attempt_is_void(reply):
    engine = ScriptedEngine([Script("Half. Of it. All.", failure=Failure("engine", "Broke."), fail_after=2), "Whole."])
    run(reply, engine)
    assert [event.text for event in live.read(reply.code)] == ["Half. "]

    due_now(reply)
    run(reply, engine)
    assert [event.kind for event in live.read(reply.code, START)] == ["reset", "token", "final"]


def test_a_lost_attempt_is_written_down_by_whoever_comes_next(reply):
    assert Turn.objects.claim(reply.pk, "killed") == 1
    Turn.objects.filter(pk=reply.pk).update(lease_until=timezone.now() - timedelta(seconds=1))

    run(reply, "Here.", worker="next")

    first, second = reply.tries.order_by("number")
    assert (first.worker, first.outcome, first.finished_at, first.output_ids) == ("killed", "lost", None, None)
    assert (second.worker, second.outcome) == ("next", "done")


def test_a_turn_that_kills_its_workers_fails_in_the_end(reply):
    killed = reply.attempts_allowed + answering.LOST_FOR_NOTHING
    for worker in range(killed):
        assert answering.claim(reply.pk, f"worker {worker}", ScriptedEngine())
        Turn.objects.filter(pk=reply.pk).update(lease_until=timezone.now() - timedelta(seconds=1))

    engine = run(reply, "Never asked.")

    assert engine.requests == []
    assert outcomes(reply) == [(number, "lost") for number in range(1, killed + 1)] + [(killed + 1, "engine")]
    assert (reply.state, reply.failure) == ("failed", "engine")


def test_a_worker_that_stalled_past_its_lease_changes_nothing(reply):
    stalled = answering.claim(reply.pk, "stalled", ScriptedEngine(["From the dead."]))
    Turn.objects.filter(pk=reply.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    run(reply, "From the living.", worker="next")

    stalled.run(stalled.engine)

    reply.refresh_from_db()
    assert (reply.text, reply.worker, reply.attempts) == ("From the living.", "next", 2)
    assert outcomes(reply) == [(1, "lost"), (2, "done")]
    assert "dead" not in "".join(event.text for event in live.read(reply.code))


def test_a_stalled_worker_is_told_that_its_turn_is_gone(reply):
    engine = ScriptedEngine([Script("Slow reply.", delay=5)])
    stalled = answering.claim(reply.pk, "stalled", engine)
    Turn.objects.filter(pk=reply.pk).update(attempts=2)
    events = engine.submit(stalled.request())

    answering.keeper.renew([stalled])

    assert next(events).finish_reason == "cancelled"


def test_renewing_keeps_a_lease(reply):
    work = answering.claim(reply.pk, "w1", ScriptedEngine())
    Turn.objects.filter(pk=reply.pk).update(lease_until=timezone.now() + timedelta(seconds=1))

    answering.keeper.renew([work])

    reply.refresh_from_db()
    assert reply.lease_until > timezone.now() + LEASE - timedelta(seconds=2)


def test_a_fault_while_leases_are_renewed_does_not_end_the_renewing(monkeypatch):
    keeper, renewed = answering.Keeper(), threading.Event()

    def renew(works):
        monkeypatch.setattr(keeper, "renew", lambda works: renewed.set())
        raise ValueError("A fault of ours.")

    monkeypatch.setattr(answering, "RENEW_EVERY", 0.01)
    monkeypatch.setattr(keeper, "renew", renew)

    with keeper.holding(object()):
        assert renewed.wait(5)


def test_without_a_first_word_in_time_the_attempt_is_given_up(open_conversation, monkeypatch):
    monkeypatch.setattr(answering, "GRACE", 0.0)
    reply = conversations.say(open_conversation(first_token_s=0), "Hello?", 0)
    work = answering.claim(reply.pk, "w1", ScriptedEngine([Script(hang=True)]))

    answering.keeper.renew([work])

    reply.refresh_from_db()
    assert reply.state == "queued"
    assert outcomes(reply) == [(1, "deadline")]


def test_a_turn_is_given_up_at_its_deadline(open_conversation):
    reply = conversations.say(open_conversation(turn_s=0.2), "Hello?", 0)

    run(reply, Script("One word after the other", pace=0.1))

    assert outcomes(reply) == [(1, "deadline")]


def test_stopping_costs_no_attempt(reply):
    work = answering.claim(reply.pk, "w1", ScriptedEngine())

    work.stop()

    reply.refresh_from_db()
    assert (reply.state, reply.attempts, reply.attempts_allowed) == ("queued", 1, 4)
    assert outcomes(reply) == [(1, "stopped")]


def test_a_fault_of_ours_is_seen_and_retried(reply):
    class Broken(ScriptedEngine):
        def submit(self, request):
            raise KeyError("adapter")

    with pytest.raises(KeyError):
        answering.answer(reply.pk, "w1", Broken())

    reply.refresh_from_db()
    assert (reply.state, outcomes(reply)) == ("queued", [(1, "engine")])


def test_a_conversation_deleted_meanwhile_leaves_nothing(reply):
    def leave(request):
        reply.conversation.delete()
        return "Hello."

    answering.answer(reply.pk, "w1", ScriptedEngine(leave))

    assert not Attempt.objects.exists()


def test_replies_made_in_advance_are_not_streamed(setup_of_model):
    reply = conversations.stored(setup_of_model, "Hello", seed=1).turns.get(index=1)

    run(reply, "A stored reply.")

    assert reply.released == "A stored reply."
    assert live.read(reply.code) == []


def test_no_model_here_is_a_failure_like_any_other(reply):
    answering.refuse(reply.pk, "w1", Failure("refused", "The weights are missing."))

    reply.refresh_from_db()
    assert (reply.state, reply.failure) == (LeaseState.FAILED, "refused")
    assert reply.tries.get().provenance["engine"] is None


def test_finished_replies_teach_how_fast_the_model_is(reply, monkeypatch):
    noted = []
    monkeypatch.setattr(capacity, "note", lambda *values: noted.append(values))

    run(reply, "Twelve bytes")

    [(name, tokens, seconds, rows)] = noted
    assert (name, tokens, rows) == ("scripted:test-model", 12, 1.0)
    assert seconds > 0


def test_nothing_that_people_wrote_is_logged(reply, caplog):
    caplog.set_level("DEBUG")
    run(reply, Script("Secret words. More.", failure=Failure("engine", "Broke."), fail_after=2))

    assert "Secret" not in caplog.text
    assert "sleep" not in caplog.text
