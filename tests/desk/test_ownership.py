"""Every page of the desk, for people who are not signed in, not the owner, or whose browser sent no CSRF token."""

import pytest
from django.test import Client
from django.urls import get_resolver, reverse

from ratings.desk.urls import urlpatterns
from ratings.models import Study
from tests.desk.conftest import draft_of

ARGUMENTS = {"slug": "small-study", "state": "paused", "number": 1, "stage": "rate"}
READS = ("studies", "upload", "schema", "study", "edit", "download", "preview", "preview_page")
READS += ("invitations", "codes", "live", "publish", "move", "operations")
WRITES = ("upload", "check", "publish", "move", "edit", "discard", "pilot_yourself", "invitations", "links_csv")
WRITES += ("qr_sheet", "codes", "retry")
OF_A_STUDY = [pattern.name for pattern in urlpatterns if "slug" in pattern.pattern.converters]


def address(name: str, slug: str = "small-study") -> str:
    pattern = next(pattern for pattern in urlpatterns if pattern.name == name)
    return reverse(
        f"desk:{name}", kwargs={key: (ARGUMENTS | {"slug": slug})[key] for key in pattern.pattern.converters}
    )


@pytest.fixture
def study(owner, study) -> Study:
    """With a draft, so that each page has something to show."""
    draft_of(owner, study.slug, minutes=7)
    return study


def test_every_page_of_the_desk_is_in_these_lists():
    assert {pattern.name for pattern in urlpatterns} == {*READS, *WRITES}


@pytest.mark.parametrize("name", READS)
def test_its_owner_reads_it(desk, study, name):
    assert desk.get(address(name)).status_code == 200


@pytest.mark.parametrize("name", READS)
def test_who_is_not_signed_in_is_asked_to(client, study, name):
    assert client.get(address(name)).url.startswith(reverse("accounts:login"))


@pytest.mark.parametrize("name", OF_A_STUDY)
@pytest.mark.parametrize("method", ["get", "post"])
def test_for_a_stranger_it_does_not_exist(stranger, study, name, method):
    assert getattr(stranger, method)(address(name)).status_code in (404, 405)


@pytest.mark.parametrize("name", OF_A_STUDY)
def test_a_stranger_sees_of_a_study_what_they_see_of_none(stranger, study, name):
    theirs, nobodys = (stranger.post(address(name, slug)) for slug in ("small-study", "never-made"))

    assert (theirs.status_code, theirs.content) == (nobodys.status_code, nobodys.content)


@pytest.mark.parametrize("name", WRITES)
def test_a_form_without_a_token_is_refused(owner, study, name):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(owner)

    assert browser.post(address(name)).status_code == 403


@pytest.mark.parametrize("name", READS)
def test_reading_changes_nothing(desk, study, name):
    before = everything()
    desk.get(address(name))

    assert everything() == before


@pytest.mark.parametrize("name", READS)
def test_pages_are_kept_by_no_cache(desk, study, name):
    assert desk.get(address(name)).headers["Cache-Control"] == "no-store"


def test_a_page_that_is_signed_out_meanwhile_says_so_and_keeps_what_is_on_it(client, study):
    answer = client.get(address("live"), headers={"hx-request": "true"})

    assert answer.status_code == 200
    assert "You are signed out" in answer.content.decode()


def test_the_admin_is_not_there(desk):
    assert not any("admin" in str(pattern.pattern) for pattern in get_resolver().url_patterns)


def everything() -> list:
    """All rows of all our tables, but for what Django keeps of a session."""
    from django.apps import apps

    apps_of_ours = ("ratings", "inference", "accounts")
    models = [model for app in apps_of_ours for model in apps.get_app_config(app).get_models()]
    return [list(model.objects.order_by("pk").values("pk")) for model in models] + [
        list(Study.objects.values("state", "current_version"))
    ]
