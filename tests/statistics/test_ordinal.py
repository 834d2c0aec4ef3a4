"""Shares at the top, the ceiling, and the cumulative logit."""

import json
import random
from math import exp, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from reports.statistics.clustered import pooled_mean
from reports.statistics.ordinal import (
    ceiling,
    cumulative_logit,
    how_cumulative_logit,
    how_top_box,
    mode,
    top_2_box,
    top_box,
)
from reports.statistics.table import Table

from .test_reference import STUDIES, cases, near, study

SCALE = (1, 10)


def table(rows, arms=()):
    return Table.from_columns(*zip(*rows, strict=True), arms=arms)


def ratings(people=20, items=6, arms="ab", seed=1, steps=(0.0, 0.8, 1.6), points=10):
    rng = random.Random(seed)
    return [
        (f"p{p:02}", f"i{i}", arm, min(max(round(rng.gauss(0.6 * points + steps[k], 0.2 * points)), 1), points))
        for p in range(people)
        for i in range(items)
        for k, arm in enumerate(arms)
    ]


def clm_cases():
    return [
        pytest.param(name, criterion, b, id=f"{name}-{criterion}-{b}")
        for name in STUDIES
        if cases("summary")
        for criterion, models in (study(name)[1].get("ordinal") or {}).items()
        if models and models.get("clm")
        for b in study(name)[0][criterion].arms[1:]
    ]


