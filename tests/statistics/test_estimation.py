"""Arms whose numbers can be worked out by hand or with the standard library."""

import random
from math import sqrt
from statistics import mean, stdev, variance

import pytest
from scipy.stats import t

from reports.statistics.estimation import describe_arm
from reports.statistics.table import Table


def describe(*rows, scale=(1, 10), items_are="random"):
    """`rows` are (participant, item, rating)."""
    people, items, ratings = zip(*rows, strict=True)
    return describe_arm(Table.from_columns(people, items, ["a"] * len(rows), ratings), "a", scale, items_are)


def crossed(grid):
    """A complete table: a list of each participant's ratings of items 0, 1, 2, ..."""
    return [(f"p{p}", f"i{i}", value) for p, row in enumerate(grid) for i, value in enumerate(row)]


SMALL = [[1, 2], [3, 6]]


def test_a_table_of_four_ratings_by_hand():
    arm = describe(*crossed(SMALL))

    assert arm["mean"] == 3
    assert arm["sd"] == pytest.approx(sqrt(14 / 3))
    assert arm["intervals"]["naive_t"]["se"] == pytest.approx(sqrt(14 / 3 / 4))
    # The participants' means are 1.5 and 4.5, the items' 2 and 4.
    assert arm["intervals"]["participant_cr1"]["se"] == pytest.approx(sqrt(4.5 / 2))
    assert arm["intervals"]["two_way"]["se"] == pytest.approx(sqrt(4.5 / 2 + 2 / 2 - 14 / 3 / 4))
    assert arm["intervals"]["two_way"]["df"] == 1
    assert arm["intervals"]["two_way"]["high"] == pytest.approx(3 + 12.706204736 * sqrt(25 / 12))
    assert arm["design_effect"] == pytest.approx(2.25 / (14 / 12))
    assert arm["effective_n"] == pytest.approx(4 / (2.25 / (14 / 12)))


def test_a_complete_table_has_the_closed_form():
    rng = random.Random(7)
    grid = [[rng.randint(1, 10) for _ in range(9)] for _ in range(14)]
    flat = [value for row in grid for value in row]
    by_people = variance(map(mean, grid)) / 14
    by_items = variance(map(mean, zip(*grid, strict=True))) / 9
    interval = describe(*crossed(grid))["intervals"]["two_way"]
    se = sqrt(by_people + by_items - variance(flat) / len(flat))

    assert interval["se"] == pytest.approx(se, rel=1e-12)
    assert interval["low"] == pytest.approx(mean(flat) - t.ppf(0.975, 8) * se, rel=1e-12)


def test_one_rating_a_participant_leaves_nothing_to_cluster():
    rng = random.Random(3)
    ratings = [rng.randint(1, 10) for _ in range(30)]
    arm = describe(*((f"p{k}", f"i{k}", value) for k, value in enumerate(ratings)))

    se = stdev(ratings) / sqrt(30)
    assert [arm["intervals"][name]["se"] for name in arm["intervals"]] == pytest.approx([se] * 3)
    assert arm["design_effect"] == pytest.approx(1)


def test_a_variance_that_is_not_positive_is_floored_and_says_so():
    interval = describe(*crossed([[1, 10, 5], [10, 4, 1], [4, 1, 10]]))["intervals"]["two_way"]
    parts = interval["variance"]
    assert parts["participants"] + parts["items"] - parts["pairs"] < 0

    assert interval["floored"] is True
    assert interval["se"] == pytest.approx(sqrt(max(parts["participants"], parts["items"])))


def test_a_positive_variance_is_kept_even_below_the_one_way_variances():
    interval = describe(*crossed([[1, 2, 9], [2, 1, 9], [1, 3, 8]]))["intervals"]["two_way"]
    parts = interval["variance"]
    assert 0 < interval["se"] ** 2 < max(parts["participants"], parts["items"])

    assert interval["floored"] is False


