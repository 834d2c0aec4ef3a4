import threading
from datetime import timedelta

from evalsite import schedule
from evalsite.schedule import Entry, LocalSchedule


def test_what_is_due_is_done_at_the_start():
    done = threading.Event()
    clock = LocalSchedule([Entry(done.set, every=timedelta(days=1))])
    clock.start()

    assert done.wait(5)
    clock.stop()


def test_work_comes_again_after_its_time():
    times = threading.Semaphore(0)
    clock = LocalSchedule([Entry(times.release, every=timedelta(milliseconds=5))])
    clock.start()

    assert all(times.acquire(timeout=5) for _ in range(3))
    clock.stop()


def test_a_fault_in_one_entry_stops_neither_it_nor_the_others(caplog):
    failures, others = threading.Semaphore(0), threading.Semaphore(0)

    def fail() -> None:
        failures.release()
        raise ValueError("no")

    clock = LocalSchedule(
        [Entry(fail, every=timedelta(milliseconds=5)), Entry(others.release, every=timedelta(milliseconds=5))]
    )
    clock.start()

    assert all(failures.acquire(timeout=5) and others.acquire(timeout=5) for _ in range(3))
    clock.stop()
    assert "fail failed" in caplog.text


def test_it_ends_when_told():
    clock = LocalSchedule([])
    clock.start()
    clock.stop()

    assert "schedule" not in {thread.name for thread in threading.enumerate()}


def test_places_are_given_back_every_minute_and_copies_made_every_day():
    found = {entry.work.__name__: entry.every for entry in schedule.entries()}

    assert found["give_back_stale_places"] == timedelta(minutes=1)
    assert found["copy_of_the_day"] == timedelta(days=1)
