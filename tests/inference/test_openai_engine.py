import time
from contextlib import suppress
from datetime import timedelta
from email.utils import formatdate

import pytest
from django.utils import timezone

from inference import answering, capacity, conversations, pool, workers
from inference.engines.base import Failure, Final, GenRequest, Sampling
from inference.engines.openai import OpenAIEngine, ServerError, listed_models
from inference.models import ChatModel, Setup, Turn
from inference.pool import ModelUnavailable
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


@pytest.fixture
def engines(server, monkeypatch):
    """The pool that answering knows, with nothing in it."""
    empty = pool.Pool()
    monkeypatch.setattr(pool, "pool", empty)
    monkeypatch.setattr(answering, "pool", empty)
    yield empty
    empty.close()


def wait_until(true, seconds=10.0):
    until = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < until
        time.sleep(0.01)
    return found


def status_of(engines, model):
    with suppress(ModelUnavailable):
        engines.engine_for(model)
    return engines.state(model).status


def test_a_model_that_is_refused_is_given_to_nobody_new_and_the_others_of_its_server_go_on(reply, server, engines):
    server.models = ["larch", "birch"]
    larch = reply.conversation.setup.chat_model
    birch = ChatModel.objects.create(key="n", engine="openai", base=server.url, served_as="birch")
    engine = wait_until(lambda: engines.engine_for(larch))
    server.answers = [(401, {}, {})]

    assert answered(reply, engine).state == "failed"
    assert engines.state(larch).status == "failed"
    with pytest.raises(ModelUnavailable, match="HTTP 401"):
        engines.engine_for(larch)
    assert wait_until(lambda: engines.engine_for(birch)) is engine
    assert list(engines.refused()) == [larch.offer_name]


def test_a_refused_model_is_asked_for_again_after_a_while(reply, server, engines, monkeypatch):
    larch = reply.conversation.setup.chat_model
    engine = wait_until(lambda: engines.engine_for(larch))
    engines.refuse(larch, engine, "No.")
    monkeypatch.setattr(pool, "TRIED_AGAIN_AFTER", -1)

    assert wait_until(lambda: engines.engine_for(larch)) is engine
    assert engines.refused() == {}


@pytest.mark.django_db(transaction=True)
def test_all_models_of_a_server_are_looked_for_when_it_is_loaded(server, engines):
    birch, larch = (
        ChatModel.objects.create(key=key, engine="openai", base=server.url, served_as=key) for key in ("birch", "larch")
    )
    wait_until(lambda: status_of(engines, birch) == "failed")

    assert "no model 'birch'" in engines.state(birch).reason
    assert engines.state(larch).status == "ready"
    assert {asked["model"] for asked in server.asked} == {"larch"}


@pytest.mark.django_db(transaction=True)
def test_a_model_that_is_registered_later_is_looked_for_when_it_is_wanted(server, engines):
    larch = ChatModel.objects.create(key="larch", engine="openai", base=server.url, served_as="larch")
    engine = wait_until(lambda: engines.engine_for(larch))
    server.models = ["larch", "birch"]
    birch = ChatModel.objects.create(key="birch", engine="openai", base=server.url, served_as="birch")

    assert wait_until(lambda: engines.engine_for(birch)) is engine


@pytest.mark.django_db(transaction=True)
def test_people_wait_for_a_server_that_is_away_when_it_is_first_wanted(engines):
    model = ChatModel.objects.create(key="m", engine="openai", base="http://127.0.0.1:9/v1", served_as="larch")
    wait_until(lambda: status_of(engines, model) == "failed")

    with pytest.raises(ModelUnavailable) as caught:
        engines.engine_for(model)
    assert caught.value.is_away


def test_a_turn_whose_server_is_away_waits_in_its_row(reply):
    answering.refuse(reply.pk, "w1", Failure("unavailable", "It cannot be reached."))
    reply.refresh_from_db()

    assert (reply.state, reply.attempts_allowed - reply.attempts) == ("queued", 3)


def test_other_processes_are_told_which_model_is_refused(reply, server, engines):
    larch = reply.conversation.setup.chat_model
    birch = ChatModel.objects.create(key="n", engine="openai", base=server.url, served_as="birch")
    engine = wait_until(lambda: engines.engine_for(larch))
    engines.refuse(larch, engine, "No.")
    workers.tell("w1", engines.slots() | engines.refused(), {})
    workers._names_here.discard("w1")
    engines.close()

    assert (workers.state(larch).status, workers.state(larch).reason) == ("failed", "No.")
    assert workers.state(birch).status == "ready"


@pytest.mark.parametrize("cut", [["I am User", ": and then"], ["I am Us", "er:", " more"], ["I am User: no"]])
def test_a_stop_string_is_never_shown_whatever_the_server_makes_of_it(server, engine, cut):
    server.answers = [[*map(chunk, cut), 60.0, *WELL]]
    *tokens, final = ask(engine, stop=("User:",))

    assert "".join(token.text for token in tokens) == final.text == "I am "
    assert final.finish_reason == "stop"


def test_what_only_looked_like_a_stop_string_is_shown_after_all(server, engine):
    server.answers = [[chunk("I am Us"), chunk(end="stop"), "[DONE]"]]
    *tokens, final = ask(engine, stop=("User:",))

    assert "".join(token.text for token in tokens) == final.text == "I am Us"


def test_no_more_stop_strings_are_sent_than_any_server_takes(server, engine):
    ask(engine, stop=("a:", "b:", "c:", "d:", "e:"))

    assert server.asked[0]["stop"] == ["a:", "b:", "c:", "d:"]


def test_the_pace_of_a_server_is_measured_with_the_model_that_was_checked(server, engine):
    engine.require("larch")

    assert capacity.measure("openai:test", engine).rows == 16
    assert {asked["model"] for asked in server.asked} == {"larch"}
