"""The engine against llama.cpp's server with the default model's file."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from inference.conversion import gguf_file
from inference.engines.base import Final, GenRequest, Sampling
from inference.engines.openai import OpenAIEngine, listed_models

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


def ask(engine, key="k", seed=1, **more):
    messages = [{"role": "system", "content": "You listen."}, {"role": "user", "content": "I cannot sleep."}]
    request = GenRequest(key, messages, Sampling(max_new_tokens=16), seed=seed, deadline=time.monotonic() + 60, **more)
    *_, last = engine.submit(request)
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
