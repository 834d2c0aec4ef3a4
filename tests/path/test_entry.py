from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.sealed import lookup_hash
from inference.leases import LeaseState
from inference.models import Turn
from ratings import codes
from ratings.models import Event, Participant, Study, Visit, VisitKey
from tests.factories import invitation, published_study
from tests.path.page import read_page
from tests.path.person import Person


def test_looking_at_the_entry_page_makes_nobody_a_participant(study, client):
    page = read_page(client.get("/s/small-study/"))

    assert page.stage == "entry"
    assert "5 minutes" in page.text
    assert "team@example.org" in page.text
    assert "AI programs" in page.text
    assert not Participant.objects.exists()


def test_beginning_makes_one_and_leads_to_eligibility(study):
    page = Person(study, "real").go_to("eligibility")

    assert page.address == "/s/small-study/eligibility/"
    assert Visit.objects.get().participant.kind == "real"


def test_a_pilot_study_takes_pilot_participants(study):
    Study.objects.update(state="pilot")

    Person(study, "real").go_to("eligibility")

    assert Participant.objects.get().kind == "pilot"


def test_the_cookie_leads_on_to_where_one_was(person):
    person.go_to("practice")

    assert person.get("/s/small-study/").stage == "practice"


def test_the_cookie_holds_a_secret_of_which_only_the_hash_is_stored(person):
    person.go_to("eligibility")

    cookie = person.client.cookies["visit-small-study"]
    assert len(cookie.value) >= 43
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["path"] == "/s/small-study/"
    assert VisitKey.objects.get().token_hash == codes.token_hash(cookie.value)


def test_over_tls_the_cookie_is_bound_to_the_host(study, settings):
    settings.OVER_TLS = True
    client = Client()

    client.post("/s/small-study/", {"action": "next"})

    cookie = client.cookies["__Host-visit-small-study"]
    assert cookie["secure"]
    assert cookie["path"] == "/"


def test_a_made_up_cookie_leads_to_the_entry_page(study, client):
    client.cookies["visit-small-study"] = "x" * 43

    page = read_page(client.get("/s/small-study/rate/1/", follow=True))

    assert page.stage == "entry"


@pytest.mark.parametrize("state", ["draft", "paused", "closed"])
def test_a_study_that_is_not_open_says_so_kindly(study, client, state):
    Study.objects.update(state=state)

    page = read_page(client.get("/s/small-study/"))

    assert page.status == 200
    assert page.stage == "ended"
    assert read_page(client.post("/s/small-study/", {"action": "next"})).stage == "ended"
    assert not Visit.objects.exists()


def test_a_paused_study_lets_people_under_way_finish(person):
    person.go_to("rate")
    Study.objects.update(state="paused")

    assert person.go_to("debrief").outcome == "completed"


def test_a_study_closed_meanwhile_takes_no_more_and_says_so(person):
    page = person.go_to("rate")
    Study.objects.update(state="closed")

    page = person.rate()

    assert page.stage == "ended"
    assert "closed while you were taking part" in page.text
    assert not person.visit.assignments.filter(state="completed").exists()


def test_replies_that_are_still_made_let_people_wait_with_progress(study, client):
    Turn.objects.filter(index=1).update(state=LeaseState.QUEUED)

    page = read_page(client.get("/s/small-study/"))

    assert page.stage == "preparing"
    assert "ratings/waiting.js" in page.html
    assert "0 of 12 replies" in page.text


def test_there_is_no_study_of_this_name(client, db):
    assert client.get("/s/nothing-here/").status_code == 404


# Invitations


def test_an_invitation_leaves_the_address_and_the_browser_keeps_it(study, client):
    link, row = invitation(study)

    response = client.get(link)

    assert response.status_code == 303
    assert response["Location"] == "/s/small-study/"
    assert not Participant.objects.exists()
    client.post("/s/small-study/", {"action": "next"})
    assert Participant.objects.get().invitation == row


def test_an_invitation_opened_again_elsewhere_resumes_the_same_visit(study):
    link, _ = invitation(study)
    first = Person(study, "real")
    first.get(link)
    first.go_to("practice")

    other = Client()
    page = read_page(other.get(link, follow=True))

    assert page.stage == "practice"
    assert Visit.objects.count() == 1
    assert Event.objects.filter(kind=Event.Kind.RESUMED).count() == 1


def test_an_invitation_is_for_its_person_also_where_somebody_else_was_before(study):
    before = Person(study, "real")
    before.go_to("eligibility")
    link, row = invitation(study)

    before.get(link)
    before.go_to("eligibility")

    assert Visit.objects.count() == 2
    assert before.visit.participant.invitation == row


def test_an_unknown_invitation_is_explained(client, db):
    page = read_page(client.get("/i/not-a-token/"))

    assert page.status == 404
    assert "We do not know this invitation" in page.text


def test_the_group_of_an_invitation_is_kept(study, client):
    link, _ = invitation(study, group="first-year", wave="autumn")

    client.get(link)
    client.post("/s/small-study/", {"action": "next"})

    person = Participant.objects.get()
    assert (person.group, person.wave) == ("first-year", "autumn")


# Panels

PROLIFIC = "?PROLIFIC_PID=5f3a9c&STUDY_ID=s1&SESSION_ID=z9"


def test_a_panels_link_loses_its_parameters_at_once(study, client):
    response = client.get(f"/s/small-study/{PROLIFIC}")

    assert response.status_code == 303
    assert response["Location"] == "/s/small-study/"
    assert "5f3a9c" not in str(response.cookies)


