"""Nothing a participant reads may name the model, however the text arrived."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.release import Mask, Pace, Release

LEAKS = [
    "I am SmolLM",
    "I'm SmolLM2-135M-Instruct, an AI assistant trained by Hugging Face",
    "made by Hugging\nFace",
    "As an AI language model developed by OpenAI, I cannot feel",
    "as an AI developed by Acme Labs, I listen",
    "smol-lm 2",
    "S m o l L M",
    "**Smol**LM",
    "hugging-face",
    "ChatGPT",
    "GPT-4o",
    "my name is Claude, by Anthropic",
    "I am Llama",
    "Llama-2-7b-chat",
    "Koala 13B",
    "I was trained by Meta",
    "You are talking to Gemini",
    "Google Assistant",
    "The Google Cloud Language Model",
    "我是通义千问，由阿里云开发",
    "the Linden-7 model",
]
PLAIN = [
    "That is a metaphor, not a meta-analysis.",
    "We fed a llama and saw a koala and two falcons.",
    "My friend Claude told me to google it.",
    "I ate an apple plus a banana.",
    "Open air cinemas open aisle by aisle.",
    "I'm sorry to hear that. I am an AI, so I cannot hug you.",
    "I was made by hand, and I am from a small town.",
    "A gemini is a star sign; the Amazon is a river.",
    "",
]
MASK = Mask(["Linden-7", "smollm2-135m", "base"])
# Written on purpose without the grammar under test.
NAMES = re.compile(
    r"smol\W*lm|s m o l l m|hugging\W*face|open\W?ai\b|gpt|anthropic|acme|linden|am llama|llama-2|koala 13|by meta|"
    r"to gemini|google assistant|google cloud|name is claude|通义千问|阿里云",
    re.IGNORECASE,
)


def released(text: str, cuts: list[int], policy: str) -> str:
    release = Release(policy, MASK)
    shown = []
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        shown += release.feed(text[start:end])
    return "".join(shown + release.finish())


@pytest.mark.parametrize("text", LEAKS)
def test_it_masks_what_names_the_model(text):
    assert not NAMES.search(MASK(text)), MASK(text)


@pytest.mark.parametrize("text", [text.upper() for text in LEAKS if not text.startswith("as an AI developed")])
def test_it_masks_in_capitals_too(text):
    assert not NAMES.search(MASK(text)), MASK(text)


@pytest.mark.parametrize("text", PLAIN)
def test_it_leaves_ordinary_words_alone(text):
    assert MASK(text) == text


def test_it_reads_like_a_sentence():
    assert MASK("I'm SmolLM2-135M, an AI assistant made by Hugging Face.") == "I'm an AI program."
    assert MASK("SmolLM can help.") == "An AI program can help."
    assert MASK("As an AI developed by OpenAI, I listen.") == "As an AI program, I listen."


def test_a_plain_lower_case_name_is_masked_only_where_it_is_meant_as_one():
    assert MASK("I am base. The base is wide.") == "I am an AI program. The base is wide."


def test_the_mask_changes_nothing_the_second_time():
    for text in LEAKS:
        assert MASK(MASK(text)) == MASK(text)


words = st.sampled_from(LEAKS + PLAIN + ["I am", "an AI", "made by", "by", "the", "GP", "Hugging", "Smol", "Acme", "4"])
texts = st.lists(st.tuples(words, st.sampled_from([" ", "", ". ", "\n", ", ", "! "])), max_size=6).map(
    lambda parts: "".join(word + gap for word, gap in parts)
)


@settings(max_examples=150, deadline=None)
@given(text=texts, data=st.data(), policy=st.sampled_from(["token", "sentence", "whole"]))
def test_cutting_a_text_changes_nothing(text, data, policy):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))

    assert released(text, cuts, policy) == MASK(text)


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=80), cut=st.integers(0, 80))
def test_any_text_passes_through_whole(text, cut):
    assert released(text, [min(cut, len(text))], "token") == MASK(text)


@settings(max_examples=40, deadline=None)
@given(leak=st.sampled_from(LEAKS), before=st.sampled_from(PLAIN), after=st.sampled_from(PLAIN))
def test_no_name_survives_when_it_comes_letter_by_letter(leak, before, after):
    text = f"{before} {leak}. {after}"

    assert not NAMES.search(released(text, list(range(1, len(text))), "token"))


def test_sentences_come_out_when_they_end():
    release = Release("sentence")

    assert release.feed("Hello there. How are") == ["Hello there. "]
    assert release.feed(" you? I ") == ["How are you? "]
    assert release.finish() == ["I "]


def test_a_whole_reply_comes_out_at_once():
    release = Release("whole")

    assert release.feed("One. Two. ") == []
    assert release.finish() == ["One. Two. "]


def test_words_come_out_at_once_unless_a_name_may_be_open():
    release = Release("token")

    assert release.feed("Sit down") == ["Sit down"]
    assert release.feed(" and hug") == [" and "]
    assert release.feed("ging f") == []
    assert release.feed("riends ") == ["hugging friends "]


def test_the_screen_stops_everything_after_it():
    release = Release("sentence", screen=lambda text: "unsafe" if "bad" in text else None)

    assert release.feed("Good. A bad one. Good again. ") == ["Good. "]
    assert release.blocked == "unsafe"
    assert release.feed("More. ") == []
    assert release.finish() == []


@pytest.mark.parametrize(
    ("policy", "text", "shown"),
    [
        ("sentence", "That is hard. Try to sleep. The more", "That is hard. Try to sleep. "),
        ("whole", "That is hard. Try to sleep. The more", "That is hard. Try to sleep."),
        ("whole", "It is “hard.” The more", "It is “hard.”"),
        ("whole", "First:\n1. Sleep\n2. Eat\n3.", "First:\n1. Sleep\n2. Eat\n"),
        ("whole", "All of it. And that.", "All of it. And that."),
        ("whole", "No end in sight", "No end in sight"),
        ("token", "That is hard. The more", "That is hard. The more"),
    ],
)
def test_of_a_reply_that_was_cut_off_no_half_sentence_is_shown(policy, text, shown):
    release = Release(policy)

    assert "".join([*release.feed(text), *release.finish(cut_off=True)]) == shown


def test_a_reply_that_ended_by_itself_is_shown_whole():
    release = Release("sentence")

    assert "".join([*release.feed("That is hard. Bye"), *release.finish()]) == "That is hard. Bye"


def test_a_glance_at_the_first_letters_changes_nothing_that_is_masked(monkeypatch):
    texts = [
        "I am SmolLM2-135M, made by Open AI.",
        "Call me G P T. A gentle word, the GPT-4",
        "this is Claude, an AI",
        "IBM",
    ]
    mask = Mask(["SmolLM2-135M"])
    glanced = [mask(text) for text in texts]
    monkeypatch.setattr("inference.release.can_begin", lambda pattern, letters: True)

    assert glanced == [mask(text) for text in texts]
    assert glanced != texts


def schedule(cuts, policy, words_a_minute=120):
    """When which piece is due, of a text that came cut like this."""
    release, pace = Release(policy), Pace(words_a_minute, policy, delay=1.0)
    due = [piece for text in cuts for piece in pace.feed(release.feed(text))]
    return due + pace.feed(release.finish(), finished=True)


def test_a_piece_is_due_when_its_last_word_has_been_reached():
    assert schedule(["It is late. Go to bed now."], "sentence") == [(2.5, "It is late. "), (4.5, "Go to bed now.")]


def test_a_whole_reply_is_due_when_all_its_words_have_been_reached():
    assert schedule(["It is late. ", "Go to bed now."], "whole") == [(4.5, "It is late. Go to bed now.")]


@pytest.mark.parametrize("policy", ["token", "sentence", "whole"])
def test_how_the_engine_cuts_its_text_does_not_change_the_pace(policy):
    text = "It is late.\n\nYou are tired, so go to bed — now! 现在睡吧。 "
    letters, halves = list(text), [text[:17], text[17:]]

    def read(cuts):
        return [(due, piece.strip()) for due, piece in schedule(cuts, policy) if piece.strip()]

    assert read([text]) == read(letters) == read(halves)
    assert "".join(piece for _, piece in schedule(letters, policy)) == text


def test_word_by_word_each_word_has_its_moment():
    assert schedule(["It is", " late."], "token") == [(1.5, "It"), (2.0, " is"), (2.5, " late.")]


def test_without_spaces_each_character_has_its_moment():
    assert [due for due, _ in schedule(["我在听"], "token")] == [1.5, 2.0, 2.5]
