import json

import pytest
from django.core.management import CommandError, call_command

from inference import measuring
from inference.engines.base import Failure
from inference.engines.scripted import ScriptedEngine
from inference.measuring import Measured
from ratings.desk import readiness
from ratings.management.commands import check_capacity
from tests.desk.conftest import CHAT, draft_of
from tests.factories import UserFactory, study_source

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_folder(settings, tmp_path):
    settings.DATA_DIR = tmp_path / "data"
    settings.HOST_LABEL = "here"


@pytest.fixture
def chat():
    """A chat study that was never published."""
    return draft_of(UserFactory(), "talk", **CHAT)


@pytest.fixture
def engine(monkeypatch):
    """Answers as long as no more than two ask at once."""

    def reply(request):
        at_once = request.key.split("-")[1]
        return Failure("deadline", "Late.") if at_once.isdigit() and int(at_once) > 2 else "Hello there."

    engine = ScriptedEngine(reply)
    monkeypatch.setattr(check_capacity, "load", lambda model: engine)
    return engine


def keep_for(study, chats, host="here", is_least=False):
    model = study.draft.arms.first().setup.chat_model
    measuring.keep(model, Measured(chats, 9.0, "2026-11-24", host, is_least))


def test_it_prints_a_table_and_how_many_chats_are_in_time(chat, engine, capsys):
    call_command("check_capacity", "talk")

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("smollm2-135m on here: scripted")
    assert [line.split()[:2] for line in lines[2:-1]] == [["2", "1"], ["4", "2"], ["8", "4"], ["6", "3"]]
    assert lines[-1].startswith("4 chats at once get 19 of 20 replies within 15 s")


def test_the_same_as_json(chat, engine, capsys):
    call_command("check_capacity", "talk", as_json=True)

    told = json.loads(capsys.readouterr().out)
    (model,) = told["models"]
    assert (told["host"], model["chats"], model["is_least"]) == ("here", 4, False)
    assert [(level["chats"], level["in_time"]) for level in model["levels"]] == [
        (2, True),
        (4, True),
        (8, False),
        (6, False),
    ]


def test_each_arm_s_setting_is_tried(chat, engine):
    call_command("check_capacity", "talk")

    assert {"You listen.", "You answer."} <= {request.messages[0]["content"] for request in engine.requests}


def test_a_model_can_be_measured_without_a_study(db, engine, capsys):
    call_command("check_capacity", model="smollm2-135m")

    assert "4 chats at once" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"model": "nobody"}, "no model called 'nobody'.*smollm2-135m"),
        ({"slug": "nothing"}, "no study called 'nothing'"),
        ({"slug": "drafted"}, "no live chat"),
    ],
)
def test_what_cannot_be_measured_is_said(arguments, says, engine):
    draft_of(UserFactory(), "drafted")

    with pytest.raises(CommandError, match=says):
        call_command("check_capacity", *filter(None, [arguments.pop("slug", None)]), **arguments)


def test_a_model_that_cannot_be_loaded_is_named(chat, monkeypatch):
    def load(model):
        raise OSError("No weights.")

    monkeypatch.setattr(check_capacity, "load", load)

    with pytest.raises(CommandError, match="smollm2-135m cannot be loaded here: No weights"):
        call_command("check_capacity", "talk")


def test_the_desk_says_how_to_measure_and_then_what_was_measured(chat, engine):
    before = readiness.capacity(chat.draft)
    call_command("check_capacity", "talk")
    after = readiness.capacity(chat.draft)

    assert before.state == "open"
    assert "manage.py check_capacity talk" in before.advice
    assert (after.state, after.text) == ("done", "This machine carries 4 chats at once")
    assert "wait on the start page" in after.advice


def test_another_machine_is_named(chat):
    keep_for(chat, chats=6, host="host-2", is_least=True)

    assert readiness.capacity(chat.draft).text == "The machine host-2 carries at least 6 chats at once"


def test_a_machine_that_is_too_slow_for_one_person_is_to_be_seen_to(chat):
    keep_for(chat, chats=0)

    assert readiness.capacity(chat.draft).state == "open"
    assert "even for one alone" in readiness.capacity(chat.draft).text


def test_without_a_chat_nothing_is_said():
    assert readiness.capacity(draft_of(UserFactory(), "drafted").draft) is None


def test_publishing_a_chat_tells_its_capacity_beside_the_fingerprint(tmp_path, capsys):
    (tmp_path / "talk.yaml").write_bytes(study_source("talk", **CHAT))

    call_command("load_study", str(tmp_path / "talk.yaml"), publish=True, acknowledge_no_screening=True)

    told = capsys.readouterr()
    assert len(told.out.split()) == 2
    assert told.err.startswith("How many people can chat at once has not been measured.")
    assert "check_capacity talk" in told.err


def test_a_draft_is_kept_without_a_word_of_it(tmp_path, capsys):
    (tmp_path / "talk.yaml").write_bytes(study_source("talk", **CHAT))

    call_command("load_study", str(tmp_path / "talk.yaml"))

    assert capsys.readouterr().err == ""
