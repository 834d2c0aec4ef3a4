"""Processes that are killed while they answer: no reply is lost, none is doubled."""

import random
import subprocess
import sys
import time

import pytest
from django.db import connection

from inference import conversations
from inference.leases import LeaseState
from inference.models import Attempt, Turn

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def start_worker():
    running = []

    def start(quick=True):
        command = [sys.executable, "-m", "tests.inference.killable"]
        database = connection.settings_dict["NAME"]
        process = subprocess.Popen(
            [*command, str(database), str(int(quick))], stdout=subprocess.PIPE, stderr=None, text=True
        )
        running.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


def until(condition, timeout):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_a_reply_cut_off_by_a_kill_is_finished_once_after_a_restart(start_worker, open_conversation):
    reply = conversations.say(open_conversation(), "my exam", 0)
    first = start_worker(quick=False)
    assert until(lambda: Turn.objects.filter(pk=reply.pk, state=LeaseState.RUNNING).exists(), 5)
    time.sleep(0.2)
    first.kill()
    first.wait()
    reply.refresh_from_db()
    assert reply.state == "running"

    start_worker(quick=False)

    assert until(lambda: not Turn.objects.open().exists(), 30)
    reply.refresh_from_db()
    assert (reply.state, reply.attempts) == ("done", 2)
    assert reply.released == "You wrote: my exam. That is all I have to say."
    assert list(reply.tries.order_by("number").values_list("outcome", flat=True)) == ["lost", "done"]
    assert len(set(reply.tries.values_list("seed", flat=True))) == 1


def test_no_reply_is_lost_or_doubled_by_many_kills(start_worker, setup_of_model, open_conversation, monkeypatch):
    monkeypatch.setitem(conversations.POLICY, "max_attempts", 50)
    chance = random.Random(5)
    for number in range(60):
        conversations.stored(setup_of_model, f"worry {number}", seed=number)
    for number in range(60):
        conversations.say(open_conversation(max_attempts=50), f"question {number}", 0)
    kills = 0
    workers = [start_worker(), start_worker()]
    while kills < 25 and Turn.objects.open().exists():
        time.sleep(chance.uniform(0.1, 0.5))
        place = chance.randrange(2)
        workers[place].kill()
        workers[place].wait()
        kills += 1
        workers[place] = start_worker()

    assert until(lambda: not Turn.objects.open().exists(), 60)
    lost = Attempt.objects.filter(outcome="lost").count()
    sys.stdout.write(f"{kills} kills, 120 replies, {lost} tries cut off, none lost, none doubled\n")
    assert kills == 25
    replies = list(Turn.objects.replies().prefetch_related("tries", "conversation__turns"))
    assert len(replies) == 120
    for reply in replies:
        message = reply.conversation.turns.get(index=0)
        assert reply.released == f"You wrote: {message.text}. That is all I have to say."
        outcomes = list(reply.tries.order_by("number").values_list("number", "outcome"))
        assert [number for number, _ in outcomes] == list(range(1, reply.attempts + 1))
        assert [outcome for _, outcome in outcomes] == ["lost"] * (reply.attempts - 1) + ["done"]
    assert lost
