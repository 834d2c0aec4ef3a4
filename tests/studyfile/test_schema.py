"""What a study file means when it is right: defaults, fingerprints, texts."""

import json

import pytest
from pydantic import ValidationError

from ratings.studyfile import StudyFile, canonical_json, fingerprint, text_in
from tests.studyfile.written import REPLIES, STUDY, changed, faults, load, with_replies


def study(*replacements, extra=""):
    return load(changed(*replacements) + extra).definition


def test_a_text_is_read_in_the_language_of_its_reader():
    assert text_in("Hello", "hi", "en") == "Hello"
    assert text_in({"en": "Hello", "hi": "नमस्ते"}, "hi", "en") == "नमस्ते"
    assert text_in({"en": "Hello", "hi": "नमस्ते"}, "en-GB", "hi") == "Hello"
    assert text_in({"en": "Hello", "hi": "नमस्ते"}, "ar", "hi") == "नमस्ते"
    assert text_in({"en": "Hello"}, "ar", "hi") == "Hello"


def test_being_an_adult_is_always_asked_first():
    assert [question.key for question in study().eligibility] == ["adult"]
    asked = study(extra="eligibility: [{key: student, question: Are you a student?}]\n").eligibility
    assert [question.key for question in asked] == ["adult", "student"]


def test_an_own_question_about_age_is_not_doubled():
    asked = study(extra="eligibility: [{key: adult, question: Are you over 21?}]\n").eligibility

    assert [question.question for question in asked] == ["Are you over 21?"]


def test_more_than_four_eligibility_questions_are_refused():
    four = ", ".join(f"{{key: q{n}, question: Really?}}" for n in range(4))

    assert faults(STUDY + f"eligibility: [{four}]\n") == [
        "s.yaml:31:14 eligibility: at most four questions, the one about being 18 or older among them"
    ]


def test_places_are_held_four_times_the_minutes_and_at_least_an_hour():
    assert study().place_minutes == 60
    assert study(("minutes: 10", "minutes: 30")).place_minutes == 120
    assert study(extra="place_minutes: 15\n").place_minutes == 15


def test_left_out_texts_are_supplied_and_fit_the_mode():
    stored = study()
    chat = study(("mode: stored", "mode: chat"), *((f"prompt: {n}", f"scenario: {n}") for n in ORDINALS))
    replies = load(with_replies(), REPLIES).definition

    assert "written by AI programs, not by people" in " ".join(stored.instructions.split())
    assert "not a person and not a therapist" in chat.instructions
    assert "by people" in replies.instructions
    assert stored.practice.prompt
    assert stored.debrief


ORDINALS = ("First", "Second", "Third", "Fourth")


def test_take_part_and_sensitive_data_are_required_and_the_rest_is_free():
    consent = study(("text: At length.", "text: At length.\n  ticks: [take_part, sensitive, quotes, training]")).consent

    assert consent.required == ("take_part", "sensitive")


def test_a_study_without_consent_to_take_part_is_refused():
    found = faults(changed(("text: At length.", "text: At length.\n  ticks: [quotes]")))

    assert found == [
        "s.yaml:12:10 consent.ticks: nobody can be in a study without agreeing to take part (add `take_part`)"
    ]


def test_fixed_codes_need_one_for_completion():
    assert faults(STUDY + "completion: {mode: fixed}\n") == [
        "s.yaml:31:13 completion: fixed codes need at least the one for `completed` (codes: {completed: C1AB})"
    ]
    assert study(extra="completion: {mode: fixed, codes: {completed: C1AB}}\n").completion.codes == {
        "completed": "C1AB"
    }


def test_an_unknown_outcome_is_named():
    found = faults(STUDY + "completion: {mode: fixed, codes: {completed: C1AB, screend_out: C2}}\n")

    assert len(found) == 1
    assert found[0].startswith("s.yaml:31:52 completion.codes.screend_out: 'screend_out' is not one of")
    assert "did you mean `screened_out`?" in found[0]


@pytest.mark.parametrize(("low", "high"), [(1, 10), (0, 10), (-5, 5), (1, 2), (1, 7)])
def test_any_scale_of_whole_numbers_that_fits_one_row_is_fine(low, high):
    points = study(("{min: 1, max: 10}", f"{{min: {low}, max: {high}}}")).scale.points

    assert (points[0], points[-1]) == (low, high)


@pytest.mark.parametrize(
    "scale", ["{min: 1.5, max: 5}", "{min: 1}", "{min: one, max: 5}", "7", "{min: 1, max: 12}", ""]
)
def test_other_scales_are_refused(scale):
    assert faults(changed(("{min: 1, max: 10}", scale)))


def test_a_criterion_cannot_take_a_name_that_the_pages_use():
    assert (
        "criteria[0].key: `message` is a name that the pages use themselves"
        in faults(changed(("key: warmth", "key: message")))[0]
    )


