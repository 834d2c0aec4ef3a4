import asyncio
import json
import threading
import time

import pytest
from django.db import connections

from inference import answering, capacity, conversations, streaming
from inference.engines.base import Failure
from inference.engines.scripted import Script, ScriptedEngine
from inference.live import live
from inference.models import Turn

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def reply(open_conversation):
    return conversations.say(open_conversation(release="token"), "Hi", 0)


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch):
    monkeypatch.setattr(streaming, "LOOK_EVERY", 0.2)


async def events_of(code, last="", until=None, locale="en"):
    """The stream as a browser reads it: (id, event, data)."""
    received = []
    async for block in streaming.event_stream(code, last, locale):
        fields = dict(line.split(": ", 1) for line in block.decode().strip().split("\n") if not line.startswith(":"))
        if "event" in fields:
            received.append((fields.get("id"), fields["event"], json.loads(fields["data"])))
            if until and until(received):
                break
    return received


def read(code, last="", until=None, locale="en"):
    return asyncio.run(events_of(code, last, until, locale))


def answer(reply, *script):
    answering.answer(reply.pk, "w1", ScriptedEngine(script))


def in_background(reply, *script):
    def work():
        answer(reply, *script)
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def text_of(events):
    return "".join(data["text"] for _, event, data in events if event == "token")


def test_a_reply_is_streamed_as_it_is_made(reply):
    thread = in_background(reply, Script("This is a reply in pieces.", pace=0.1))

    events = read(reply.code)

    thread.join()
    kinds = [event for _, event, _ in events]
    assert kinds[-1] == "final"
    assert kinds.count("token") >= 3
    assert text_of(events) == "This is a reply in pieces." == events[-1][2]["text"]


def test_pieces_are_joined_to_twenty_events_a_second_at_most(reply):
    thread = in_background(reply, Script("word " * 120, pace=0.005))

    begun = time.monotonic()
    events = read(reply.code)

    thread.join()
    assert len(events) <= (time.monotonic() - begun) * 20 + 3
    assert text_of(events).strip() == events[-1][2]["text"]


def test_it_goes_on_after_a_lost_connection_without_gap_or_repeat(reply):
    thread = in_background(reply, Script("one two three four five six seven eight nine ten", pace=0.08))

    first = read(reply.code, until=lambda events: len(events) == 3)
    time.sleep(0.2)
    second = read(reply.code, last=first[-1][0], until=lambda events: len(events) == 2)
    third = read(reply.code, last=second[-1][0])

    thread.join()
    assert text_of(first + second + third) == "one two three four five six seven eight nine ten"
    ids = [tuple(map(int, name.split("-"))) for name, _, _ in first + second + third if name]
    assert ids == sorted(set(ids))


def test_a_finished_reply_comes_from_memory_or_from_the_database(reply):
    answer(reply, "Short answer.")
    in_memory = read(reply.code)
    live.forget(reply.code)
    in_database = read(reply.code)

    assert in_memory[-1][1:] == in_database[-1][1:] == ("final", {"text": "Short answer."})


def test_a_browser_that_has_seen_all_is_told_the_end_again(reply):
    answer(reply, "Short answer.")
    last = read(reply.code)[-1][0]

    assert read(reply.code, last=last)[-1][1:] == ("final", {"text": "Short answer."})


def test_after_a_restart_the_new_attempt_resets_the_text(reply):
    engine = ScriptedEngine([Script("Half a reply", failure=Failure("engine", "x"), fail_after=2), "A whole reply"])
    answering.answer(reply.pk, "w1", engine)
    seen = read(reply.code, until=lambda events: True)
    Turn.objects.filter(pk=reply.pk).update(not_before=None)
    answering.answer(reply.pk, "w2", engine)

    events = read(reply.code, last=seen[-1][0])

    assert [event for _, event, _ in events] == ["reset", "token", "final"]
    assert events[-1][2]["text"] == "A whole reply"


