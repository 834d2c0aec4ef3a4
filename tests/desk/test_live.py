"""The live page: its numbers, its silence about ratings, and how it renews itself."""

from datetime import timedelta

import pytest
from django.utils import timezone

from inference import answering, conversations
from inference.engines.base import Failure
from inference.engines.scripted import ScriptedEngine
from inference.models import Attempt, ChatModel, Turn
from ratings.desk.health import of as health_of
from ratings.desk.progress import progress
from ratings.enrolment import arrive, enrol
from ratings.models import Event, Exposure, Study, Visit
from ratings.withdrawal import withdraw
from tests.desk.conftest import CHAT, draft_of
from tests.path.person import Person


def seen(study: Study, kind: str = "synthetic"):
    return progress(Study.objects.get(pk=study.pk).current_version, kind)


def step(study, label, kind="synthetic"):
    found = next(step for step in seen(study, kind).steps if step.label == label)
    return found.reached, found.here, found.left


def go_quiet(person: Person) -> None:
    Visit.objects.filter(pk=person.visit.pk).update(last_seen_at=timezone.now() - timedelta(hours=2))


def test_nobody_yet(study):
    now = seen(study)

    assert (now.arrived, now.completed, now.target, now.active, now.median_minutes) == (0, 0, 20, 0, None)
    assert [step.reached for step in now.steps] == [0] * 7


def test_who_finished_came_to_every_step(study):
    Person(study).go_to("debrief")
    now = seen(study)

    assert (now.arrived, now.completed, now.active) == (1, 1, 0)
    assert [step.reached for step in now.steps] == [1] * 7
    assert [step.left for step in now.steps] == [0] * 7
    assert now.outcomes == [("Completed", 1)]


def test_who_is_under_way_is_here_and_who_went_quiet_went_no_further(study):
    here, quiet = Person(study), Person(study)
    here.go_to("practice")
    quiet.go_to("practice")
    go_quiet(quiet)

    assert step(study, "Instructions") == (2, 0, 0)
    assert step(study, "Practice") == (2, 1, 1)
    assert step(study, "Ratings") == (0, 0, 0)


def test_who_declines_went_no_further_than_consent(study):
    person = Person(study)
    person.go_to("consent")
    person.post(action="decline")

    assert step(study, "Consent") == (1, 0, 1)
    assert seen(study).outcomes == [("Declined", 1)]


def test_who_had_everything_deleted_is_still_counted(study):
    person = Person(study)
    person.go_to("rate")
    withdraw(person.visit)

    assert seen(study).arrived == 1
    assert seen(study).outcomes == [("Withdrew", 1)]
    assert step(study, "Ratings") == (1, 0, 1)


def test_kinds_are_counted_apart(study):
    Person(study).go_to("consent")
    Person(study, kind="real").go_to("consent")

    assert [seen(study, kind).arrived for kind in ("real", "pilot", "synthetic")] == [1, 0, 1]


def test_versions_that_do_not_share_a_target_are_counted_apart(desk, study, owner):
    Person(study).go_to("debrief")
    draft_of(owner, study.slug, scale={"min": 1, "max": 7})
    desk.post("/studies/small-study/publish/")

    assert seen(study).completed == 0


def test_arms_are_counted_by_people_and_by_what_they_rated(study):
    Person(study).go_to("debrief")
    Person(study).go_to("rate")

    assert [(arm.key, arm.people, arm.rated, arm.wanted) for arm in seen(study).arms] == [
        ("linden", 1, 2, 40),
        ("rowan", 1, 2, 40),
    ]


@pytest.mark.parametrize(("minutes", "median"), [([5], 5), ([2, 4], 3), ([1, 30, 4], 4)])
def test_the_median_time_is_of_those_who_finished(study, minutes, median):
    for each in minutes:
        person = Person(study)
        person.go_to("debrief")
        visit = person.visit
        Visit.objects.filter(pk=visit.pk).update(started_at=visit.finished_at - timedelta(minutes=each))

    assert seen(study).median_minutes == pytest.approx(median)


def test_the_last_ten_events_are_shown_newest_first(study):
    Person(study).go_to("debrief")
    events = seen(study).events

    assert len(events) == 10
    assert [event.pk for event in events] == list(Event.objects.order_by("-pk").values_list("pk", flat=True)[:10])


