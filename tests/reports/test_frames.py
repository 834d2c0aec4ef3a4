import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ratings import frames
from ratings.frames import pool_of
from ratings.models import Consent, Participant
from ratings.withdrawal import withdraw
from tests.reports.people import chat, exclude, make_study, take_part


def rows(study, kind="real"):
    return list(frames.rating_rows(pool_of(study, kind)))


def people(study, kind="real"):
    return {row["participant_id"] for row in rows(study, kind)}


def test_every_rating_is_a_row(study):
    visit = take_part(study, lambda item, arm, criterion: 4 if criterion == "empathy_support" else 9)

    found = rows(study)

    assert len(found) == 8 * 2
    assert {row["participant_id"] for row in found} == {visit.participant.participant_id}
    assert {row["rating"] for row in found if row["criterion"] == "fluency_quality"} == {9}
    assert [row["position"] for row in found] == sorted(row["position"] for row in found)
    assert {row["seconds"] for row in found} == {20.0}


def test_what_could_not_be_judged_is_a_row_without_a_value(study):
    take_part(study, lambda item, arm, criterion: None)

    assert {(row["rating"], row["missing_reason"]) for row in rows(study)} == {(None, "cannot_judge")}


def test_a_rated_reply_is_one_row_with_its_comment(study):
    take_part(study, lambda item, arm, criterion: 4 if criterion == "empathy_support" else None, comment="Warm.")

    replies = list(frames.rated_replies(pool_of(study)))

    assert len(replies) == 8
    assert replies[0]["ratings"] == {"empathy_support": 4, "fluency_quality": None}
    assert replies[0]["comment"] == "Warm."


def test_practice_and_checks_are_not_among_the_ratings(study):
    take_part(study, lambda item, arm, criterion: 5)

    assert {row["rating"] for row in rows(study)} == {5}


def test_people_who_have_not_finished_count_with_what_they_rated(study):
    take_part(study, rated=3)

    assert len(rows(study)) == 6


def test_kinds_of_participants_never_mix(study):
    real, pilot, synthetic = (take_part(study, kind=kind) for kind in Participant.Kind.values)

    assert people(study) == {real.participant.participant_id}
    assert people(study, "pilot") == {pilot.participant.participant_id}
    assert people(study, "synthetic") == {synthetic.participant.participant_id}


def test_who_is_excluded_is_left_out_until_the_exclusion_is_lifted(study):
    visit = take_part(study)
    exclusion = exclude(visit)
    assert rows(study) == []

    exclusion.lifted_at = exclusion.at
    exclusion.save()

    assert len(rows(study)) == 16


def test_who_takes_consent_back_is_in_no_frame(study):
    visit = take_part(study, comment="mine")
    Consent.objects.filter(visit=visit, tick="take_part").update(withdrawn_at=visit.started_at)
    pool = pool_of(study)

    assert rows(study) == []
    assert list(frames.participant_rows(pool)) == list(frames.events(pool)) == list(frames.checks(pool)) == []
    assert list(frames.rated_replies(pool)) == []


def test_who_withdraws_is_counted_and_nowhere_else(study):
    take_part(study)
    withdraw(take_part(study))

    flow = frames.flow(pool_of(study))

    assert len(people(study)) == 1
    assert (flow["arrived"], flow["consented"], flow["completed"], flow["withdrew"]) == (2, 2, 1, 1)
    assert flow["withdrew_after_completing"] == 1


def test_the_flow_adds_up(study):
    take_part(study)
    take_part(study, rated=2)
    exclude(take_part(study), "straight lines")
    withdraw(take_part(study, rated=1))

    flow = frames.flow(pool_of(study))

    ends = ("declined", "screened_out", "quota_full", "completed", "left_early", "safety_stop", "technical")
    assert flow["arrived"] == 4 == sum(flow[end] for end in (*ends, "expired", "under_way", "withdrew"))
    assert (flow["analysed"], flow["analysed_partial"], flow["excluded"]) == (2, 1, 1)
    assert flow["exclusions"] == [{"rule": "straight lines", "participants": 1}]


def test_versions_with_one_design_share_their_ratings(owner, study):
    take_part(study)
    study = make_study(owner, title="A typo mended")
    take_part(study)

    assert {row["version"] for row in rows(study)} == {1, 2}
    columns = frames.rating_columns(pool_of(study))
    assert len(columns.items) == 8
    assert columns.arms == ("linden", "rowan")


def test_versions_with_another_design_are_reported_apart(owner, study):
    take_part(study)
    study = make_study(owner, items=9)

    assert rows(study) == []
    assert len(list(frames.rating_rows(pool_of(study, number=1)))) == 16
    assert [row["in_report"] for row in frames.versions(pool_of(study))] == [False, True]


def test_columns_name_arms_and_criteria_that_nobody_rated(study):
    columns = frames.rating_columns(pool_of(study))

    assert columns.arms == ("linden", "rowan")
    assert columns.criteria == ("empathy_support", "fluency_quality")
    assert len(columns.rating) == 0


def test_a_chat_carries_what_its_participant_agreed_to(study):
    visit = take_part(study, ticks=("take_part", "quotes"))
    chat(visit, "Hello", "Good evening")

    (conversation,) = frames.chats(pool_of(study))

    assert (conversation["consent_quotes"], conversation["consent_training"]) == (True, False)
    assert [message["text"] for message in conversation["messages"]] == ["Hello", "Good evening"]


def test_all_rows_come_with_few_queries(study, django_assert_max_num_queries):
    for _ in range(3):
        take_part(study, answers={"age_band": "21-24"})
    pool = pool_of(study)

    with django_assert_max_num_queries(1):
        list(frames.rating_rows(pool))
    with django_assert_max_num_queries(5):
        list(frames.participant_rows(pool))


@pytest.mark.skipif(connection.vendor != "sqlite", reason="only SQLite would keep writers out")
@pytest.mark.django_db(transaction=True)
def test_a_snapshot_only_reads_and_leaves_the_connection_as_it_was():
    connection.close()
    connection.connect()
    mode = connection.transaction_mode

    with CaptureQueriesContext(connection) as queries, frames.snapshot():
        Participant.objects.count()

    assert "IMMEDIATE" not in queries.captured_queries[0]["sql"]
    assert connection.transaction_mode == mode
