import pytest

from inference import capacity, workers
from inference.capacity import REPLY_WITHIN, Pace
from inference.engines.base import Failure
from inference.engines.scripted import Script, ScriptedEngine


@pytest.fixture(autouse=True)
def nothing_measured(db, monkeypatch):
    monkeypatch.setattr(capacity, "_paces", {})


def pace(alone=0.05, per_row=0.01, prompt=0.5, rows=8):
    return Pace(alone=alone, per_row=per_row, prompt=prompt, rows=rows)


def test_replies_take_longer_the_more_are_made_at_once():
    assert pace().reply_seconds(1) == pytest.approx(0.5 + 160 * 0.05)
    assert pace().reply_seconds(5) == pytest.approx(0.5 + 160 * 0.09)


def test_so_many_replies_at_once_are_ready_in_time():
    rows = pace().replies_in_time()

    assert pace().reply_seconds(rows) <= REPLY_WITHIN < pace().reply_seconds(rows + 1)


def test_the_engine_s_own_limit_holds():
    assert pace(alone=0.001, per_row=0.0).replies_in_time() == 8


def test_somebody_can_always_chat_however_slow_it_is():
    assert pace(alone=10).replies_in_time() == 1


def test_a_busier_machine_takes_fewer_people():
    capacity.remember("m", pace())
    quiet = workers.chat_places({"m"})
    for _ in range(10):
        capacity.note("m", tokens=160, seconds=3 * pace().reply_seconds(2), rows=2)

    assert workers.chat_places({"m"}) < quiet


def test_shorter_replies_let_more_people_in():
    capacity.remember("m", pace())
    before = workers.chat_places({"m"})
    for _ in range(10):
        capacity.note("m", tokens=40, seconds=0.5 + 40 * 0.05, rows=1)

    assert workers.chat_places({"m"}) > before


def test_the_slowest_model_of_a_study_decides():
    capacity.remember("fast", pace())
    capacity.remember("slow", pace(alone=0.09, per_row=0.09))

    assert workers.chat_places({"fast", "slow"}) == workers.chat_places({"slow"}) < workers.chat_places({"fast"})


def test_of_an_unknown_model_nothing_is_claimed():
    assert workers.chat_places({"unknown"}) is None
    assert workers.wait_seconds("unknown", ahead=3, running=1) is None
    capacity.note("unknown", 100, 1.0, 1)


def test_with_a_free_slot_nobody_waits():
    capacity.remember("m", pace(rows=4))

    assert workers.wait_seconds("m", ahead=0, running=3) == 0
    assert workers.wait_seconds("m", ahead=0, running=4) > 0
    assert workers.wait_seconds("m", ahead=8, running=4) > workers.wait_seconds("m", ahead=0, running=4)


def test_an_engine_is_measured_by_a_few_short_replies():
    engine = ScriptedEngine([Script("word " * 24, pace=0.002)])

    measured = capacity.measure("m", engine)

    assert measured.rows == 8
    assert measured.alone > 0
    assert workers.chat_places({"m"}) == 16


def test_an_engine_that_cannot_answer_is_not_taken_for_ready():
    with pytest.raises(RuntimeError, match="no reply"):
        capacity.measure("m", ScriptedEngine([Failure("engine", "broken")]))
