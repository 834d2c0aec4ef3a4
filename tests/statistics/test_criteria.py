"""Criteria with each other: R's values, hand-made cases, and designs in which there is nothing to correlate."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reports.statistics.criteria import between_criteria, how_internal_consistency, how_pair
from reports.statistics.table import tables_from_columns

from .test_reference import REFERENCE, near, study

# MathConverse repeats cells: R's file keeps the first row of each, we take the mean, so the numbers differ.
STUDIES = ("squality", "sim_crossed", "sim_seedshape") if REFERENCE.is_dir() else ()
KINDS = ("within", "between", "between_spearman")
COEFFICIENTS = ("cronbach_alpha_rows", "cronbach_alpha_means", "spearman_brown_rows", "spearman_brown_means")


def compare(rows, seed=1, draws=20):
    """Rows of participant, item, arm, and a rating for each criterion (None is missing)."""
    long = [(*row[:3], f"c{k}", value) for row in rows for k, value in enumerate(row[3:])]
    return between_criteria(tables_from_columns(*zip(*long, strict=True)), seed, draws)


def noisy(participants=20, items=6, criteria=2, seed=0, shared=0.5):
    rng = np.random.default_rng(seed)
    rows = []
    for p in range(participants):
        level = rng.normal(0, 1)
        for i in range(items):
            common = rng.normal(0, shared)
            values = [int(np.clip(round(5 + level + common + rng.normal(0, 0.8)), 1, 9)) for _ in range(criteria)]
            rows.append((f"p{p:02d}", f"i{i}", "a", *values))
    return rows


@pytest.mark.parametrize("name", STUDIES)
class TestAgainstR:
    @pytest.fixture
    def both(self, name):
        tables, reference = study(name)
        return between_criteria(tables, 1, 0), reference["internal"]

    def test_the_correlation_within_participants(self, both):
        found, expected = both
        for pair, theirs in zip(found["pairs"], expected["rmcorr"], strict=True):
            assert (pair["x"], pair["y"]) == (theirs["x"], theirs["y"])
            within = pair["within"]
            assert [within[key] for key in ("estimate", "df", "p")] == near(
                [theirs[key] for key in ("r_rm", "df", "p")]
            )

    def test_the_correlations_of_means_and_of_pooled_rows(self, both):
        found, expected = both
        for pair in found["pairs"]:
            place = tuple(expected["criteria"].index(pair[side]) for side in "xy")
            got = [pair["between"]["estimate"], pair["pooled_rows"]["pearson"], pair["pooled_rows"]["spearman"]]
            theirs = (expected[key] for key in ("participant_mean_pearson", "pearson", "spearman"))
            assert got == near([matrix[place[0]][place[1]] for matrix in theirs])

    def test_cronbachs_alpha(self, both):
        found, expected = both
        scale = found["internal_consistency"]
        assert scale["n_rows"] == expected["complete_rows"]
        assert scale["cronbach_alpha_rows"]["estimate"] == near(expected["cronbach_alpha_rows"])


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference data is not beside this checkout")
def test_repeated_cells_are_joined_by_their_means():
    tables, reference = study("mathconverse")
    found = between_criteria(tables, 1, 0)
    assert found["pairs"][0]["n_rows"] == reference["internal"]["complete_rows"]
    assert found["pairs"][0]["within"]["df"] == reference["internal"]["rmcorr"][0]["df"]


def test_within_is_the_correlation_of_deviations():
    rows = noisy()
    values = np.array([row[3:] for row in rows], dtype=float).reshape(20, 6, 2)
    deviations = (values - values.mean(axis=1, keepdims=True)).reshape(-1, 2)
    r = np.corrcoef(deviations.T)[0, 1]
    within = compare(rows)["pairs"][0]["within"]
    assert within["estimate"] == pytest.approx(r)
    assert within["df"] == 120 - 20 - 1
    assert within["low"] == pytest.approx(np.tanh(np.arctanh(r) - 1.959963985 / np.sqrt(98)))


def test_between_is_the_correlation_of_participants_means():
    rows = noisy()
    means = np.array([row[3:] for row in rows], dtype=float).reshape(20, 6, 2).mean(axis=1).T
    pair = compare(rows)["pairs"][0]
    expected = stats.pearsonr(*means)
    limits = expected.confidence_interval()
    got = [pair["between"][key] for key in ("estimate", "p", "low", "high")]
    assert got == pytest.approx([expected.statistic, expected.pvalue, limits.low, limits.high])
    ranked = stats.spearmanr(*np.round(means, 10))
    assert [pair["between_spearman"][key] for key in ("estimate", "p")] == pytest.approx([*ranked])


def test_within_and_between_can_point_in_opposite_ways():
    rows = [(f"p{p}", f"i{i}", "a", 10 * p + i, 10 * p - i + (p + i) % 2) for p in range(8) for i in range(4)]
    pair = compare(rows)["pairs"][0]
    assert pair["within"]["estimate"] < 0 < pair["between"]["estimate"]
    assert pair["pooled_rows"]["pearson"] > 0.9


def test_resampled_intervals_hold_the_estimate_and_seeds_repeat():
    one, again, other = (compare(noisy(), seed, 300) for seed in (1, 1, 2))
    assert one == again
    for kind in ("within", "between"):
        of = one["pairs"][0][kind]
        assert of["low_participants"] < of["estimate"] < of["high_participants"]
        assert of["low_participants"] != other["pairs"][0][kind]["low_participants"]
    for name in COEFFICIENTS:
        of = one["internal_consistency"][name]
        assert of["low_participants"] < of["estimate"] < of["high_participants"]


def test_the_resampled_error_agrees_with_fishers_where_rows_are_independent():
    within = compare(noisy(200, 5), draws=400)["pairs"][0]["within"]
    fisher = (within["high"] - within["low"]) / 2 / 1.96
    assert within["se_participants"] == pytest.approx(fisher, rel=0.25)


def test_criteria_that_go_together_too_closely_are_warned_of():
    close, loose = (compare(noisy(shared=shared))["pairs"][0] for shared in (4.0, 0.3))
    assert close["within"]["estimate"] > 0.8
    assert "can hardly tell" in close["halo_warning"]
    assert "halo_warning" not in loose


def test_spearman_brown_of_two_criteria():
    scale = compare(noisy())["internal_consistency"]
    assert scale["headline"] == "spearman_brown"
    for kind in ("rows", "means"):
        r = scale[f"spearman_brown_{kind}"]["r"]
        assert scale[f"spearman_brown_{kind}"]["estimate"] == pytest.approx(2 * r / (1 + r))
    means = scale["spearman_brown_means"]
    assert means["low"] < means["estimate"] < means["high"]


def test_cronbach_and_feldt_of_three_criteria():
    rows = noisy(criteria=3)
    values = np.array([row[3:] for row in rows], dtype=float)
    alpha = 3 / 2 * (1 - values.var(axis=0, ddof=1).sum() / values.sum(axis=1).var(ddof=1))
    scale = compare(rows)["internal_consistency"]
    found = scale["cronbach_alpha_rows"]
    assert scale["headline"] == "cronbach_alpha"
    assert found["estimate"] == pytest.approx(alpha)
    limits = 1 - (1 - alpha) * stats.f.ppf([0.975, 0.025], 119, 238)
    assert [found["feldt_low"], found["feldt_high"]] == pytest.approx(limits)
    assert "exactly two" in scale["spearman_brown_rows"]["not_estimable"]


def test_only_cells_rated_under_both_criteria_are_joined():
    rows = [*noisy(), ("p00", "extra", "a", 3, None), ("p01", "extra", "a", None, 3), ("q", "extra", "a", 9, None)]
    one, other = compare(noisy())["pairs"][0], compare(rows)["pairs"][0]
    assert (other["n_rows"], other["n_participants"]) == (120, 20)
    assert one["within"] == other["within"]
    assert one["between"] == pytest.approx(other["between"])


def test_criteria_without_a_common_reply():
    found = compare([("p", "i", "a", 1, None), ("q", "j", "a", None, 2)])
    assert "no reply was rated" in found["pairs"][0]["within"]["not_estimable"]
    assert "not_estimable" in found["internal_consistency"]["cronbach_alpha_rows"]


def test_one_rating_of_each_participant_shows_nothing_within():
    found = compare([(f"p{p:02d}", "i", "a", p % 5, (p * 3) % 7) for p in range(12)])["pairs"][0]
    assert "not_estimable" in found["within"]
    assert "estimate" in found["between"]


def test_a_single_criterion_and_none():
    assert compare([("p", "i", "a", 1)])["pairs"] == []
    assert between_criteria({}, 1)["pairs"] == []
    assert "no criterion" in between_criteria({}, 1)["internal_consistency"]["cronbach_alpha_rows"]["not_estimable"]


def test_criteria_on_one_line_have_no_interval_of_no_width():
    pair = compare([(*row[:3], row[3], 2 * row[3]) for row in noisy()])["pairs"][0]
    assert pair["within"]["estimate"] == pytest.approx(1)
    assert "not_estimable" in pair["within"]["low"]
    assert "not_estimable" in pair["within"]["low_participants"]


tiny = st.lists(
    st.tuples(
        st.sampled_from("pqr"),
        st.sampled_from("ij"),
        st.sampled_from("ab"),
        *[st.one_of(st.none(), st.integers(1, 3))] * 3,
    ),
    min_size=1,
    max_size=14,
)


@given(tiny)
def test_every_tiny_design_gives_plain_json_and_sentences(rows):
    found = compare(rows)
    json.dumps(found, allow_nan=False)
    for pair in found["pairs"]:
        for kind in KINDS:
            assert how_pair(found, pair, kind).endswith(".")
    for name in COEFFICIENTS:
        assert how_internal_consistency(found, name).endswith(".")


@given(tiny, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows, rng):
    assert compare(rows) == compare(rng.sample(rows, len(rows)))


def test_a_shifted_scale_changes_nothing():
    one, other = (compare([(*row[:3], row[3] + by, row[4]) for row in noisy()])["pairs"][0] for by in (0, 90))
    for kind in KINDS:
        assert one[kind] == pytest.approx(other[kind])


def test_tables_of_different_studies_are_not_joined():
    one, other = (tables_from_columns([p], ["i"], ["a"], ["c"], [1])["c"] for p in "pq")
    with pytest.raises(ValueError, match="labels"):
        between_criteria({"x": one, "y": other}, 1)


def test_the_sentences_have_what_one_needs_to_redo_them():
    found = compare(noisy(), draws=200)
    said = how_pair(found, found["pairs"][0], "within")
    for part in ("120 replies", "20 participants", "120 - 20 - 1 = 99", "seed 1", "200 times"):
        assert part in said
    assert "F(119, 119)" in how_internal_consistency(found, "cronbach_alpha_rows")
    assert "2 r / (1 + r)" in how_internal_consistency(found, "spearman_brown_means")
