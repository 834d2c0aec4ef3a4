"""Checking completion codes, without a look at what anyone answered."""

import csv
import io

import pytest

from accounts.models import AuditEntry
from ratings.codes import completion_code, return_code, withdrawal_code
from ratings.models import Visit
from tests.factories import published_study
from tests.path.person import Person


@pytest.fixture
def finished(study) -> Visit:
    person = Person(study)
    person.go_to("debrief")
    return person.visit


def ask(desk, typed: str, action: str = "check"):
    return desk.post("/studies/small-study/codes/", {"codes": typed, "action": action})


def verdicts(answer) -> list[str]:
    return [code.status for code in answer.context["checked"]]


def test_the_code_on_the_debrief_is_valid(desk, finished):
    assert verdicts(ask(desk, completion_code(finished))) == ["valid"]


@pytest.mark.parametrize(
    "spoil", [str.lower, lambda code: code.replace("-", ""), lambda code: f"  {code.replace('-', ' ')} "]
)
def test_case_dashes_and_spaces_do_not_matter(desk, finished, spoil):
    assert verdicts(ask(desk, spoil(completion_code(finished)))) == ["valid"]


@pytest.mark.parametrize("separator", ["\n", "\r\n", ",", "; ", "\n\n"])
def test_codes_are_told_apart_by_lines_and_commas(desk, finished, separator):
    assert verdicts(ask(desk, f"AAAA-BBBB{separator}{completion_code(finished)}")) == ["unknown", "valid"]


def test_a_code_twice_in_the_list_counts_once(desk, finished):
    assert verdicts(ask(desk, f"{completion_code(finished)}\n{completion_code(finished)}")) == ["valid", "repeated"]


def test_checking_marks_nothing(desk, finished):
    ask(desk, completion_code(finished))
    finished.refresh_from_db()

    assert finished.code_used_at is None


def test_a_code_is_marked_as_used_once_and_says_since_when(desk, finished):
    ask(desk, completion_code(finished), "use")
    finished.refresh_from_db()
    first = finished.code_used_at
    page = ask(desk, completion_code(finished), "use")
    finished.refresh_from_db()

    assert verdicts(page) == ["used"]
    assert finished.code_used_at == first
    assert f"used {first:%-d %b %Y}" in page.content.decode()


def test_somebody_who_has_not_finished_has_no_valid_code(desk, study):
    person = Person(study)
    person.go_to("rate")

    assert verdicts(ask(desk, completion_code(person.visit))) == ["unknown"]


def test_the_other_codes_of_a_person_are_not_completion_codes(desk, finished):
    assert verdicts(ask(desk, f"{return_code(finished)}\n{withdrawal_code(finished)}")) == ["unknown", "unknown"]


def test_a_code_of_another_study_is_unknown(desk, owner, study):
    person = Person(published_study(owner, slug="other"))
    person.go_to("debrief")

    assert verdicts(ask(desk, completion_code(person.visit))) == ["unknown"]


def test_nothing_that_was_answered_is_on_the_page(desk, finished):
    page = ask(desk, completion_code(finished)).content.decode()

    assert finished.participant.participant_id not in page
    assert "linden" not in page
    assert "Ratings" not in page


def test_the_result_is_a_csv_in_which_nothing_runs(desk, finished):
    answer = ask(desk, f"{completion_code(finished)}\n=1+1", "csv")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))

    assert [(row["code"], row["status"]) for row in rows] == [
        (completion_code(finished), "valid"),
        ("'=1+1", "unknown"),
    ]
    assert Visit.objects.get().code_used_at is None


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("", "required"),
        (" , \n;", "no code in this text"),
        ("A\n" * 2001, "2001 codes"),
        ("x" * 100_001, "100000"),
        ("\x00", "Null"),
    ],
)
def test_a_text_that_holds_no_codes_gets_a_message(desk, study, typed, message):
    answer = ask(desk, typed)

    assert answer.status_code == 200
    assert message in answer.content.decode()


def test_markup_among_the_codes_stays_text(desk, study):
    assert "<b>x" not in ask(desk, "<b>x").content.decode()


def test_checks_and_uses_are_written_down_without_the_codes(desk, finished):
    ask(desk, completion_code(finished))
    ask(desk, completion_code(finished), "use")
    entries = AuditEntry.objects.filter(action__in=["check codes", "use codes"]).order_by("pk")

    assert [(entry.action, entry.detail) for entry in entries] == [
        ("check codes", {"codes": 1}),
        ("use codes", {"used": 1}),
    ]


def test_two_thousand_codes_take_few_queries(desk, study, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        ask(desk, "\n".join(f"CODE-{number}" for number in range(2000)))
