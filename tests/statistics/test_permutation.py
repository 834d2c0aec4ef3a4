"""The sign-flip test: every pattern counted where there are few, a seeded share of them otherwise."""

import json
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.statistics.comparison import participant_means
from reports.statistics.permutation import how_sign_flip, sign_flip

from .test_reference import REFERENCE, cases, near, study


def by_hand(differences):
    """Share of sign patterns with a sum at least as far from zero, in whole numbers."""
    patterns = [
        abs(sum(sign * d for sign, d in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]
    return sum(found >= abs(sum(differences)) for found in patterns) / len(patterns)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=8))
def test_it_counts_every_pattern(differences):
    result = sign_flip(np.array(differences, float), seed=1)

    assert result["exact"]
    assert result["p"] == by_hand(differences)
    assert result["p"] == result["hits"] / result["patterns"] > 0


@given(st.lists(st.integers(-6, 6), min_size=1, max_size=8), st.sampled_from([3, 7, 11, 30]))
def test_thirds_and_sevenths_that_are_equal_count_as_equal(differences, denominator):
    """In floating point sums of equal fractions differ by rounding, and some patterns would be lost."""
    shares = np.array([8 + d / denominator for d in differences]) - 8

    assert sign_flip(shares, seed=1)["p"] == by_hand(differences)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_neither_order_nor_direction_matters(differences, rng):
    one = sign_flip(np.array(differences, float), seed=3, draws=500)
    turned = -np.array(rng.sample(differences, len(differences)), float)

    assert sign_flip(turned, seed=3, draws=500) == one


def test_a_zero_is_a_participant_but_not_a_pattern():
    result = sign_flip(np.array([0.0, 1, 2, 0, 3]), seed=1)

    assert (result["n"], result["n_zero"], result["patterns"]) == (5, 2, 8)
    assert result["p"] == 2 / 8


def test_eighteen_are_exact_and_nineteen_are_not():
    assert sign_flip(np.ones(18), seed=1)["p"] == 2 / 2**18
    assert not sign_flip(np.ones(19), seed=1, draws=100)["exact"]


def test_p_is_never_zero():
    result = sign_flip(np.ones(60), seed=1, draws=1000)

    assert (result["hits"], result["p"]) == (0, 1 / 1001)


def test_random_patterns_approach_the_exact_share():
    """Forty differences of one: the sum of signs is binomial."""
    from scipy.stats import binom

    result = sign_flip(np.array([1.0] * 26 + [-1.0] * 14), seed=2)
    exact = 2 * binom.sf(25, 40, 0.5)

    assert (result["draws"], result["seed"]) == (100_000, 2)
    assert result["p"] == pytest.approx(exact, abs=4 * result["mcse"])
    assert result["mcse"] == pytest.approx((exact * (1 - exact) / 100_000) ** 0.5, rel=0.1)


def test_seeds_differ_and_repeat():
    differences = np.random.default_rng(5).normal(0.2, 1, 50)

    assert sign_flip(differences, seed=1, draws=2000) == sign_flip(differences, seed=1, draws=2000)
    assert sign_flip(differences, seed=1, draws=2000)["hits"] != sign_flip(differences, seed=2, draws=2000)["hits"]


@pytest.mark.parametrize(
    ("differences", "p", "warning"),
    [
        ([2.0], 1.0, "with 1 participant who differ no p below 1 is possible"),
        ([0.0, 0.0], 1.0, "with 0 participants who differ no p below 1 is possible"),
        ([1.0, 1.0, 1.0, 1.0], 0.125, "with 4 participants who differ no p below 0.125 is possible"),
    ],
)
def test_few_participants_cannot_show_much(differences, p, warning):
    result = sign_flip(np.array(differences), seed=1)

    assert (result["p"], result["warning"]) == (p, warning)


def test_many_who_do_not_differ():
    result = sign_flip(np.zeros(40), seed=1)

    assert (result["exact"], result["p"]) == (True, 1.0)


def test_no_pairs():
    assert sign_flip(np.array([]), seed=1) == {"not_estimable": "no participant rated both arms"}


def test_how_it_was_computed():
    exact = sign_flip(np.array([1.0, 2, 3, 0]), seed=1)
    drawn = sign_flip(np.arange(1.0, 31), seed=9, draws=500)

    assert "2 of all 8 patterns" in how_sign_flip(exact)
    assert "(1 of them zero)" in how_sign_flip(exact)
    assert f"{drawn['hits']} of 500 random patterns of signs (seed 9)" in how_sign_flip(drawn)
    assert how_sign_flip({"not_estimable": "why"}) == "Not estimable: why."


@pytest.mark.parametrize(("name", "criterion", "place"), cases("contrasts"))
def test_the_exact_reference_values(name, criterion, place):
    tables, reference = study(name)
    expected = reference["contrasts"][criterion][place]
    means_a, means_b = (participant_means(tables[criterion], expected[arm]) for arm in ("a", "b"))
    differences = (means_b - means_a)[~np.isnan(means_b - means_a)]
    exact = expected["paired_participant"].get("signflip_exact_p")
    if exact is None:
        pytest.skip("the reference has no exact value for so many participants")

    assert sign_flip(differences, seed=1)["p"] == near(exact)


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference data is not beside this checkout")
@pytest.mark.parametrize("name", ["mathconverse", "sim_crossed"])
def test_the_monte_carlo_reference_values(name):
    """Within 4 Monte-Carlo errors of either side; our own is judged by the reference's share."""
    tables, _ = study(name)
    found = [r for r in json.loads((REFERENCE / f"{name}.mc.json").read_text())["results"] if "signflip_p" in r]
    assert found
    for expected in found:
        b, a = expected["what"].split(" - ")
        means_a, means_b = (participant_means(tables[expected["criterion"]], arm) for arm in (a, b))
        differences = (means_b - means_a)[~np.isnan(means_b - means_a)]
        result, p = sign_flip(differences, seed=1), expected["signflip_p"]["p"]
        own = 0 if result["exact"] else (p / result["draws"]) ** 0.5 + 1 / result["draws"]

        assert result["n"] == expected["signflip_p"]["n"]
        assert result["p"] == pytest.approx(p, abs=4 * (own + expected["signflip_p"]["mcse"]))
