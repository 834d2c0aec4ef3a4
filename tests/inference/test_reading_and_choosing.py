"""From logits to a token, from tokens to text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.engines.base import Sampling
from inference.engines.reading import Reader


def read(text: str, stop=(), size: int = 1) -> tuple[list[str], Reader]:
    """Read a text whose tokens are its UTF-8 bytes, which cuts every longer character."""
    reader = Reader(lambda ids: bytes(ids).decode(errors="replace"), stop)
    return [*(reader.push(byte) for byte in text.encode()), reader.finish()], reader


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"), max_size=40))
def test_pieces_are_whole_characters_and_join_to_the_text(text):
    pieces, reader = read(text)

    assert "".join(pieces) == reader.text == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_a_character_cut_off_at_the_end_is_left_out():
    reader = Reader(lambda ids: bytes(ids).decode(errors="replace"))
    pieces = [reader.push(byte) for byte in "hi🙂".encode()[:-1]]

    assert "".join(pieces) + reader.finish() == "hi"


@settings(deadline=None)
@given(before=st.text(alphabet="abX", max_size=12), after=st.text(alphabet="abX", max_size=6))
def test_nothing_of_a_stop_string_is_ever_shown(before, after):
    pieces, reader = read(before + "XX" + after, stop=("XX",))

    assert "".join(pieces) == reader.text == (before + "XX" + after).split("XX")[0]
    assert reader.stopped


def test_what_only_looked_like_a_stop_string_is_shown_after_all():
    pieces, _ = read("User is here", stop=("User:", "\n\n"))

    assert pieces[:4] == ["", "", "", ""]
    assert "".join(pieces) == "User is here"


@pytest.fixture(scope="module")
def choosing(torch):
    from inference.engines import choosing

    return choosing


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=0.7, top_p=0.9),
        Sampling(temperature=1.3, top_k=5),
        Sampling(temperature=1.0, top_k=40, top_p=0.5),
        Sampling(temperature=1.0, top_p=0.999),
        Sampling(temperature=5.0, top_p=0.99),
    ],
)
def test_the_tokens_kept_are_those_transformers_keeps(torch, choosing, sampling):
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    # In double precision: the two sum in opposite directions, and rounding decides what is on the very edge.
    logits = torch.randn(4, 3000, generator=torch.Generator().manual_seed(1)).double() * 3
    expected = TemperatureLogitsWarper(sampling.temperature)(None, logits)
    if sampling.top_k:
        expected = TopKLogitsWarper(sampling.top_k)(None, expected)
    if sampling.top_p < 1:
        expected = TopPLogitsWarper(sampling.top_p)(None, expected)
    scores = logits / sampling.temperature
    kept = scores >= choosing.lowest_kept(scores, [sampling] * 4)

    assert torch.equal(kept, expected > float("-inf"))


def test_the_penalty_is_the_one_of_transformers(torch, choosing):
    from transformers import RepetitionPenaltyLogitsProcessor

    logits = torch.randn(1, 50, generator=torch.Generator().manual_seed(1))
    seen = [3, 7, 7, 49]
    expected = RepetitionPenaltyLogitsProcessor(1.4)(torch.tensor([seen]), logits.clone())

    assert torch.equal(choosing.penalised(logits[0], seen, 1.4), expected[0])


def test_tokens_are_drawn_as_often_as_they_are_likely(torch, choosing):
    logits = torch.tensor([[0.0, 1.0, 2.0, -50.0]]).repeat(20000, 1)
    rolls = torch.rand(20000, generator=torch.Generator().manual_seed(1))
    drawn = choosing.draw(logits, [Sampling(temperature=1.0)] * 20000, rolls)
    shares = torch.bincount(drawn, minlength=4) / 20000

    assert torch.allclose(shares, logits[0].softmax(-1), atol=0.01)


def test_a_row_keeps_its_rules_whatever_the_other_rows_are(torch, choosing):
    logits = torch.randn(3, 500, generator=torch.Generator().manual_seed(1))
    samplings = [Sampling(temperature=0), Sampling(temperature=1, top_k=3), Sampling(temperature=2, top_p=0.9)]
    seen = [[1], [2], [3]]

    def dice():
        return [torch.Generator().manual_seed(seed) for seed in range(3)]

    together = choosing.choose(logits.clone(), samplings, seen, dice())
    alone = [
        choosing.choose(logits[[row]].clone(), [samplings[row]], [seen[row]], [dice()[row]])[0] for row in range(3)
    ]

    assert together == alone


def test_the_highest_roll_still_gives_a_kept_token(torch, choosing):
    logits = torch.tensor([[5.0, 4.0, -1.0, -2.0]])

    assert choosing.draw(logits, [Sampling(temperature=1, top_k=2)], torch.tensor([1 - 2**-24])).item() == 1
