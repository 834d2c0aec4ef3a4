import pytest
from django.test import Client

from ratings import codes
from ratings.models import Answer, Event, Visit
from tests.factories import published_study
from tests.path.page import read_page
from tests.path.person import Person


def test_the_debrief_has_the_codes_the_contact_and_the_way_to_help(person):
    page = person.go_to("debrief")

    visit = person.visit
    assert page.completion_code == codes.completion_code(visit)
    assert page.completion_code in page.text
    assert codes.withdrawal_code(visit) in page.text
    assert "team@example.org" in page.text
    assert "/help/?study=small-study" in page.links


def test_after_the_end_the_cookie_shows_the_debrief_again(person):
    code = person.go_to("debrief").completion_code

    for address in ("", "rate/1/", "exit/", "consent/", "ended/", "declined/"):
        assert person.get(f"/s/small-study/{address}").completion_code == code


def test_the_debrief_is_there_also_when_the_study_is_closed(person):
    person.go_to("debrief")
    person.study.state = "closed"
    person.study.save()

    assert person.get().stage == "debrief"


def test_each_code_is_of_its_own(person):
    person.go_to("debrief")
    visit = person.visit

    given = {codes.return_code(visit), codes.withdrawal_code(visit), codes.completion_code(visit), visit.code}
    assert len(given) == 4


def test_feelings_are_asked_for_and_may_be_left_out(person):
    person.go_to("debrief")

    assert person.post({}).stage == "debrief"
    assert not Answer.objects.filter(key="feeling_now").exists()
    assert person.post({"feeling_now": "good"}).checked == {"feeling_now": "good"}
    person.post({"feeling_now": "as_before"})
    assert Answer.objects.get(key="feeling_now").value == "as_before"


def test_who_feels_low_is_shown_who_listens(person):
    person.go_to("debrief")

    page = person.post({"feeling_now": "not_good"})

    assert "people who listen" in page.text


def test_a_feeling_that_is_none_is_not_stored(person):
    person.go_to("debrief")

    assert person.post({"feeling_now": "splendid"}).status == 200
    assert not Answer.objects.filter(key="feeling_now").exists()


def test_exit_answers_are_optional_and_stored(person):
    person.go_to("exit")
    page = person.post({"field_of_study": "arts", "remarks": "Nice."}, action="finish")

    assert page.stage == "debrief"
    answers = {answer.key: answer.value for answer in Answer.objects.filter(kind=Answer.Kind.EXIT)}
    assert answers == {"field_of_study": "arts", "remarks": "Nice."}


def test_a_needed_exit_answer_is_asked_for_and_the_others_kept(db):
    questions = [
        {"key": "uses", "question": "Which do you use?", "kind": "choices", "choices": ["phone", "laptop", "tablet"]},
        {"key": "age", "question": "How old are you?", "kind": "age_band", "optional": False},
        {"key": "why", "question": "Why?", "kind": "text", "optional": False},
    ]
    person = Person(published_study(exit_questions=questions))
    person.go_to("exit")

    page = person.post({"uses": ["phone", "tablet"]}, action="finish")

    assert page.stage == "exit"
    assert "Please answer: How old are you?" in page.text
    assert "Please answer: Why?" in page.text
    assert page.html.count(" checked") == 2
    page = person.post({"uses": ["phone", "tablet"], "age": "21-24", "why": "So."}, action="finish")
    assert page.stage == "debrief"
    assert Answer.objects.get(key="uses").value == ["phone", "tablet"]


def test_a_study_without_exit_questions_still_ends_with_finish(db):
    person = Person(published_study(exit_questions=[]))

    page = person.go_to("exit")

    assert page.actions == ["finish", "back"]
    assert person.post(action="finish").stage == "debrief"


def test_the_end_is_written_down(person):
    person.go_to("debrief")

    assert Event.objects.get(kind=Event.Kind.ENDED).detail == {"outcome": "completed"}
    assert Visit.objects.get().finished_at


@pytest.mark.parametrize("outcome", ["safety_stop", "technical"])
def test_who_is_stopped_is_paid_in_full(person, outcome):
    person.go_to("rate")
    person.visit.end(outcome)

    page = person.get()

    assert (page.stage, page.outcome) == ("ended", outcome)
    assert codes.completion_code(person.visit) in page.text
    assert "paid in full" in page.text


def test_pages_of_a_visit_are_for_its_browser_alone(person):
    person.go_to("debrief")

    assert read_page(Client().get("/s/small-study/debrief/", follow=True)).stage == "entry"
