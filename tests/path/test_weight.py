"""What a page weighs: its bytes, its requests, its queries."""

import re
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ratings.models import Arm
from ratings.path import pagetime
from tests.factories import published_study
from tests.path.person import RATINGS, Person


def queries(context: CaptureQueriesContext) -> list[str]:
    """What was asked of the tables; the bounds of transactions are not counted."""
    bounds = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK", "PRAGMA")
    return [query["sql"] for query in context if not query["sql"].startswith(bounds)]


@pytest.fixture
def rating(person):
    """At the second reply of the path, with all that is kept in memory in memory."""
    person.go_to("rate")
    person.rate()
    person.rate()
    return person


def test_showing_a_reply_takes_few_queries(rating):
    with CaptureQueriesContext(connection) as context:
        rating.client.get("/s/small-study/rate/3/")

    assert len(queries(context)) <= 4, queries(context)


def test_storing_a_rating_takes_few_queries(rating):
    page = rating.page
    with CaptureQueriesContext(connection) as context:
        rating.client.post(page.address, page.hidden | RATINGS | {"action": "next"} | {"page_time": pagetime.sign(60)})

    # Where rows are locked, one more locks the visit; in SQLite the transaction has nobody beside it.
    assert len(queries(context)) <= 7 + connection.features.has_select_for_update, queries(context)


def test_no_session_is_touched(rating):
    assert set(rating.client.cookies) <= {"visit-small-study", "csrf", "invited-small-study"}


def test_the_rating_page_is_small_and_has_no_script(rating):
    page = rating.get("/s/small-study/rate/3/")

    assert len(page.html.encode()) < 8_000
    assert "<script" not in page.html
    assert len(re.findall(r'(?:src|href)="/static/[^"]+"', page.html)) <= 3


def test_pages_carry_no_inline_style_or_handler(person):
    for stage in ("entry", "eligibility", "consent", "instructions", "practice", "rate", "exit", "debrief"):
        html = person.go_to(stage).html
        assert not re.search(r"\sstyle=|<style|\son\w+=", html)


def test_the_style_sheet_is_small():
    assert len(Path("ratings/static/ratings/participant.css").read_bytes()) < 10_500


def test_no_byte_of_the_path_names_arm_or_item(db):
    study = published_study(arms=[{"key": "zanzibar"}, {"key": "quetzal"}])
    person = Person(study)
    told = []
    for stage in ("entry", "eligibility", "consent", "instructions", "practice", "rate", "exit", "debrief"):
        person.go_to(stage)
        told.append(person.page.html)
        while person.page.stage == "rate":
            told.append(person.page.html)
            person.rate()

    assert Arm.objects.count() == 2
    for word in ("zanzibar", "quetzal", "item-", "conversation"):
        assert not [html for html in told if word in html], word