class TestCumulativeLogit:
    @pytest.mark.parametrize(("name", "criterion", "b"), clm_cases())
    def test_the_reference_coefficients(self, name, criterion, b):
        tables, reference = study(name)
        expected = reference["ordinal"][criterion]["clm"]
        result = cumulative_logit(tables[criterion], tables[criterion].arms[0], b)

        assert result["estimate"] == pytest.approx(expected["coef"][f"arm{b}"], rel=1e-6)
        assert result["naive_se"] == pytest.approx(expected["se"][f"arm{b}"], rel=1e-6)
        assert result["thresholds"] == pytest.approx(
            {key: value for key, value in expected["coef"].items() if "|" in key}, rel=1e-6
        )

    def test_two_points_are_the_odds_ratio_of_a_fourfold_table(self):
        """By hand: a has 6 low and 4 high, b 3 low and 7 high, each rating from another participant."""
        rows = [(f"{arm}{k}", "i", arm, 2 if k < high else 1) for arm, high in (("a", 4), ("b", 7)) for k in range(10)]
        result = cumulative_logit(table(rows), "a", "b")

        assert result["odds_ratio"]["estimate"] == pytest.approx((7 / 3) / (4 / 6))
        assert result["naive_se"] == pytest.approx(sqrt(1 / 6 + 1 / 4 + 1 / 3 + 1 / 7))
        # With one rating each the sandwich is the same but for G / (G - 1).
        assert result["se"] == pytest.approx(result["naive_se"] * sqrt(20 / 19))

    def test_a_general_optimiser_finds_nothing_better(self):
        of = table(ratings(points=5))
        n, arms = of.counts, range(2)

        def loss(at):
            edges = [np.concatenate([[-np.inf], np.sort(at[:-1]), [np.inf]]) - at[-1] * arm for arm in arms]
            return -sum((n[arm] * np.log(np.maximum(np.diff(expit(edges[arm])), 1e-300))).sum() for arm in arms)

        result = cumulative_logit(of, "a", "b")
        at = np.array([*result["thresholds"].values(), result["estimate"]])
        assert loss(at) <= minimize(loss, at + 0.1, method="BFGS").fun + 1e-6

    def test_the_sandwich_as_the_jackknife_nearly(self):
        """Leaving out one participant at a time tells the same variance, by an entirely different way."""
        rows = ratings(people=60)
        people = sorted({row[0] for row in rows})
        left = [cumulative_logit(table([r for r in rows if r[0] != p]), "a", "b")["estimate"] for p in people]
        jackknife = sqrt(59 / 60 * sum((value - np.mean(left)) ** 2 for value in left))

        assert cumulative_logit(table(rows), "a", "b")["se"] == pytest.approx(jackknife, rel=0.05)

    def test_copies_of_ratings_leave_the_clustered_error_and_shrink_the_naive_one(self):
        rows = ratings()
        one, other = (cumulative_logit(table(of), "a", "b") for of in (rows, rows * 4))

        assert [other[key] for key in ("estimate", "se", "df")] == pytest.approx(
            [one[k] for k in ("estimate", "se", "df")]
        )
        assert other["naive_se"] == pytest.approx(one["naive_se"] / 2)

    def test_turned_round_it_says_the_opposite(self):
        of = table(ratings(arms="abc"))
        one, other = cumulative_logit(of, "b", "c"), cumulative_logit(of, "c", "b")

        assert [other["estimate"], other["se"], other["p"]] == pytest.approx([-one["estimate"], one["se"], one["p"]])
        assert one["low"] == pytest.approx(-other["high"])
        assert one["odds_ratio"]["high"] == pytest.approx(exp(one["high"]))

    def test_differences_of_three_arms_add_up(self):
        of = table(ratings(arms="abc"))
        ab, bc, ac = (cumulative_logit(of, *pair)["estimate"] for pair in ("ab", "bc", "ac"))

        assert ac == pytest.approx(ab + bc)

    def test_an_arm_at_the_very_top_does_not_spoil_the_others(self):
        rows = ratings()
        with_top = [*rows, *((p, i, "c", 10) for p, i, arm, _ in rows if arm == "a")]
        one, other = (cumulative_logit(table(of), "a", "b") for of in (rows, with_top))

        assert other["estimate"] == pytest.approx(one["estimate"])
        assert other["arms"] == ["a", "b"]
        assert cumulative_logit(table(with_top), "a", "c")["not_estimable"].startswith("no rating of one arm is above")

    def test_an_arm_in_the_middle_of_the_scale_is_not_separate(self):
        rows = [(p, i, arm, 5 if arm == "a" else value) for p, i, arm, value in ratings()]

        assert "estimate" in cumulative_logit(table(rows), "a", "b")

    @pytest.mark.parametrize(
        ("rows", "reason"),
        [
            ([("p", "i", "a", 3), ("q", "i", "a", 4)], "one of the arms has no ratings"),
            ([(p, "i", arm, 3) for p in "pq" for arm in "ab"], "all ratings are equal"),
            ([("p", "i", "a", 3), ("p", "j", "a", 5), ("p", "i", "b", 4), ("q", "i", "b", 2)], "one participant alone"),
            ([(p, "i", arm, 3 + (arm == "b")) for p in "pq" for arm in "ab"], "no rating of one arm is above any"),
            (
                [("p", "i", "a", 1), ("q", "i", "a", 2), ("p", "i", "b", 2), ("q", "i", "b", 3)],
                "no rating of one arm is above any",
            ),
        ],
    )
    def test_what_cannot_be_estimated(self, rows, reason):
        assert cumulative_logit(table(rows, "ab"), "a", "b")["not_estimable"].startswith(reason)

    @given(
        st.lists(
            st.tuples(st.sampled_from("pqr"), st.just("i"), st.sampled_from("abc"), st.integers(1, 4)),
            min_size=1,
            max_size=20,
        )
    )
    def test_every_small_study_has_an_answer(self, rows):
        of = table(rows, "abc")
        for pair in ("ab", "bc", "ac"):
            result = cumulative_logit(of, *pair)
            json.dumps(result, allow_nan=False)
            assert "estimate" in result or "converge" not in result["not_estimable"]

    def test_how(self):
        result = cumulative_logit(table(ratings()), "a", "b")
        assert "240 ratings of 2 arms" in how_cumulative_logit(result)
        assert f"odds ratio {exp(result['estimate']):.8g}" in how_cumulative_logit(result)
        assert how_cumulative_logit({"not_estimable": "why"}) == "Not estimable: why."


