"""Places: balanced, recorded, given back, and never more than there are."""

import os
import subprocess
import sys
import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from ratings import enrolment
from ratings.enrolment import StudyFull
from ratings.models import AllocationRecord, Assignment, Event, Exposure, Participant, Visit
from tests.factories import invitation, published_study

pytestmark = pytest.mark.django_db


def enrolled(study, kind="real") -> Visit:
    visit = enrolment.arrive(study, kind, "en")
    enrolment.enrol(visit)
    return visit


def stay_away(visit: Visit) -> None:
    Visit.objects.filter(pk=visit.pk).update(place_until=timezone.now() - timedelta(minutes=1))


def complete(visit: Visit) -> None:
    visit.end(Visit.Outcome.COMPLETED)


def leads(study) -> list[int]:
    """For every item, by how many completed participants its arms differ."""
    rows = Exposure.objects.filter(assignment__visit__outcome="completed").values_list(
        "assignment__item__key", "arm__key"
    )
    counts = Counter(rows)
    items, arms = study.current_version.items.all(), study.current_version.arms.all()
    per_item = [[counts[item.key, arm.key] for arm in arms] for item in items]
    return [max(row) - min(row) for row in per_item]


def test_a_plan_shows_the_reply_of_its_arm_and_item():
    visit = enrolled(published_study())

    for exposure in Exposure.objects.filter(assignment__visit=visit).select_related("assignment__item", "arm"):
        reply = exposure.conversation.turns.last().released
        assert f"of the {exposure.arm.key[0]} kind" in reply
        assert exposure.assignment.item.key.removeprefix("item-") in reply


def test_enrolling_twice_gives_one_plan():
    visit = enrolled(published_study())

    enrolment.enrol(visit)

    assert visit.assignments.count() == 4


def test_each_participant_gets_each_arm_equally_often():
    visit = enrolled(published_study())

    arms = Counter(Exposure.objects.filter(assignment__visit=visit).values_list("arm__key", flat=True))
    assert arms == {"linden": 2, "rowan": 2}


def test_a_hundred_starters_of_whom_thirty_drop_out_leave_the_arms_within_one():
    study = published_study(target=100)
    for number in range(100):
        visit = enrolled(study)
        stay_away(visit) if number % 10 in (2, 5, 9) else complete(visit)

    assert Visit.objects.completed().count() == 70
    assert max(leads(study)) <= 1


def test_people_still_under_way_cost_at_most_one_each():
    study = published_study(target=100)
    for number in range(30):
        visit = enrolled(study)
        if number < 26:
            complete(visit)

    assert max(leads(study)) <= 1 + 4


def test_the_records_replay_to_the_same_plans():
    study = published_study()
    for _ in range(8):
        enrolled(study)

    records = AllocationRecord.objects.all()
    assert len(records) == 8
    assert all(enrolment.replay(record) == record.given for record in records)


def test_a_full_study_takes_nobody():
    study = published_study(target=2)
    enrolled(study)
    enrolled(study)

    with pytest.raises(StudyFull):
        enrolled(study)


def test_a_full_study_lays_out_nothing_for_who_came_too_late():
    study = published_study(target=1)
    enrolled(study)
    late = enrolment.arrive(study, "real", "en")

    with pytest.raises(StudyFull):
        enrolment.enrol(late)

    assert not late.assignments.exists()


def test_a_place_of_somebody_who_stayed_away_is_free():
    study = published_study(target=1)
    stay_away(enrolled(study))

    assert enrolment.places_left(study.current_version, "real") == 1


@pytest.mark.parametrize("kind", ["pilot", "synthetic"])
def test_pilots_and_bots_take_no_real_place(kind):
    study = published_study(target=1)
    enrolled(study, kind)

    enrolled(study, "real")
    enrolled(study, kind)

    assert Visit.objects.count() == 3


def test_kinds_are_balanced_apart():
    study = published_study()
    enrolled(study, "pilot")

    assert not enrolment.cells_seen(study.current_version, "real").cells


def test_whoever_returns_in_time_gets_their_place_back():
    study = published_study(target=2)
    visit = enrolled(study)
    stay_away(visit)
    enrolment.give_back_stale(study)
    visit.refresh_from_db()

    enrolment.reclaim(visit)

    assert not visit.has_lost_its_place
    assert {a.state for a in visit.assignments.all()} == {Assignment.State.RESERVED}


def test_whoever_returns_when_all_places_are_taken_ends_with_full_quota():
    study = published_study(target=1)
    visit = enrolled(study)
    stay_away(visit)
    enrolled(study)
    visit.refresh_from_db()

    with pytest.raises(StudyFull):
        enrolment.reclaim(visit)

    visit.refresh_from_db()
    assert visit.outcome == Visit.Outcome.QUOTA_FULL


def test_giving_back_is_written_down_once():
    study = published_study()
    stay_away(enrolled(study))

    assert [enrolment.give_back_stale(study), enrolment.give_back_stale(study)] == [1, 0]
    assert Event.objects.filter(kind=Event.Kind.EXPIRED).count() == 1


def test_an_invitation_opened_again_is_the_same_visit():
    study = published_study()
    _, row = invitation(study, group="evening")

    first = enrolment.arrive(study, "real", "en", invitation=row)

    assert enrolment.arrive(study, "real", "en", invitation=row) == first
    assert first.participant.group == "evening"


def test_a_panel_id_is_one_person_and_unreadable_in_the_database():
    study = published_study()

    first = enrolment.arrive(study, "real", "en", panel_id="5f3c9a")

    assert enrolment.arrive(study, "real", "en", panel_id="5f3c9a") == first
    with connection.cursor() as cursor:
        cursor.execute("SELECT panel_id, panel_hash FROM ratings_participant")
        assert all("5f3c9a" not in column for row in cursor.fetchall() for column in row)


def test_an_arrival_is_an_event():
    visit = enrolment.arrive(published_study(), "real", "en")

    assert visit.events.get().kind == Event.Kind.ARRIVED


@pytest.mark.django_db(transaction=True)
def test_fifty_starts_at_once_never_overshoot():
    study = published_study(target=20)
    people = [enrolment.arrive(study, "real", "en") for _ in range(50)]
    outcomes, gate = [], threading.Barrier(50)

    def start(visit: Visit) -> None:
        gate.wait()
        try:
            enrolment.enrol(visit)
            outcomes.append("in")
        except StudyFull:
            outcomes.append("full")
        finally:
            connection.close()

    threads = [threading.Thread(target=start, args=[visit]) for visit in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Counter(outcomes) == {"in": 20, "full": 30}
    assert Visit.objects.exclude(place_until=None).count() == 20
    assert max(Counter(Exposure.objects.values_list("assignment__item", "arm")).values()) <= 80 // 12 + 1
    assert Participant.objects.count() == 50


def test_the_web_starts_without_scipy():
    """Allocation needs it when somebody enrols; a page that is only served does not wait for it."""
    code = "import django; django.setup(); import evalsite.urls, sys; print('scipy.optimize' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "evalsite.settings"},
    )

    assert result.stdout.strip() == "False", result.stderr
