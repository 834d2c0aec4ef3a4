import re
import threading
from datetime import timedelta
from typing import get_args

import pytest
from django.db import connection
from django.utils import timezone

from inference import answering, capacity, conversations, workers
from inference.engines.base import Failure, FailureKind
from inference.engines.scripted import ScriptedEngine
from inference.leases import LeaseState
from inference.models import ChatModel, Conversation, Turn
from inference.pool import pool
from ratings.allocation import Seen
from ratings.enrolment import cells_seen
from ratings.models import Event, Exposure, Study, Visit
from ratings.path import chat
from ratings.studyfile import publishing
from tests.factories import UserFactory, study_source
from tests.path.person import Person

ARMS = [
    {"key": "linden", "model": "larkspur-7b", "system": "You are warm.", "mask": ["Rosemary"]},
    {"key": "rowan", "model": "larkspur-7b", "system": "You are brief."},
]
ITEMS = [
    {"key": f"scene-{number}", "title": f"Scene {number}", "scenario": f"You are worried about thing {number}."}
    for number in range(1, 5)
]


def chat_study(**changes) -> Study:
    ChatModel.objects.get_or_create(key="larkspur-7b", defaults={"engine": "scripted", "names": ["Larkspur"]})
    blocks = {
        "mode": "chat",
        "replies": None,
        "checks": None,
        "arms": ARMS,
        "items": ITEMS,
        "design": {"items_each": 2, "arms": "within", "items_are": "random"},
        "chat": {"exchanges": {"min": 2, "max": 3}},
    }
    version = publishing.load(
        study_source("small-chat", **(blocks | changes)),
        "small-chat.yaml",
        lambda name: None,
        UserFactory(),
        publish_it=True,
        acknowledged="a test",
    )
    return Study.objects.get(pk=version.study_id)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(chat, "WAITS", 0.0)


@pytest.fixture
def engine(study):
    engine = ScriptedEngine(["I hear you."])
    pool.register(ChatModel.objects.get(key="larkspur-7b"), engine)
    yield engine
    pool.close()
    capacity._paces.clear()


@pytest.fixture
def study(db):
    return chat_study()


@pytest.fixture
def person(study, engine):
    person = Person(study)
    person.go_to("chat")
    return person


def reply_to_all(*script):
    """Work off what is open, as a worker would."""
    engine = ScriptedEngine(script or ["I hear you."])
    while turn := Turn.objects.claimable().first():
        answering.answer(turn.pk, "worker", engine)
        Turn.objects.open().update(not_before=None)
    return engine


def write(person, text="I worry.", *script):
    page = person.post({"message": text}, action="send")
    reply_to_all(*script)
    person.get(person.page.address)
    return page


def texts_of(person):
    return [(turn.role, turn.released) for turn in Turn.objects.order_by("conversation", "index")]


def test_a_person_chats_and_then_rates_each_chat(person):
    for position in (1, 2):
        assert (person.page.stage, person.page.position) == ("chat", position)
        write(person, "I worry.")
        write(person, "Still.")
        page = person.post()
        assert (page.stage, page.position) == ("rate", position)
        assert "I worry." in page.text
        assert "I hear you." in page.text
        person.rate()
    person.post(action="finish")

    assert person.page.outcome == "completed"
    assert Conversation.objects.count() == 2


def test_the_page_says_what_answers(person):
    assert (
        "This is an AI program. It is not a person and not a therapist. Nobody is reading live. It can be wrong."
        in person.page.text
    )


def test_the_situation_stays_on_the_page(person):
    write(person)

    assert "You are worried about thing" in person.page.text


def test_without_a_script_the_page_offers_to_look_again(person):
    page = person.post({"message": "Hello"}, action="send")

    assert "Check again" in page.text
    assert "?wait=1" in page.links
    reply_to_all("Here I am.")
    assert "Here I am." in person.get(page.address + "?wait=1").text


def test_a_message_sent_twice_is_stored_once(person):
    before = person.page
    person.post({"message": "Hello"}, action="send", page=before)
    person.post({"message": "Hello"}, action="send", page=before)
    reply_to_all()
    page = person.post({"message": "Hello"}, action="send", page=before)

    assert page.stage == "chat"
    assert texts_of(person) == [("user", "Hello"), ("assistant", "I hear you.")]


def test_a_message_during_a_reply_is_refused_and_kept(person):
    person.post({"message": "Hello"}, action="send")

    page = person.post({"message": "Are you <there>?"}, action="send")

    assert "still being written" in page.text
    assert "Are you &lt;there&gt;?</textarea>" in page.html
    assert Turn.objects.filter(role="user").count() == 1


