"""Rank tests: R's values, scipy's, and cases to be checked by hand."""

import json

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st

from reports.statistics.comparison import participant_means
from reports.statistics.ranks import (
    brunner_munzel,
    how_brunner_munzel,
    how_mann_whitney,
    how_wilcoxon,
    mann_whitney,
    wilcoxon,
)

from .test_reference import cases, near, study

few_values = st.lists(st.integers(0, 6), min_size=2, max_size=15)


def close(value):
    return pytest.approx(value, rel=1e-9, abs=1e-12)


@pytest.fixture
def contrast(name, criterion, place):
    tables, reference = study(name)
    expected = reference["contrasts"][criterion][place]
    return [participant_means(tables[criterion], expected[arm]) for arm in ("a", "b")], expected


@pytest.mark.parametrize(("name", "criterion", "place"), cases("contrasts"))
class TestReference:
    def test_wilcoxon(self, contrast):
        (means_a, means_b), expected = contrast
        differences = means_b - means_a
        result, theirs = wilcoxon(differences[~np.isnan(differences)]), expected["paired_participant"]["wilcoxon"]

        assert [result[key] for key in ("statistic", "p", "p_uncorrected", "n_zero")] == near(
            [theirs[key] for key in ("V", "p_cc", "p_nocc", "n_zero")]
        )

    def test_mann_whitney(self, contrast):
        means, expected = contrast
        result = mann_whitney(*(mean[~np.isnan(mean)] for mean in means))
        theirs = expected["welch_participant_means"]["mannwhitney"]

        assert [result["statistic"], result["p"]] == near([theirs["U"], theirs["p_cc"]])

    def test_brunner_munzel(self, contrast):
        means, expected = contrast
        result = brunner_munzel(*(mean[~np.isnan(mean)] for mean in means))
        theirs = expected["welch_participant_means"]["brunner_munzel"]
        if theirs["p"] is None:
            assert result["not_estimable"] == "every participant's mean in arm b is above every one in the other"
            return

        got = [result[key] for key in ("statistic", "df", "p")]
        got += [result["prob_superiority"][key] for key in ("estimate", "low", "high")]
        assert got == near([theirs[key] for key in ("statistic", "df", "p", "p_second_greater", "lo", "hi")])


class TestWilcoxon:
    @given(st.lists(st.integers(-6, 6), min_size=1, max_size=20))
    def test_it_is_scipys(self, differences):
        assume(any(differences))
        result = wilcoxon(np.array(differences) / 7)
        for correction, key in ((True, "p"), (False, "p_uncorrected")):
            theirs = scipy.stats.wilcoxon(
                differences, zero_method="wilcox", correction=correction, method="asymptotic", alternative="two-sided"
            )
            assert result[key] == close(min(theirs.pvalue, 1.0))

    def test_by_hand(self):
        """Sizes 1, 2, 2, 3 have ranks 1, 2.5, 2.5, 4; the mean is 5 and the variance 4 x 5 x 9 / 24 - 6 / 48."""
        result = wilcoxon(np.array([1.0, -2, 2, 3, 0]))

        assert (result["statistic"], result["n"], result["n_zero"], result["direction"]) == (7.5, 5, 1, "b")
        assert result["z"] == close(2 / (7.5 - 0.125) ** 0.5)

    def test_fractions_that_are_equal_tie(self):
        shares = np.array([0.1 + 0.2 - 0.3, 0.1 + 0.2, 0.3, -0.5])
        result = wilcoxon(shares)

        assert (result["n_zero"], result["statistic"]) == (1, 3)

    def test_turned_round_it_says_the_opposite(self):
        differences = np.array([1.0, 2, -1, 4, 3])
        one, other = wilcoxon(differences), wilcoxon(-differences)

        assert (one["p"], one["direction"]) == (other["p"], "b")
        assert (other["direction"], other["z"]) == ("a", -one["z"])
        assert one["statistic"] + other["statistic"] == 15

    @pytest.mark.parametrize(
        ("differences", "reason"),
        [
            ([], "no participant rated both arms"),
            ([0.0, 0, 1e-12], "no participant's mean differs between the arms, so there is nothing to rank"),
        ],
    )
    def test_nothing_to_rank(self, differences, reason):
        assert wilcoxon(np.array(differences)) == {"not_estimable": reason}

    def test_one_participant(self):
        result = wilcoxon(np.array([2.0]))

        assert result["p"] == 1.0
        assert result["warning"].startswith("only 1 participants")

    def test_how(self):
        assert "V = 7.5" in how_wilcoxon(wilcoxon(np.array([1.0, -2, 2, 3, 0])))
        assert "among the 4 of 5 who differ" in how_wilcoxon(wilcoxon(np.array([1.0, -2, 2, 3, 0])))
        assert how_wilcoxon({"not_estimable": "why"}) == "Not estimable: why."


