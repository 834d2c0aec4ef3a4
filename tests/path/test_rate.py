import pytest
from django.db import connection

from ratings.models import Answer, Event, Exposure, Rating
from ratings.path import pagetime
from ratings.path.scales import in_order
from ratings.studyfile.publishing import definition_of
from tests.factories import published_study
from tests.path.person import RATINGS, Person


@pytest.fixture
def rating(person):
    """A person at their first reply."""
    person.go_to("rate")
    return person


def values(person) -> dict[str, list]:
    """Everything they rated, by position."""
    rows = Rating.objects.filter(exposure__assignment__visit=person.visit)
    found: dict = {}
    for position, key, value in rows.values_list("exposure__assignment__position", "criterion__key", "value"):
        found.setdefault(position, {})[key] = value
    return found


def test_nothing_is_chosen_beforehand(rating):
    page = rating.page

    assert page.radios["empathy_support"] == [*map(str, range(1, 11)), "cannot_judge"]
    assert not page.checked


def test_the_definition_is_always_there(rating):
    assert "It takes the person's feelings seriously." in rating.page.text.replace("’", "'")
    assert "1 = Not at all" in rating.page.text
    assert "10 = Extremely" in rating.page.text


def test_one_reply_a_page_with_its_place(rating):
    assert "Reply 1 of 4" in rating.page.text
    assert rating.rate().position == 2
    assert "Reply 2 of 4" in rating.page.text


def test_ratings_are_stored_as_given(rating):
    rating.post({"empathy_support": "1", "fluency_quality": "10"})

    assert values(rating) == {1: {"empathy_support": 1, "fluency_quality": 10}}


def test_cannot_judge_is_null_with_its_reason(rating):
    rating.post(RATINGS | {"fluency_quality": "cannot_judge"})

    row = Rating.objects.get(criterion__key="fluency_quality")
    assert (row.value, row.missing_reason) == (None, "cannot_judge")


def test_a_reply_may_be_skipped_without_penalty(rating):
    page = rating.post(action="skip")

    assert page.position == 2
    assert set(Rating.objects.values_list("value", "missing_reason")) == {(None, "skipped")}


def test_a_skipped_reply_may_still_carry_a_comment(rating):
    rating.post({"comment": "too close to home"}, action="skip")

    assert Exposure.objects.get(submitted_at__isnull=False).comment == "too close to home"


def test_the_order_of_criteria_differs_among_people(study):
    definition = definition_of(study.current_version)

    orders = {tuple(criterion.key for criterion in in_order(definition, seed)) for seed in range(20)}

    assert len(orders) == 2


def test_the_order_of_criteria_stays_for_one_person(rating):
    first = list(rating.page.radios)

    rating.rate()

    assert list(rating.page.radios)[:2] == first


def test_an_overall_criterion_comes_first(study):
    definition = definition_of(study.current_version)
    overall = definition.criteria[1].model_copy(update={"key": "overall"})
    definition = definition.model_copy(update={"criteria": (*definition.criteria, overall)})

    assert {in_order(definition, seed)[0].key for seed in range(20)} == {"overall"}


def test_the_attention_check_has_its_own_fieldset_and_is_no_rating(rating):
    rating.rate()
    assert rating.page.checks == ["check-2"]

    rating.post(RATINGS | {"check-2": "9"})

    assert Answer.objects.get(kind=Answer.Kind.CHECK).value == 9
    assert set(values(rating)[2]) == {"empathy_support", "fluency_quality"}
    assert rating.page.position == 3


def test_the_attention_check_wants_an_answer(rating):
    rating.rate()

    page = rating.post(RATINGS)

    assert page.position == 2
    assert "Please choose 3 here." in page.text
    assert 2 not in values(rating)


def test_missing_answers_are_summed_up_and_given_ones_kept(rating):
    page = rating.post({"empathy_support": "8", "comment": "a word"})

    assert "<title>Error:" in page.html
    assert 'href="#id_fluency_quality"' in page.html
    assert 'id="id_fluency_quality"' in page.html
    assert page.checked == {"empathy_support": "8"}
    assert "a word</textarea>" in page.html
    assert not Rating.objects.exists()


def test_comments_are_sealed_and_optional(rating):
    rating.rate(comment="  Ein Wort – 文字 ")

    exposure = Exposure.objects.get(submitted_at__isnull=False)
    assert exposure.comment == "Ein Wort – 文字"
    with connection.cursor() as cursor:
        cursor.execute("SELECT comment FROM ratings_exposure WHERE comment IS NOT NULL")
        assert "Ein Wort" not in cursor.fetchone()[0]


def test_comments_can_be_left_out_of_a_study(db):
    person = Person(published_study(comments=False))
    page = person.go_to("rate")

    assert "<textarea" not in page.html
    assert "did not ask for" in person.rate(comment="still").text
    assert not Rating.objects.exists()


# Going back


def test_going_back_shows_what_was_given_and_keeps_a_change(rating):
    rating.rate()
    page = rating.post(action="back")
    assert (page.position, page.checked) == (1, RATINGS)

    page = rating.rate(empathy_support="2")

    assert page.position == 2
    row = Rating.objects.get(criterion__key="empathy_support")
    assert (row.first_value, row.value) == (7, 2)
    change = Event.objects.get(kind=Event.Kind.CHANGED)
    assert change.detail == {"criterion": "empathy_support", "before": 7, "after": 2}
    assert change.position == 1


def test_earlier_replies_open_by_address_and_later_ones_do_not(rating):
    rating.rate()
    rating.rate()

    assert rating.get("/s/small-study/rate/1/").position == 1
    assert rating.get("/s/small-study/rate/4/").position == 3
    assert rating.get("/s/small-study/rate/99/").position == 3
    assert rating.get("/s/small-study/rate/0/").position == 3
    assert rating.get("/s/small-study/rate/99999999999999999999999/").position == 3


