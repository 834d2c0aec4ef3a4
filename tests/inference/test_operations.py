"""What operators see, and when they are called."""

import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db.models import F
from django.utils import timezone

from inference import answering, conversations, operations
from inference.engines.base import Failure
from inference.engines.scripted import ScriptedEngine
from inference.models import Attempt, Turn, Worker

pytestmark = pytest.mark.django_db
ENGINE = "scripted:test-model"
PACE = {"alone": 0.01, "per_row": 0.0, "prompt": 0.0, "rows": 4, "slower": 1.0, "long": 100}


def ago(seconds: float):
    return timezone.now() - timedelta(seconds=seconds)


def worker(name="w", status="ready", silent=0, in_hand=0, **fields) -> Worker:
    fields |= {"status": status, "heard_at": ago(silent), "in_hand": in_hand, "pace": PACE}
    return Worker.objects.create(name=name, engine=ENGINE, **fields)


@pytest.fixture
def reply(open_conversation) -> Turn:
    return conversations.say(open_conversation(), "I cannot sleep.", 0)


def waits(reply: Turn, seconds: float) -> None:
    Turn.objects.filter(pk=reply.pk).update(created_at=ago(seconds))


def kinds():
    return [alarm.kind for alarm in operations.alarms()]


def test_whoever_waits_while_a_worker_is_idle_is_an_alarm(reply):
    worker()
    waits(reply, 45)

    [alarm] = operations.alarms()
    assert (alarm.kind, alarm.reason) == (
        "idle",
        "1 person waits for test-model, up to 45 s, while w could take more.",
    )


def test_a_short_wait_is_none(reply):
    worker()
    waits(reply, 10)

    assert kinds() == []


def test_a_queue_before_a_worker_with_its_hands_full_is_none(reply):
    worker(in_hand=4)
    waits(reply, 300)

    assert kinds() == []


def test_without_a_ready_worker_it_is_told_where_they_are(reply):
    worker("a", "loading")
    worker("b", silent=60)
    waits(reply, 45)

    [alarm] = operations.alarms()
    assert alarm.kind == "no worker"
    assert "a is loading; b was last heard of at" in alarm.reason


def test_a_reply_that_waits_for_its_next_try_does_not_wait_for_a_worker(reply):
    worker()
    waits(reply, 300)
    Turn.objects.filter(pk=reply.pk).update(not_before=ago(-20))

    assert kinds() == []


def test_a_worker_that_has_work_and_finishes_nothing_hangs(reply):
    worker(in_hand=1)
    Turn.objects.claim(reply.pk, "w")
    Turn.objects.filter(pk=reply.pk).update(claimed_at=ago(90))

    assert kinds() == ["hung"]


def test_a_worker_that_has_just_finished_a_reply_does_not_hang(reply, open_conversation):
    worker(in_hand=1)
    Turn.objects.claim(reply.pk, "w")
    Turn.objects.filter(pk=reply.pk).update(claimed_at=ago(90))
    answering.answer(conversations.say(open_conversation(), "Hello", 0).pk, "w", ScriptedEngine(["Hello."]))

    assert kinds() == []


def test_a_model_that_only_fails_is_an_alarm(open_conversation):
    for _ in range(5):
        reply = conversations.say(open_conversation(), "Hello", 0)
        answering.answer(reply.pk, "w", ScriptedEngine([Failure("refused", "No.")]))
    assert kinds() == ["failing"]

    reply = conversations.say(open_conversation(), "Hello", 0)
    answering.answer(reply.pk, "w", ScriptedEngine(["Hello."]))
    assert kinds() == []


def test_an_alarm_is_logged_once_and_once_when_it_is_over(reply, caplog):
    worker()
    waits(reply, 45)
    watch = operations.Watch()
    watch.look()
    assert caplog.messages == []

    for _ in range(3):
        watch.look()
    Turn.objects.filter(pk=reply.pk).delete()
    watch.look()
    watch.look()
    assert [(record.levelname, record.getMessage()[:12]) for record in caplog.records] == [
        ("ERROR", "Alarm (idle)"),
        ("ERROR", "Over (idle):"),
    ]


def test_a_worker_that_fell_silent_is_shown_for_a_while():
    worker("a")
    worker("b", silent=60)
    worker("c", silent=7200)

    assert [(line.name, line.alive) for line in operations.now().workers] == [("a", True), ("b", False)]


def fail(reply, kind="context_too_long") -> None:
    answering.answer(reply.pk, "w", ScriptedEngine([Failure(kind, "It failed.")]))


def test_times_failures_and_speed_come_from_the_attempts(reply, open_conversation):
    answering.answer(reply.pk, "w", ScriptedEngine(["Twelve bytes"]))
    fail(conversations.say(open_conversation(), "Hello", 0))
    tries = operations.tried(ago(60))

    assert operations.ends(operations.tallies(tries)) == operations.Ends(2, 1, {"context_too_long": 1}, {}, 1)
    assert operations.latency(operations.sample(tries).replies).whole.n == 1
    assert (operations.speed(1).replies, operations.speed(1).tokens) == (1, 12)


