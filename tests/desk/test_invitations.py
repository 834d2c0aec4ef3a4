"""Personal links: made, shown once, kept as hashes only, handed out as CSV and QR codes."""

import csv
import io
import re

import pytest

from accounts.models import AuditEntry
from ratings import recruitment
from ratings.models import Invitation
from tests.desk.conftest import draft_of
from tests.factories import published_study
from tests.path.page import read_page


def make(desk, study, count=3, kind="real", **fields) -> list[str]:
    page = desk.post(f"/studies/{study.slug}/invitations/", {"count": count, "kind": kind} | fields)
    return page.context["tokens"]


def test_as_many_links_as_wanted_are_made_and_shown(desk, study):
    tokens = make(desk, study, 5)

    assert len(set(tokens)) == Invitation.objects.count() == 5


def test_a_token_has_at_least_128_bits_and_is_stored_nowhere(desk, study):
    token = make(desk, study, 1)[0]

    assert len(token) >= 32
    assert token not in str(Invitation.objects.values_list())
    assert token not in str(AuditEntry.objects.values_list())
    assert token not in str(dict(desk.session))


def test_a_link_lets_one_person_in_as_what_it_was_made_for(desk, study, client):
    token = make(desk, study, 1, kind="pilot", group="course A", wave="2")[0]
    answer = client.get(f"/i/{token}/", follow=True)
    invitation = Invitation.objects.get()

    assert read_page(answer).stage in ("entry", "eligibility")
    assert (invitation.kind, invitation.group, invitation.wave) == ("pilot", "course A", "2")
    assert token not in answer.redirect_chain[-1][0]


def test_the_links_are_not_shown_again(desk, study):
    token = make(desk, study, 1)[0]

    assert token not in desk.get("/studies/small-study/invitations/").content.decode()


def test_what_was_made_is_counted_by_group(desk, study, client):
    token = make(desk, study, 2, group="course A")[0]
    make(desk, study, 1, kind="pilot")
    client.get(f"/i/{token}/", follow=True)

    assert [(row["kind"], row["group"], row["made"]) for row in recruitment.batches(study)] == [
        ("pilot", "", 1),
        ("real", "course A", 2),
    ]


@pytest.mark.parametrize("count", ["0", "-1", "1001", "many", "", "1e3", "9" * 30])
def test_a_number_that_makes_no_sense_is_refused_with_a_message(desk, study, count):
    page = desk.post("/studies/small-study/invitations/", {"count": count, "kind": "real"})

    assert 'id="count-fault"' in page.content.decode()
    assert not Invitation.objects.exists()


@pytest.mark.parametrize("kind", ["synthetic", "", "other"])
def test_links_are_for_real_or_for_pilot_participants(desk, study, kind):
    desk.post("/studies/small-study/invitations/", {"count": 1, "kind": kind})

    assert not Invitation.objects.exists()


def test_the_kind_offered_is_that_of_the_state(desk, owner):
    published_study(owner, slug="piloted", state="pilot")

    assert 'value="pilot" checked' in desk.get("/studies/piloted/invitations/").content.decode()


def test_the_csv_holds_each_link_and_runs_no_formula(desk, study, settings):
    settings.PUBLIC_URL = "https://study.example.org"
    tokens = make(desk, study, 3, group='=HYPERLINK("x")')
    answer = desk.post("/studies/small-study/invitations/links.csv", {"tokens": " ".join(tokens)})
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))

    assert [row["link"] for row in rows] == [f"https://study.example.org/i/{token}/" for token in tokens]
    assert {row["group"] for row in rows} == {'\'=HYPERLINK("x")'}


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\tx", "\rx", "＝1", "－1"])
def test_a_cell_that_a_spreadsheet_would_run_is_made_inert(text):
    assert recruitment.inert(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "a", "1=1", "course A"])
def test_other_cells_stay_as_they_are(text):
    assert recruitment.inert(text) == text


def test_the_sheet_has_one_code_for_each_link_without_inline_style(desk, study):
    tokens = make(desk, study, 4)
    page = desk.post("/studies/small-study/invitations/sheet/", {"tokens": " ".join(tokens)}).content.decode()

    assert page.count("<svg") == 4
    assert not re.search(r"\sstyle=|<style", page)


def test_the_code_is_of_the_very_link():
    short, long = recruitment.qr_code("http://a"), recruitment.qr_code("http://a" * 20)

    assert short != long
    assert short == recruitment.qr_code("http://a")


@pytest.mark.parametrize("address", ["links.csv", "sheet/"])
@pytest.mark.parametrize("tokens", ["", "guessed", "guessed twice"])
def test_tokens_that_are_not_this_studys_are_refused(desk, study, address, tokens):
    assert desk.post(f"/studies/small-study/invitations/{address}", {"tokens": tokens}).status_code == 404


def test_tokens_of_another_study_are_refused(desk, study, owner):
    token = make(desk, published_study(owner, slug="other"), 1)[0]

    assert desk.post("/studies/small-study/invitations/links.csv", {"tokens": token}).status_code == 404


def test_making_links_is_written_down_without_them(desk, study, owner):
    make(desk, study, 2)
    entry = AuditEntry.objects.filter(action="invite").get()

    assert (entry.user, entry.subject, entry.detail) == (owner, "small-study", {"count": 2, "kind": "real"})


def test_a_researcher_takes_the_study_as_a_pilot_participant(desk, study, settings):
    settings.PUBLIC_URL = "http://testserver"
    answer = desk.post("/studies/small-study/pilot/", follow=True)

    assert read_page(answer).stage in ("entry", "eligibility")
    assert Invitation.objects.get().kind == "pilot"


def test_a_study_that_is_not_open_cannot_be_taken(desk, owner):
    draft_of(owner, "drafted")

    assert desk.post("/studies/drafted/pilot/").status_code == 404
    assert not Invitation.objects.exists()
