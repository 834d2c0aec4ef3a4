"""What every answer carries, and whose pages open a session."""

import pytest
from django.contrib.auth import get_user_model

from tests.factories import UserFactory, published_study
from tests.path.person import Person

pytestmark = pytest.mark.django_db


def policy_of(response) -> dict[str, str]:
    directives = (part.strip().partition(" ") for part in response["Content-Security-Policy"].split(";"))
    return {name: values for name, _, values in directives}


@pytest.mark.parametrize("address", ["/help/", "/healthz", "/nowhere/", "/accounts/login/"])
def test_a_page_runs_and_fetches_nothing_foreign(client, address):
    policy = policy_of(client.get(address))

    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"


def test_a_view_with_a_policy_of_its_own_keeps_it(client):
    owner = UserFactory()
    study = published_study(owner)
    client.force_login(owner)

    assert policy_of(client.get(f"/studies/{study.slug}/report/"))["style-src"].startswith("'self' 'sha256-")
    assert policy_of(client.get("/studies/"))["style-src"] == "'self'"


def test_no_cache_keeps_a_page(client):
    assert client.get("/help/")["Cache-Control"] == "no-store"


def test_a_researcher_is_nobody_on_a_participants_page(client):
    client.force_login(UserFactory())
    person = Person(published_study())
    person.client.cookies["session"] = client.cookies["session"].value
    response = person.client.get("/s/small-study/")

    assert not hasattr(response.wsgi_request, "session")
    assert not hasattr(response.wsgi_request, "user")


def test_a_one_time_password_opens_its_page_only(client):
    client.force_login(UserFactory(must_change_password=True))

    assert client.get("/studies/")["Location"] == "/accounts/password/"
    assert client.get("/help/").status_code == 200
    assert get_user_model().objects.get().must_change_password
