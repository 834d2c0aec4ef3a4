"""How much room a conversation has, as it is told without loading the model."""

import pytest

from inference import conversations, room
from inference.conversations import TooLong
from inference.engines.base import GenRequest, Sampling
from inference.engines.huggingface import HuggingFaceEngine
from inference.leases import LeaseState
from inference.models import ChatModel, Setup, Turn
from tests.inference.tiny import WORDS

pytestmark = pytest.mark.django_db


@pytest.fixture
def setup(folder):
    """The tiny model reads 512 tokens."""
    model = ChatModel.objects.create(key="tiny", base=str(folder))
    return Setup.objects.of(model, "You listen.", {"max_new_tokens": 60}, [])


def test_the_context_of_a_folder_is_read_from_its_config(setup):
    assert room.context_of(setup.chat_model) == 512


def test_the_context_of_a_server_is_what_it_told():
    assert room.context_of(ChatModel(engine="openai", base="http://x/v1", options={"context": 4096})) == 4096
    assert room.context_of(ChatModel(engine="openai", base="http://x/v1")) is None


@pytest.mark.parametrize("base", ["nowhere", "SmolLM2-135M-Instruct"])
def test_weights_that_are_not_here_are_not_waited_for(base, settings, tmp_path):
    settings.MODELS_DIR = tmp_path

    assert room.context_of(ChatModel(base=base)) is None


@pytest.mark.parametrize(
    "config",
    [{"max_position_embeddings": 99}, {"n_positions": 99}, {"text_config": {"max_position_embeddings": 99}}],
)
def test_the_length_of_the_context_has_several_names(config):
    assert room._context_in(config) == 99


def test_a_short_conversation_has_room_without_counting(setup, monkeypatch):
    monkeypatch.setattr(room, "tokens_in", None)

    assert 300 < room.left(setup, ["hello there"]) < 512


def test_what_is_told_to_fit_is_taken_by_the_engine(setup, folder):
    said = "hello"
    while room.left(setup, [f"{said} {WORDS[:40]}"]) >= 0:
        said += f" {WORDS[:40]}"
    engine = HuggingFaceEngine(folder, threads=1)

    def asked(text):
        messages = [{"role": "system", "content": setup.system}, {"role": "user", "content": text}]
        *_, last = engine.submit(GenRequest("k", messages, Sampling(**setup.sampling)))
        return getattr(last, "kind", "")

    assert len(said.encode()) > 512, "it was counted, not only measured"
    assert asked(said) != "context_too_long"
    assert asked(said * 2) == "context_too_long"
    engine.close()


def test_a_message_that_cannot_fit_is_kept_and_told_how_long_it_may_be(setup):
    conversation = conversations.open_live(setup, seed=1)

    with pytest.raises(TooLong) as caught:
        conversations.say(conversation, "sleep " * 600, 0)

    assert not Turn.objects.exists()
    shorter = ("sleep " * 600)[: caught.value.characters]
    assert len(shorter) > 200
    assert conversations.say(conversation, shorter, 0).state == LeaseState.QUEUED


def test_a_conversation_without_room_ends_without_waiting(setup):
    conversation = conversations.open_live(setup, seed=1)
    conversation.turns.create(index=0, role="user", text="sleep " * 150, state=LeaseState.DONE)
    conversation.turns.create(index=1, role="assistant", text="money " * 260, state=LeaseState.DONE)

    reply = conversations.say(conversation, "hello there", 2)

    assert (reply.state, reply.failure) == (LeaseState.FAILED, "context_too_long")
    assert not conversations.may_be_asked_again(reply)
    assert conversation.turns.get(index=2).text == "hello there"
    assert not Turn.objects.claimable().exists()


def test_where_nothing_is_known_the_engine_decides(setup):
    ChatModel.objects.update(base="nowhere")
    conversation = conversations.open_live(Setup.objects.get(), seed=1)

    assert conversations.say(conversation, "sleep " * 600, 0).state == LeaseState.QUEUED


def test_characters_are_counted_with_the_models_tokenizer_or_else_guessed(setup):
    assert 1 < room.characters_a_token(setup.chat_model, [WORDS]) < len(WORDS) / 10
    nowhere = ChatModel(base="nowhere")
    assert room.characters_a_token(nowhere, ["I cannot sleep."]) == room.LATIN
    assert room.characters_a_token(nowhere, ["मैं सो नहीं सकता"]) == room.OTHER
