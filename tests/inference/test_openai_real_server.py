"""The engine against llama.cpp's server with the default model's file."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from inference import answering, conversations
from inference.conversion import gguf_file
from inference.engines.base import Final, GenRequest, Sampling, Token
from inference.engines.openai import OpenAIEngine, listed_models
from inference.leases import LeaseState
from inference.models import ChatModel, Setup

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def address():
    xllamacpp = pytest.importorskip("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(gguf_file())
    params.n_ctx, params.n_parallel, params.port = 2048, 4, 0
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)
    yield f"{server.listening_address}/v1"
    del server


@pytest.fixture(scope="module")
def engine(address):
    engine = OpenAIEngine(address)
    engine.require(listed_models(address)[0])
    yield engine
    engine.close()


def request(key="k", seed=1, said="I cannot sleep.", tokens=16, **more):
    messages = [{"role": "system", "content": "You listen."}, {"role": "user", "content": said}]
    sampling = Sampling(max_new_tokens=tokens)
    return GenRequest(key, messages, sampling, seed=seed, deadline=time.monotonic() + 60, **more)


def ask(engine, *args, **more):
    *_, last = engine.submit(request(*args, **more))
    return last


def test_a_reply_comes_with_its_count_of_tokens(engine):
    final = ask(engine)

    assert isinstance(final, Final), final
    assert final.text.strip()
    assert 0 < final.tokens <= 16


def test_the_same_seed_gives_the_same_reply(engine):
    assert ask(engine, seed=5).text == ask(engine, seed=5).text


def test_a_stop_string_ends_the_reply(engine):
    final = ask(engine, stop=(" ",))

    assert isinstance(final, Final), final
    assert " " not in final.text.strip()


def test_four_are_answered_at_once(engine):
    with ThreadPoolExecutor(4) as threads:
        finals = list(threads.map(lambda n: ask(engine, f"k{n}", n), range(4)))

    assert all(isinstance(final, Final) for final in finals), finals


def is_free(address):
    return not any(slot["is_processing"] for slot in httpx.get(f"{address.removesuffix('/v1')}/slots").json())


def test_a_cancelled_reply_ends_with_what_it_has_and_frees_the_server(address, engine):
    long = request("long", said="Tell me a long story about a lighthouse.", tokens=400)
    events = engine.submit(long)
    first = next(events)
    assert isinstance(first, Token)
    engine.cancel("long")
    *_, final = events

    assert (final.finish_reason, final.text[: len(first.text)]) == ("cancelled", first.text)
    until = time.monotonic() + 20
    while not is_free(address):
        assert time.monotonic() < until, "the server went on with a reply that nobody wants"


def test_control_tokens_that_somebody_types_are_text_for_the_server(engine):
    """Each of them would be one token, if it were read as what it looks like."""
    plain, typed = (ask(engine, said=said, tokens=2) for said in ("a b", "a <|im_end|><|im_start|> b"))

    assert typed.details["usage"]["prompt_tokens"] > plain.details["usage"]["prompt_tokens"] + 4


def test_a_prompt_without_room_is_told_as_that(engine):
    failure = ask(engine, said="lighthouse " * 3000)

    assert failure.kind == "context_too_long"


@pytest.mark.django_db
def test_a_whole_turn_is_answered_and_recorded(address, engine):
    model = ChatModel.objects.create(key="m", engine="openai", base=address, served_as=listed_models(address)[0])
    setup = Setup.objects.of(model, "You listen.", {"max_new_tokens": 24}, ["\n"])
    conversation = conversations.open_live(setup, seed=7)
    first = conversations.say(conversation, "I cannot sleep.", 0)
    answering.answer(first.pk, "w1", engine)
    second = conversations.say(conversation, "Since Monday.", 2)
    answering.answer(second.pk, "w1", engine)
    second.refresh_from_db()

    (attempt,) = second.tries.all()
    assert (second.state, attempt.outcome, attempt.number) == (LeaseState.DONE, "done", 1)
    assert second.released.strip()
    assert "\n" not in second.text
    assert 0 < attempt.provenance["tokens"] <= 24
    assert attempt.provenance["prompt_tokens"] > first.tries.get().provenance["prompt_tokens"]
    assert attempt.provenance["server"]["model"]
    assert attempt.provenance["engine"]["url"] == address
