"""That a page was served is written down a moment later, and never about somebody who has left."""

import pytest
from django.db import DatabaseError, transaction

from ratings import withdrawal
from ratings.models import Event, Exposure, Visit
from ratings.path import served
from tests.factories import published_study
from tests.path.person import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def notes_are_written_at_once():
    """Not here."""


@pytest.fixture
def notebook(monkeypatch):
    """One that nobody writes from but the test."""
    notebook = served.Notebook()
    notebook._write_on = lambda: None
    monkeypatch.setattr(served, "notebook", notebook)
    return notebook


@pytest.fixture
def rating(notebook):
    """Somebody in front of their first reply; what was served before is written down."""
    person = Person(published_study())
    person.go_to("rate")
    notebook.flush()
    return person


def pages_served() -> int:
    return Event.objects.filter(kind="served", stage="rate").count()


def test_showing_a_page_writes_nothing(rating, notebook):
    before = pages_served()
    rating.get()

    assert pages_served() == before
    notebook.flush()
    assert pages_served() == before + 1


def test_a_note_keeps_the_time_of_its_page(rating, notebook):
    rating.rate()
    shown = notebook._waiting[-1].at
    notebook.flush()

    assert Exposure.objects.get(assignment__position=2).shown_at == shown
    assert Event.objects.filter(kind="served").latest("id").at == shown


def test_a_page_that_is_shown_again_was_shown_the_first_time(rating, notebook):
    first = Exposure.objects.get(assignment__position=1).shown_at
    rating.get()
    notebook.flush()

    assert Exposure.objects.get(assignment__position=1).shown_at == first


def test_nothing_is_written_about_somebody_who_left_meanwhile(rating, notebook):
    rating.get()
    withdrawal.withdraw(Visit.objects.get())
    notebook.flush()

    assert not Event.objects.exists()


def test_notes_wait_while_the_database_cannot_be_written_to(rating, notebook, monkeypatch, caplog):
    before = pages_served()
    rating.get()
    with monkeypatch.context() as broken:
        broken.setattr(served, "write", lambda notes: (_ for _ in ()).throw(DatabaseError("database is locked")))
        notebook.flush()
    assert "1 notes of served pages wait" in caplog.text
    assert pages_served() == before

    notebook.flush()
    assert pages_served() == before + 1


def test_inside_a_transaction_it_is_a_part_of_it(rating):
    visit, before = Visit.objects.get(), pages_served()
    with transaction.atomic():
        served.note_served(visit, "rate", 1)
        assert pages_served() == before + 1
        transaction.set_rollback(True)

    assert pages_served() == before


def test_the_thread_writes_by_itself(monkeypatch):
    monkeypatch.setattr(served, "MOMENT", 0.01)
    notebook = served.Notebook()
    monkeypatch.setattr(served, "notebook", notebook)
    written = served.threading.Event()
    write = served.write
    monkeypatch.setattr(served, "write", lambda notes: (write(notes), written.set()))
    Person(published_study()).go_to("eligibility")

    assert written.wait(10)
    notebook.flush()
    assert Event.objects.filter(kind="served").exists()