def test_the_page_costs_few_queries_however_many_people_there_are(desk, study, django_assert_max_num_queries):
    for _ in range(3):
        Person(study).go_to("consent")
    desk.get("/studies/small-study/live/")

    with django_assert_max_num_queries(20):
        desk.get("/studies/small-study/live/?kind=synthetic")


def test_no_rating_and_no_mean_is_on_the_page(desk, study):
    person = Person(study)
    person.go_to("rate")
    person.rate(empathy_support="9", comment="a very private remark")
    page = desk.get("/studies/small-study/live/?kind=synthetic").content.decode()

    assert "private remark" not in page
    assert "empathy" not in page.lower()


def test_the_kind_shown_first_is_that_of_the_state(desk, study):
    Study.objects.update(state="pilot")

    assert desk.get("/studies/small-study/live/").context["kind"] == "pilot"


def test_a_kind_that_does_not_exist_is_not_there(desk, study):
    assert desk.get("/studies/small-study/live/?kind=imaginary").status_code == 404


def test_htmx_gets_the_numbers_alone_and_they_are_the_same(desk, study):
    page = desk.get("/studies/small-study/live/").content.decode()
    part = desk.get("/studies/small-study/live/", headers={"hx-request": "true"}).content.decode()

    assert "<html" not in part
    assert part.split("As of")[0].strip() in page


def test_a_study_that_is_not_published_says_so(desk, drafted):
    assert "not published" in desk.get("/studies/drafted/live/").content.decode()


def test_replies_from_a_file_need_no_model(study):
    health = health_of(study.current_version)

    assert (health.models, health.replies_made, health.replies_wanted, health.failed) == ([], 12, 12, 0)


def test_the_model_of_a_chat_is_named_with_its_state(desk, owner):
    draft_of(owner, "chat", **CHAT)
    desk.post("/studies/chat/publish/", {"opening": "pilot"})
    page = desk.get("/studies/chat/live/").content.decode()

    assert "smollm2-135m" in page
    assert "not loaded yet" in page


def test_replies_that_wait_are_counted(desk, owner):
    prompts = [{"key": f"worry-{n}", "prompt": f"Worry {n}."} for n in range(8)]
    study = draft_of(owner, "made-later", **CHAT | {"mode": "stored", "items": prompts})
    desk.post("/studies/made-later/publish/", {"opening": "pilot"})
    study.refresh_from_db()
    health = health_of(study.current_version)

    assert (health.replies_made, health.replies_wanted, health.in_advance) == (0, 16, 16)


@pytest.fixture
def failed(desk, owner) -> Study:
    """A study with two stored replies that no attempt could make."""
    prompts = [{"key": f"worry-{n}", "prompt": f"Worry {n}."} for n in range(8)]
    study = draft_of(owner, "made-later", **CHAT | {"mode": "stored", "items": prompts})
    desk.post("/studies/made-later/publish/", {"opening": "pilot"})
    replies = Turn.objects.replies().order_by("pk").values_list("pk", flat=True)[:2]
    Turn.objects.filter(pk__in=list(replies)).update(state="failed", failure="refused")
    study.refresh_from_db()
    return study


def test_failed_replies_can_be_asked_for_again(desk, failed):
    assert "Try the failed replies again" in desk.get("/studies/made-later/live/").content.decode()

    page = desk.post("/studies/made-later/retry/", follow=True).content.decode()
    assert "2 replies are asked for again." in page
    assert "Try the failed replies again" not in page
    assert health_of(failed.current_version).in_advance == 16


def test_where_nothing_failed_nothing_is_offered_to_try_again(desk, study):
    assert "Try the failed replies again" not in desk.get("/studies/small-study/live/").content.decode()


def test_nobody_else_asks_for_a_studys_replies(stranger, failed):
    assert stranger.post("/studies/made-later/retry/").status_code == 404
    assert Turn.objects.filter(state="failed").count() == 2


# How its replies are made


@pytest.fixture
def chat(desk, owner) -> Study:
    ChatModel.objects.create(key="smollm2-135m", engine="scripted")
    study = draft_of(owner, "chat", **CHAT)
    desk.post("/studies/chat/publish/", {"opening": "pilot"})
    return Study.objects.get(pk=study.pk)


