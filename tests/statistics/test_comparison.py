import random
from math import gamma, sqrt
from statistics import mean, stdev, variance

import pytest
from scipy.stats import ttest_ind, ttest_rel

from reports.statistics.comparison import compare, compare_arms
from reports.statistics.table import Table


def table(rows, **labels):
    """`rows` are (participant, item, arm, rating)."""
    return Table.from_columns(*zip(*rows, strict=True), **labels)


def within(seed=5, participants=12, items=9):
    """Everyone rates every item in both arms."""
    rng = random.Random(seed)
    return [
        (f"p{p:02}", f"i{i}", arm, rng.randint(1, 9) + shift)
        for p in range(participants)
        for i in range(items)
        for arm, shift in (("a", 0), ("b", rng.randint(0, 1)))
    ]


def between(seed=6, a=10, b=14, items=8):
    rng = random.Random(seed)
    return [
        (f"{arm}{p:02}", f"i{i}", arm, rng.randint(1, 10))
        for arm, participants in (("a", a), ("b", b))
        for p in range(participants)
        for i in range(items)
    ]


def means(rows, arm):
    people = sorted({row[0] for row in rows if row[2] == arm})
    return [mean(row[3] for row in rows if row[0] == person and row[2] == arm) for person in people]


def reason(value):
    return value["not_estimable"]


class TestTheSameParticipants:
    rows = within()
    contrast = compare(table(rows), "a", "b")

    def test_the_design_is_paired(self):
        assert self.contrast["design"] == "paired"
        assert self.contrast["n_participants_both"] == 12

    def test_student_on_differences_of_participants_means(self):
        expected = ttest_rel(means(self.rows, "b"), means(self.rows, "a"))
        low, high = expected.confidence_interval()
        interval, test = self.contrast["intervals"]["paired"], self.contrast["tests"]["paired_t"]

        assert [test["t"], test["df"], test["p"]] == pytest.approx([expected.statistic, 11, expected.pvalue], rel=1e-9)
        assert [interval["low"], interval["high"]] == pytest.approx([low, high], rel=1e-9)

    def test_no_test_for_separate_groups_is_offered(self):
        assert "same participants" in reason(self.contrast["intervals"]["welch"])
        assert "same participants" in reason(self.contrast["tests"]["welch_t"])

    def test_effect_sizes_name_their_denominator(self):
        a, b = means(self.rows, "a"), means(self.rows, "b")
        d = [y - x for x, y in zip(a, b, strict=True)]
        sizes = self.contrast["effect_sizes"]
        j = gamma(11 / 2) / gamma(10 / 2) / sqrt(11 / 2)

        assert sizes["d_z"] == pytest.approx(mean(d) / stdev(d))
        assert sizes["g_z"] == pytest.approx(j * mean(d) / stdev(d))
        assert sizes["d_av"] == pytest.approx(mean(d) / sqrt((variance(a) + variance(b)) / 2))

    def test_superiority_counts_pairs_of_ratings(self):
        a = [row[3] for row in self.rows if row[2] == "a"]
        b = [row[3] for row in self.rows if row[2] == "b"]
        higher = sum(y > x for x in a for y in b) / len(a) / len(b)
        lower = sum(y < x for x in a for y in b) / len(a) / len(b)

        assert self.contrast["effect_sizes"]["cliffs_delta"] == pytest.approx(higher - lower)
        assert self.contrast["effect_sizes"]["prob_superiority"] == pytest.approx(higher + (1 - higher - lower) / 2)

    def test_a_complete_design_is_a_table_of_differences(self):
        """With everything rated twice, the clustered difference is the clustered mean of the differences."""
        cells = {row[:3]: row[3] for row in self.rows}
        d = {key[:2]: cells[(*key[:2], "b")] - cells[(*key[:2], "a")] for key in cells}
        by_people = variance(mean(d[f"p{p:02}", f"i{i}"] for i in range(9)) for p in range(12)) / 12
        by_items = variance(mean(d[f"p{p:02}", f"i{i}"] for p in range(12)) for i in range(9)) / 9
        intervals = self.contrast["intervals"]

        assert intervals["participant_cr1"]["se"] == pytest.approx(sqrt(by_people))
        assert intervals["participant_cr1"]["df"] == 11
        assert intervals["two_way"]["se"] == pytest.approx(
            sqrt(by_people + by_items - variance(d.values()) / len(d)), rel=1e-12
        )
        assert intervals["two_way"]["df"] == 8