def test_an_age_band_brings_its_bands_and_a_bare_choice_is_its_own_key():
    questions = study(
        extra="exit_questions:\n"
        "  - {key: age, kind: age_band, question: How old are you?}\n"
        "  - {key: tea, question: Tea?, choices: [Often, {key: never, label: Never}]}\n"
    ).exit_questions

    assert questions[0].choices[0].label == "18-20"
    assert [(choice.key, choice.label) for choice in questions[1].choices] == [("Often", "Often"), ("never", "Never")]
    assert all(question.optional for question in questions)


@pytest.mark.parametrize(
    "question",
    [
        "{key: a, question: B?}",
        "{key: a, question: B?, choices: [One]}",
        "{key: a, question: B?, choices: [One, One]}",
        "{key: a, question: B?, kind: text, choices: [One, Two]}",
        "{key: a, question: B?, choices: [1, 2]}",
        "{key: a, question: B?, kind: slider}",
    ],
)
def test_an_impossible_exit_question_is_refused(question):
    assert all(fault.startswith("s.yaml:31:") for fault in faults(STUDY + f"exit_questions: [{question}]\n"))
    assert faults(STUDY + f"exit_questions: [{question}]\n")


def test_a_model_without_sampling_gets_the_usual_one_spelt_out():
    sampling = study().arms[0].sampling

    assert (sampling.temperature, sampling.top_p, sampling.max_new_tokens) == (0.7, 0.9, 160)


@pytest.mark.parametrize(("pace", "allowed"), [("240", True), ("59", False), ("1001", False), ("3.5", False)])
def test_a_pace_is_a_number_of_words_that_can_be_read(pace, allowed):
    chat = changed(("mode: stored", "mode: chat"), *((f"prompt: {n}", f"scenario: {n}") for n in ORDINALS))

    assert any("chat.pace" in fault for fault in faults(chat + f"chat: {{pace: {pace}}}\n")) is not allowed


def test_items_for_tuning_are_shown_to_nobody():
    held_back = study(("{key: one,", "{key: one, split: tune,"))

    assert [item.key for item in held_back.shown_items] == ["two", "three", "four"]


def test_a_campus_line_must_lead_somewhere():
    assert "a phone number or a link is needed" in faults(STUDY + "resources: {campus: {name: Counselling}}\n")[0]
    assert "must begin with https://" in faults(STUDY + "resources: {campus: {name: C, link: 'javascript:x'}}\n")[0]
    assert not faults(STUDY + "resources: {country: IN, campus: {name: C, phone: 0123-456}}\n")


def test_a_definition_survives_being_stored_as_json():
    definition = study()

    assert StudyFile.model_validate_json(canonical_json(definition)) == definition
    assert StudyFile.model_validate(json.loads(canonical_json(definition))) == definition


def test_a_definition_cannot_be_changed():
    with pytest.raises(ValidationError):
        study().title = "Another"


def test_comments_layout_and_the_order_of_keys_do_not_change_the_fingerprint():
    other = "# a note\n" + changed(
        ("slug: tea-or-coffee\ntitle: Which reply helps?\n", "title: 'Which reply helps?'\nslug: tea-or-coffee\n")
    )

    assert load(other).fingerprint == load(STUDY).fingerprint


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("First worry.", "First worry!"),
        ("target: 20", "target: 21"),
        ("How warm", "How kind"),
        ("You listen.", "You talk."),
    ],
)
def test_any_change_of_content_changes_the_fingerprint(old, new):
    assert load(changed((old, new))).fingerprint != load(STUDY).fingerprint


def test_a_change_in_the_reply_file_changes_the_fingerprint():
    first = load(with_replies(), REPLIES)
    second = load(with_replies(), REPLIES.replace("A reply.", "A better reply."))

    assert first.fingerprint != second.fingerprint
    assert first.fingerprint == fingerprint(first.definition, {"own.csv": REPLIES.encode()})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("First worry.", "First worry!"),
        ("target: 20", "target: 21"),
        ("How warm", "How kind"),
        ("items_each: 2", "items_each: 4"),
    ],
)
def test_versions_that_differ_in_texts_or_numbers_share_their_design(old, new):
    assert study((old, new)).design_fingerprint == study().design_fingerprint


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("You listen.", "You talk."),
        ("system: You listen.", "system: You listen., sampling: {temperature: 0.1}"),
        ("key: one,", "key: first,"),
        ("max: 10}", "max: 9}"),
    ],
)
def test_versions_that_differ_in_setups_keys_or_scale_do_not(old, new):
    assert study((old, new)).design_fingerprint != study().design_fingerprint


def test_the_order_of_items_is_no_part_of_the_design():
    swapped = study(
        ("{key: one, prompt: First", "{key: two, prompt: First"), ("{key: two, prompt: Sec", "{key: one, prompt: Sec")
    )

    assert swapped.design_fingerprint == study().design_fingerprint


def test_canonical_json_has_one_spelling():
    assert canonical_json({"b": [1, 2.5], "a": "é"}) == '{"a":"é","b":[1,2.5]}'
