"""The command: what it prints, and what it refuses."""

import json

import pytest
from django.core.management import CommandError, call_command

from accounts.models import User
from inference import answering, conversations
from inference.engines.huggingface import HuggingFaceEngine
from inference.engines.scripted import ScriptedEngine
from inference.models import Attempt, ChatModel, Setup
from tests.reports.people import make_study, take_part


@pytest.fixture
def study(db):
    return make_study(User.objects.create_user("ada"))


@pytest.fixture
def answered(study):
    """One chat in the study, answered by this engine for this model."""

    def answer(model, engine, kind="real"):
        exposure = take_part(study, kind=kind).assignments.first().exposures.get()
        setup = Setup.objects.of(model, "You listen.", {"temperature": 0.7, "max_new_tokens": 8}, [])
        exposure.conversation = conversations.open_live(setup, seed=7)
        exposure.save()
        answering.answer(conversations.say(exposure.conversation, "MARKER hello", 0).pk, "w1", engine)

    return answer


@pytest.fixture
def made(answered, folder):
    engine = HuggingFaceEngine(folder, threads=1)
    answered(ChatModel.objects.create(key="tiny", base=str(folder)), engine)
    engine.close()


def told(capsys, *args):
    call_command("verify_turns", "small", "--sample", "5", "--json", *args)
    return json.loads(capsys.readouterr().out)


def test_it_says_as_json_how_many_came_out_the_same(made, capsys):
    result = told(capsys)

    assert (result["study"], result["kind"], result["replies"], result["sample"]) == ("small", "real", 1, 1)
    assert (result["compared"], result["same"], result["agreement"]) == (1, 1, 1.0)
    assert list(result["by_device"]) == ["cpu float32"]


def test_in_words_it_names_each_reply_that_differs_and_no_text(made, capsys):
    attempt = Attempt.objects.get()
    attempt.output_ids[1] += 1
    attempt.save()

    call_command("verify_turns", "small", "--sample", "5")

    words = capsys.readouterr().out
    assert f"{attempt.turn.conversation.code}/1: differs at token 2 of {len(attempt.output_ids)}" in words
    assert "all: 0 of 1 the same" in words
    assert "MARKER" not in words


def test_a_model_that_cannot_be_loaded_is_told_and_not_compared(answered, capsys):
    answered(ChatModel.objects.create(key="larkspur", engine="scripted"), ScriptedEngine(["Hi."]))

    result = told(capsys)

    assert (result["outcomes"], result["agreement"]) == ({"cannot be re-run": 1}, None)


def test_kinds_of_participants_are_kept_apart(answered, capsys):
    answered(ChatModel.objects.create(key="larkspur", engine="scripted"), ScriptedEngine(["Hi."]), kind="synthetic")

    assert told(capsys, "--synthetic")["kind"] == "synthetic"
    with pytest.raises(CommandError, match="nothing to verify"):
        told(capsys)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nowhere", "--sample", "5"], "no study called"),
        (["small", "--sample", "5"], "nothing to verify"),
        (["small"], "--sample"),
        (["small", "--sample", "0"], "no number from 1 to 10000"),
    ],
)
def test_what_cannot_be_verified_is_said(study, args, words):
    with pytest.raises(CommandError, match=words):
        call_command("verify_turns", *args)