class TestMannWhitney:
    @given(few_values, few_values)
    def test_it_is_scipys(self, a, b):
        assume(len({*a, *b}) > 1)
        result = mann_whitney(np.array(a) / 3, np.array(b) / 3)
        for correction, key in ((True, "p"), (False, "p_uncorrected")):
            theirs = scipy.stats.mannwhitneyu(b, a, use_continuity=correction, method="asymptotic")
            assert result["statistic"] == theirs.statistic
            assert result[key] == close(theirs.pvalue)

    def test_values_below_zero_are_not_taken_for_ties(self):
        below, above = (
            mann_whitney(np.array([-1.0, -2]), np.array([1.0, 2])),
            mann_whitney(np.arange(2.0), np.arange(2.0, 4)),
        )

        assert below == above

    def test_by_hand(self):
        result = mann_whitney(np.array([1.0, 3]), np.array([2.0, 3, 4]))

        assert (result["statistic"], result["prob_superiority"], result["direction"]) == (4.5, 4.5 / 6, "b")

    @pytest.mark.parametrize(
        ("a", "b", "reason"),
        [
            ([], [1.0], "one of the arms has no ratings"),
            ([2.0, 2], [2.0], "all participants' means are equal, so there is nothing to rank"),
        ],
    )
    def test_nothing_to_rank(self, a, b, reason):
        assert mann_whitney(np.array(a), np.array(b)) == {"not_estimable": reason}

    def test_how(self):
        said = how_mann_whitney(mann_whitney(np.array([1.0, 3]), np.array([2.0, 3, 4])))
        assert "U = 4.5 of the 2 × 3 = 6 pairs" in said
        assert how_mann_whitney({"not_estimable": "why"}) == "Not estimable: why."


class TestBrunnerMunzel:
    @given(few_values, few_values)
    def test_it_is_scipys(self, a, b):
        result = brunner_munzel(np.array(a) / 3, np.array(b) / 3)
        assume("not_estimable" not in result)
        theirs = scipy.stats.brunnermunzel(a, b)

        assert result["statistic"] == pytest.approx(theirs.statistic, rel=1e-7)
        assert result["p"] == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-12)

    @given(few_values, few_values)
    def test_it_is_plain_json(self, a, b):
        json.dumps(brunner_munzel(np.array(a, float), np.array(b, float)), allow_nan=False)
        json.dumps(mann_whitney(np.array(a, float), np.array(b, float)), allow_nan=False)

    def test_the_estimate_is_the_share_of_pairs(self):
        a, b = np.array([1.0, 3, 5]), np.array([2.0, 3, 6, 7])
        pairs = np.sign(np.subtract.outer(b, a))
        result = brunner_munzel(a, b)

        assert result["prob_superiority"]["estimate"] == close(((pairs + 1) / 2).mean())
        assert (result["direction"], result["n"]) == ("b", 7)

    @pytest.mark.parametrize(
        ("a", "b", "reason"),
        [
            ([], [1.0], "one of the arms has no ratings"),
            ([1.0], [1.0, 2], "an arm with one participant does not show how participants differ"),
            ([1.0, 2], [3.0, 4], "every participant's mean in arm b is above every one in the other"),
            ([3.0, 4], [1.0, 2], "every participant's mean in arm a is above every one in the other"),
            ([3.0, 3], [3.0, 3], "the participants within an arm do not differ, so the standard error would be zero"),
        ],
    )
    def test_no_variance(self, a, b, reason):
        assert brunner_munzel(np.array(a), np.array(b)) == {"not_estimable": reason}

    def test_how(self):
        result = brunner_munzel(np.array([1.0, 3, 5]), np.array([2.0, 3, 6, 7]))
        assert "3 × 4 pairs" in how_brunner_munzel(result)
        assert f"df = {result['df']:.8g}" in how_brunner_munzel(result)
        assert how_brunner_munzel({"not_estimable": "why"}) == "Not estimable: why."