def test_from_the_exit_page_one_may_go_back_and_on_again(person):
    person.go_to("exit")

    assert person.post(action="back").position == 4
    assert person.rate(empathy_support="1").stage == "exit"
    assert values(person)[4]["empathy_support"] == 1


def test_after_finishing_nothing_can_be_changed(person):
    person.go_to("rate")
    person.rate()
    old = person.get("/s/small-study/rate/1/")
    person.go_to("debrief")

    assert person.get("/s/small-study/rate/1/").stage == "debrief"
    person.post(RATINGS | {"empathy_support": "1"}, page=old)

    assert values(person)[1]["empathy_support"] == 7


def test_a_check_is_shown_again_as_it_was_answered(rating):
    rating.rate()
    rating.rate()

    assert rating.get("/s/small-study/rate/2/").checked == RATINGS | {"check-2": "3"}


# Sent twice, sent late


def test_the_same_form_twice_is_stored_once_and_does_not_go_on_twice(rating):
    first = rating.page
    rating.post(RATINGS)

    page = rating.post(RATINGS, page=first)

    assert page.position == 2
    assert "already been sent" in page.text
    assert list(values(rating)) == [1]


def test_an_old_page_changes_nothing_and_shows_the_current_one(rating):
    first = rating.page
    rating.post(RATINGS)
    rating.rate()

    page = rating.post(RATINGS | {"empathy_support": "1"}, page=first)

    assert page.position == 3
    assert values(rating)[1]["empathy_support"] == 7


def test_a_page_from_before_a_change_is_old(rating):
    rating.rate()
    edit = rating.get("/s/small-study/rate/1/")
    rating.post(RATINGS | {"empathy_support": "2"}, page=edit)

    rating.post(RATINGS | {"empathy_support": "9"}, page=edit)

    assert values(rating)[1]["empathy_support"] == 2


def test_two_tabs_do_not_fork_the_path(rating):
    tab, other = rating.page, rating.get("/s/small-study/rate/1/")
    rating.post(RATINGS, page=tab)

    page = rating.post({"empathy_support": "1", "fluency_quality": "1"}, page=other)

    assert page.position == 2
    assert values(rating)[1] == {"empathy_support": 7, "fluency_quality": 4}


def test_a_stage_cannot_be_skipped_by_address(person):
    person.go_to("consent")

    for address in ("rate/1/", "practice/", "exit/", "debrief/", "ended/", "instructions/"):
        assert person.get(f"/s/small-study/{address}").stage == "consent"


def test_posting_to_a_stage_not_reached_changes_nothing(person):
    person.go_to("consent")

    page = person._follow(person.client.post("/s/small-study/exit/", {"action": "finish"}, follow=True))

    assert page.stage == "consent"
    assert person.visit.outcome == ""


def test_another_persons_page_is_not_taken(rating):
    stranger = Person(rating.study)
    stranger.go_to("rate")

    page = rating.post(RATINGS, page=stranger.page)

    assert page.position == 1
    assert not Rating.objects.exists()


@pytest.mark.parametrize("token", ["", "x", "rate/1/@1:forged", "\0", "a:b:c:d"])
def test_a_forged_page_is_not_taken(rating, token):
    page = rating.post(RATINGS | {"page": token})

    assert page.position == 1
    assert not Rating.objects.exists()


# Speed


def after(seconds: float) -> dict[str, str]:
    return {"page_time": pagetime.sign(seconds)}


def test_a_page_answered_too_quickly_is_shown_once_more_with_its_answers(rating):
    page = rating.post(RATINGS | after(1.5))

    assert "That was quick" in page.text
    assert page.checked == RATINGS
    assert not Rating.objects.exists()

    assert rating.post(page.checked | after(0.1)).position == 2
    assert Exposure.objects.get(submitted_at__isnull=False).asked_to_check


def test_a_real_participant_cannot_claim_a_page_time(study):
    person = Person(study, "real")
    person.go_to("rate")

    page = person.post(RATINGS | after(60))

    assert "That was quick" in page.text


def test_a_page_time_that_nobody_signed_counts_as_none(rating):
    assert "That was quick" in rating.post(RATINGS | {"page_time": "60.000:forged"}).text


def test_nobody_is_asked_to_check_a_change(rating):
    rating.rate()
    rating.post(action="back")

    assert rating.post(RATINGS | after(0.5)).position == 2


def test_a_break_is_offered_after_each_third(db):
    person = Person(published_study(design={"items_each": 6, "arms": "within"}, checks=[]))
    person.go_to("rate")
    offers = []
    while person.page.stage == "rate":
        if "moment for a break" in person.page.text:
            offers.append(person.page.position)
        person.rate()

    assert offers == [3, 5]


# What is written down


def test_the_way_is_written_down_without_words(rating):
    rating.rate(comment="secret words")
    rating.post(action="back")

    kinds = [(event.kind, event.stage, event.position) for event in Event.objects.filter(stage="rate").order_by("pk")]
    assert kinds == [
        ("served", "rate", 1),
        ("submitted", "rate", 1),
        ("served", "rate", 2),
        ("back", "rate", 2),
        ("served", "rate", 1),
    ]
    assert "secret" not in str(list(Event.objects.values_list("detail", flat=True)))


def test_when_a_reply_was_first_shown_is_kept(rating):
    exposure = Exposure.objects.get(shown_at__isnull=False)
    rating.get("/s/small-study/rate/1/")

    assert Exposure.objects.get(shown_at__isnull=False).shown_at == exposure.shown_at
