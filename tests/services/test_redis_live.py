"""Live text through a real Redis, written by one process and read by another (here: two objects that share nothing)."""

import asyncio
import threading
import time
from secrets import token_hex

import pytest

from inference.live import START, EventId
from inference.redislive import RedisLiveText

pytestmark = pytest.mark.services


@pytest.fixture
def another(redis_server):
    """Makes one more, as another process would."""
    made = []

    def make() -> RedisLiveText:
        made.append(RedisLiveText(redis_server.url))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def writer(another):
    return another()


@pytest.fixture
def reader(another):
    return another()


@pytest.fixture
def code():
    return token_hex(4)


def write(writer, code, attempt=1, words=("one ", "two ", "three"), end="one two three") -> None:
    writer.begin(code, attempt)
    for word in words:
        writer.append(code, attempt, "token", word)
    if end:
        writer.append(code, attempt, "final", end)


def read_all(reader, code, after=START, timeout=5.0) -> list:
    received, until = [], time.monotonic() + timeout
    while not (received and received[-1].ends) and time.monotonic() < until:
        received += reader.wait(code, received[-1].id if received else after, 0.5)
    return received


def text_of(events) -> str:
    return "".join(event.text for event in events if event.kind == "token")


def test_what_one_process_writes_another_reads(writer, reader, code):
    write(writer, code)
    events = read_all(reader, code)

    assert text_of(events) == "one two three"
    assert (events[-1].kind, events[-1].text) == ("final", "one two three")


def test_a_reader_that_waits_hears_soon(writer, reader, code):
    threading.Timer(0.3, write, (writer, code)).start()
    began = time.monotonic()
    events = read_all(reader, code)

    assert text_of(events) == "one two three"
    assert time.monotonic() - began < 2


def test_a_second_stream_is_heard_although_the_first_is_silent(writer, reader, code):
    threading.Thread(target=reader.wait, args=(f"silent-{code}", START, 5)).start()
    time.sleep(0.2)
    write(writer, code)

    began = time.monotonic()
    assert text_of(read_all(reader, code)) == "one two three"
    assert time.monotonic() - began < 0.9  # not only when the reader looks up by itself


def test_a_browser_goes_on_where_it_stopped(writer, reader, another, code):
    write(writer, code, end="")
    first = read_until(reader, code, "three")
    writer.append(code, 1, "token", " four")
    writer.append(code, 1, "final", "one two three four")

    assert text_of(read_all(another(), code, after=first[-1].id)) == " four"


def read_until(reader, code, word) -> list:
    received = []
    until = time.monotonic() + 5
    while word not in text_of(received):
        assert time.monotonic() < until
        received += reader.wait(code, received[-1].id if received else START, 0.5)
    return received


def test_a_new_attempt_voids_what_came_before(writer, reader, another, code):
    write(writer, code, words=("void ",), end="")
    read_until(reader, code, "void")
    write(another(), code, attempt=2, words=("valid",), end="valid")
    events = read_all(reader, code, after=EventId(1, 1))

    assert [event.kind for event in events] == ["reset", "token", "final"]
    assert text_of(events) == "valid"


def test_a_late_writer_is_not_heard(writer, reader, another, code):
    late = another()
    late.begin(code, 1)
    write(writer, code, attempt=2, end="")
    late.append(code, 1, "token", "late ")
    time.sleep(0.1)
    writer.append(code, 2, "final", "one two three")

    assert "late" not in text_of(read_all(reader, code))


def test_nothing_comes_after_the_end(writer, reader, code):
    write(writer, code)
    writer.append(code, 1, "token", "more")

    assert [event.kind for event in read_all(reader, code)][-1] == "final"
    assert reader.wait(code, EventId(1, 4), 0.3) == []


def test_hundreds_of_coroutines_are_served_by_one_reader(writer, reader):
    codes = [token_hex(4) for _ in range(200)]

    async def one(code):
        seen, received = START, []
        while not (received and received[-1].ends):
            received += await reader.follow(code, seen, timeout=5)
            seen = received[-1].id if received else START
        return text_of(received)

    async def everybody():
        reading = [asyncio.create_task(one(code)) for code in codes]
        await asyncio.sleep(0.2)
        threading.Thread(target=lambda: [write(writer, code) for code in codes]).start()
        return await asyncio.wait_for(asyncio.gather(*reading), 20)

    assert set(asyncio.run(everybody())) == {"one two three"}
    assert threading.active_count() < 20


def test_what_is_forgotten_is_gone_from_redis(writer, reader, code):
    write(writer, code)
    read_all(reader, code)
    writer.forget(code)

    assert writer._client.exists(f"live:{code}") == 0


def test_text_does_not_stay_in_redis(writer, reader, code):
    write(writer, code)
    read_all(reader, code)

    assert 0 < writer._client.ttl(f"live:{code}") <= 600


def test_a_redis_that_comes_back_empty_costs_the_middle_and_never_the_end(redis_server, writer, reader, code, caplog):
    write(writer, code, end="")
    read_until(reader, code, "three")
    redis_server.kill()
    writer.append(code, 1, "token", " lost")
    time.sleep(0.3)
    redis_server.start()
    time.sleep(1.2)  # both sides try again
    writer.append(code, 1, "token", " after")
    writer.append(code, 1, "final", "one two three lost after")
    events = read_all(reader, code, after=EventId(1, 3), timeout=10)

    assert " after" not in text_of(events)  # there is a gap before it
    assert (events[-1].kind, events[-1].text) == ("final", "one two three lost after")


def test_a_writer_that_is_silent_may_be_dead(writer, reader, code, monkeypatch):
    write(writer, code, end="")
    read_until(reader, code, "three")
    assert reader.is_writing(code)

    monkeypatch.setattr("inference.redislive.SILENT_AFTER", 0)
    assert not reader.is_writing(code)
