"""Rules about several parts of the file, and second looks that are only warnings."""

import pytest

from ratings.studyfile import StudyFileErrors, read
from tests.studyfile.written import REPLIES, STUDY, changed, faults, load, warnings, with_replies

CHAT = STUDY.replace("mode: stored", "mode: chat").replace("prompt:", "scenario:")


@pytest.mark.parametrize(
    "key",
    [
        "base",
        "tuned",
        "gpt",
        "gpt4",
        "my-llama",
        "control",
        "human",
        "human_reply",
        "smollm",
        "baseline",
        "finetuned",
        "ai",
    ],
)
def test_an_arm_whose_key_tells_who_is_behind_it_is_refused(key):
    found = faults(changed(("key: rowan", f"key: {key}"), ("b: rowan", f"b: {key}")))

    assert len(found) == 1
    assert found[0].startswith(f"s.yaml:22:11 arms[1].key: `{key}` says something about the arm")


@pytest.mark.parametrize("key", ["rowan", "train", "flora", "Maple", "blue_river"])
def test_a_plain_word_is_a_fine_key(key):
    assert not faults(changed(("key: rowan", f"key: {key}"), ("b: rowan", f"b: {key}")))


def test_an_arm_called_like_its_registered_model_is_refused():
    text = changed(("{key: rowan, model: smollm2-135m", "{key: kestrel, model: kestrel-7b"), ("b: rowan", "b: kestrel"))

    assert "arms[1].key: `kestrel` says something about the arm" in faults(text)[0]


@pytest.mark.parametrize("key", ["A", "b2", "x1"])
def test_a_letter_or_a_number_is_only_warned_about(key):
    text = changed(("key: rowan", f"key: {key}"), ("b: rowan", f"b: {key}"))

    assert any("suggests an order among the arms" in warning for warning in warnings(text))


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("Which reply helps?", "Is Linden better?", "s.yaml:3:8 title"),
        ("prompt: First worry.", "prompt: A rowan tree fell.", "s.yaml:24:24 items[0].prompt"),
        ("text: At length.", "text: We use smollm2-135m here.", "s.yaml:11:9 consent.text"),
        ("text: At length.", "text: SmolLM answers.", "s.yaml:11:9 consent.text"),
    ],
)
def test_a_text_that_names_an_arm_or_its_model_is_refused(old, new, place):
    found = faults(changed((old, new)))

    assert len(found) == 1
    assert found[0].startswith(f"{place}: participants would read ")


def test_an_arm_named_like_a_word_of_a_default_text_is_refused():
    found = faults(changed(("key: rowan", "key: lemon"), ("b: rowan", "b: lemon")))

    assert found == [
        "s.yaml:1:1 practice: participants would read 'lemon', the name of an arm or its model "
        "(rename the arm, or say it in other words)"
    ]


def test_a_system_message_may_hold_any_word():
    assert not faults(changed(("You listen.", "You are called Linden.")))


@pytest.mark.parametrize("system", ["''", "'  '", ""])
def test_a_model_never_runs_without_a_system_message(system):
    assert any("arms[0].system" in fault for fault in faults(changed(("system: You listen.", f"system: {system}"))))


def test_an_arm_without_a_model_needs_a_reply_file():
    assert faults(changed(("{key: rowan, model: smollm2-135m, system: You answer.}", "{key: rowan}"))) == [
        "s.yaml:22:5 arms[1].model: is missing (or name a file of replies: `replies: my-replies.csv`)"
    ]


def test_items_of_a_chat_are_scenarios():
    assert not faults(CHAT)
    found = faults(CHAT.replace("scenario: First", "prompt: First"))
    assert found == ["s.yaml:24:16 items[0].prompt: items of a chat study have no prompt (write `scenario`)"]


def test_items_of_a_stored_study_need_a_prompt():
    assert faults(changed((", prompt: First worry.", ""))) == ["s.yaml:24:5 items[0].prompt: is missing"]


def test_a_study_shows_something():
    head = STUDY.split("arms:\n")[0]

    found = faults(head + "arms: []\nitems:\ndesign: {items_each: 2}\n")

    assert "s.yaml:20:7 arms: the list is empty" in found
    assert any(fault.startswith("s.yaml:21:1 items: is missing") for fault in found)


def test_everyone_sees_every_arm_only_if_there_are_enough_items():
    assert "design.items_each: everyone is to see every arm: 2 arms need at least 2 items, not 1" in " ".join(
        faults(changed(("items_each: 2", "items_each: 1")))
    )
    assert not faults(changed(("items_each: 2", "items_each: 1\n  arms: between")))


def test_one_arm_cannot_vary_within_people():
    one = changed(
        ("  - {key: rowan, model: smollm2-135m, system: You answer.}\n", ""),
        ("  primary: {criterion: warmth, a: linden, b: rowan}\n", ""),
    )

    assert faults(one) == [
        "s.yaml:28:3 design.arms: everyone is to see every arm, but there is only one "
        "(with one arm write `arms: between`)"
    ]
    assert not faults(one + "  arms: between\n")


def test_an_uneven_share_of_items_is_warned_about():
    assert any(
        "3 items cannot be shared equally by 2 arms (2 or 4 could)" in w
        for w in warnings(changed(("each: 2", "each: 3")))
    )


def test_items_kept_for_tuning_do_not_count():
    found = faults(changed(("{key: one,", "{key: one, split: tune,"), ("items_each: 2", "items_each: 4")))

    assert found == [
        "s.yaml:29:15 design.items_each: 4 items for each participant, but only 3 can be shown (write more items)"
    ]


def test_the_order_in_which_arms_are_compared_does_not_matter():
    assert not faults(changed(("a: linden, b: rowan", "a: rowan, b: linden")))


