import json

import pytest

from inference import measuring
from inference.engines.base import Failure
from inference.engines.scripted import Script, ScriptedEngine
from inference.measuring import EXCHANGES, Level, Measured, NothingMeasured
from inference.models import ChatModel, Setup


@pytest.fixture
def setup():
    return Setup(chat_model=ChatModel(key="m", engine="scripted"), system="You listen.", sampling={}, stops=[])


@pytest.fixture(autouse=True)
def own_folder(settings, tmp_path):
    settings.DATA_DIR = tmp_path / "data"
    settings.HOST_LABEL = "here"


def say(number, turn):
    return f"chat {number}, turn {turn}"


def crowded(at_most):
    """A script in which whoever comes when so many are there already is answered too late."""
    return lambda request: (
        Failure("deadline", "Late.") if request.key.startswith("measure-") and at_once(request) > at_most else "Hello."
    )


def at_once(request):
    number = request.key.split("-")[1]
    return int(number) if number.isdigit() else 0


def tried(at_most, setup, seconds=30):
    engine = ScriptedEngine(crowded(at_most), capacity=64)
    return list(measuring.levels(engine, [setup], say, seconds)), engine


def test_more_and_more_are_tried_until_they_are_too_many_then_the_number_between(setup):
    levels, _ = tried(5, setup)

    assert [level.at_once for level in levels] == [1, 2, 4, 8, 6, 5]
    assert [level.is_in_time for level in levels] == [True, True, True, False, False, True]
    assert measuring.result(levels).chats == 10
    assert not measuring.result(levels).is_least


def test_a_machine_that_cannot_answer_one_in_time_carries_nobody(setup):
    levels, _ = tried(0, setup)

    found = measuring.result(levels)
    assert ([level.at_once for level in levels], found.chats, found.p95) == ([1], 0, None)


def test_each_chat_speaks_in_a_context_that_grows(setup):
    engine = ScriptedEngine(["Hello."])

    level = measuring.Trial(engine, [setup], say, 1, until=float("inf")).run()

    assert [len(request.messages) for request in engine.requests[:EXCHANGES]] == [2, 4, 6]
    assert {request.conversation for request in engine.requests[:EXCHANGES]} == {"measure-1-0-0"}
    assert level.at_once == 1
    assert level.p50 <= level.p95 < 15


def test_all_arms_of_an_engine_are_asked(setup):
    other = Setup(chat_model=setup.chat_model, system="You ask.", sampling={"max_new_tokens": 7}, stops=["END"])
    engine = ScriptedEngine(["Hello."])

    measuring.Trial(engine, [setup, other], say, 2, until=float("inf")).run()

    assert {request.messages[0]["content"] for request in engine.requests} == {"You listen.", "You ask."}
    assert {request.sampling.max_new_tokens for request in engine.requests} == {160, 7}


def test_when_the_time_is_over_what_was_found_is_the_least(setup):
    slow = ScriptedEngine(lambda request: Script("Hello there.", pace=0.0 if at_once(request) < 2 else 30))

    levels = list(measuring.levels(slow, [setup], say, seconds=0.3))

    assert [level.at_once for level in levels] == [1]
    assert measuring.result(levels).is_least


def test_a_model_that_fails_is_no_measurement(setup):
    with pytest.raises(NothingMeasured, match="broken"):
        list(measuring.levels(ScriptedEngine([Failure("engine", "broken")]), [setup], say, 5))


def test_an_empty_reply_is_a_reply(setup):
    level = measuring.Trial(ScriptedEngine([""]), [setup], say, 1, until=float("inf")).run()

    assert level.is_in_time


def test_a_result_is_kept_for_each_engine_and_replaced(setup):
    other = ChatModel(key="n", engine="scripted", base="n")
    measuring.keep(setup.chat_model, Measured(4, 9.0, "2026-01-01", "here"))
    measuring.keep(other, Measured(8, 9.0, "2026-01-01", "there"))
    measuring.keep(setup.chat_model, Measured(6, 9.5, "2026-01-02", "here"))

    assert measuring.kept(setup.chat_model) == Measured(6, 9.5, "2026-01-02", "here")
    assert measuring.kept(other).chats == 8
    assert not measuring.kept(other).is_here


def test_a_file_that_somebody_broke_counts_as_nothing_measured(setup, settings):
    measuring.keep(setup.chat_model, Measured(4, 9.0, "2026-01-01", "here"))
    (settings.DATA_DIR / "capacity.json").write_text("{")

    assert measuring.kept(setup.chat_model) is None


def test_an_entry_of_another_shape_counts_as_nothing_measured(setup, settings):
    settings.DATA_DIR.mkdir()
    (settings.DATA_DIR / "capacity.json").write_text(json.dumps({setup.chat_model.engine_name: {"places": 3}}))

    assert measuring.kept(setup.chat_model) is None


def test_nineteen_of_twenty_are_enough():
    assert Level(2, 3.0, 15.0, 1.0, 1.0).is_in_time
    assert not Level(2, 3.0, 15.1, 1.0, 1.0).is_in_time
    assert Level(2).chats == 4