def test_a_reply_that_failed_several_times_was_given_up_once(reply):
    for _ in range(3):
        Turn.objects.filter(pk=reply.pk).update(not_before=None)
        fail(reply, "engine")
    tallies = operations.tallies(operations.tried(None))

    assert operations.ends(tallies) == operations.Ends(3, 0, {"engine": 3}, {}, 1)


def test_a_window_leaves_out_what_came_before(reply):
    answering.answer(reply.pk, "w", ScriptedEngine(["Hello."]))
    Attempt.objects.update(claimed_at=ago(600))

    assert operations.tallies(operations.tried(ago(60))) == []
    assert len(operations.tallies(operations.tried(None))) == 1


def many(open_conversation, n: int) -> None:
    conversation = open_conversation()
    turns = Turn.objects.bulk_create(
        Turn(conversation=conversation, index=index, role="assistant", state="done") for index in range(n)
    )
    now = timezone.now()
    Attempt.objects.bulk_create(
        Attempt(turn=turn, number=1, worker="w", seed=1, claimed_at=now, finished_at=now, outcome="done")
        for turn in turns
    )


def test_of_very_many_replies_an_even_share_is_looked_at(open_conversation):
    many(open_conversation, 3000)
    tries = Attempt.objects.all()

    sample = operations.sample(tries, most=300)
    of_every_second = operations.sample(tries.alias(odd=F("pk") % 2).filter(odd=1), most=150)

    assert sample.step == of_every_second.step == 10
    assert 270 <= len(sample.replies) <= 330
    assert 135 <= len(of_every_second.replies) <= 165


def test_of_few_replies_all_are_looked_at(open_conversation):
    many(open_conversation, 30)

    sample = operations.sample(Attempt.objects.all(), most=30)
    assert (len(sample.replies), sample.step) == (30, 1)


def test_a_reply_asked_for_again_waits_since_then(reply):
    worker(in_hand=4)
    waits(reply, 3600)
    fail(reply, "refused")
    Attempt.objects.update(finished_at=ago(1800))
    conversations.ask_again(reply)

    [line] = operations.now().queue
    assert line.oldest < timedelta(seconds=60)
    assert line.untaken_for < timedelta(seconds=60)


def test_a_reply_that_is_tried_again_by_itself_waits_since_the_message(reply):
    waits(reply, 40)
    fail(reply, "engine")
    Turn.objects.filter(pk=reply.pk).update(not_before=ago(-20))

    [line] = operations.now().queue
    assert line.oldest >= timedelta(seconds=40)
    assert (line.waiting, line.untaken, line.untaken_for) == (1, 0, None)


def test_asking_again_after_a_long_time_is_no_alarm(reply):
    worker()
    waits(reply, 3600)
    fail(reply, "refused")
    Attempt.objects.update(finished_at=ago(1800))
    conversations.retry_failed(Turn.objects.filter(pk=reply.pk))

    assert kinds() == []


def test_the_time_of_a_reply_asked_for_again_counts_from_then(reply):
    waits(reply, 3600)
    fail(reply, "refused")
    conversations.ask_again(reply)
    answering.answer(reply.pk, "w", ScriptedEngine(["Hello."]))

    assert operations.latency(operations.sample(operations.tried(None)).replies).whole.p95 < 60
    assert reply.tries.get(outcome="done").provenance["queued_s"] < 60


def test_what_is_only_being_shown_is_told_apart_from_what_is_being_made(reply, open_conversation):
    Turn.objects.claim(reply.pk, "w")
    Turn.objects.claim(conversations.say(open_conversation(), "Hello", 0).pk, "w")
    Turn.objects.filter(pk=reply.pk).update(computed_at=ago(0))

    [line] = operations.now().queue
    assert (line.running, line.shown, line.waiting) == (1, 1, 0)


def test_a_worker_whose_replies_are_only_being_shown_does_not_hang(reply):
    worker(in_hand=1)
    Turn.objects.claim(reply.pk, "w")
    Turn.objects.filter(pk=reply.pk).update(claimed_at=ago(90), computed_at=ago(80))

    assert kinds() == []


def test_the_middle_and_the_slow_end_are_values_that_were_measured():
    assert operations.spread(range(1, 101)) == operations.Spread(100, 50, 95)
    assert operations.spread([]) is None


def test_replies_made_in_advance_have_no_latency(setup_of_model):
    turn = conversations.stored(setup_of_model, "Hello", seed=1).turns.get(index=1)
    answering.answer(turn.pk, "w", ScriptedEngine(["Hello."]))

    tries = operations.tried(ago(60))
    assert operations.sample(tries).replies == []
    assert operations.ends(operations.tallies(tries)).replies == 0


def test_the_command_prints_one_json_object(reply, capsys):
    worker()
    waits(reply, 45)
    answering.answer(reply.pk, "w", ScriptedEngine(["Hello."]))
    call_command("operations", "--json")

    told = json.loads(capsys.readouterr().out)
    assert told["workers"][0]["name"] == "w"
    assert told["models"]["test-model"]["failures"]["tries"] == Attempt.objects.count() == 1
