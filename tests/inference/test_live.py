import asyncio
import threading
import time

from inference.live import START, EventId, LiveText


def texts(events):
    return [event.text for event in events]


def test_a_reader_goes_on_where_it_stopped():
    live = LiveText()
    live.begin("t", 1)
    for word in ("one ", "two ", "three"):
        live.append("t", 1, "token", word)

    first = live.read("t")[0]

    assert str(first.id) == "1-1"
    assert texts(live.read("t", first.id)) == ["two ", "three"]
    assert live.read("t", EventId(1, 3)) == []


def test_a_new_attempt_begins_with_a_reset():
    live = LiveText()
    live.begin("t", 1)
    live.append("t", 1, "token", "void")
    live.begin("t", 2)
    live.append("t", 2, "token", "valid")

    assert [(str(event.id), event.kind) for event in live.read("t", EventId(1, 1))] == [
        ("2-1", "reset"),
        ("2-2", "token"),
    ]


def test_an_earlier_attempt_is_not_heard_any_more():
    live = LiveText()
    live.begin("t", 2)
    live.append("t", 1, "token", "late")
    live.begin("t", 1)

    assert [event.kind for event in live.read("t")] == ["reset"]


def test_nothing_comes_after_the_end():
    live = LiveText()
    live.begin("t", 1)
    live.append("t", 1, "final", "All.")
    live.append("t", 1, "token", "more")

    assert texts(live.read("t")) == ["All."]
    assert not live.is_writing("t")


def test_ids_from_elsewhere_start_at_the_beginning():
    assert EventId.read("3-17") == EventId(3, 17)
    for strange in ("", "x", "1", "1-", "-1", "1-x", "٣-٤", "<b>"):
        assert EventId.read(strange) == START


def test_it_remembers_a_bounded_number_of_replies():
    live = LiveText(streams=10)
    for number in range(100):
        live.begin(f"t{number}", 1)

    assert len(live._streams) == 10


def test_finished_replies_are_forgotten_after_a_while():
    live = LiveText(keep=0.05)
    live.begin("t", 1)
    live.append("t", 1, "final", "All.")
    time.sleep(0.1)
    live.begin("other", 1)

    assert live.read("t") == []


def test_a_waiting_thread_hears_at_once():
    live = LiveText()
    live.begin("t", 1)
    threading.Timer(0.1, live.append, ("t", 1, "token", "Hello")).start()

    begun = time.monotonic()
    assert texts(live.wait("t", START, timeout=5)) == ["Hello"]
    assert time.monotonic() - begun < 1


def test_a_thread_may_wait_before_anything_has_begun():
    live = LiveText()

    def write():
        live.begin("t", 1)
        live.append("t", 1, "token", "Hello")

    threading.Timer(0.1, write).start()
    assert texts(live.wait("t", START, timeout=5)) == ["Hello"]
    assert live.wait("other", START, timeout=0.05) == []


def test_coroutines_hear_what_threads_write():
    live = LiveText()

    def write():
        for number in range(200):
            live.append("t", 1, "token", f"{number} ")
        live.append("t", 1, "final", "All.")

    async def read():
        seen, received = START, []
        while not (received and received[-1].ends):
            events = await live.follow("t", seen, timeout=5)
            received += events
            seen = received[-1].id
        return received

    async def many():
        readers = [asyncio.create_task(read()) for _ in range(20)]
        await asyncio.sleep(0.05)
        threading.Thread(target=write).start()
        return await asyncio.gather(*readers)

    live.begin("t", 1)
    for received in asyncio.run(many()):
        assert [event.id.seq for event in received] == list(range(1, 202))
    assert not live._listeners