def test_a_panels_person_is_sealed_and_found_by_hash(study, client):
    client.get(f"/s/small-study/{PROLIFIC}")
    client.post("/s/small-study/", {"action": "next"})

    person = Participant.objects.get()
    assert person.panel_id == "PROLIFIC_PID=5f3a9c"
    assert person.panel_hash == lookup_hash(f"panel/{study.pk}", "PROLIFIC_PID=5f3a9c")
    assert person.panel_hash != "5f3a9c"


def test_a_panels_person_resumes_on_another_device(study, client):
    client.get(f"/s/small-study/{PROLIFIC}")
    client.post("/s/small-study/", {"action": "next"})

    page = read_page(Client().get(f"/s/small-study/{PROLIFIC}", follow=True))

    assert page.stage == "eligibility"
    assert Visit.objects.count() == 1


@pytest.mark.parametrize(
    "query",
    [
        "?PROLIFIC_PID={{%PROLIFIC_PID%}}",
        "?PROLIFIC_PID=" + "x" * 65,
        "?PROLIFIC_PID=%00",
        "?PROLIFIC_PID=",
        "?PROLIFIC_PID=a&PROLIFIC_PID=b",
        "?STUDY_ID=s1",
        "?workerId=A1&assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE",
    ],
)
def test_a_panels_link_that_names_nobody_is_explained(study, client, query):
    page = read_page(client.get(f"/s/small-study/{query}", follow=True))

    assert page.address == "/s/small-study/"
    assert "did not say who you are" in page.text


# Coming back with the return code


def test_the_return_code_leads_another_device_to_the_same_place(person):
    person.go_to("rate")
    person.rate()
    code = codes.return_code(person.visit)

    other = Client()
    page = read_page(other.post("/s/small-study/return/", {"code": code.lower().replace("-", " ")}, follow=True))

    assert (page.stage, page.position) == ("rate", 2)
    assert page.address == "/s/small-study/rate/2/"
    assert VisitKey.objects.count() == 2


def test_the_return_code_is_shown_to_write_down(person):
    page = person.go_to("instructions")

    assert codes.return_code(person.visit) in page.text


@pytest.mark.parametrize("code", ["", "AAAA-AAAA", "\0\0", "é" * 40, "x" * 41])
def test_a_wrong_return_code_is_refused_with_words(study, client, code):
    page = read_page(client.post("/s/small-study/return/", {"code": code}))

    assert page.status == 200
    assert "There is something to mend" in page.text


def test_another_studys_return_code_opens_nothing(person):
    person.go_to("instructions")
    code = codes.return_code(person.visit)
    published_study(slug="other-study")

    page = read_page(Client().post("/s/other-study/return/", {"code": code}))

    assert "Nobody in this study has this code" in page.text


def test_codes_cannot_be_guessed_for_long(study, client):
    for _ in range(10):
        assert client.post("/s/small-study/return/", {"code": "AAAA-AAAA"}).status_code == 200

    response = client.post("/s/small-study/return/", {"code": "AAAA-AAAA"})

    assert response.status_code == 429
    assert 0 < int(response["Retry-After"]) <= 900


def test_right_codes_are_not_counted_as_guesses(person):
    person.go_to("instructions")
    code = codes.return_code(person.visit)

    for _ in range(12):
        assert Client().post("/s/small-study/return/", {"code": code}).status_code == 303


# Languages


def test_the_browsers_language_is_taken_where_the_study_speaks_it(db, client):
    published_study(locales=["en", "ar"], title={"en": "Replies", "ar": "ردود"}, **both_languages())

    page = read_page(client.get("/s/small-study/", headers={"Accept-Language": "ar-EG,en;q=0.5"}))

    assert '<html lang="ar" dir="rtl">' in page.html
    assert "ردود" in page.text


def test_another_language_can_be_chosen(db, client):
    published_study(locales=["en", "ar"], title={"en": "Replies", "ar": "ردود"}, **both_languages())

    page = read_page(client.get("/s/small-study/?lang=ar"))
    client.post("/s/small-study/", page.hidden)

    assert Visit.objects.get().locale == "ar"


def both_languages() -> dict:
    """The texts that a study file fills in in English only."""
    twice = {"en": "Words.", "ar": "كلمات."}
    return {
        "eligibility": [{"key": "adult", "question": twice}],
        "instructions": twice,
        "debrief": twice,
        "practice": {"prompt": twice, "reply": twice, "feedback": twice},
    }


def test_a_place_that_expired_is_given_back_to_who_returns(person):
    person.go_to("rate")
    person.rate()
    Visit.objects.update(place_until=timezone.now() - timedelta(hours=1))

    page = person.get()

    assert (page.stage, page.position) == ("rate", 2)
    assert person.visit.place_until > timezone.now()


def test_a_place_that_others_took_meanwhile_ends_kindly_with_a_code(db):
    study = published_study(target=1)
    person = Person(study, "real")
    person.go_to("practice")
    Visit.objects.update(place_until=timezone.now() - timedelta(hours=1))
    other = Person(study, "real")
    other.go_to("practice")

    page = person.get()

    assert (page.stage, page.outcome) == ("ended", "quota_full")
    assert codes.completion_code(person.visit) in page.text
    assert "paid in full" in page.text


def test_a_study_without_a_published_version_says_so(study, client):
    Study.objects.update(state="draft", current_version=None)

    assert read_page(client.get("/s/small-study/")).stage == "ended"
    assert client.get("/s/small-study/return/").status_code == 200
    assert client.get("/help/?study=small-study").status_code == 200