def test_a_tab_that_is_behind_gets_the_current_page_and_keeps_its_text(person):
    behind = person.page
    write(person, "From the first tab")

    page = person.post({"message": "From the second tab"}, action="send", page=behind)

    assert "another window" in page.text
    assert "From the first tab" in page.text
    assert "From the second tab</textarea>" in page.html
    assert Turn.objects.filter(role="user").count() == 1


def test_a_tab_of_the_chat_before_gets_the_current_page(person):
    behind = person.page
    write(person)
    write(person)
    person.post()

    page = person.post({"message": "Too late"}, action="send", page=behind)

    assert page.stage == "rate"
    assert not Turn.objects.filter(role="user").count() > 2


@pytest.mark.parametrize("text", ["", "   ", "\n\n"])
def test_an_empty_message_is_refused(person, text):
    page = person.post({"message": text}, action="send")

    assert "Please write a message first." in page.text
    assert not Turn.objects.exists()


def test_a_message_may_have_2000_characters_and_no_more(person):
    assert 'maxlength="2000"' in person.page.html
    page = person.post({"message": "a" * 2001}, action="send")
    assert "2000" in page.text
    assert "a" * 2001 in page.html
    assert not Turn.objects.exists()

    person.post({"message": "a" * 2000}, action="send")
    assert Turn.objects.get(index=0).text == "a" * 2000


def test_a_study_says_how_long_a_message_may_be(db):
    study = chat_study(chat={"exchanges": {"min": 2, "max": 3}, "longest_message": 150})
    pool.register(ChatModel.objects.get(key="larkspur-7b"), ScriptedEngine())
    person = Person(study)
    person.go_to("chat")
    pool.close()

    assert 'maxlength="150"' in person.page.html
    assert "keep it under 150 characters" in person.post({"message": "a" * 151}, action="send").text


def test_a_message_without_room_is_kept_with_how_long_it_may_be(person, monkeypatch):
    def too_long(*_):
        raise conversations.TooLong(350)

    monkeypatch.setattr(conversations, "say", too_long)
    page = person.post({"message": "A long story."}, action="send")

    assert "please shorten it to 350 characters" in page.text
    assert "A long story.</textarea>" in page.html


@pytest.mark.parametrize(
    "fields",
    [
        {"message": "NUL \0 byte"},
        {"message": ["one", "two"]},
        {"message": "Hi", "turn": "x"},
        {"message": "Hi", "turn": "-1"},
        {"message": "Hi", "turn": "99999999999999999999"},
        {"message": "Hi", "extra": "1"},
        {"message": "Hi", "turn": "7"},
    ],
)
def test_strange_messages_are_refused(person, fields):
    page = person.post(fields, action="send")

    assert (page.status, page.stage) == (200, "chat")
    assert not Turn.objects.exists()
    assert not Conversation.objects.exists()


def test_a_page_nobody_signed_changes_nothing(person):
    person.post({"message": "Hi", "page": "forged"}, action="send")

    assert not Turn.objects.exists()


def test_finishing_needs_the_least_number_of_exchanges(person):
    assert "next" not in person.page.actions
    page = person.post()
    assert (page.stage, "at least 2 messages" in page.text) == ("chat", True)

    write(person)
    assert "next" not in person.page.actions
    write(person)
    assert "next" in person.page.actions


def test_nobody_finishes_during_a_reply(person):
    write(person)
    write(person)
    person.post({"message": "One more"}, action="send")

    assert "next" not in person.page.actions
    assert person.post().stage == "chat"


def test_after_the_most_exchanges_the_box_is_gone(person):
    for _ in range(3):
        write(person)

    assert "<textarea" not in person.page.html
    assert "That was the last message" in person.page.text
    page = person.post({"message": "One more", "turn": "6"}, action="send")
    assert page.stage == "chat"
    assert Turn.objects.filter(role="user").count() == 3
    assert person.post().stage == "rate"


def test_a_failed_reply_can_be_asked_for_once_more(person):
    write(person, "Hi", Failure("refused", "larkspur: 9999 tokens"))
    page = person.get(person.page.address)

    assert "this reply could not be made" in page.text
    assert "larkspur" not in page.html
    assert {"again", "next", "leave"} <= set(page.actions)
    assert "<textarea" not in page.html

    person.post(action="again")
    reply_to_all("Now it works.")
    assert "Now it works." in person.get(page.address).text
    assert "<textarea" in person.page.html


