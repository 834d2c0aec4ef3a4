"""Queries whose SQL is made once answer as Django's own do; unhurried writes are writes all the same."""

import pytest
from django.db import connection, transaction

from ratings.enrolment import arrive, enrol
from ratings.models import Assignment, Event, Exposure, Visit
from ratings.models.prepared import Prepared, PreparedObject
from ratings.path.unhurried import unhurried
from tests.factories import published_study

POSITIONS = Prepared(["position", "item__key"], lambda visit: Assignment.objects.filter(visit=visit), "visit")
VISIT = PreparedObject(
    Visit,
    ["stage", "last_seen_at", "place_until", "version__fingerprint", "version__study__slug"],
    lambda code, slug: Visit.objects.filter(code=code, version__study__slug=slug),
    *("code", "slug"),
)
EXPOSURE = PreparedObject(
    Exposure, ["asked_to_check", "conversation__code"], lambda pk: Exposure.objects.filter(pk=pk), "pk"
)


@pytest.fixture
def study(db):
    return published_study()


@pytest.fixture
def visit(study):
    visit = arrive(study, "real", "en")
    enrol(visit)
    return visit


def find(visit) -> Visit | None:
    return VISIT.find(code=visit.code, slug=visit.version.study.slug)


def test_rows_are_those_of_the_query(visit, study):
    other = arrive(study, "real", "en")
    enrol(other)

    for each in (visit, other):
        assert POSITIONS.rows(visit=each.pk) == list(each.assignments.values_list("position", "item__key"))


def test_an_object_has_what_was_asked_for_without_another_query(visit, django_assert_num_queries):
    find(visit)
    with django_assert_num_queries(1):
        found = find(visit)
        read = (found.pk, found.stage, found.last_seen_at, found.version.fingerprint, found.version.study.slug)

    assert read == (visit.pk, visit.stage, visit.last_seen_at, visit.version.fingerprint, visit.version.study.slug)


def test_what_was_not_asked_for_is_loaded_later(visit):
    assert find(visit).seed == visit.seed
    assert find(visit).version.definition == visit.version.definition


def test_dates_have_their_zone_and_may_be_missing(visit):
    assert find(visit).place_until == visit.place_until

    Visit.objects.update(place_until=None)
    assert find(visit).place_until is None


def test_it_can_be_saved(visit):
    found = find(visit)
    found.stage = "rate"
    found.save(update_fields=["stage"])

    visit.refresh_from_db()
    assert visit.stage == "rate"


def test_nothing_is_found_as_none(visit):
    assert VISIT.find(code="nobody", slug=visit.version.study.slug) is None


def test_a_missing_relation_is_none(visit):
    exposure = Exposure.objects.first()
    Exposure.objects.filter(pk=exposure.pk).update(conversation=None)

    found = EXPOSURE.find(pk=exposure.pk)
    assert found.conversation is None
    assert found.asked_to_check is False


def synchronous() -> int:
    with connection.cursor() as cursor:
        return cursor.execute("PRAGMA synchronous").fetchone()[0]


@pytest.mark.django_db(transaction=True)
def test_an_unhurried_write_is_kept_and_the_next_one_waits_for_the_disk_again(study):
    visit = arrive(study, "real", "en")
    with unhurried():
        during = synchronous()
        Event.objects.create(visit=visit, kind="served", stage="rate")

    assert (during, synchronous()) == (1, 2)
    assert Event.objects.filter(kind="served").count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_unhurried_write_that_fails_leaves_nothing(study):
    visit = arrive(study, "real", "en")

    def fail() -> None:
        with unhurried():
            Event.objects.create(visit=visit, kind="served", stage="rate")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not Event.objects.filter(kind="served").exists()
    assert synchronous() == 2


@pytest.mark.django_db(transaction=True)
def test_inside_a_transaction_that_waits_it_is_a_part_of_it():
    with transaction.atomic(), unhurried():
        assert synchronous() == 2
