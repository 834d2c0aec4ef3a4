"""What is written down of each reply, so that a reviewer can believe it or repeat it."""

from dataclasses import replace

import pytest

from inference import answering, conversations
from inference.engines.huggingface import HuggingFaceEngine
from inference.engines.scripted import ScriptedEngine
from inference.models import ChatModel, Setup


@pytest.fixture(scope="module")
def engine(folder, adapters):
    engine = HuggingFaceEngine(folder, adapters, threads=1)
    yield engine
    engine.close()


@pytest.fixture
def answered(db, engine, folder, adapters):
    """The attempt at a reply of the model with this adapter, or of the bare base."""

    def answer(adapter=""):
        model = ChatModel.objects.create(key=adapter or "base", base=str(folder), adapter=adapter, revision="r1")
        setup = Setup.objects.of(model, "You listen.", {"temperature": 0.7, "max_new_tokens": 8}, [])
        reply = conversations.say(conversations.open_live(setup, seed=7), "hello there", 0)
        answering.answer(reply.pk, "w1", engine)
        return reply.tries.get()

    return answer


def test_a_reply_names_the_adapter_that_spoke_and_no_other(answered):
    provenance = answered("a").provenance

    assert len(provenance["adapter"]["files"]["adapter_model.safetensors"]) == 64
    assert provenance["adapter"]["scale"] == 2.0  # alpha 8 over rank 4
    assert "adapters" not in provenance["engine"]


def test_a_reply_of_the_bare_base_names_no_adapter(answered):
    assert answered().provenance["adapter"] is None


def test_a_reply_says_what_was_loaded_and_where(answered, settings):
    settings.HOST_LABEL = "rack-2"
    provenance = answered().provenance

    engine = provenance["engine"]
    assert (provenance["revision"], provenance["host"]) == ("r1", "rack-2")
    assert (engine["device"], engine["dtype"], engine["threads"]) == ("cpu", "float32", 1)
    assert len(engine["tokenizer_sha256"]) == len(engine["template_sha256"]) == 64


def test_a_reply_counts_its_tokens(answered):
    attempt = answered()

    assert attempt.provenance["prompt_tokens"] == len(attempt.prompt_ids) > 0
    assert attempt.provenance["tokens"] == len(attempt.output_ids) > 0


def test_the_moments_of_a_reply_follow_each_other(answered):
    seconds = answered().provenance["seconds"]

    in_order = [seconds[name] for name in ("asked", "started", "first_token", "last_token", "total")]
    assert len(seconds) == 5
    assert in_order == sorted(in_order)


def test_the_prompt_can_be_rendered_again_from_its_token_ids(answered, engine):
    attempt = answered()

    rendered = engine._tokenizer.decode(attempt.prompt_ids)
    assert rendered == (
        "<|im_start|>system\nYou listen.<|im_end|>\n<|im_start|>user\nhello there<|im_end|>\n<|im_start|>assistant\n"
    )


def test_sampling_is_recorded_whole_whatever_the_study_left_out(answered):
    sampling = answered().provenance["sampling"]

    assert sampling == {
        "temperature": 0.7,
        "top_p": 1.0,
        "top_k": 0,
        "repetition_penalty": 1.0,
        "max_new_tokens": 8,
    }


def test_what_a_server_said_of_itself_is_kept(open_conversation, monkeypatch):
    class Server(ScriptedEngine):
        def submit(self, request):
            for event in super().submit(request):
                yield replace(event, details={"model": "larkspur-7b-q4"}) if hasattr(event, "details") else event

    reply = conversations.say(open_conversation(), "Hello", 0)
    answering.answer(reply.pk, "w1", Server(["Hi."]))

    assert reply.tries.get().provenance["server"] == {"model": "larkspur-7b-q4"}


def test_the_tokens_that_a_server_counted_are_recorded(open_conversation):
    class Server(ScriptedEngine):
        def submit(self, request):
            usage = {"prompt_tokens": 31, "completion_tokens": 7}
            for event in super().submit(request):
                told = {"details": {"usage": usage}, "prompt_ids": (), "output_ids": ()}
                yield replace(event, **told) if hasattr(event, "details") else event

    reply = conversations.say(open_conversation(), "Hello", 0)
    answering.answer(reply.pk, "w1", Server(["Hi."]))

    provenance = reply.tries.get().provenance
    assert (provenance["prompt_tokens"], provenance["tokens"]) == (31, 7)


def test_a_reply_says_how_its_weights_lay_and_whose_prompt_format_it_was(answered):
    recorded = answered().provenance["engine"]

    # So small a model is not worth packing.
    assert (recorded["template"], recorded["packed"]) == (None, False)


def test_an_engine_names_the_prompt_format_it_was_given(folder):
    engine = HuggingFaceEngine(folder, threads=1, template="zephyr")
    try:
        assert engine.describe()["template"] == "zephyr"
    finally:
        engine.close()
