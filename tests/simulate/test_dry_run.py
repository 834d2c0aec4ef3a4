"""A crowd goes through a real server: what it reports, what the database has of it, what the report makes of it."""

from collections import Counter

import pytest
from django.db.models import Count

from ratings.models import Answer, Event, Exposure, Participant, Rating, Visit
from reports.management.commands.report import of_study
from tests.simulate.conftest import EFFECT, PEOPLE, simulate

pytestmark = pytest.mark.django_db


def test_it_ends_well_and_says_so_in_one_line(run):
    assert run.status == 0
    assert run.progress.splitlines()[-1].startswith(f"{PEOPLE} of {PEOPLE} through")
    assert run.summary["failed_pages"] == 0
    assert run.summary["completed"] + run.summary["dropped_out"] == PEOPLE
    assert run.summary["characters"] == {"careful": 16, "dropout": 5, "fast": 3}


def test_the_database_counts_as_the_participants_did(run, study):
    visits = Visit.objects.filter(version__study=study)
    rated = Rating.objects.filter(exposure__assignment__visit__in=visits)

    assert visits.completed().count() == run.summary["completed"] == 19
    assert rated.exclude(value=None).count() == run.summary["ratings"]
    assert rated.filter(value=None).count() == run.summary["missing"]


def test_everybody_is_synthetic(study):
    assert set(study.participants.values_list("kind", flat=True)) == {Participant.Kind.SYNTHETIC}


def test_each_rating_is_stored_once(study):
    per_exposure = Exposure.objects.filter(
        assignment__visit__in=Visit.objects.filter(version__study=study).completed()
    ).annotate(ratings_given=Count("ratings"))

    assert set(per_exposure.values_list("ratings_given", flat=True)) == {2}


def test_everybody_who_completes_rates_both_arms_equally_often(study):
    exposures = Exposure.objects.filter(
        assignment__visit__in=Visit.objects.filter(version__study=study).completed()
    ).values_list("assignment__visit", "arm__key")

    assert set(Counter(exposures).values()) == {2}


def test_people_in_a_hurry_are_asked_to_look_again_and_get_through(study):
    asked = Exposure.objects.filter(asked_to_check=True).values_list("assignment__visit__outcome", flat=True)

    assert Counter(asked) == {"completed": 3 * 4}


def test_patient_people_need_no_patience_of_ours(study):
    """They say how long they read, and nobody waits for it."""
    claimed = [
        detail["seconds"]
        for detail in Event.objects.filter(kind="submitted", visit__outcome="completed").values_list(
            "detail", flat=True
        )
    ]

    assert sum(claimed) > 400


def test_most_pass_the_attention_check_and_not_all_do_everything_alike(study):
    checks = Counter(answer.value for answer in Answer.objects.filter(visit__version__study=study, kind="check"))
    rated = Exposure.objects.filter(assignment__visit__version__study=study, submitted_at__isnull=False)

    assert checks[3] > 0.7 * checks.total()
    assert 0 < rated.filter(comment__isnull=False).count() < 0.3 * rated.count()


@pytest.mark.parametrize("criterion", ["empathy_support", "fluency_quality"])
def test_the_report_recovers_the_difference(run, study, criterion):
    contrast = of_study("dry", "synthetic", None)["criteria"][criterion]["contrasts"][0]
    found = contrast["intervals"]["two_way"]
    expected = run.summary["expected_difference"]

    assert (contrast["a"], contrast["b"]) == (run.summary["other_arm"], run.summary["better_arm"])
    assert 0.5 * EFFECT < expected < EFFECT  # rounding and the ends of the scale take their part
    # Who meets which item is drawn anew at each run, and six items leave five degrees of freedom.
    assert abs(found["estimate"] - expected) < 5 * found["se"]
    assert found["estimate"] > 0


@pytest.fixture(scope="module")
def twice(server, small_study):
    return [simulate(server, small_study, seed=5, mix={"careful": 3, "dropout": 1}).summary for _ in range(2)]


def test_the_same_seed_does_the_same_again(twice):
    first, second = twice

    kept = ["completed", "dropped_out", "pages", "ratings", "missing", "outcomes"]
    assert [first[key] for key in kept] == [second[key] for key in kept]


@pytest.fixture(scope="module")
def broken_run(server, small_study):
    def broken(*arguments, **context):
        raise RuntimeError("out of order")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ratings.path.practice.RatingForm", broken)
        return simulate(server, small_study, participants=1, mix={"careful": 1})


def test_a_broken_page_is_named_and_ends_with_1(broken_run):
    assert broken_run.status == 1
    assert (broken_run.summary["failed_pages"], broken_run.summary["completed"]) == (1, 0)
    assert "/s/again/practice/: status 500" in broken_run.progress
