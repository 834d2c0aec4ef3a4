"""What bad input gets: a clear message, nothing stored, never a 500."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from ratings.models import Answer, Consent, Exposure, Rating
from tests.path.person import RATINGS, TICKS

SENT = {
    "eligibility": {"adult": "yes"},
    "consent": TICKS,
    "instructions": {},
    "practice": RATINGS,
    "rate": RATINGS,
    "exit": {"field_of_study": "arts"},
}


def traces() -> list:
    """Everything that a form can store."""
    return [
        *Rating.objects.values_list("pk", "value"),
        *Answer.objects.values_list("pk"),
        *Consent.objects.values_list("pk"),
        *Exposure.objects.filter(comment__isnull=False).values_list("pk"),
    ]


@pytest.mark.parametrize(
    "value", ["0", "11", "-1", "7.5", "abc", "", " 7", "07", "7 ", "１", "\0", "7\0", "null", "[7]", "1e1"]
)
def test_a_rating_is_one_of_the_points_or_nothing(person, value):
    person.go_to("rate")

    page = person.rate(empathy_support=value)

    assert page.status == 200
    assert (page.stage, page.position) == ("rate", 1)
    assert "Choose a number from 1 to 10 for “Empathy and Support”." in page.text
    assert page.checked == {"fluency_quality": "4"}
    assert not Rating.objects.exists()


@pytest.mark.parametrize("stage", [stage for stage in SENT if stage != "instructions"])
@pytest.mark.parametrize(
    "extra",
    [
        {"unknown_criterion": "7"},
        {"empathy_support[]": "7"},
        {"value": "7"},
        {"\0": "7"},
        {"<script>": "7"},
        {"x" * 300: "7"},
    ],
    ids=["unknown", "list", "other", "nul", "markup", "long"],
)
def test_a_field_that_was_not_asked_refuses_the_form(person, stage, extra):
    person.go_to(stage)
    before = traces()

    page = person.post(SENT[stage] | extra)

    assert page.status == 200
    assert page.stage == stage
    assert "did not ask for" in page.text
    assert "<script>" not in page.html
    assert traces() == before


@pytest.mark.parametrize("stage", ["eligibility", "consent", "practice", "rate", "exit"])
def test_a_field_that_comes_twice_refuses_the_form(person, stage):
    person.go_to(stage)
    before = traces()
    name, value = next(iter(SENT[stage].items()))

    page = person.post(SENT[stage] | {name: [value, value]})

    assert page.status == 200
    assert page.stage == stage
    assert "more than once" in page.text
    assert traces() == before


@pytest.mark.parametrize("stage", ["eligibility", "consent", "practice", "rate", "exit"])
def test_files_refuse_the_form(person, stage):
    person.go_to(stage)
    before = traces()

    page = person.post(SENT[stage] | {"empathy_support": SimpleUploadedFile("score.txt", b"7")})

    assert page.status == 200
    assert page.stage == stage
    assert "Files cannot be sent here" in page.text
    assert traces() == before


@pytest.mark.parametrize("stage", SENT)
def test_five_megabytes_are_refused_with_a_page(person, stage):
    person.go_to(stage)
    before = traces()

    page = person.post(SENT[stage] | {"comment": "x" * 5_000_000})

    assert page.status == 400
    assert "too large" in page.text
    assert "Get help now" in page.text
    assert traces() == before


@pytest.mark.parametrize("comment", ["nul \0 byte", "\ufffd", "x" * 2001])
def test_a_comment_that_is_no_text_is_refused_and_the_ratings_kept_on_the_page(person, comment):
    person.go_to("rate")

    page = person.rate(comment=comment)

    assert (page.status, page.position) == (200, 1)
    assert page.checked == RATINGS
    assert not Rating.objects.exists()


def test_broken_utf8_is_refused(person):
    page = person.go_to("rate")
    body = (
        f"page={page.hidden['page']}&action=next&empathy_support=7&fluency_quality=4&comment=".encode()
        + b"\xff\xfe%ff%c3"
    )

    response = person.client.post(page.address, body, content_type="application/x-www-form-urlencoded")

    assert response.status_code == 200
    assert "could not be read" in response.content.decode()
    assert not Rating.objects.exists()


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x", "multipart/form-data"]
)
def test_a_body_that_is_no_form_changes_nothing(person, content_type):
    page = person.go_to("rate")

    response = person.client.post(page.address, b'{"empathy_support": 7}', content_type=content_type)

    assert response.status_code in (303, 400)
    assert not Rating.objects.exists()


def test_too_many_fields_are_refused(person):
    person.go_to("rate")

    page = person.post(RATINGS | {f"field{n}": "1" for n in range(600)})

    assert page.status == 400
    assert not Rating.objects.exists()


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods_are_refused(person, method):
    page = person.go_to("rate")

    assert getattr(person.client, method)(page.address).status_code == 405


@pytest.mark.parametrize("value", ["chemistry", "arts\0", "\0"])
def test_an_exit_answer_comes_from_the_list(person, value):
    person.go_to("exit")

    page = person.post({"field_of_study": value}, action="finish")

    assert page.stage == "exit"
    assert "Please choose one of the answers" in page.text
    assert person.visit.outcome == ""


def test_without_a_csrf_token_nothing_is_taken(person):
    page = person.go_to("rate")
    person.client.handler.enforce_csrf_checks = True

    response = person.client.post(page.address, {"page": page.hidden["page"], **RATINGS})

    assert response.status_code == 403
    assert "Please open the page again" in response.content.decode()
    assert not Rating.objects.exists()
