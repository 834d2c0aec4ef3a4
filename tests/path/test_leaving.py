import pytest
from django.test import Client
from django.utils.formats import date_format

from ratings import codes
from ratings.models import (
    Answer,
    Assignment,
    Consent,
    Event,
    Exposure,
    Participant,
    Rating,
    Visit,
    VisitKey,
    Withdrawal,
)
from ratings.withdrawal import last_copy_gone_by
from tests.path.page import read_page
from tests.path.person import RATINGS

LEAVE = "/s/small-study/leave/"


@pytest.fixture
def midway(person):
    """Somebody who rated one reply and looks at the second."""
    person.go_to("rate")
    person.rate(comment="a comment of mine")
    return person


def test_every_page_of_the_path_offers_leaving(person):
    for stage in ("eligibility", "consent", "instructions", "practice", "rate", "exit"):
        assert LEAVE in person.go_to(stage).links


@pytest.mark.parametrize("stage", ["instructions", "practice", "rate", "exit"])
@pytest.mark.parametrize("action", ["leave", "decline"])
def test_every_form_takes_leaving_as_an_answer(person, stage, action):
    person.go_to(stage)

    page = person.post(RATINGS, action=action)

    assert page.address == LEAVE
    assert person.visit.outcome == ""


def test_leaving_may_keep_what_was_given(midway):
    midway.get(LEAVE)

    page = midway.post(action="leave")

    assert (page.stage, page.outcome) == ("ended", "withdrew")
    assert Rating.objects.count() == 2
    assert midway.visit.outcome == Visit.Outcome.WITHDREW
    states = list(midway.visit.assignments.order_by("position").values_list("state", flat=True))
    assert states == [Assignment.State.COMPLETED, *[Assignment.State.WITHDRAWN] * 3]


def test_who_left_may_still_have_everything_deleted(midway):
    midway.get(LEAVE)
    page = midway.post(action="leave")
    assert codes.withdrawal_code(midway.visit) in page.text

    midway.get(LEAVE)
    midway.post(action="delete")
    midway.post(action="delete")

    assert not Participant.objects.exists()


def test_leaving_before_consent_is_declining(person):
    person.go_to("eligibility")
    person.get(LEAVE)

    assert person.post(action="leave").outcome == "declined"


def test_leaving_twice_changes_nothing(midway):
    page = midway.get(LEAVE)
    midway.post(action="leave")

    midway.post(action="leave", page=page)

    assert Event.objects.filter(kind=Event.Kind.ENDED).count() == 1


def test_deleting_asks_once_more(midway):
    midway.get(LEAVE)

    page = midway.post(action="delete")

    assert "Delete everything?" in page.text
    assert Rating.objects.count() == 2


def test_deleting_leaves_a_tombstone_without_content(midway):
    study = midway.study
    midway.get(LEAVE)
    midway.post(action="delete")

    page = midway.post(action="delete")

    assert (page.stage, page.outcome) == ("ended", "withdrew")
    for model in (Participant, Visit, VisitKey, Consent, Assignment, Exposure, Rating, Answer, Event):
        assert not model.objects.exists(), model
    tombstone = Withdrawal.objects.get()
    assert (tombstone.study, tombstone.stage, tombstone.consented, tombstone.had_completed) == (
        study,
        "rate",
        True,
        False,
    )
    assert tombstone.receipt in page.text


def test_the_receipt_says_when_the_last_copy_is_gone(midway):
    midway.get(LEAVE)
    midway.post(action="delete")
    page = midway.post(action="delete")

    day = last_copy_gone_by(Withdrawal.objects.get().at.date())
    assert date_format(day) in page.text


def test_the_cookie_of_somebody_deleted_is_gone_and_opens_nothing(midway):
    cookie = midway.client.cookies["visit-small-study"].value
    midway.get(LEAVE)
    midway.post(action="delete")
    midway.post(action="delete")

    assert not midway.client.cookies["visit-small-study"].value
    midway.client.cookies["visit-small-study"] = cookie
    for address in ("", "rate/1/", "exit/", "debrief/", "leave/"):
        assert midway.get(f"/s/small-study/{address}").stage == "entry"


def test_a_withdrawal_code_deletes_from_another_device(person):
    page = person.go_to("debrief")
    code = codes.withdrawal_code(person.visit)
    assert code in page.text
    other = Client()

    page = read_page(other.post("/withdraw/", {"code": code.lower()}))
    assert "Delete everything?" in page.text
    assert Rating.objects.exists()
    page = read_page(other.post("/withdraw/", page.hidden | {"action": "delete"}, follow=True))

    assert "Everything is deleted" in page.text
    assert not Participant.objects.exists()
    assert Withdrawal.objects.get().had_completed


@pytest.mark.parametrize("code", ["", "AAAA-AAAA-AAAA", "\0", "x" * 41])
def test_a_wrong_withdrawal_code_deletes_nothing(person, code):
    person.go_to("debrief")

    page = read_page(Client().post("/withdraw/", {"code": code, "sure": "yes"}))

    assert page.status == 200
    assert "There is something to mend" in page.text
    assert Participant.objects.exists()


def test_other_codes_do_not_withdraw(person):
    person.go_to("debrief")
    visit = person.visit

    for code in (codes.return_code(visit), codes.completion_code(visit), visit.participant.participant_id):
        Client().post("/withdraw/", {"code": code, "sure": "yes"})

    assert Participant.objects.exists()


def test_withdrawal_codes_cannot_be_guessed_for_long(client, db):
    for _ in range(10):
        client.post("/withdraw/", {"code": "AAAA-AAAA-AAAA"})

    assert client.post("/withdraw/", {"code": "AAAA-AAAA-AAAA"}).status_code == 429


def test_a_receipt_that_does_not_exist_is_not_found(client, db):
    assert client.get("/withdraw/W-0000/").status_code == 404