def asked(study: Study, arm: str, kind: str = "pilot") -> Turn:
    """Somebody's message, whose reply is waited for."""
    visit = arrive(study, kind, "en")
    enrol(visit)
    exposure = Exposure.objects.get(assignment__visit=visit, arm__key=arm)
    exposure.conversation = conversations.open_live(exposure.arm.setup, seed=1)
    exposure.save()
    return conversations.say(exposure.conversation, "I cannot sleep.", 0)


def answer(reply: Turn, script="A reply of the model.") -> None:
    answering.answer(reply.pk, "w", ScriptedEngine([script]))


def told(desk, kind="pilot"):
    return desk.get(f"/studies/chat/live/?kind={kind}").context["answering"]


def test_each_arm_tells_how_long_its_replies_took_and_what_failed(desk, chat):
    answer(asked(chat, "linden"))
    answer(asked(chat, "rowan"), Failure("context_too_long", "Too long."))
    linden, rowan = told(desk).arms
    page = desk.get("/studies/chat/live/").content.decode()

    assert (linden.name, linden.ends.replies, linden.latency.first.n, linden.latency.whole.n) == ("linden", 1, 1, 1)
    assert (rowan.name, rowan.ends.kinds, rowan.ends.given_up) == ("rowan", {"context_too_long": 1}, 1)
    assert "1 context_too_long" in page
    assert "A reply of the model." not in page


def test_who_waits_in_this_study_is_told_with_how_long(desk, chat):
    Turn.objects.filter(pk=asked(chat, "linden").pk).update(created_at=timezone.now() - timedelta(seconds=90))
    Turn.objects.claim(asked(chat, "rowan").pk, "w")
    now = told(desk).now
    page = desk.get("/studies/chat/live/").content.decode()

    assert (now.waiting, now.running) == (1, 1)
    assert 90 <= now.oldest.total_seconds() < 150
    assert "1 person waits, the longest for" in page
    assert "/studies/-/models/?window=24h" in page


def test_chats_of_other_kinds_of_participants_are_told_apart(desk, chat):
    answer(asked(chat, "linden", kind="synthetic"))
    asked(chat, "rowan", kind="synthetic")

    assert (told(desk).arms, told(desk).now.waiting) == ([], 0)
    others = told(desk, "synthetic")
    assert ([line.name for line in others.arms], others.now.waiting) == (["linden"], 1)


def test_what_was_tried_long_ago_is_not_told(desk, chat):
    answer(asked(chat, "linden"))
    Attempt.objects.update(claimed_at=timezone.now() - timedelta(hours=25))

    assert told(desk).arms == []
    assert "No reply was tried." in desk.get("/studies/chat/live/").content.decode()


def test_replies_of_other_studies_are_not_told(desk, chat, owner):
    draft_of(owner, "other", **CHAT)
    desk.post("/studies/other/publish/", {"opening": "pilot"})
    answer(asked(Study.objects.get(slug="other"), "linden"))
    asked(Study.objects.get(slug="other"), "rowan")

    assert (told(desk).arms, told(desk).now.waiting) == ([], 0)


def test_replies_being_made_in_advance_are_told_for_each_arm(desk, failed):
    answer(Turn.objects.open().first(), Failure("context_too_long", "Too long."))
    answering_now = desk.get("/studies/made-later/live/").context["answering"]

    assert [(line.ends.tries, line.ends.replies) for line in answering_now.arms] == [(1, 0)]
    assert answering_now.now.in_advance == 13


def test_where_no_model_answers_nothing_is_said_of_it(desk, study):
    assert "Replies of the last 24 hours" not in desk.get("/studies/small-study/live/").content.decode()


def test_more_chats_cost_no_more_queries(desk, chat, django_assert_max_num_queries):
    answer(asked(chat, "linden"))
    with django_assert_max_num_queries(40) as few:
        desk.get("/studies/chat/live/")
    for arm in ("linden", "rowan", "rowan"):
        answer(asked(chat, arm))

    with django_assert_max_num_queries(len(few)):
        desk.get("/studies/chat/live/")
