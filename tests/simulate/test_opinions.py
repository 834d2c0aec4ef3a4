"""The model behind the ratings: its mean is known exactly, its ratings are on the scale and repeatable."""

from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratings.simulate.opinions import Opinions

TEN = range(1, 11)


def mean_score(opinions: Opinions, arm: str) -> float:
    return fmean(opinions.score(person, f"item-{person}", arm, "empathy") for person in range(6_000))


@pytest.mark.parametrize("effect", [0, 0.5, 4])
def test_the_expected_rating_is_the_mean_of_many(effect):
    opinions = Opinions(seed=3, points=TEN, effect=effect, better="rowan")

    for arm in ("linden", "rowan"):
        assert mean_score(opinions, arm) == pytest.approx(opinions.expected(arm), abs=0.07)


def test_only_the_better_arm_has_the_effect():
    opinions = Opinions(seed=3, points=TEN, effect=0.5, better="rowan")

    assert 0.4 < opinions.expected("rowan") - opinions.expected("linden") < 0.5


def test_the_end_of_the_scale_swallows_part_of_a_large_effect():
    opinions = Opinions(seed=3, points=TEN, effect=6, better="rowan")

    assert opinions.expected("rowan") - opinions.expected("linden") < 3.5


@given(seed=st.integers(), low=st.integers(-5, 5), points=st.integers(2, 11), effect=st.floats(-20, 20))
def test_every_rating_is_on_the_scale_and_the_same_again(seed, low, points, effect):
    opinions = Opinions(seed, range(low, low + points), effect, "b")
    scores = [opinions.score(person, "item", "b", "c") for person in range(5)]

    assert set(scores) <= set(opinions.points)
    assert scores == [opinions.score(person, "item", "b", "c") for person in range(5)]


def test_people_differ_and_agree_with_themselves_more_than_with_others():
    opinions = Opinions(seed=3, points=TEN, effect=0, better="b")
    persons = [[opinions.score(p, f"item-{i}", "a", "c") for i in range(40)] for p in range(40)]
    means = [fmean(scores) for scores in persons]

    assert max(means) - min(means) > 1.5
