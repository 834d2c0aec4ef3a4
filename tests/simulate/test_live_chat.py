"""Synthetic participants chat, too: through the pages, with a scripted model that answers in this process."""

import pytest

from inference import capacity, dispatch
from inference.engines.scripted import ScriptedEngine
from inference.models import ChatModel, Turn
from inference.pool import pool
from ratings.models import Visit
from ratings.simulate import bots
from tests.path.test_chat import chat_study
from tests.simulate.conftest import simulate

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def run(server):
    chat_study()
    pool.register(ChatModel.objects.get(key="larkspur-7b"), ScriptedEngine(["I hear you. What happened then?"]))
    dispatch.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bots, "LOOK_AGAIN_AFTER", 0.1)
            yield simulate(server, "small-chat", participants=4, mix={"careful": 3, "fast": 1})
    finally:
        dispatch.stop()
        pool.close()
        capacity._paces.clear()


def test_everybody_gets_through(run):
    assert run.progress.count("failed") == run.summary["failed_pages"] == 0
    assert run.summary["completed"] == Visit.objects.completed().count() == 4


def test_each_message_is_answered_once(run):
    turns = Turn.objects.filter(conversation__kind="live")

    assert turns.filter(role="user").count() == run.summary["messages"]
    assert turns.filter(role="assistant", state="done").count() == run.summary["messages"]


def test_they_write_as_often_as_the_study_asks(run):
    assert 2 * 2 * 4 <= run.summary["messages"] <= 2 * 3 * 4
