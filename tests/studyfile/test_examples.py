"""The example studies are what a newcomer meets first."""

import re
from pathlib import Path

import pytest

from ratings.studyfile import StudyFile, crosschecks, read
from ratings.studyfile.blinding import FAMILIES, names_in

STUDIES = Path(__file__).parents[2] / "studies"
EXAMPLES = sorted(STUDIES.glob("*.yaml"))
TELLING = [*FAMILIES, "smollm2", "linden", "rowan", "aspen", "birch", "cedar"]


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.stem)
def loaded(request):
    return read(request.param)


def definition(name):
    return read(STUDIES / f"{name}.yaml").definition


def test_there_are_the_three_of_them():
    assert {"support-view", "support-chat", "own-replies"} <= {path.stem for path in EXAMPLES}


def test_it_is_named_like_its_file_and_asks_for_a_hundred_people(loaded):
    assert (STUDIES / f"{loaded.definition.slug}.yaml").exists()
    assert loaded.definition.target == 100


def test_it_only_lacks_the_help_that_nobody_can_know_beforehand(loaded):
    assert [warning.message for warning in loaded.warnings] == ["no help on campus is listed beside the national lines"]


def test_it_asks_the_two_questions_from_one_to_ten(loaded):
    criteria = loaded.definition.criteria

    assert [(criterion.key, criterion.label) for criterion in criteria] == [
        ("empathy_support", "Empathy and Support"),
        ("fluency_quality", "Fluency and Response Quality"),
    ]
    assert list(loaded.definition.scale.points) == list(range(1, 11))
    assert all(criterion.definition and criterion.low and criterion.high for criterion in criteria)


def test_it_has_one_attention_check_and_an_optional_questionnaire(loaded):
    questions = loaded.definition.exit_questions

    assert len(loaded.definition.checks) == 1
    assert [question.key for question in questions] == [
        "age_band",
        "gender",
        "field_of_study",
        "first_language",
        "chatbot_use",
    ]
    assert all(question.optional for question in questions)


def test_it_asks_for_consent_in_separate_ticks(loaded):
    assert loaded.definition.consent.ticks == ("take_part", "sensitive", "quotes", "training")


def test_no_text_that_participants_read_names_a_model_or_an_arm(loaded):
    data = loaded.definition.model_dump(mode="json", exclude={"arms", "replies", "design", "slug", "contact"})
    texts = [text for _, text in crosschecks.texts(data, ())]
    texts += [message.content for reply in loaded.replies for message in reply.messages]

    assert len(texts) > 50
    assert [text for text in texts if names_in(text, TELLING)] == []


def test_no_item_speaks_of_a_crisis_and_no_text_promises_treatment(loaded):
    data = loaded.definition.model_dump(mode="json", include={"items", "title", "instructions"})
    text = " ".join(text for _, text in crosschecks.texts(data, ())).casefold()

    assert not re.search(r"suicid|kill|self-harm|hurt myself|want to die|overdose|abuse|diagnos|treatment", text)


def test_the_stored_study_has_two_dozen_worries_of_some_sentences_in_the_first_person():
    study = definition("support-view")

    assert len(study.items) >= 24
    assert study.design.items_each == 8
    assert all(2 <= len(re.findall(r"[.?!](?=\s|$)", item.prompt)) <= 5 for item in study.items)
    assert all(re.search(r"\b(I|my|me)\b", item.prompt) for item in study.items)


def test_the_stored_study_compares_a_listener_with_a_bare_prompt_on_one_model():
    listener, bare = definition("support-view").arms

    assert listener.model == bare.model == "smollm2-135m"
    assert listener.sampling == bare.sampling
    assert len(listener.system) > 5 * len(bare.system)


def test_the_chat_study_has_a_dozen_situations_and_two_chats_each():
    study = definition("support-chat")

    assert study.mode == "chat"
    assert len(study.items) >= 12
    assert all(item.title and re.search(r"\b[Yy]ou(r)?\b", item.scenario) for item in study.items)
    assert (study.design.items_each, study.design.arms) == (2, "within")
    assert (study.chat.exchanges.min, study.chat.exchanges.max) == (3, 8)
    assert study.arms == tuple(
        arm.model_copy(update={"sampling": chat.sampling, "system": chat.system})
        for arm, chat in zip(definition("support-view").arms, study.arms, strict=True)
    )


def test_your_own_replies_bring_ten_items_and_three_arms():
    loaded = read(STUDIES / "own-replies.yaml")

    assert len(loaded.definition.items) >= 10
    assert len(loaded.definition.arms) == 3
    assert len(loaded.replies) == 3 * len(loaded.definition.items)
    assert loaded.definition.design.items_each % 3 == 0


def test_the_file_to_copy_explains_each_of_its_fields():
    text = (STUDIES / "own-replies.yaml").read_text(encoding="utf-8")

    assert [name for name in StudyFile.model_fields if not re.search(rf"(?m)^(# *)?{name}:", text)] == []
