"""The preview is the participant's own page, and leaves nothing behind."""

import pytest

from inference.models import Conversation
from ratings.models import Event, Participant, Study, Visit
from tests.desk.conftest import CHAT, draft_of
from tests.path.page import read_page

STAGES = ["eligibility", "consent", "instructions", "practice", "rate", "exit", "debrief"]


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_is_shown_as_participants_get_it(desk, study, stage):
    assert read_page(desk.get(f"/studies/small-study/preview/{stage}/")).stage == stage


@pytest.mark.parametrize("stage", STAGES)
def test_a_preview_leaves_nothing_behind(desk, study, stage):
    desk.get(f"/studies/small-study/preview/{stage}/")

    assert not Visit.objects.exists()
    assert not Participant.objects.exists()
    assert not Event.objects.exists()
    assert Study.objects.get().state == "live"


def test_item_and_arm_are_the_chosen_ones(desk, study):
    for item, arm in (("item-3", "linden"), ("item-5", "rowan")):
        page = desk.get("/studies/small-study/preview/rate/", {"item": item, "arm": arm}).content.decode()
        assert f"An answer to {item[-1]}, of the {arm[0]} kind." in page


def test_the_attention_check_can_be_looked_at(desk, study):
    page = read_page(desk.get("/studies/small-study/preview/check/", {"item": "item-3", "arm": "rowan"}))

    assert page.stage == "rate"
    assert page.checks
    assert "An answer to 3, of the r kind." in page.text
    assert not read_page(desk.get("/studies/small-study/preview/rate/")).checks


def test_without_a_check_there_is_none_to_look_at(desk, owner):
    draft_of(owner, "unchecked", checks=[])

    assert desk.get("/studies/unchecked/preview/check/").status_code == 404


def test_what_is_unknown_falls_back_to_the_first(desk, study):
    answer = desk.get(
        "/studies/small-study/preview/rate/", {"item": "x", "arm": "\x00", "locale": "xx", "version": "99999"}
    )
    assert answer.status_code == 404

    answer = desk.get("/studies/small-study/preview/rate/", {"item": "x", "arm": "y", "locale": "xx", "version": "one"})
    assert "An answer to 1" in answer.content.decode()


def test_a_preview_names_neither_arm_nor_item(desk, study):
    page = desk.get("/studies/small-study/preview/rate/", {"item": "item-3", "arm": "rowan"}).content.decode()

    assert "rowan" not in page
    assert "item-3" not in page


@pytest.mark.parametrize("state", ["paused", "closed"])
def test_a_study_that_takes_nobody_can_still_be_looked_at(desk, study, state):
    Study.objects.update(state=state)

    assert read_page(desk.get("/studies/small-study/preview/rate/")).stage == "rate"
    assert Study.objects.get().state == state


def test_a_draft_is_previewed_before_the_published_version(desk, study, owner):
    draft_of(owner, study.slug, instructions="Of the draft.")

    assert "Of the draft." in desk.get("/studies/small-study/preview/instructions/").content.decode()
    older = desk.get("/studies/small-study/preview/instructions/", {"version": 1})
    assert "Of the draft." not in older.content.decode()


def test_a_reply_that_is_still_to_be_made_has_words_in_its_place(desk, owner):
    prompts = [{"key": f"worry-{n}", "prompt": f"Worry {n}."} for n in range(8)]
    draft_of(owner, "made-later", **CHAT | {"mode": "stored", "items": prompts})
    page = desk.get("/studies/made-later/preview/rate/", {"item": "worry-4"}).content.decode()

    assert "Worry 4." in page
    assert "made by the model of this arm after the study is published" in page


def test_a_chat_is_previewed_before_its_first_message_and_without_its_script(desk, owner):
    draft_of(owner, "chat", **CHAT)
    page = read_page(desk.get("/studies/chat/preview/chat/", {"item": "situation-2"}))

    assert (page.stage, "situation 2" in page.text) == ("chat", True)
    assert "<script" not in page.html
    assert not Conversation.objects.exists()


def test_the_rating_of_a_chat_is_previewed_with_a_chat_to_come(desk, owner):
    draft_of(owner, "chat", **CHAT)

    assert "got in the chat" in desk.get("/studies/chat/preview/rate/").content.decode()


@pytest.mark.parametrize("stage", ["chat", "nowhere", "declined"])
def test_a_stage_that_the_study_does_not_have_is_not_there(desk, study, stage):
    assert desk.get(f"/studies/small-study/preview/{stage}/").status_code == 404
    assert desk.get("/studies/small-study/preview/", {"stage": stage}).status_code == 404


def test_a_previewed_page_may_be_framed_by_us_and_can_send_and_run_nothing(desk, study):
    headers = desk.get("/studies/small-study/preview/rate/").headers
    policy = {part.split()[0]: part.split()[1:] for part in headers["Content-Security-Policy"].split(";")}

    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    assert policy["frame-ancestors"] == ["'self'"]
    assert policy["form-action"] == policy["script-src"] == ["'none'"]
    assert policy["sandbox"] == []


@pytest.mark.parametrize(
    "address", ["/studies/", "/studies/small-study/", "/studies/small-study/preview/", "/s/small-study/"]
)
def test_no_other_page_may_be_framed(desk, study, address):
    headers = desk.get(address).headers

    assert headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_a_preview_makes_no_browser_a_participants(desk, study):
    assert not any("visit" in name for name in desk.get("/studies/small-study/preview/rate/").cookies)


def test_the_page_of_frames_offers_each_stage_arm_item_and_version(desk, study, owner):
    draft_of(owner, study.slug, minutes=9)
    page = desk.get("/studies/small-study/preview/").content.decode()

    assert all(f"?stage={stage}&amp;" in page for stage in STAGES)
    assert all(f"{option}</option>" in page for option in ("linden", "rowan", "item-1", "item-6", "2 (draft)"))
    assert page.count("<iframe") == 2


def test_each_language_of_the_study_can_be_looked_at(desk, owner):
    both = {"en": "Hello.", "es": "Hola."}
    criteria = [
        {"key": "warmth", "label": both, "question": both, "definition": both, "low": both, "high": both},
    ]
    texts = {"title": both, "instructions": both, "debrief": both, "criteria": criteria, "exit_questions": []}
    consent = {"version": "1", "summary": both, "text": both}
    practice = {"prompt": both, "reply": both, "feedback": both}
    eligibility = [{"key": "adult", "question": both}]
    draft_of(
        owner,
        "two",
        locales=["en", "es"],
        consent=consent,
        practice=practice,
        checks=[],
        eligibility=eligibility,
        **texts,
    )

    assert "Hola." in desk.get("/studies/two/preview/instructions/", {"locale": "es"}).content.decode()
