"""Publishing tells when the longest chats may not fit what a model can read."""

import os
import re
from pathlib import Path

import pytest
from django.core.management import call_command

from accounts.models import User
from inference.conversion import convert
from inference.models import ChatModel
from ratings import chatting
from ratings.desk import readiness
from ratings.studyfile import publishing
from tests.factories import UserFactory, study_source
from tests.inference.tiny import build_tokenizer

ITEMS = [{"key": f"item-{n}", "scenario": f"You worry about the exam {n}, money and sleep."} for n in range(1, 5)]
SAMPLING = {"max_new_tokens": 100}
DESIGN = {"items_each": 2, "arms": "within", "items_are": "fixed"}


@pytest.fixture
def model(db, tmp_path):
    """A folder with the two files that tell: what it can read, and its tokenizer."""
    build_tokenizer().save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text('{"max_position_embeddings": 4096}')
    return ChatModel.objects.create(key="larkspur", base=str(tmp_path / "model"))


def source(longest=2000, most=8, items=ITEMS, **changes):
    arms = [
        {"key": key, "model": "larkspur", "system": "You listen.", "sampling": SAMPLING} for key in ("linden", "rowan")
    ]
    chat = {"exchanges": {"min": 1, "max": most}, "longest_message": longest}
    blocks = {"mode": "chat", "replies": None, "checks": None, "arms": arms, "items": items, "design": DESIGN}
    return study_source("talk", **blocks | {"chat": chat} | changes)


def loaded(**changes):
    return publishing.load(source(**changes), "talk.yaml", lambda name: None, User.objects.first() or UserFactory())


def test_arms_whose_chats_may_grow_too_long_are_named_with_what_would_fit(model):
    short = chatting.shortages(loaded())

    assert [(one.arm, one.context) for one in short] == [("linden", 4096), ("rowan", 4096)]
    assert short[0].wanted > 4096
    assert 100 <= short[0].fitting < 2000
    assert chatting.shortages(loaded(longest=short[0].fitting)) == []
    assert chatting.shortages(loaded(longest=short[0].fitting + 100)) != []


def test_fewer_exchanges_fit(model):
    assert chatting.shortages(loaded(most=2)) == []


def test_a_language_with_more_tokens_needs_more_room(model):
    length = chatting.shortages(loaded())[0].fitting
    hindi = [{"key": f"item-{n}", "scenario": "मुझे परीक्षा की चिंता है और नींद नहीं आती।"} for n in range(1, 5)]

    assert chatting.shortages(loaded(longest=length, items=hindi))[0].fitting < length / 2


def test_nothing_is_said_where_nothing_is_known(model):
    ChatModel.objects.update(base="nowhere")

    assert chatting.shortages(loaded()) == []
    assert readiness.room(loaded()) is None


def test_a_server_that_tells_its_context_is_counted_by_the_letters(model):
    ChatModel.objects.update(engine="openai", base="http://x/v1", options={"context": 2048})

    assert chatting.shortages(loaded())[0].context == 2048


def test_publishing_tells(model, tmp_path, capsys):
    file = tmp_path / "talk.yaml"
    file.write_bytes(source())
    UserFactory()
    call_command("load_study", str(file), publish=True, acknowledge_no_screening=True)
    told = capsys.readouterr()

    assert re.search(
        r"8 exchanges with messages of 2,000 characters may need \d,\d{3} tokens, more than the models can read of arm "
        r"linden \(4,096 tokens\), rowan \(4,096 tokens\)\. Such a chat ends early and is rated\. "
        r"With `chat\.longest_message: \d+` all would fit\.",
        told.err,
    )
    assert told.out.startswith("talk ")


def test_where_no_message_would_fit_something_else_is_advised(model):
    check = readiness.room(loaded(most=50))

    assert check.advice.endswith("Take fewer exchanges, shorter replies or a model with a longer context.")


@pytest.mark.model
def test_the_example_study_fits_the_default_model(db, tmp_path_factory, settings):
    models = Path(os.environ.get("EVALSITE_TEST_MODELS") or tmp_path_factory.mktemp("models"))
    settings.MODELS_DIR = convert(models).parent
    with open("studies/support-chat.yaml", "rb") as file:
        version = publishing.load(file.read(), "support-chat.yaml", lambda name: None, UserFactory())

    assert chatting.shortages(version) == []