class TestDifferentParticipants:
    rows = between()
    contrast = compare(table(rows), "a", "b")

    def test_welch_on_participants_means(self):
        expected = ttest_ind(means(self.rows, "b"), means(self.rows, "a"), equal_var=False)
        low, high = expected.confidence_interval()
        interval, test = self.contrast["intervals"]["welch"], self.contrast["tests"]["welch_t"]

        assert self.contrast["design"] == "between"
        assert [test["t"], test["df"], test["p"]] == pytest.approx(
            [expected.statistic, expected.df, expected.pvalue], rel=1e-9
        )
        assert [interval["low"], interval["high"]] == pytest.approx([low, high], rel=1e-9)

    def test_nothing_paired_is_offered(self):
        for value in (
            self.contrast["intervals"]["paired"],
            self.contrast["tests"]["paired_t"],
            self.contrast["effect_sizes"]["d_z"],
            self.contrast["effect_sizes"]["g_z"],
        ):
            assert "different participants" in reason(value)

    def test_the_standardised_difference_of_groups(self):
        a, b = means(self.rows, "a"), means(self.rows, "b")
        d = (mean(b) - mean(a)) / sqrt((variance(a) + variance(b)) / 2)

        assert self.contrast["effect_sizes"]["d_av"] == pytest.approx(d)
        assert self.contrast["effect_sizes"]["g_av"] == pytest.approx(d * gamma(11) / gamma(10.5) / sqrt(11))

    def test_the_clustered_intervals_still_stand(self):
        assert self.contrast["intervals"]["participant_cr1"]["df"] == 23
        assert self.contrast["intervals"]["two_way"]["df"] == 7


def test_half_of_the_participants_in_both_arms_make_pairs():
    rows = [row for row in within() if row[0] < "p06" or row[2] == "a"]

    assert compare(table(rows), "a", "b")["design"] == "paired"


def test_one_stray_participant_makes_no_pairs_and_no_separate_groups():
    contrast = compare(table([*between(), ("a00", "i0", "b", 5)]), "a", "b")

    assert contrast["design"] == "between"
    assert "rated both arms" in reason(contrast["intervals"]["welch"])
    assert contrast["intervals"]["two_way"]["se"] > 0


def test_every_pair_of_arms_is_compared_bytewise():
    rows = [(f"p{p}", f"i{i}", arm, (p * i + len(arm)) % 9 + 1) for p in range(4) for i in range(4) for arm in "cAb"]

    assert [(c["a"], c["b"]) for c in compare_arms(table(rows))] == [("A", "b"), ("A", "c"), ("b", "c")]


def test_few_participants_keep_their_numbers_with_a_warning():
    paired = compare(table(within(participants=5)), "a", "b")["intervals"]
    separate = compare(table(between(a=3, b=4)), "a", "b")["intervals"]

    assert "5 participants" in paired["paired"]["warning"]
    assert "5 participants" in paired["participant_cr1"]["warning"]
    assert "7 participants" in separate["welch"]["warning"]


class TestWhatCannotBeEstimated:
    def everything(self, contrast):
        return [*contrast["intervals"].values(), *contrast["tests"].values(), *contrast["effect_sizes"].values()]

    def test_an_empty_arm(self):
        contrast = compare(table([("p", "i", "a", 3), ("q", "j", "a", 5)], arms=["b"]), "a", "b")

        assert {reason(value) for value in [contrast["difference"], *self.everything(contrast)]} == {
            "one of the arms has no ratings"
        }

    def test_one_participant(self):
        contrast = compare(table([row for row in within() if row[0] == "p00"]), "a", "b")

        assert isinstance(contrast["difference"], float)
        for name in ("paired", "participant_cr1", "two_way"):
            assert "participant" in reason(contrast["intervals"][name])
        assert "participant" in reason(contrast["effect_sizes"]["d_z"])

    def test_one_participant_in_one_arm(self):
        contrast = compare(table(between(a=1)), "a", "b")

        for name in ("welch", "participant_cr1", "two_way"):
            assert "one participant" in reason(contrast["intervals"][name])

    def test_one_item(self):
        contrast = compare(table([row for row in within() if row[1] == "i0"]), "a", "b")

        assert "one item" in reason(contrast["intervals"]["two_way"])
        assert contrast["intervals"]["participant_cr1"]["se"] > 0

    def test_equal_ratings(self):
        contrast = compare(table([(*row[:3], 7) for row in within()]), "a", "b")

        assert contrast["difference"] == 0
        assert contrast["effect_sizes"]["prob_superiority"] == 0.5
        assert contrast["effect_sizes"]["cliffs_delta"] == 0
        for value in (*contrast["intervals"].values(), contrast["effect_sizes"]["d_z"]):
            assert reason(value)

    def test_the_same_difference_for_everyone(self):
        rows = [
            (f"p{p}", f"i{i}", arm, p + shift)
            for p in range(9)
            for i in range(9)
            for arm, shift in (("a", 0), ("b", 1))
        ]
        contrast = compare(table(rows), "a", "b")

        assert contrast["difference"] == pytest.approx(1)
        for name in ("paired", "participant_cr1", "two_way"):
            assert "do not differ" in reason(contrast["intervals"][name])
        assert "do not differ" in reason(contrast["tests"]["paired_t"])
        assert contrast["effect_sizes"]["d_av"] > 0

    def test_two_participants_have_no_unbiased_effect_size(self):
        contrast = compare(table(within(participants=2)), "a", "b")

        assert isinstance(contrast["effect_sizes"]["d_z"], float)
        assert "more participants" in reason(contrast["effect_sizes"]["g_z"])
