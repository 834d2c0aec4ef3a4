import pytest

from ratings.models import Answer, Consent, Rating, Visit
from ratings.path.consent import text_hash
from ratings.studyfile.publishing import definition_of
from tests.factories import published_study
from tests.path.person import TICKS, Person


def test_who_is_not_eligible_is_thanked_and_nothing_of_theirs_is_stored(person):
    person.go_to("eligibility")

    page = person.post({"adult": "no"})

    assert (page.stage, page.outcome) == ("ended", "screened_out")
    assert not Answer.objects.exists()


def test_eligibility_wants_an_answer(person):
    page = person.go_to("eligibility")

    page = person.post({})

    assert page.stage == "eligibility"
    assert "Answer yes or no: Are you 18 years old or older?" in page.text
    assert person.visit.stage == "eligibility"


@pytest.mark.parametrize("value", ["maybe", "", "\0", "1"])
def test_eligibility_takes_yes_and_no_only(person, value):
    person.go_to("eligibility")

    assert person.post({"adult": value}).stage == "eligibility"
    assert not Answer.objects.exists()


def test_no_box_is_ticked_beforehand(person):
    page = person.go_to("consent")

    assert page.boxes == ["consent_take_part", "consent_sensitive", "consent_quotes", "consent_training"]
    assert " checked" not in page.html


def test_required_ticks_are_required_and_given_ones_are_kept(person):
    person.go_to("consent")

    page = person.post({"consent_quotes": "on"})

    assert page.stage == "consent"
    assert "<title>Error:" in page.html
    assert 'href="#id_consent_take_part"' in page.html
    assert 'id="id_consent_quotes" checked' in page.html
    assert not Consent.objects.exists()


def test_each_tick_is_stored_with_the_hash_of_its_words(person):
    person.go_to("consent")

    person.post(TICKS | {"consent_training": "on"})

    consents = {consent.tick: consent for consent in Consent.objects.all()}
    wording = definition_of(person.visit.version).consent
    assert set(consents) == {"take_part", "sensitive", "training"}
    assert consents["training"].text_hash == text_hash(wording, "training")
    assert consents["training"].text_hash != consents["take_part"].text_hash
    assert consents["training"].locale == "en"


def test_consent_gives_a_place_and_a_plan(person):
    person.go_to("consent")
    assert not person.visit.assignments.exists()

    person.post(TICKS)

    visit = person.visit
    assert visit.consented_at
    assert visit.place_until
    assert visit.assignments.count() == 4


@pytest.mark.parametrize("stage", ["eligibility", "consent"])
def test_a_no_is_taken_as_one_and_nothing_is_stored(person, stage):
    person.go_to(stage)
    answers = Answer.objects.count()

    page = person.post(action="decline")

    assert (page.stage, page.outcome) == ("declined", "declined")
    assert not Consent.objects.exists()
    assert Answer.objects.count() == answers


def test_who_declined_may_think_again(person):
    person.go_to("consent")
    person.post(action="decline")

    page = person._follow(person.client.post("/s/small-study/again/", follow=True))

    assert page.stage == "entry"


def test_yes_and_no_are_buttons_of_the_same_kind(person):
    page = person.go_to("consent")

    yes, no = page.html.count('value="next"'), page.html.count('value="decline"')
    assert (yes, no) == (1, 1)
    assert 'class="actions equal"' in page.html


def test_a_full_study_ends_with_full_pay(db):
    study = published_study(target=1)
    Person(study, "real").go_to("practice")
    late = Person(study, "real")
    late.go_to("consent")

    page = late.post(TICKS)

    assert (page.stage, page.outcome) == ("ended", "quota_full")
    assert late.visit.outcome == Visit.Outcome.QUOTA_FULL
    assert "paid in full" in page.text


def test_a_panels_own_codes_are_shown_for_each_outcome(db):
    study = published_study(
        completion={"mode": "fixed", "codes": {"completed": "DONE42", "screened_out": "SCREEN7", "declined": "NO1"}}
    )
    screened, declined, completed = (Person(study) for _ in range(3))
    screened.go_to("eligibility")
    declined.go_to("consent")

    assert "SCREEN7" in screened.post({"adult": "no"}).text
    assert "NO1" in declined.post(action="decline").text
    assert completed.go_to("debrief").completion_code == "DONE42"


def test_stages_before_the_items_are_not_edited_later(person):
    person.go_to("rate")

    for stage in ("eligibility", "consent", "instructions", "practice"):
        assert person.get(f"/s/small-study/{stage}/").stage == "rate"


def test_practice_gives_feedback_and_is_never_a_rating(person):
    person.go_to("practice")

    page = person.post({"empathy_support": "10", "fluency_quality": "cannot_judge"})

    assert page.stage == "practice"
    assert not page.radios
    assert "does not count" in page.text
    assert not Rating.objects.exists()
    answers = dict(Answer.objects.filter(kind=Answer.Kind.PRACTICE).values_list("key", "value"))
    assert answers == {"empathy_support": "10", "fluency_quality": "cannot_judge"}
    assert person.post().stage == "rate"