def test_a_reply_that_failed_for_good_lets_the_person_rate_or_leave(person):
    write(person)
    write(person, "Hi", Failure("refused", "no"))
    person.post(action="again")
    reply_to_all(Failure("refused", "no"))
    page = person.get(person.page.address)

    assert "again" not in page.actions
    page = person.post(action="next")
    assert (page.stage, page.position) == ("rate", 1)
    assert "I hear you." in page.text
    assert person.rate().stage == "chat"


def test_asking_again_twice_changes_nothing(person):
    write(person, "Hi", Failure("refused", "no"))
    before = person.page
    person.post(action="again", page=before)
    reply_to_all(Failure("refused", "no"))

    person.post(action="again", page=before)

    assert Turn.objects.get(role="assistant").state == LeaseState.FAILED


def test_whoever_leaves_after_a_failed_reply_left_for_technical_reasons(person):
    write(person, "Hi", Failure("refused", "no"))

    person.post(action="leave")
    page = person.client.post(f"{person.root}leave/", {"action": "leave"}, follow=True)

    assert b'data-outcome="technical"' in page.content
    assert Visit.objects.get().outcome == "technical"


def test_leaving_a_chat_that_works_is_a_withdrawal(person):
    write(person)

    person.post(action="leave")
    person.client.post(f"{person.root}leave/", {"action": "leave"})

    assert Visit.objects.get().outcome == "withdrew"


def test_deleting_everything_deletes_the_chat(person):
    write(person, "Delete me")

    person.client.post(f"{person.root}leave/", {"action": "delete", "sure": "yes"})

    assert not Turn.objects.exists()
    assert not Conversation.objects.exists()


def test_failures_look_the_same_whatever_they_are(engine, study):
    pages = []
    for failure in (Failure("engine", "9999"), Failure("refused", "larkspur is gone")):
        person = Person(study)
        person.go_to("chat")
        write(person, "Hi", failure)
        pages.append(re.search(r'<div id="after">.*?<form', person.page.html, re.DOTALL)[0])

    assert pages[0] == pages[1]


def test_the_model_does_not_say_who_it_is(person):
    write(person, "Who are you?", "I am Larkspur 7B, made by OpenAI. My friends call me Rosemary. How are you?")
    write(person, "And you?", "The linden arm? No. I am Larkspur.")

    for name in ("Larkspur", "larkspur", "OpenAI", "Rosemary", "rowan"):
        assert name not in person.page.html
    assert "an AI program" in person.page.text


def test_no_page_header_or_script_names_an_arm_or_a_model(person):
    write(person)
    response = person.client.get(person.page.address)

    for name in ("linden", "rowan", "larkspur"):
        assert name not in response.content.decode().lower()
        assert name not in str(response.headers).lower()
        assert name not in str(response.cookies).lower()


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        '<img src=x onerror="alert(1)">',
        "[click](javascript:alert(1)) ![x](http://evil.example/x.png)",
        "</textarea><script>alert(1)</script>\"'>",
        "<svg/onload=alert(1)>",
    ],
)
def test_markup_stays_text_whoever_writes_it(person, text):
    write(person, text, text)

    log = re.search(r'<div id="log".*?<p id="said"', person.page.html, re.DOTALL)[0]
    for tag in ("<script", "<img", "<svg", "<a ", "onerror=&quot;x", "<textarea"):
        assert tag not in log
    assert "alert(1)" in log or "click" in log


def test_someone_elses_chat_is_not_there(person, study):
    write(person, "My secret")
    other = Person(study)
    other.go_to("chat")

    assert "My secret" not in other.page.html
    assert other.get(f"{other.root}chat/2/").position == 1


def test_no_stage_is_skipped_by_address(person):
    assert person.get(f"{person.root}rate/1/").stage == "chat"
    assert person.get(f"{person.root}exit/").stage == "chat"
    assert person.get(f"{person.root}chat/2/").address.endswith("/chat/1/")


def test_an_opening_is_said_first_and_the_model_knows_it(db):
    study = chat_study(chat={"exchanges": {"min": 1, "max": 2}, "opening": "What is on your mind?"})
    pool.register(ChatModel.objects.get(key="larkspur-7b"), ScriptedEngine())
    person = Person(study)
    assert "What is on your mind?" in person.go_to("chat").text

    person.post({"message": "Exams"}, action="send")
    engine = reply_to_all("I see.")

    assert [message["content"] for message in engine.requests[0].messages[1:]] == ["What is on your mind?", "Exams"]
    assert person.get(person.page.address).text.count("What is on your mind?") == 1
    pool.close()


