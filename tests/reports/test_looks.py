"""Results of real participants stay closed until the planned number, and whoever looks earlier is told of."""

import json

import pytest
from django.core.management import call_command
from django.urls import reverse

from accounts.models import AuditEntry
from ratings.frames import pool_of
from ratings.models import EarlyLook
from reports.report import study_report
from tests.reports.people import make_study, take_part


@pytest.fixture
def closed(owner):
    """Three of four planned participants have completed."""
    study = make_study(owner, target=4, opened=False)
    for _ in range(3):
        take_part(study)
    return study


@pytest.fixture
def desk(client, owner):
    client.force_login(owner)
    return client


def report_of(study, kind="real", **more):
    return study_report(pool_of(study, kind), **more)


def open_it(desk, reason):
    return desk.post(reverse("reports:open_early", args=["small"]), {"kind": "real", "reason": reason}, follow=True)


def test_before_the_target_there_are_no_results(closed):
    report = report_of(closed)

    assert report["criteria"] == {}
    assert "4 participants have completed" in report["hidden"]
    assert report["flow"]["completed"] == 3


def test_at_the_target_there_are(closed):
    take_part(closed)

    assert report_of(closed)["criteria"]["empathy_support"]["arms"]["linden"]["mean"] == 7


def test_the_close_of_the_study_opens_them(closed):
    closed.state = "closed"
    closed.save()

    assert report_of(closed)["criteria"]


def test_rehearsals_are_there_to_be_looked_at(closed):
    take_part(closed, kind="pilot")

    assert report_of(closed, "pilot")["criteria"]


def test_a_study_that_looks_on_the_way_hides_nothing(owner):
    study = make_study(owner, opened=False, looks="sequential")
    take_part(study)

    assert report_of(study)["criteria"]


def test_the_page_says_why_and_shows_no_number(desk, closed):
    page = desk.get(reverse("reports:report", args=["small"])).content.decode()

    assert "The results are not shown yet" in page
    assert "7.00" not in page


def test_the_owner_opens_them_for_a_reason_which_the_methods_repeat(desk, closed):
    page = open_it(desk, "The funder asks for a safety review.").content.decode()

    assert "The funder asks for a safety review." in page
    assert "with 3 of 4 participants" in report_of(closed)["methods"]["paragraph"]
    assert AuditEntry.objects.filter(action="open results early", subject="small").exists()


@pytest.mark.parametrize("reason", ["", "   "])
def test_without_a_reason_they_stay_closed(desk, closed, reason):
    page = open_it(desk, reason).content.decode()

    assert "Write why the results are looked at" in page
    assert report_of(closed)["criteria"] == {}


def test_nobody_else_opens_them(client, closed, django_user_model):
    client.force_login(django_user_model.objects.create_user("eve"))

    assert open_it(client, "curious").status_code == 404
    assert not EarlyLook.objects.exists()


def test_taking_the_ratings_out_needs_the_reason_as_well(desk, closed):
    address = reverse("reports:export", args=["small"])

    refused = desk.post(address, {"kind": "real"}, follow=True)
    given = desk.post(address, {"kind": "real", "reason": "A power analysis of the next study."})

    assert "Write why" in refused.content.decode()
    assert given.headers["Content-Type"] == "application/zip"
    assert "A power analysis" in report_of(closed)["methods"]["paragraph"]


def test_the_terminal_shows_them_and_the_report_tells(closed, capsys):
    for _ in range(2):
        call_command("report", "small", "--json")

    shown = json.loads(capsys.readouterr().out.split("\n}\n")[0] + "\n}")

    assert shown["criteria"]
    assert report_of(closed)["criteria"] == {}
    assert "1 time without a reason being given" in report_of(closed)["methods"]["paragraph"]


def test_the_api_keeps_them_closed_and_tells_of_ratings_read(desk, closed):
    report = desk.get("/api/v1/studies/small/report/").json()
    desk.get("/api/v1/studies/small/ratings/")

    assert report["criteria"] == {}
    assert [look.by for look in EarlyLook.objects.all()] == ["api"]


def test_looks_at_rehearsals_are_not_noted(closed):
    take_part(closed, kind="synthetic")

    call_command("report", "small", "--synthetic", "--json")

    assert not EarlyLook.objects.exists()
