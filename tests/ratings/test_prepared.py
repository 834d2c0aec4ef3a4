"""Statements whose SQL is made once do what Django's own do."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from ratings.enrolment import arrive, enrol
from ratings.models import Assignment, Exposure, Rating, Visit
from ratings.models.answers import HAPPENED
from ratings.models.prepared import Prepared, PreparedInsert, PreparedObject, PreparedUpdate
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


RATED = PreparedInsert(
    Rating,
    ["exposure", "criterion", "value", "missing_reason", "first_value", "created_at", "updated_at"],
    unique=["exposure", "criterion"],
    replaced=["value", "updated_at"],
)
COMMENTED = PreparedUpdate(Exposure, ["comment"])
SHOWN_ONCE = PreparedUpdate(Exposure, ["shown_at"], once=True)


def row(exposure, criterion, value: int) -> tuple:
    return (exposure.pk, criterion.pk, value, "", value, timezone.now(), timezone.now())


@pytest.fixture
def exposure(visit):
    return Exposure.objects.filter(assignment__visit=visit).first()


def test_rows_are_inserted_together(exposure, study):
    empathy, fluency = study.current_version.criteria.order_by("key")
    RATED.rows([row(exposure, empathy, 7), row(exposure, fluency, 3)])

    assert dict(exposure.ratings.values_list("criterion__key", "value")) == {"empathy_support": 7, "fluency_quality": 3}


def test_an_old_row_gets_the_new_values_that_are_replaced_and_keeps_the_others(exposure, study):
    criterion = study.current_version.criteria.first()
    RATED.rows([row(exposure, criterion, 7)])
    RATED.rows([row(exposure, criterion, 4)])

    rating = exposure.ratings.get()
    assert (rating.value, rating.first_value) == (4, 7)
    assert rating.updated_at > rating.created_at


def test_an_inserted_event_reads_as_it_was_written(visit):
    at = timezone.now()
    HAPPENED.rows([(visit.pk, at, "submitted", "rate", 2, {"seconds": 1.5, "words": "ü"})])

    event = visit.events.get(kind="submitted")
    assert (event.at, event.position, event.detail) == (at, 2, {"seconds": 1.5, "words": "ü"})


def test_an_update_seals_what_is_sealed(exposure):
    COMMENTED.row(exposure.pk, "Very warm.")

    with connection.cursor() as cursor:
        stored = cursor.execute("SELECT comment FROM ratings_exposure WHERE id = %s", [exposure.pk]).fetchone()[0]
    exposure.refresh_from_db()
    assert exposure.comment == "Very warm."
    assert "warm" not in stored


def test_an_update_touches_no_other_row(exposure):
    COMMENTED.row(exposure.pk, "Mine.")

    assert Exposure.objects.filter(comment__isnull=False).count() == 1


def test_once_is_the_first_time(exposure):
    first = timezone.now()
    SHOWN_ONCE.row(exposure.pk, first)
    SHOWN_ONCE.row(exposure.pk, first + timedelta(seconds=5))

    exposure.refresh_from_db()
    assert exposure.shown_at == first
