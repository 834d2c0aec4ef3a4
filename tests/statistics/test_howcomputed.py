"""A reader with a calculator: each sentence alone gives the interval back."""

import random
import re
from math import sqrt

import pytest
from scipy.stats import t

from reports.statistics.analysis import Analysis
from reports.statistics.howcomputed import how_computed, how_design_effect, read_contrast, read_mean
from reports.statistics.summary import summarise
from reports.statistics.table import Table

NUMBER = r"(-?[0-9.]+(?:e[-+][0-9]+)?)"


def study(people_apart=False, items=9, seed=2):
    rng = random.Random(seed)
    rows = [
        (f"{p}{arm if people_apart else ''}", f"i{i}", arm, rng.randint(1, 9) + (arm == "b"))
        for p in range(11)
        for i in range(items)
        for arm in "ab"
    ]
    return summarise({"c": Table.from_columns(*zip(*rows, strict=True))}, Analysis((1, 10)))["criteria"]["c"]


def numbers(pattern, sentence):
    return [float(found) for found in re.search(pattern, sentence).groups()]


PAIRED, BETWEEN = study(), study(people_apart=True)
INTERVALS = [
    *((PAIRED["arms"]["a"], name) for name in ("naive_t", "participant_cr1", "two_way")),
    *((PAIRED["contrasts"][0], name) for name in ("paired", "participant_cr1", "two_way")),
    *((BETWEEN["contrasts"][0], name) for name in ("welch", "participant_cr1", "two_way")),
]


@pytest.mark.parametrize(("of", "name"), INTERVALS)
def test_the_interval_can_be_redone_from_its_sentence(of, name):
    sentence = how_computed(of, name)
    interval = of["intervals"][name]
    estimate, level, df, quantile, se, low, high = numbers(
        rf"{NUMBER} ± t\({NUMBER}; df = {NUMBER}\) = {NUMBER} × SE {NUMBER}, that is {NUMBER} to {NUMBER}", sentence
    )

    assert quantile == pytest.approx(t.ppf(level, df), rel=1e-6)
    assert [estimate - quantile * se, estimate + quantile * se] == pytest.approx([low, high], rel=1e-6, abs=1e-6)
    assert [low, high] == pytest.approx([interval["low"], interval["high"]], rel=1e-6)


def test_the_naive_standard_error_can_be_redone():
    arm = PAIRED["arms"]["a"]
    sd, n = numbers(rf"sd / √n = {NUMBER} / √{NUMBER} ", how_computed(arm, "naive_t"))

    assert sd / sqrt(n) == pytest.approx(arm["intervals"]["naive_t"]["se"], rel=1e-6)
    assert n == 99


@pytest.mark.parametrize("of", [PAIRED["arms"]["a"], PAIRED["contrasts"][0], BETWEEN["contrasts"][0]])
def test_the_two_way_standard_error_can_be_redone(of):
    sentence = how_computed(of, "two_way")
    interval = of["intervals"]["two_way"]
    people, items, pairs = numbers(
        rf"{NUMBER} \(by participants\) \+ {NUMBER} \(by items\) - {NUMBER} \(by participant and item\)", sentence
    )
    redone = max(people, items) if interval["floored"] else people + items - pairs

    assert sqrt(redone) == pytest.approx(interval["se"], rel=1e-5)
    participants, n_items = numbers(r"min\((\d+) participants, (\d+) items\) - 1", sentence)
    assert min(participants, n_items) - 1 == interval["df"]


def test_a_floored_variance_is_explained():
    grid = [[1, 10, 5], [10, 4, 1], [4, 1, 10]]
    rows = [(f"p{p}", f"i{i}", "a", value) for p, row in enumerate(grid) for i, value in enumerate(row)]
    arm = summarise({"c": Table.from_columns(*zip(*rows, strict=True))}, Analysis((1, 10)))["criteria"]["c"]["arms"][
        "a"
    ]

    assert "is not positive, so the larger one-way variance" in how_computed(arm, "two_way")


def test_the_paired_standard_error_can_be_redone():
    contrast = PAIRED["contrasts"][0]
    sd, n = numbers(rf"sd / √n = {NUMBER} / √{NUMBER} ", how_computed(contrast, "paired"))

    assert sd / sqrt(n) == pytest.approx(contrast["intervals"]["paired"]["se"], rel=1e-6)


def test_the_design_effect_can_be_redone():
    arm = PAIRED["arms"]["a"]
    clustered, naive, effect = numbers(rf"\({NUMBER} / {NUMBER}\)² = {NUMBER}:", how_design_effect(arm))

    assert (clustered / naive) ** 2 == pytest.approx(effect, rel=1e-6)


def test_what_is_not_estimable_says_why():
    assert how_computed(PAIRED["contrasts"][0], "welch").startswith("Not estimable: the same participants")


class TestReadings:
    def test_a_mean(self):
        sentence = read_mean(
            "linden",
            {
                "mean": 8.511,
                "headline": "two_way",
                "intervals": {"two_way": {"low": 8.047, "high": 8.976}},
            },
        )

        assert sentence == (
            "linden was rated 8.51 on average; for people and items like these the mean plausibly lies "
            "between 8.05 and 8.98."
        )

    @pytest.mark.parametrize(
        ("low", "high", "verdict"),
        [
            (0.1, 0.3, "so rowan is rated higher."),
            (-0.3, -0.1, "so linden is rated higher."),
            (-0.1, 0.3, "so these ratings do not show which of the two is rated higher."),
        ],
    )
    def test_a_contrast_claims_a_winner_only_when_zero_is_outside(self, low, high, verdict):
        sentence = read_contrast(
            {
                "a": "linden",
                "b": "rowan",
                "difference": (low + high) / 2,
                "headline": "participant_cr1",
                "intervals": {"participant_cr1": {"low": low, "high": high}},
            }
        )

        assert sentence.endswith(verdict)
        assert "these very items" in sentence

    def test_a_bound_just_beside_zero_is_not_rounded_onto_it(self):
        sentence = read_contrast(
            {
                "a": "linden",
                "b": "rowan",
                "difference": 0.2,
                "headline": "two_way",
                "intervals": {"two_way": {"low": 0.0012, "high": 0.4}},
            }
        )

        assert "between 0.001 and 0.40" in sentence

    def test_few_participants_are_not_given_an_interval_to_read(self):
        interval = {"low": 1.0, "high": 2.0, "warning": "only 4 participants"}
        arm = {"mean": 1.5, "headline": "two_way", "intervals": {"two_way": interval}}

        assert read_mean("linden", arm) == "linden was rated 1.50 on average; only 4 participants."

    def test_what_does_not_exist_is_said(self):
        nothing = {"not_estimable": "there are no ratings"}

        assert read_mean("linden", {"mean": nothing}) == "linden has no mean: there are no ratings."
        assert "cannot be compared" in read_contrast({"a": "linden", "b": "rowan", "difference": nothing})