def test_an_arm_is_not_compared_with_itself():
    assert faults(changed(("b: rowan", "b: linden"))) == [
        "s.yaml:30:46 design.primary.b: an arm cannot be compared with itself"
    ]


def test_a_margin_wider_than_the_scale_is_refused():
    found = faults(changed(("b: rowan}", "b: rowan, margin: 12}")))

    assert found == ["s.yaml:30:61 design.primary.margin: the margin is wider than the scale"]


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ("[{after: 1, text: Choose 3., answer: 3}]", []),
        ("[{after: 2, text: Choose 3., answer: 3}]", ["31:18 checks[0].after: must come before the last of 2 items"]),
        ("[{after: 1, text: Choose 3., answer: 11}]", ["31:46 checks[0].answer: 11 is not on the scale from 1 to 10"]),
        (
            "[{after: 1, text: Choose 3., answer: 3}, {after: 1, text: Choose 4., answer: 4}]",
            [
                "31:50 checks[1]: 2 checks for 2 items are more than one in ten (keep 1)",
                "31:58 checks[1].after: there is already a check after item 1",
            ],
        ),
    ],
)
def test_a_check_can_be_met_and_passed(checks, expected):
    assert faults(STUDY + f"checks: {checks}\n") == [f"s.yaml:{line}" for line in expected]


def test_a_check_whose_text_hides_its_answer_is_warned_about():
    text = STUDY + "checks: [{after: 1, text: Choose three., answer: 3}]\n"

    assert any("checks[0].text: the text does not say that the answer is 3" in warning for warning in warnings(text))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("How warm is this reply?", "Do you agree that it is warm?", "criteria[0].question: agreeing with a statement"),
        ("low: Not at all", "low: Strongly disagree", "criteria[0].low: agreeing with a statement"),
        ("minutes: 10", "minutes: 45", "6:10 minutes: 45 minutes are long"),
        ("title: Which", "title: Which", "items: with 4 items the interval treats items as fixed"),
        ("title: Which", "title: Which", "no help on campus is listed"),
        ("  primary: {criterion: warmth, a: linden, b: rowan}\n", "", "design: no primary comparison is named"),
    ],
)
def test_what_deserves_a_second_look_is_a_warning(old, new, words):
    assert any(words in warning for warning in warnings(changed((old, new))))


def test_warnings_come_with_the_errors_too():
    with pytest.raises(StudyFileErrors) as raised:
        read(changed(("minutes: 10", "minutes: 45"), ("target: 20", "target: x")).encode())

    assert [fault.path for fault in raised.value.faults] == ["target"]
    assert "minutes" in [fault.path for fault in raised.value.warnings]
    assert {fault.severity for fault in raised.value.warnings} == {"warning"}


def test_more_than_six_criteria_are_warned_about_at_the_seventh():
    one = STUDY.split("criteria:\n")[1].split("arms:\n")[0]
    seven = "".join(one.replace("key: warmth", f"key: {key}") for key in ["warmth", *"bcdefg"])

    assert any(w.startswith("s.yaml:50:5 criteria[6]: 7 criteria") for w in warnings(STUDY.replace(one, seven)))


def test_english_defaults_in_another_language_are_warned_about():
    found = warnings(changed(("minutes: 10", "minutes: 10\nlocales: [hi]")))

    assert any("`instructions` is left out, so the English one is shown" in warning for warning in found)


def test_a_chat_that_asks_no_consent_to_sensitive_data_is_warned_about():
    assert any("about their health" in warning for warning in warnings(CHAT))


def test_replies_do_not_go_with_models_or_chats():
    found = faults(with_replies("arms: [{key: aspen, model: smollm2-135m}, {key: birch}]\n"), REPLIES)
    assert found == [
        "s.yaml:21:21 arms[0].model: the replies come from a file, so no model answers here (remove it, or `replies`)"
    ]
    assert any("a live chat has no replies made beforehand" in f for f in faults(CHAT + "replies: own.csv\n", REPLIES))


def test_arms_and_items_left_out_are_taken_from_the_reply_file():
    definition = load(with_replies(), REPLIES).definition

    assert [arm.key for arm in definition.arms] == ["aspen", "birch"]
    assert [(item.key, item.prompt) for item in definition.items] == [("one", "First worry."), ("two", "Second worry.")]


def test_listed_items_take_their_prompts_from_the_reply_file():
    text = with_replies("items: [{key: two, stratum: s}, {key: one}]\n")

    items = load(text, REPLIES).definition.items

    assert [(item.key, item.prompt, item.stratum) for item in items] == [
        ("two", "Second worry.", "s"),
        ("one", "First worry.", None),
    ]


def test_a_missing_reply_file_is_one_fault():
    assert faults(with_replies()) == [
        "s.yaml:20:10 replies: there is no file 'own.csv' beside the study file "
        "(put it into the same folder, or upload both together)"
    ]


def test_a_fault_among_the_replies_does_not_hide_one_of_the_design():
    text = with_replies("arms: [{key: aspen}, {key: birch}]\nitems: [{key: one}, {key: two}]\n")

    found = faults(text.replace("items_each: 2", "items_each: 3"), REPLIES.replace("A reply.", ""))

    assert [fault.split(" ")[1] for fault in found] == ["design.items_each:", "reply:"]


@pytest.mark.parametrize("name", ["../own.csv", "/etc/passwd", "a/b.csv", "own.xlsx", "..", "C:\\own.csv"])
def test_a_reply_file_lies_beside_the_study_file(name):
    found = faults(with_replies().replace("own.csv", name), REPLIES)

    assert any("replies: " in fault and "without folders" in fault for fault in found)