def test_a_failed_reply_ends_with_one_wording_for_all_faults(reply, open_conversation):
    other = conversations.say(open_conversation(), "Hi", 0)
    answer(reply, Failure("context_too_long", "9000 tokens"))
    answering.refuse(other.pk, "w1", Failure("refused", "model larkspur is missing"))
    live.forget(other.code)

    assert read(reply.code)[-1][1:] == read(other.code)[-1][1:] == ("error", {"text": "This reply could not be made."})


def test_the_queue_is_told_honestly(reply, open_conversation):
    capacity.remember("scripted:test-model", capacity.Pace(alone=0.1, per_row=0.0, prompt=0.0, rows=1))
    Turn.objects.claim(reply.pk, "w1")
    waiting = [conversations.say(open_conversation(), "Hi", 0) for _ in range(2)]

    places = [read(turn.code, until=lambda events: True)[0] for turn in waiting]

    assert [(event, data["position"], data["seconds"]) for _, event, data in places] == [
        ("queue", 1, 20),
        ("queue", 2, 35),
    ]
    assert "number 2" in places[1][2]["text"]


def test_a_stream_that_waits_sends_heartbeats(reply, monkeypatch):
    monkeypatch.setattr(streaming, "HEARTBEAT", 0.1)

    async def blocks():
        stream = streaming.event_stream(reply.code)
        return [await anext(stream) for _ in range(4)]

    assert b": still here\n\n" in asyncio.run(asyncio.wait_for(blocks(), 5))


def test_a_conversation_that_was_deleted_ends_the_stream(reply):
    reply.conversation.delete()

    assert read(reply.code)[-1][1] == "error"


def test_open_streams_hold_no_database_connection(reply, monkeypatch):
    """Fifty streams wait; every connection opened for a look has been closed."""
    opened, closed = [], []
    real_look = streaming.look_at

    def counted(code):
        opened.append(1)
        look = real_look(code)
        assert connections["default"].connection is None
        closed.append(1)
        return look

    monkeypatch.setattr(streaming, "look_at", counted)

    async def wait_together():
        streams = [asyncio.create_task(events_of(reply.code)) for _ in range(50)]
        await asyncio.sleep(0.5)
        assert opened
        await asyncio.to_thread(lambda: (answer(reply, "Done."), connections.close_all()))
        return await asyncio.gather(*streams)

    results = asyncio.run(wait_together())

    assert all(events[-1][1:] == ("final", {"text": "Done."}) for events in results)
    assert len(opened) == len(closed)


def test_a_thread_waits_for_the_end_and_not_longer(reply):
    thread = in_background(reply, Script("One two three four.", pace=0.1))
    begun = time.monotonic()

    streaming.wait_for_end(reply.code, 10)

    assert 0.2 < time.monotonic() - begun < 3
    assert not Turn.objects.open().exists()
    thread.join()


def test_a_thread_gives_up_waiting_after_its_time(reply):
    begun = time.monotonic()
    streaming.wait_for_end(reply.code, 0.3)

    assert 0.25 < time.monotonic() - begun < 1


def test_the_moment_the_first_bytes_went_out_is_kept_once(reply):
    answer(reply, "Tell me more.")
    read(reply.code)
    reply.refresh_from_db()
    first = reply.first_sent_at
    read(reply.code)
    reply.refresh_from_db()

    assert reply.finished_at <= first == reply.first_sent_at


def test_a_reply_that_comes_from_the_database_is_noted_too(reply):
    answer(reply, "Tell me more.")
    live.forget(reply.code)
    read(reply.code)
    reply.refresh_from_db()

    assert reply.first_sent_at is not None


def test_a_reply_is_streamed_also_where_the_moment_cannot_be_noted(reply, monkeypatch, caplog):
    from django.db import DatabaseError

    def locked(*args, **kwargs):
        raise DatabaseError("database is locked")

    answer(reply, "Tell me more.")
    monkeypatch.setattr("django.db.models.query.QuerySet.update", locked)

    assert text_of(read(reply.code)) == "Tell me more."
    assert "could not be written down" in caplog.text