@pytest.mark.parametrize(
    ("ratings", "quartiles"),
    [
        ([1, 2, 3, 4], (1.75, 2.5, 3.25)),
        ([1, 1, 2, 10, 10], (1, 2, 10)),
        ([5], (5, 5, 5)),
        ([1, 10], (3.25, 5.5, 7.75)),
    ],
)
def test_quartiles_are_of_type_7(ratings, quartiles):
    arm = describe(*((f"p{k}", "i", value) for k, value in enumerate(ratings)))

    assert (arm["q1"], arm["median"], arm["q3"]) == quartiles


def test_every_point_of_the_scale_is_counted():
    arm = describe(("p", "i", 2), ("q", "i", 4), ("q", "j", 4), scale=(1, 4))

    assert arm["counts"] == {"1": 0, "2": 1, "3": 0, "4": 2}
    assert arm["share_at_max"] == pytest.approx(2 / 3)


class TestWhatCannotBeEstimated:
    def reasons(self, arm):
        return {name: interval.get("not_estimable") for name, interval in arm["intervals"].items()}

    def test_one_participant(self):
        arm = describe(("p", "i", 2), ("p", "j", 4))
        reasons = self.reasons(arm)

        assert reasons["naive_t"] is None
        assert "one participant" in reasons["participant_cr1"]
        assert "one participant" in reasons["two_way"]
        assert "one participant" in arm["design_effect"]["not_estimable"]
        assert "one participant" in arm["effective_n"]["not_estimable"]

    def test_one_item(self):
        arm = describe(("p", "i", 2), ("q", "i", 4))
        reasons = self.reasons(arm)

        assert reasons["participant_cr1"] is None
        assert "one item" in reasons["two_way"]
        assert arm["headline"] == "participant_cr1"

    def test_one_rating(self):
        arm = describe(("p", "i", 7))

        assert arm["mean"] == arm["median"] == 7
        assert "one rating" in arm["sd"]["not_estimable"]
        assert all(self.reasons(arm).values())

    def test_equal_ratings(self):
        arm = describe(*crossed([[7, 7, 7]] * 5))

        assert arm["mean"] == 7
        assert arm["sd"] == 0
        assert all("equal" in reason for reason in self.reasons(arm).values())
        assert "equal" in arm["design_effect"]["not_estimable"]

    def test_participants_who_all_have_the_same_mean(self):
        arm = describe(*crossed([[1, 10, 4], [10, 4, 1], [4, 1, 10]]))
        reasons = self.reasons(arm)

        assert reasons["naive_t"] is None
        assert "do not differ" in reasons["participant_cr1"]
        assert "do not differ" in reasons["two_way"]
        assert "do not differ" in arm["design_effect"]["not_estimable"]

    def test_an_empty_arm(self):
        arm = describe(("p", "i", None), ("q", "i", None))

        assert (arm["n_ratings"], arm["n_participants"], arm["missing"]) == (0, 0, 2)
        assert set(self.reasons(arm).values()) == {"there are no ratings"}
        for key in ("mean", "sd", "median", "q1", "q3", "share_at_max", "design_effect", "effective_n"):
            assert arm[key] == {"not_estimable": "there are no ratings"}
        assert set(arm["counts"].values()) == {0}


def test_few_participants_or_items_keep_their_numbers_with_a_warning():
    arm = describe(*crossed([[1, 2, 4], [3, 6, 9], [2, 2, 8]]))

    assert arm["intervals"]["two_way"]["se"] > 0
    assert "3 participants and 3 items" in arm["intervals"]["two_way"]["warning"]
    assert "3 participants" in arm["intervals"]["participant_cr1"]["warning"]


@pytest.mark.parametrize(
    ("n_items", "items_are", "first"),
    [(8, "random", "two_way"), (7, "random", "participant_cr1"), (30, "fixed", "participant_cr1")],
)
def test_items_that_are_fixed_or_few_put_the_participant_interval_first(n_items, items_are, first):
    rng = random.Random(1)
    grid = [[rng.randint(1, 10) for _ in range(n_items)] for _ in range(9)]

    assert describe(*crossed(grid), items_are=items_are)["headline"] == first