def test_the_conversation_is_opened_with_its_first_message(person):
    assert not Conversation.objects.exists()

    write(person)

    exposure = Exposure.objects.get(assignment__position=1)
    assert exposure.conversation.kind == "live"
    assert exposure.conversation.setup == exposure.arm.setup
    assert exposure.conversation.policy["exchanges"] == {"min": 2, "max": 3}
    assert exposure.conversation.policy["mask"] == ["Rosemary"]
    assert exposure.shown_at is not None


def test_the_pace_of_the_study_is_frozen_in_the_conversation(db):
    study = chat_study(chat={"exchanges": {"min": 2, "max": 3}, "pace": 240})
    pool.register(ChatModel.objects.get(key="larkspur-7b"), ScriptedEngine())
    person = Person(study)
    person.go_to("chat")
    person.post({"message": "Exams"}, action="send")
    pool.close()

    assert Conversation.objects.get().policy["pace"] == 240


def test_two_chats_have_different_seeds(person):
    write(person)
    write(person)
    person.post()
    person.rate()
    write(person)

    first, second = Conversation.objects.all()
    assert first.seed != second.seed


def test_events_tell_of_the_chat_and_never_what_was_written(person):
    write(person, "My secret")

    events = Event.objects.filter(stage="chat", kind="submitted")
    assert events.exists()
    assert "secret" not in str(list(Event.objects.values()))


def test_a_script_gets_the_page_without_waiting(person, monkeypatch):
    monkeypatch.setattr(chat, "WAITS", 60.0)

    response = person.client.post(
        person.page.address,
        person.page.hidden | {"message": "Hello", "action": "send"},
        follow=True,
        headers={"x-live": "1"},
    )

    code = Turn.objects.get(role="assistant").code
    assert f'data-events="/s/small-chat/turns/{code}/events"' in response.content.decode()
    assert person.client.cookies


def test_without_a_stream_a_reply_goes_out_with_the_first_page_that_has_it(person):
    person.post({"message": "I worry."}, action="send")
    assert Turn.objects.replies().get().first_sent_at is None
    reply_to_all()
    person.get(person.page.address)
    first = Turn.objects.replies().get().first_sent_at
    person.get(person.page.address)

    assert first is not None
    assert Turn.objects.replies().get().first_sent_at == first


def test_what_the_stream_noted_of_a_reply_stays(person):
    person.post({"message": "I worry."}, action="send")
    reply_to_all()
    at = timezone.now() - timedelta(minutes=1)
    Turn.objects.replies().update(first_sent_at=at)
    person.get(person.page.address)

    assert Turn.objects.replies().get().first_sent_at == at


def shown_of(person):
    events = Event.objects.filter(visit=person.visit, stage="chat", kind=Event.Kind.SUBMITTED).order_by("pk")
    return [event.detail.get("shown") for event in events]


def test_when_a_reply_came_to_stand_on_the_screen_is_noted_with_the_next_message(person):
    write(person, "First.")
    person.post({"message": "Second.", "shown": "350,1200"}, action="send")

    assert shown_of(person) == [None, {"reply": 1, "first_ms": 350, "whole_ms": 1200}]


def test_the_last_reply_of_a_chat_is_noted_when_the_person_goes_on(person):
    write(person, "First.")
    write(person, "Second.")
    assert person.post({"shown": "350,1200"}).stage == "rate"

    assert shown_of(person)[-1] == {"reply": 3, "first_ms": 350, "whole_ms": 1200}


@pytest.mark.parametrize("nonsense", ["", "350", "1200,350", "-1,5", "1,99999999", "a,b", "1.5,2", "1,2,3", "٣,٤"])
def test_nonsense_about_it_is_ignored_and_the_message_is_taken(person, nonsense):
    write(person, "First.")
    person.post({"message": "Second.", "shown": nonsense}, action="send")

    assert shown_of(person) == [None, None]


def test_nothing_is_noted_of_a_reply_that_failed(person):
    write(person, "First.", Failure("refused", "no"))
    person.post({"shown": "350,1200"})

    assert shown_of(person)[-1] is None


def test_the_script_is_small():
    from django.contrib.staticfiles import finders

    with open(finders.find("ratings/chat.js"), "rb") as script:
        source = script.read()
    assert len(source) <= 4096
    assert b"innerHTML" not in source


