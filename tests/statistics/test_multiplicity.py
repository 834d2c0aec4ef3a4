"""Adjusted p values."""

import json

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from reports.statistics.multiplicity import benjamini_hochberg, holm, how_adjusted

from .test_reference import REFERENCE, near

families = st.lists(st.floats(0, 1), max_size=12)


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference data is not beside this checkout")
def test_the_reference_values():
    expected = json.loads((REFERENCE / "textbook.reference.json").read_text())["p_adjust"]

    assert holm(expected["p"]) == near(expected["holm"])
    assert benjamini_hochberg(expected["p"]) == near(expected["bh"])


def test_a_family_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert benjamini_hochberg([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.04, 0.04])


@given(families)
def test_benjamini_and_hochberg_as_scipy(p):
    assert benjamini_hochberg(p) == pytest.approx(list(scipy.stats.false_discovery_control(p)) if p else [])


@given(families)
def test_holm_rejects_as_it_was_described(p):
    """Step down: stop at the first of the ordered p values above alpha / (m - k)."""
    adjusted, alpha = holm(p), 0.05
    rejected, stopped = set(), False
    for k, place in enumerate(sorted(range(len(p)), key=lambda place: p[place])):
        stopped = stopped or p[place] * (len(p) - k) > alpha
        if not stopped:
            rejected.add(place)

    assert {place for place, value in enumerate(adjusted) if value <= alpha} == rejected


@given(families)
def test_no_adjusted_value_is_smaller_or_above_one(p):
    for adjusted in (holm(p), benjamini_hochberg(p)):
        assert all(before <= after + 1e-15 and after <= 1 for before, after in zip(p, adjusted, strict=True))


def test_tests_that_do_not_exist_are_not_counted():
    assert holm([None, 0.01, None, 0.04]) == pytest.approx([None, 0.02, None, 0.04])
    assert benjamini_hochberg([None, None]) == [None, None]


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
def test_one_test_alone_stays_as_it_is(adjust):
    assert adjust([0.03]) == [0.03]
    assert adjust([]) == []


def test_how():
    assert how_adjusted("holm", 6) == "Adjusted by Holm for the 6 tests shown together."
    assert how_adjusted("benjamini_hochberg", 1) == "Adjusted by Benjamini-Hochberg for the 1 test shown together."
