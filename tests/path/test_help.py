import pytest
from django.test import Client

from ratings.safety import resources
from tests.factories import published_study
from tests.path.page import read_page
from tests.path.person import Person

CAMPUS = {
    "name": "Student Counselling",
    "phone": "0100 / 23 45",
    "hours": "Weekdays 9 to 17",
    "link": "https://campus.example",
}


def test_help_opens_without_login_cookie_or_study(client, db):
    page = read_page(client.get("/help/"))

    assert page.status == 200
    assert "https://findahelpline.com" in page.links
    assert not client.cookies


def test_the_participant_chooses_the_country(client, db):
    page = read_page(client.get("/help/?country=IN"))

    assert "tel:14416" in page.links
    assert "tel:18008914416" in page.links
    assert "https://findahelpline.com" in page.links


@pytest.mark.parametrize("country", ["XX", "", "\0", "<b>", "in"])
def test_any_country_gives_a_page(client, db, country):
    assert client.get("/help/", {"country": country}).status_code == 200


@pytest.mark.parametrize("study", ["nothing", "\0", "x" * 5000, "<b>"])
def test_any_study_gives_a_page(client, db, study):
    assert client.get("/help/", {"study": study}).status_code == 200


def test_the_study_brings_its_country_and_its_campus(db, client):
    published_study(resources={"country": "US", "campus": CAMPUS})

    page = read_page(client.get("/help/?study=small-study"))

    assert "Student Counselling" in page.text
    assert "tel:01002345" in page.links
    assert "tel:988" in page.links
    assert "sms:988" in page.links
    assert "/s/small-study/" in page.links


def test_each_entry_names_its_source_and_says_that_nobody_confirmed_it():
    for country in [*resources.countries(), resources.everywhere()]:
        assert country.emergency
        for service in country.services:
            assert service.source
            assert service.ways
            assert service.verified_on is None


def test_the_page_says_that_an_entry_is_not_confirmed(client, db):
    assert "not yet confirmed by the study team" in read_page(client.get("/help/?country=IN")).text


def first_links(page) -> list[str]:
    return [link.split("?")[0] for link in page.links[:2]]


def test_help_is_the_first_link_after_the_skip_link_on_every_page(person):
    pages = [person.go_to(stage) for stage in ("entry", "eligibility", "consent", "instructions", "practice", "rate")]
    pages += [person.post(), person.get("/s/small-study/leave/"), person.go_to("exit"), person.go_to("debrief")]
    pages += [person.get("/s/small-study/return/"), person.get("/withdraw/"), person.get("/help/")]

    for page in pages:
        assert first_links(page) == ["#main", "/help/"], page.address


def test_also_on_the_pages_for_what_went_wrong(study, client, monkeypatch):
    client.raise_request_exception = False
    wrong = [client.get("/nothing/"), client.get("/i/unknown/"), client.post("/s/small-study/", {"x": "y" * 2_000_000})]
    person = Person(study)
    person.go_to("rate")
    person.client.raise_request_exception = False
    monkeypatch.setattr("ratings.path.rate.dialogue_of", lambda *_: 1 / 0)
    wrong.append(person.client.get("/s/small-study/rate/1/"))
    strict = Client(enforce_csrf_checks=True)
    wrong.append(strict.post("/s/small-study/", {"action": "next"}))

    assert [response.status_code for response in wrong] == [404, 404, 400, 500, 403]
    for response in wrong:
        assert first_links(read_page(response)) == ["#main", "/help/"]


def test_the_page_of_a_fault_shows_no_insides(study, monkeypatch):
    person = Person(study)
    person.go_to("rate")
    person.client.raise_request_exception = False
    monkeypatch.setattr("ratings.path.rate.dialogue_of", lambda *_: 1 / 0)

    html = person.client.get("/s/small-study/rate/1/").content.decode()

    assert "ZeroDivisionError" not in html
    assert "Traceback" not in html
