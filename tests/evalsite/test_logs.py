"""Logs are for operators: nothing that people or models wrote is in them, whatever goes wrong."""

import io
import json
import logging
import sys
import threading
from re import fullmatch
from typing import get_args

import pytest
from celery import Celery
from django.db import DatabaseError, IntegrityError
from django.test import Client

from evalsite import logs
from evalsite.logs import Discreet, JsonLines
from inference import answering, conversations
from inference.engines.base import Failure, FailureKind
from inference.engines.scripted import Script, ScriptedEngine
from inference.models import ChatModel, Setup, Turn
from inference.pool import pool
from ratings.path import chat
from tests.path.person import Person
from tests.path.test_chat import chat_study

MARK = "xylograph-7731"
OURS = ("accounts", "evalsite", "inference", "ratings", "reports", "training")


@pytest.fixture(params=[Discreet, JsonLines])
def logged(request):
    """Everything logged, as it is written, with our own loggers at their most talkative."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(request.param())
    levels = {name: logging.getLogger(name).level for name in OURS}
    logging.getLogger().addHandler(handler)
    for name in OURS:
        logging.getLogger(name).setLevel("DEBUG")
    yield text
    logging.getLogger().removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def reply(db):
    model = ChatModel.objects.create(key="m", engine="scripted")
    setup = Setup.objects.of(model, "You listen.", {"max_new_tokens": 40}, [])
    return conversations.say(conversations.open_live(setup, seed=1), f"I am {MARK}.", 0)


def test_a_reply_is_told_with_its_figures_and_no_word(reply, logged):
    answering.answer(reply.pk, "w", ScriptedEngine([f"Hello {MARK}."]))

    assert f"Turn {reply.pk}, attempt 1:" in logged.getvalue()
    assert MARK not in logged.getvalue()


@pytest.mark.parametrize("kind", get_args(FailureKind))
def test_a_failure_is_told_by_its_kind_and_no_word(reply, logged, kind):
    script = Script(f"Half {MARK}. And more.", failure=Failure(kind, "It broke."), fail_after=2)
    answering.answer(reply.pk, "w", ScriptedEngine([script]))

    assert kind in logged.getvalue()
    assert MARK not in logged.getvalue()


def test_a_fault_of_the_database_does_not_name_what_it_refused(reply, logged):
    def refuse(request):
        raise IntegrityError(f"Failing row contains ({MARK})")

    with pytest.raises(IntegrityError) as caught:
        answering.answer(reply.pk, "w", ScriptedEngine(refuse))
    logging.getLogger("inference.local").error("Turn %s", 1, exc_info=caught.value)
    logging.getLogger("inference.local").warning("It waits: %s", DatabaseError(MARK))

    assert "IntegrityError" in logged.getvalue()
    assert MARK not in logged.getvalue()


@pytest.mark.django_db
def test_a_fault_of_a_page_is_logged_without_the_message_that_was_sent(logged, monkeypatch):
    monkeypatch.setattr(chat, "WAITS", 0.0)
    study = chat_study()
    pool.register(ChatModel.objects.get(), ScriptedEngine())
    person = Person(study)
    person.go_to("chat")
    pool.close()
    person.client.raise_request_exception = False

    def stumble(*args, **kwargs):
        int(MARK)

    monkeypatch.setattr(conversations, "say", stumble)
    person.client.post(person.page.address, person.page.hidden | {"message": MARK, "action": "send"})

    assert not Turn.objects.exists()
    assert "ValueError" in logged.getvalue()
    assert MARK not in logged.getvalue()


@pytest.mark.django_db
def test_an_invitation_that_is_not_there_is_not_named(logged):
    logging.getLogger("django.request").warning("Not Found: %s", "/i/secret-token/")
    Client().get("/i/secret-token/")

    assert "/i/..." in logged.getvalue()
    assert "secret-token" not in logged.getvalue()


def test_a_line_of_json_has_its_fields(caplog):
    caplog.set_level("INFO", "inference")
    logging.getLogger("inference").info("Turn %s", 7, extra={"turn": 7, "text": MARK})

    line = json.loads(JsonLines().format(caplog.records[0]))
    assert (line["message"], line["level"], line["turn"]) == ("Turn 7", "INFO", 7)
    assert "text" not in line


def test_what_names_files_and_settings_keeps_its_message(caplog):
    logging.getLogger("inference").error("It could not be loaded: %s", FileNotFoundError(2, "No such file", "a/b"))

    assert "No such file" in Discreet().format(caplog.records[0])


def test_causes_are_told_too_without_their_messages(caplog):
    try:
        try:
            int(MARK)
        except ValueError as fault:
            raise RuntimeError(MARK) from fault
    except RuntimeError:
        logging.getLogger("inference").exception("It failed.")

    text = Discreet().format(caplog.records[0])
    assert "RuntimeError" in text
    assert "ValueError" in text
    assert MARK not in text


# What others log, and what nobody catches


def stumble():
    raise ValueError(f"I am {MARK} and cannot sleep.")


@pytest.fixture
def celerys_own_lines():
    logger = logging.getLogger("celery")
    level = logger.level
    logger.setLevel("DEBUG")
    yield
    logger.setLevel(level)


def test_a_task_that_fails_is_told_by_its_type_and_place(logged, celerys_own_lines):
    app = Celery("test", set_as_current=False)
    task = app.task(stumble, name="stumble")
    task.apply(args=())

    text = logged.getvalue()
    assert "stumble" in text
    assert "ValueError" in text
    assert "test_logs.py" in text
    assert MARK not in text


def test_a_task_that_is_given_a_text_is_told_without_it(logged, celerys_own_lines):
    app = Celery("test", set_as_current=False)
    task = app.task(fullmatch, name="match")
    task.apply(args=(f"I am {MARK} (", "text"))

    assert "match" in logged.getvalue()
    assert MARK not in logged.getvalue()


@pytest.fixture
def nobody_catches(monkeypatch):
    """The hooks that a process of ours sets at its start."""
    for module, name in ((sys, "excepthook"), (threading, "excepthook"), (sys, "unraisablehook")):
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.delattr(sys, "ps1", raising=False)
    logs.take_what_nobody_catches()


def test_a_thread_that_fails_is_told_by_its_type_and_place(logged, nobody_catches, capfd):
    thread = threading.Thread(target=stumble, name="turn-7")
    thread.start()
    thread.join()

    text = logged.getvalue()
    assert "turn-7" in text
    assert "ValueError" in text
    assert "in stumble" in text
    assert MARK not in text + "".join(capfd.readouterr())


def test_a_process_that_fails_is_told_by_its_type_and_place(logged, nobody_catches, capfd):
    try:
        stumble()
    except ValueError:
        found = sys.exc_info()
    sys.excepthook(*found)

    assert "in stumble" in logged.getvalue()
    assert MARK not in logged.getvalue() + "".join(capfd.readouterr())


def test_what_fails_while_things_are_cleared_away_is_told_without_its_message(logged, nobody_catches, capfd):
    class Left:
        def __del__(self):
            stumble()

    left = Left()
    del left

    assert "in stumble" in logged.getvalue()
    assert MARK not in logged.getvalue() + "".join(capfd.readouterr())


def test_a_library_that_writes_a_message_into_its_line_is_not_repeated(logged):
    try:
        stumble()
    except ValueError as fault:
        logging.getLogger("library").error(f"It failed: {fault}")
        logging.getLogger("library").error("It failed: %s", repr(fault))
        logging.getLogger("library").error(fault)

    assert logged.getvalue().count("ValueError") == 3
    assert MARK not in logged.getvalue()


def test_a_library_s_own_kind_of_known_fault_is_not_known(logged):
    class AnswerError(OSError):
        """As those of HTTP libraries, which hold what the server said."""

    logging.getLogger("library").error("No answer: %s", AnswerError(MARK))

    assert "AnswerError" in logged.getvalue()
    assert MARK not in logged.getvalue()


def test_exceptions_that_led_to_each_other_are_told_once(caplog):
    first, second = ValueError(MARK), KeyError(MARK)
    first.__context__, second.__context__ = second, first
    logging.getLogger("inference").error("It failed.", exc_info=first)

    assert Discreet().format(caplog.records[0]).count("ValueError") == 1
