import time
from datetime import timedelta
from email.utils import formatdate

import pytest
from django.utils import timezone

from inference import answering, capacity, conversations, pool
from inference.engines.base import Final, GenRequest, Sampling
from inference.engines.openai import OpenAIEngine, ServerError, listed_models
from inference.models import ChatModel, Setup, Turn
from tests.inference.misbehaving import WELL, chunk, serving


@pytest.fixture
def server():
    with serving() as one:
        yield one


@pytest.fixture
def engine(server):
    one = OpenAIEngine(server.url)
    yield one
    one.close()


def ask(engine, seconds=5.0, **more):
    messages = [{"role": "system", "content": "You listen."}, {"role": "user", "content": "I cannot sleep."}]
    request = GenRequest("k", messages, variant="larch", deadline=time.monotonic() + seconds, **more)
    return list(engine.submit(request))


def test_a_reply_comes_piece_by_piece_and_whole(engine):
    *tokens, final = ask(engine)

    assert [token.text for token in tokens] == ["I am ", "here."]
    assert (final.text, final.finish_reason, final.output_ids, final.tokens) == ("I am here.", "stop", (), 4)
    assert (final.details["model"], final.details["id"]) == ("larch", "r1")


def test_only_sampling_that_differs_from_neutral_is_sent(server, engine):
    ask(engine, sampling=Sampling(0.5, top_k=20, max_new_tokens=7), seed=3, stop=("User:",))
    sent = server.asked[0]

    assert (sent["temperature"], sent["top_k"], sent["max_tokens"], sent["seed"]) == (0.5, 20, 7, 3)
    assert sent["stop"] == ["User:"]
    assert not {"top_p", "repetition_penalty"} & sent.keys()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ([chunk("I am ")], "unavailable"),
        ([chunk("I am "), "[DONE]"], "unavailable"),
        ([chunk("I am "), "{broken"], "engine"),
        ([chunk("I am ", model="another")], "refused"),
        ((500, {}, {"error": "oh"}), "unavailable"),
        ((503, {}, {"error": "oh"}), "unavailable"),
        ((401, {}, {"error": "oh"}), "refused"),
        ((404, {}, {"error": "oh"}), "refused"),
        ((400, {}, {"error": {"message": "maximum context length is 512"}}), "context_too_long"),
    ],
)
def test_a_fault_of_the_server_is_told_by_its_kind(server, engine, answer, kind):
    server.answers = [answer]

    assert ask(engine)[-1].kind == kind


@pytest.mark.parametrize("header", ["7", formatdate(time.time() + 3600, usegmt=True)], ids=["seconds", "date"])
def test_the_server_says_when_to_come_again(server, engine, header):
    server.answers = [(429, {"Retry-After": header}, {})]
    failure = ask(engine)[-1]

    assert failure.kind == "unavailable"
    assert failure.retry_after == 7 or 3000 < failure.retry_after <= 3600
    assert len(server.asked) == 1


def test_a_server_that_refuses_stream_options_is_asked_without(server, engine):
    server.answers = [(400, {}, {"error": {"message": "unknown field stream_options"}})]

    assert ask(engine)[-1].text == "I am here."
    assert "stream_options" not in server.asked[-1]


def test_a_server_that_never_answers_fails_at_the_deadline(server, engine):
    server.answers = [[60.0]]

    assert ask(engine, seconds=0.3)[-1].kind == "deadline"


def test_a_cancelled_reply_ends_with_what_it_has(server, engine):
    server.answers = [[chunk("I am "), 60.0, *WELL]]
    messages = [{"role": "system", "content": "You listen."}, {"role": "user", "content": "I cannot sleep."}]
    events = engine.submit(GenRequest("k", messages, variant="larch"))
    next(events)
    engine.cancel("k")
    final = next(events)

    assert isinstance(final, Final)
    assert (final.text, final.finish_reason) == ("I am ", "cancelled")


def test_a_server_that_is_away_is_unavailable():
    engine = OpenAIEngine("http://127.0.0.1:9/v1")

    assert ask(engine)[-1].kind == "unavailable"
    engine.close()


def test_no_message_repeats_what_the_server_said(server, engine):
    server.answers = [(400, {}, {"error": {"message": "bad: I cannot sleep."}})]

    assert "sleep" not in ask(engine)[-1].message


def test_the_key_comes_from_the_environment_and_is_told_to_nobody(server, monkeypatch):
    monkeypatch.setenv("LARCH_KEY", "s3cret")
    engine = OpenAIEngine(server.url, key_env="LARCH_KEY")
    server.answers = [(401, {}, {"error": "s3cret is wrong"})]
    failure = ask(engine)[-1]
    engine.close()

    assert server.keys == ["Bearer s3cret"]
    assert "s3cret" not in f"{failure} {engine.describe()}"


def test_a_missing_key_is_said_by_its_variable(server):
    with pytest.raises(ServerError, match="NO_SUCH_KEY"):
        OpenAIEngine(server.url, key_env="NO_SUCH_KEY")


def test_the_models_of_a_server_are_listed(server):
    assert listed_models(server.url) == ["larch"]


@pytest.mark.django_db
def test_a_model_that_the_server_does_not_list_is_not_loaded(server):
    model = ChatModel(key="m", engine="openai", base=server.url, served_as="birch")

    with pytest.raises(ServerError, match="no model 'birch'. It lists: larch"):
        pool.load(model)


@pytest.fixture
def reply(db, server):
    model = ChatModel.objects.create(key="m", engine="openai", base=server.url, served_as="larch")
    setup = Setup.objects.of(model, "You listen.", {}, [])
    return conversations.say(conversations.open_live(setup, seed=7, policy={}), "I cannot sleep.", 0)


def answered(reply, engine):
    answering.answer(reply.pk, "w1", engine)
    reply.refresh_from_db()
    return reply


def test_a_whole_turn_is_answered_by_a_server(reply, engine):
    assert (answered(reply, engine).state, reply.text) == ("done", "I am here.")


def test_a_busy_server_costs_no_attempt_and_the_row_waits(reply, server, engine):
    server.answers = [(429, {"Retry-After": "9"}, {})]
    left = reply.attempts_allowed - reply.attempts
    answered(reply, engine)

    assert (reply.state, reply.attempts_allowed - reply.attempts) == ("queued", left)
    assert timedelta(seconds=5) < reply.not_before - timezone.now() <= timedelta(seconds=9)


def test_a_server_that_stays_away_fails_the_turn_when_its_time_is_over(reply, server, engine):
    server.answers = [(503, {}, {}), (503, {}, {})]
    answered(reply, engine)
    reply.tries.update(claimed_at=timezone.now() - timedelta(hours=1))
    Turn.objects.filter(pk=reply.pk).update(not_before=None)

    assert (answered(reply, engine).state, reply.failure) == ("failed", "unavailable")


def test_a_server_that_refuses_is_given_to_nobody_new(reply, server, engine):
    model = reply.conversation.setup.chat_model
    pool.pool.register(model, engine)
    server.answers = [(401, {}, {})]
    try:
        assert answered(reply, engine).state == "failed"
        assert pool.pool.state(model).status == "failed"
    finally:
        pool.pool._slots.pop(model.engine_name)


def test_the_pace_of_a_server_is_measured_with_the_model_that_was_checked(server, engine):
    engine.require("larch")

    assert capacity.measure("openai:test", engine).rows == 16
    assert {asked["model"] for asked in server.asked} == {"larch"}
