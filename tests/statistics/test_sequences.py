"""Intervals for those who look often: the formula by hand, what holds, and how often chance looks like a finding."""

from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.statistics.intervals import t_quantile
from reports.statistics.sequences import confidence_sequence, how_confidence_sequence, tuned_rho

VALUES = [0.5, -0.25, 1.0, 0.75, 0.0, 0.25, 0.5, 1.25, -0.5, 0.0]


def half_width(result):
    return (result["high"] - result["low"]) / 2


def test_the_formula_by_hand():
    result = confidence_sequence(VALUES, planned=20)

    rho2 = (-2 * log(0.05) + log(-2 * log(0.05)) + 1) / 20
    half = np.std(VALUES, ddof=1) * sqrt(2 * (10 * rho2 + 1) / (100 * rho2) * log(sqrt(10 * rho2 + 1) / 0.05))
    assert result["estimate"] == pytest.approx(0.35)
    assert result["rho"] == pytest.approx(sqrt(rho2))
    assert half_width(result) == pytest.approx(half, rel=1e-12)
    assert (result["n"], result["planned"]) == (10, 20)


def test_it_is_about_half_as_wide_again_as_a_single_look_at_the_planned_number():
    """The research's price of looking: 1.52 to 1.58 times."""
    values = np.tile([1.0, -1.0], 100)
    once = t_quantile(199) * values.std(ddof=1) / sqrt(200)

    assert 1.5 < half_width(confidence_sequence(values, planned=200)) / once < 1.6


def test_it_is_narrowest_for_the_number_that_was_planned():
    widths = {
        planned: half_width(confidence_sequence(np.tile([1.0, -1.0], 50), planned)) for planned in (10, 100, 1000)
    }

    assert min(widths, key=widths.get) == 100


@given(st.permutations(VALUES))
def test_the_order_of_participants_does_not_matter(values):
    assert confidence_sequence(values, 20) == confidence_sequence(VALUES, 20)


@given(st.floats(-5, 5), st.floats(0.1, 10))
def test_it_shifts_and_scales_with_the_values(shift, scale):
    before, after = confidence_sequence(VALUES, 20), confidence_sequence(np.array(VALUES) * scale + shift, 20)

    assert after["low"] == pytest.approx(before["low"] * scale + shift, abs=1e-9)
    assert after["high"] == pytest.approx(before["high"] * scale + shift, abs=1e-9)


@pytest.mark.parametrize(
    ("values", "reason"), [([], "nobody"), ([3.0], "one participant"), ([0.1, 0.1, 0.1], "do not differ")]
)
def test_what_does_not_exist_has_a_reason(values, reason):
    result = confidence_sequence(values, 100)

    assert reason in result["not_estimable"]
    assert how_confidence_sequence(result).startswith("Not estimable")


def test_participants_without_a_value_are_left_out():
    assert confidence_sequence([*VALUES, np.nan], 20) == confidence_sequence(VALUES, 20)


def test_few_participants_are_warned_of():
    assert "warning" in confidence_sequence(VALUES[:4], 20)
    assert "warning" not in confidence_sequence(VALUES, 20)


def test_a_higher_level_is_wider():
    assert half_width(confidence_sequence(VALUES, 20, level=0.99)) > half_width(confidence_sequence(VALUES, 20))


def test_looking_often_deceives_a_t_test_and_not_the_sequence():
    """300 studies without any difference, looked at 20 times from 10 to 200 participants."""
    rng = np.random.default_rng(20)
    looks = range(10, 201, 10)
    deceived = {"sequence": 0, "t": 0}
    for values in rng.normal(0, 1, (300, 200)):
        found = [confidence_sequence(values[:n], planned=200) for n in looks]
        deceived["sequence"] += any(interval["low"] > 0 or interval["high"] < 0 for interval in found)
        deceived["t"] += any(
            abs(values[:n].mean()) > t_quantile(n - 1) * values[:n].std(ddof=1) / sqrt(n) for n in looks
        )
    error = sqrt(0.05 * 0.95 / 300)

    assert deceived["sequence"] / 300 < 0.05 + 2 * error
    assert deceived["t"] / 300 > 0.2


def test_the_sentence_lets_one_redo_it():
    result = confidence_sequence(VALUES, 20)

    said = how_confidence_sequence(result)
    assert f"{tuned_rho(20):.8g}" in said
    assert f"{result['low']:.8g} to {result['high']:.8g}" in said
    assert "20 planned" in said
