"""Leaving for good: nothing of the person remains, and the numbers still add up."""

import json
from datetime import date

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection

from inference.models import Conversation, Turn
from ratings import codes, enrolment, withdrawal
from ratings.models import Answer, Exposure, Invitation, Participant, Rating, Visit, Withdrawal
from tests.factories import invitation, published_study

pytestmark = pytest.mark.django_db


@pytest.fixture
def visit():
    study = published_study()
    _, row = invitation(study)
    visit = enrolment.arrive(study, "real", "en", invitation=row)
    enrolment.enrol(visit)
    exposure = Exposure.objects.filter(assignment__visit=visit).first()
    exposure.record(dict.fromkeys(study.current_version.criteria.all(), 7))
    exposure.comment = "a private remark"
    exposure.save()
    Answer.objects.create(visit=visit, kind="exit", key="remarks", value="another private remark")
    return visit


def rows_that_name(participant_id: str) -> list[str]:
    found = []
    with connection.cursor() as cursor:
        for model in apps.get_models():
            cursor.execute(f'SELECT * FROM "{model._meta.db_table}"')
            found += [model.__name__ for row in cursor.fetchall() if participant_id in map(str, row)]
    return found


def test_everything_of_the_person_is_gone(visit):
    name = visit.participant.participant_id

    withdrawal.withdraw(visit)

    left = [Participant, Visit, Rating, Answer, Exposure, Invitation]
    assert [model.objects.count() for model in left] == [0] * len(left)
    assert not rows_that_name(name)


def test_a_tombstone_keeps_the_flow_adding_up(visit):
    withdrawal.withdraw(visit)

    tombstone = Withdrawal.objects.get()
    assert (tombstone.kind, tombstone.stage, tombstone.had_completed) == ("real", visit.stage, False)


def test_the_receipt_is_not_a_code(visit):
    given = {codes.return_code(visit), codes.completion_code(visit), codes.withdrawal_code(visit)}

    assert withdrawal.withdraw(visit).receipt not in given


def test_stored_replies_stay_for_the_others(visit):
    before = Conversation.objects.count()

    withdrawal.withdraw(visit)

    assert Conversation.objects.count() == before


def test_a_live_chat_goes_with_its_person(visit):
    given = Conversation.objects.count()
    live = Conversation.objects.create(kind=Conversation.Kind.LIVE)
    Turn.objects.create(conversation=live, index=0, role="user", text="something private", state="done")
    Exposure.objects.filter(assignment__visit=visit).update(conversation=live)

    withdrawal.withdraw(visit)

    assert Conversation.objects.count() == given


def test_somebody_else_keeps_everything(visit):
    other = enrolment.arrive(visit.version.study, "real", "en")
    enrolment.enrol(other)

    withdrawal.withdraw(visit)

    assert other.assignments.count() == 4


def test_the_code_of_the_debrief_finds_the_visit(visit):
    typed = codes.withdrawal_code(visit).lower().replace("-", " ")

    assert withdrawal.find_by_code(typed) == visit


def test_no_other_code_finds_the_visit(visit):
    assert withdrawal.find_by_code(codes.return_code(visit)) is None
    assert withdrawal.find_by_code("") is None


@pytest.mark.django_db(transaction=True)
def test_a_restored_copy_loses_the_same_people_again(visit):
    journal = settings.DATA_DIR / "withdrawals.jsonl"
    before = len(journal.read_text().splitlines()) if journal.exists() else 0
    hash_of_them = withdrawal.hash_of(visit.participant)
    withdrawal.withdraw(visit)
    lines = journal.read_text().splitlines()[before:]
    assert [json.loads(line)["participant_hash"] for line in lines] == [hash_of_them]

    again = enrolment.arrive(visit.version.study, "real", "en")
    Participant.objects.filter(pk=again.participant_id).update(participant_id=visit.participant.participant_id)

    assert withdrawal.reapply(lines) == 1
    assert not Participant.objects.exists()


def test_the_last_copy_is_gone_after_as_many_days_as_are_kept():
    assert withdrawal.last_copy_gone_by(date(2026, 3, 1)) == date(2026, 3, 16)
