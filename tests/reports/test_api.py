import pytest
from django.urls import reverse
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from openapi_spec_validator import validate
from rest_framework.test import APIClient

from accounts.models import ApiToken, User
from ratings.withdrawal import withdraw
from tests.reports.people import exclude, make_study, take_part

OF_STUDY = ["study", "versions", "participants", "ratings", "report"]


@pytest.fixture
def api(owner):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {ApiToken.issue(owner, 'read', 1)}")
    return client


def get(api, name, query=""):
    return api.get(reverse(f"api:{name}", args=["small"]) + query)


def test_it_lists_your_studies(api, study):
    assert [row["slug"] for row in api.get("/api/v1/studies/").json()["results"]] == ["small"]


def test_a_study(api, study):
    found = get(api, "study").json()

    assert (found["slug"], found["title"], found["state"], found["version"]) == ("small", "Small study", "live", 1)
    assert found["fingerprint"] == study.current_version.fingerprint


def test_its_versions(api, study):
    (version,) = get(api, "versions").json()["results"]

    assert version["number"] == 1
    assert version["definition"]["slug"] == "small"


def test_its_ratings(api, study):
    visit = take_part(study, lambda item, arm, criterion: 4 if criterion == "empathy_support" else None)

    found = get(api, "ratings").json()

    assert found["count"] == 16
    row = found["results"][0]
    assert row["participant_id"] == visit.participant.participant_id
    assert (row["criterion"], row["rating"], row["missing_reason"]) == ("empathy_support", 4, "")
    assert found["results"][1]["rating"] is None


def test_its_participants(api, study):
    take_part(study, ticks=("take_part", "quotes"), answers={"age_band": "21-24"})

    (row,) = get(api, "participants").json()["results"]

    assert (row["consent_quotes"], row["consent_training"], row["exit"]) == (True, False, {"age_band": "21-24"})


def test_its_report(api, study):
    take_part(study)

    assert get(api, "report").json()["criteria"]["empathy_support"]["arms"]["linden"]["mean"] == 7


def test_kinds_are_kept_apart(api, study):
    take_part(study, kind="pilot")

    assert get(api, "ratings").json()["count"] == 0
    assert get(api, "ratings", "?kind=pilot").json()["count"] == 16
    assert get(api, "participants", "?kind=synthetic").json()["count"] == 0
    assert get(api, "report", "?kind=pilot").json()["flow"]["arrived"] == 1


def test_withdrawn_and_excluded_people(api, study):
    withdraw(take_part(study))
    exclude(take_part(study), "straight lines")

    assert get(api, "ratings").json()["count"] == 0
    assert [row["excluded"] for row in get(api, "participants").json()["results"]] == ["straight lines"]


def test_pages_follow_each_other(api, study):
    take_part(study)

    first = get(api, "ratings", "?limit=10").json()
    second = api.get(first["next"]).json()

    assert (len(first["results"]), len(second["results"]), second["next"]) == (10, 6, None)


def test_a_page_has_an_upper_limit(api, study):
    assert "limit=1000" not in str(get(api, "ratings", "?limit=999999").json()["next"])


@pytest.mark.parametrize("query", ["?kind=everyone", "?version=first", "?version=0"])
def test_an_unknown_filter_is_a_fault_of_the_request(api, study, query):
    assert get(api, "ratings", query).status_code == 400


@pytest.mark.parametrize("query", ["", "?version=7"])
def test_a_version_that_is_not_there_is_not_found(api, owner, study, query):
    if not query:
        study.versions.update(published_at=None)
        study.current_version = None
        study.save()

    assert get(api, "ratings", query).status_code == 404


@pytest.mark.parametrize("name", OF_STUDY)
def test_a_study_of_somebody_else_is_not_there(study, name):
    client = APIClient()
    client.force_authenticate(User.objects.create_user("eve"))

    assert get(client, name).status_code == 404


@pytest.mark.parametrize("name", OF_STUDY)
def test_nobody_reads_without_signing_in(study, name):
    answer = get(APIClient(), name)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_session_is_enough(client, owner, study):
    client.force_login(owner)

    assert client.get("/api/v1/studies/").status_code == 200


def test_an_expired_or_unknown_token_is_refused(owner, study):
    expired = APIClient()
    expired.credentials(HTTP_AUTHORIZATION=f"Bearer {ApiToken.issue(owner, 'read', -1)}")
    unknown = APIClient()
    unknown.credentials(HTTP_AUTHORIZATION="Bearer nothing")

    assert expired.get("/api/v1/studies/").status_code == 401
    assert unknown.get("/api/v1/studies/").status_code == 401


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nothing_can_be_written(api, study, method):
    for name in OF_STUDY:
        assert getattr(api, method)(reverse(f"api:{name}", args=["small"])).status_code == 405


def test_its_schema_is_valid_and_made_without_a_warning():
    GENERATOR_STATS.reset()

    schema = SchemaGenerator(api_version="1").get_schema(request=None, public=True)

    validate(schema)
    assert not GENERATOR_STATS
    assert "/api/v1/studies/{slug}/ratings/" in schema["paths"]


def test_its_schema_is_served(client, db):
    assert b"openapi: 3" in client.get("/api/v1/schema/").content


def test_somebody_elses_study_is_not_in_the_list(api, study):
    make_study(User.objects.create_user("eve"), slug="hers")

    assert len(api.get("/api/v1/studies/").json()["results"]) == 1