def test_a_closed_study_takes_no_messages(person, study):
    Study.objects.update(state=Study.State.CLOSED)

    person.post({"message": "Hello"}, action="send")

    assert not Turn.objects.exists()


def test_an_unready_model_keeps_people_before_the_start(study):
    assert Person(study).get().stage == "preparing"


def test_more_people_than_the_machine_can_answer_wait_before_consent(study, engine):
    capacity.remember("scripted:larkspur-7b", capacity.Pace(alone=0.09, per_row=0.09, prompt=0.0, rows=8))
    assert workers.chat_places({"scripted:larkspur-7b"}) == 2
    for _ in range(2):
        Person(study).go_to("chat")

    page = Person(study).get()

    assert page.stage == "preparing"
    assert "in about 5 minutes" in page.text
    assert page.actions == []
    assert Visit.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_people_who_press_the_button_together_do_not_share_the_last_place(study, engine):
    capacity.remember("scripted:larkspur-7b", capacity.Pace(alone=0.09, per_row=0.09, prompt=0.0, rows=8))
    people = [Person(study) for _ in range(6)]
    assert [person.page.stage for person in people] == ["entry"] * 6

    def begin(person):
        person.post()
        connection.close()

    threads = [threading.Thread(target=begin, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(person.page.stage for person in people) == ["eligibility"] * 2 + ["preparing"] * 4
    assert Visit.objects.count() == 2


def test_people_who_have_gone_quiet_make_room(study, engine):
    capacity.remember("scripted:larkspur-7b", capacity.Pace(alone=0.09, per_row=0.09, prompt=0.0, rows=8))
    for _ in range(2):
        Person(study).go_to("chat")
    Visit.objects.filter(pk=Visit.objects.first().pk).update(last_seen_at=timezone.now() - timedelta(minutes=6))

    assert Person(study).get().stage == "entry"


def test_a_study_of_stored_replies_never_waits_for_chats(engine, study):
    from tests.factories import published_study

    capacity.remember("scripted:larkspur-7b", capacity.Pace(alone=9, per_row=9, prompt=9, rows=1))
    for _ in range(2):
        Person(study).go_to("chat")

    assert Person(published_study()).get().stage == "entry"


def test_a_conversation_without_room_ends_and_is_rated_whatever_the_study_says(db):
    study = chat_study(chat={"exchanges": {"min": 2, "max": 3}, "after_failure": "end"})
    pool.register(ChatModel.objects.get(key="larkspur-7b"), ScriptedEngine())
    person = Person(study)
    person.go_to("chat")
    write(person)
    write(person, "Hi", Failure("context_too_long", "9999"))
    pool.close()

    assert "as long as it can be" in person.page.text
    assert "again" not in person.page.actions
    person.post(action="again")
    assert Turn.objects.filter(state=LeaseState.FAILED).count() == 1
    assert person.post().stage == "rate"


@pytest.fixture
def broken_chat(db):
    """Somebody whose reply failed for good, in a study with this way on."""

    def break_it(after_failure):
        study = chat_study(chat={"exchanges": {"min": 2, "max": 3}, "after_failure": after_failure})
        pool.register(ChatModel.objects.get(key="larkspur-7b"), ScriptedEngine())
        person = Person(study)
        person.go_to("chat")
        write(person, "Hi", Failure("refused", "no"))
        return person

    yield break_it
    pool.close()


def test_a_broken_chat_may_end_the_visit_with_full_pay(broken_chat):
    page = broken_chat("end").post()

    assert page.outcome == "technical"
    assert "in full" in page.text


def cells_of(assignment):
    return Seen.of([(assignment.item.key, assignment.exposures.get().arm.key, assignment.position, 1)])


def test_a_broken_chat_may_be_left_out(broken_chat):
    person = broken_chat("skip")
    page = person.post()
    assert (page.stage, page.position) == ("chat", 2)
    write(person)
    write(person)
    assert (person.post().stage, person.page.position) == ("rate", 2)
    person.rate()
    person.post(action="finish")

    visit = Visit.objects.get()
    assert visit.outcome == "completed"
    assert list(visit.assignments.values_list("state", flat=True)) == ["withdrawn", "completed"]
    assert cells_seen(visit.version, visit.participant.kind) == cells_of(visit.assignments.get(state="completed"))


def test_whoever_could_rate_nothing_is_paid_and_not_counted_as_completed(broken_chat):
    person = broken_chat("skip")
    person.post()
    write(person, "Hi", Failure("refused", "no"))
    person.post()

    assert Visit.objects.get().outcome == "technical"


def test_when_too_many_wait_a_message_is_kept_and_not_stored(person, monkeypatch):
    monkeypatch.setitem(conversations.POLICY, "most_waiting", 0)

    page = person.post({"message": "Do not lose me."}, action="send")

    assert "please try again in about 20 seconds" in page.text
    assert "Do not lose me.</textarea>" in page.html
    assert not Turn.objects.exists()

    monkeypatch.setitem(conversations.POLICY, "most_waiting", 200)
    assert "Do not lose me." in person.post({"message": "Do not lose me."}, action="send").text


def test_a_script_is_told_when_to_send_a_message_again_and_people_that_it_does(person, monkeypatch):
    monkeypatch.setitem(conversations.POLICY, "most_waiting", 0)
    page = person.post({"message": "Do not lose me."}, action="send", headers={"x-live": "1"})

    assert '<div id="notice" data-again="20">' in page.html
    assert "sent again in about 20 seconds, unless you change it" in page.text
    assert "Do not lose me.</textarea>" in page.html
    assert "data-again" not in person.post({"message": "Do not lose me."}, action="send").html


# A server that is away for a while is waited for.
@pytest.mark.parametrize("kind", sorted({*get_args(FailureKind)} - {"unavailable"}))
def test_a_failure_looks_the_same_in_both_arms_whatever_model_is_behind(db, kind):
    ChatModel.objects.create(key="harebell", engine="scripted", base="elsewhere", names=["Harebell"])
    arms = [ARMS[0], ARMS[1] | {"model": "harebell"}]
    study = chat_study(arms=arms, design={"items_each": 2, "arms": "between", "items_are": "random"})
    for key in ("larkspur-7b", "harebell"):
        pool.register(ChatModel.objects.get(key=key), ScriptedEngine())
    pages, seen = set(), set()
    for _ in range(2):
        person = Person(study)
        person.go_to("chat")
        write(person)
        write(person, "Hi", Failure(kind, "No."))
        seen.add(Exposure.objects.filter(assignment__visit=Visit.objects.last()).first().arm.key)
        pages.add(re.search(r'<div id="after">.*?<input', person.page.html, re.DOTALL)[0])
    pool.close()

    assert seen == {"linden", "rowan"}
    assert len(pages) == 1


def hold_back(person):
    """As screening does: the reply is there, and nobody may see it."""
    person.post({"message": "Hi"}, action="send")
    Turn.objects.open().update(state=LeaseState.BLOCKED)
    return person.get(person.page.address)


def test_a_reply_that_is_held_back_is_told_in_the_words_of_the_study(db):
    study = chat_study(chat={"exchanges": {"min": 2, "max": 3}, "withheld": "This one stays with *us*."})
    pool.register(ChatModel.objects.get(key="larkspur-7b"), ScriptedEngine())
    person = Person(study)
    person.go_to("chat")
    write(person)
    page = hold_back(person)
    pool.close()

    assert "This one stays with <em>us</em>." in page.html
    assert "could not be made" not in page.text
    assert "again" not in page.actions
    assert person.post().stage == "rate"


def test_left_out_they_are_kind_and_lead_to_help(person):
    page = hold_back(person)

    assert "A safeguard of this study held the reply back" in page.text
    assert "Get help now" in page.text


@pytest.mark.parametrize(("after", "told"), [("skip", "Go on without this chat"), ("end", "End here, with full pay")])
def test_after_a_reply_was_held_back_the_study_goes_on_as_after_a_failure(db, after, told):
    study = chat_study(chat={"exchanges": {"min": 2, "max": 3}, "after_failure": after})
    pool.register(ChatModel.objects.get(key="larkspur-7b"), ScriptedEngine())
    person = Person(study)
    person.go_to("chat")
    page = hold_back(person)
    pool.close()

    assert told in page.text


def test_a_reply_that_is_held_back_looks_the_same_in_both_arms(db):
    study = chat_study(design={"items_each": 2, "arms": "between", "items_are": "random"})
    pool.register(ChatModel.objects.get(key="larkspur-7b"), ScriptedEngine())
    pages, seen = set(), set()
    for _ in range(2):
        person = Person(study)
        person.go_to("chat")
        pages.add(re.search(r'<div id="after">.*?<input', hold_back(person).html, re.DOTALL)[0])
        seen.add(Exposure.objects.filter(assignment__visit=Visit.objects.last()).first().arm.key)
    pool.close()

    assert seen == {"linden", "rowan"}
    assert len(pages) == 1
