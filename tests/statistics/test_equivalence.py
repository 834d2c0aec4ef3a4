"""Two one-sided tests."""

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from reports.statistics.equivalence import how_tost, tost

from .test_reference import cases, near, study


@pytest.mark.parametrize(("name", "criterion", "place"), cases("contrasts"))
def test_the_reference_values(name, criterion, place):
    paired = study(name)[1]["contrasts"][criterion][place]["paired_participant"]
    result, expected = tost(paired["mean"], paired["se"], paired["df"], 0.5), paired["tost_0.5"]

    assert [result[key] for key in ("t_lower", "p_lower", "t_upper", "p_upper", "low_90", "high_90")] == near(
        [expected[key] for key in ("t_lower", "p_lower", "t_upper", "p_upper")] + expected["ci90"]
    )


@given(st.floats(-2, 2), st.floats(0.01, 2), st.integers(1, 200), st.floats(0.01, 2))
def test_the_verdict_is_whether_the_interval_lies_within_the_margin(estimate, se, df, margin):
    result = tost(estimate, se, df, margin)

    assert result["p"] == pytest.approx(
        max(scipy.stats.t.sf((estimate + margin) / se, df), scipy.stats.t.cdf((estimate - margin) / se, df)), abs=1e-12
    )
    if abs(result["p"] - 0.05) > 1e-9:
        assert result["equivalent"] == (-margin < result["low_90"] and result["high_90"] < margin)
    assert result["equivalent"] == (result["noninferior"] and result["nonsuperior"])


def test_b_can_be_no_worse_and_yet_not_equivalent():
    result = tost(1.0, 0.1, 50, 0.5)

    assert (result["equivalent"], result["noninferior"], result["nonsuperior"]) == (False, True, False)


@pytest.mark.parametrize(("se", "margin"), [(0.1, 0), (0.1, -1), (0.0, 0.5)])
def test_without_margin_or_spread_there_is_no_answer(se, margin):
    assert "not_estimable" in tost(0.1, se, 10, margin)


def test_how_it_was_computed():
    said = how_tost(tost(0.1, 0.2, 20, 0.5))

    assert "t = (0.1 + 0.5) / 0.2 = 3" in said
    assert "lies within ±0.5" in said
    assert "not wholly within" in how_tost(tost(0.4, 0.2, 20, 0.5))
    assert how_tost({"not_estimable": "why"}) == "Not estimable: why."