class TestTopBox:
    @given(st.lists(st.tuples(st.sampled_from("pqrs"), st.just("i"), st.just("a"), st.integers(7, 10)), min_size=1))
    def test_an_interval_holds_its_share_and_stays_between_0_and_1(self, rows):
        for found in (top_box(table(rows), "a", SCALE), top_2_box(table(rows), "a", SCALE)):
            json.dumps(found, allow_nan=False)
            if "not_estimable" not in found:
                assert 0 <= found["low"] <= found["estimate"] <= found["high"] <= 1
                assert found["low"] < found["high"]
                assert found["effective_n"] <= found["n_ratings"]

    def test_the_design_effect_is_that_of_the_indicator(self):
        rows = ratings(seed=4)
        zero_one = [(p, i, arm, int(value >= 9)) for p, i, arm, value in rows]
        found = top_2_box(table(rows), "a", SCALE)
        share, n = found["estimate"], found["n_ratings"]
        clustered = pooled_mean(table(zero_one), {"a": 1}).participant_cr1()

        assert share == pytest.approx(clustered["estimate"])
        assert found["design_effect"] == pytest.approx(clustered["se"] ** 2 / (share * (1 - share) / (n - 1)))

    def test_wilson_for_as_many_ratings_as_they_weigh(self):
        """Two participants of four say 10 to everything: 16 ratings weigh as much as a few."""
        rows = [(f"p{p}", f"i{i}", "a", 10 if p < 2 else 5) for p in range(4) for i in range(4)]
        found = top_box(table(rows), "a", SCALE)

        assert found["design_effect"] == pytest.approx((1 / 4 / 4 * 4 / 3) / (1 / 4 / 15))
        n = 16 / 5 * (2.131449546 / 3.182446305) ** 2
        assert found["effective_n"] == pytest.approx(n)
        z = 1.959963985
        half = z * sqrt(1 / 4 / n + z**2 / 4 / n**2) / (1 + z**2 / n)
        assert [found["low"], found["high"]] == pytest.approx([0.5 - half, 0.5 + half])

    def test_where_all_agree_each_participant_counts_once(self):
        rows = [(f"p{p}", f"i{i}", "a", 10) for p in range(10) for i in range(20)]
        found = top_box(table(rows), "a", SCALE)

        assert (found["effective_n"], found["high"]) == (10, 1)
        assert found["low"] == pytest.approx(10 / (10 + 1.959963985**2))
        assert "each participant counts once" in how_top_box(found)

    @pytest.mark.parametrize(
        ("rows", "reason"),
        [
            ([("p", "i", "b", 3)], "there are no ratings"),
            ([("p", "i", "a", 10)], "one participant alone does not show how participants differ"),
        ],
    )
    def test_what_cannot_be_estimated(self, rows, reason):
        assert top_box(table(rows, "ab"), "a", SCALE) == {"not_estimable": reason}

    def test_how(self):
        found = top_box(table(ratings(steps=(2, 2))), "a", SCALE)
        assert f"design effect {found['design_effect']:.8g} by 20 participants, df = 19" in how_top_box(found)
        assert how_top_box({"not_estimable": "why"}) == "Not estimable: why."


class TestCeiling:
    @pytest.mark.parametrize(("name", "criterion", "place"), cases("summary"))
    def test_the_reference_values(self, name, criterion, place):
        tables, reference = study(name)
        found = ceiling(tables[criterion], place, reference["scale"])
        expected = reference["summary"][criterion][place]

        assert [found["share_at_max"], found["skewness"]] == near([expected["share_at_max"], expected["skewness_g1"]])

    @pytest.mark.parametrize(("tops", "is_ceiling"), [(1, False), (2, True)])
    def test_it_is_one_above_a_quarter(self, tops, is_ceiling):
        rows = [("p", f"i{k}", "a", 10 if k < tops else k) for k in range(4)]
        assert ceiling(table(rows), "a", SCALE)["is_ceiling"] is is_ceiling

    def test_equal_ratings_have_no_skewness(self):
        found = ceiling(table([("p", "i", "a", 10)]), "a", SCALE)
        assert (found["share_at_max"], found["is_ceiling"]) == (1, True)
        assert "not_estimable" in found["skewness"]

    def test_no_ratings(self):
        assert "not_estimable" in ceiling(table([("p", "i", "b", 3)], "ab"), "a", SCALE)


def test_modes():
    assert mode(table([("p", i, "a", value) for i, value in enumerate([3, 7, 7, 9])]), "a") == [7]
    assert mode(table([("p", i, "a", value) for i, value in enumerate([9, 9, 3, 3, 5])]), "a") == [3, 9]
    assert "not_estimable" in mode(table([("p", "i", "b", 3)], "ab"), "a")


def test_participants_who_rate_both_arms_alike_leave_no_standard_error():
    rows = [(f"p{p}", i, arm, 1 + (p + i) % 4) for p in range(8) for i in range(3) for arm in "ab"]
    assert cumulative_logit(table(rows), "a", "b")["not_estimable"].startswith("the participants do not differ at all")
