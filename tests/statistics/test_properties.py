"""What must hold for every study: nothing depends on names or order, and each shift and swap does what it should."""

import json
from fractions import Fraction
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.statistics.analysis import Analysis
from reports.statistics.clustered import pooled_mean
from reports.statistics.estimation import describe_arm, quantile
from reports.statistics.summary import summarise
from reports.statistics.table import Table, tables_from_columns

PEOPLE, ITEMS, ARMS, CRITERIA = ("p1", "p2", "p3", "p4"), ("i1", "i2", "i3"), ("a", "b"), ("x", "y")
rows = st.lists(
    st.tuples(
        st.sampled_from(PEOPLE),
        st.sampled_from(ITEMS),
        st.sampled_from(ARMS),
        st.sampled_from(CRITERIA),
        st.one_of(st.none(), st.integers(1, 10)),
    ),
    min_size=1,
    max_size=40,
)


def report(rows, scale=(1, 10)):
    return summarise(tables_from_columns(*zip(*rows, strict=True)), Analysis(scale))


def numbers(value, path=()):
    """All numbers of a report by their path, and a mark where there is none."""
    if isinstance(value, dict):
        if "not_estimable" in value:
            return {path: "not estimable"}
        return {k: v for key, inner in value.items() for k, v in numbers(inner, (*path, key)).items()}
    if isinstance(value, list):
        return {k: v for place, inner in enumerate(value) for k, v in numbers(inner, (*path, place)).items()}
    return {path: value} if isinstance(value, int | float) else {}


def assert_same(one, other):
    one, other = numbers(one["criteria"]), numbers(other["criteria"])
    assert one.keys() == other.keys()
    for path, value in one.items():
        assert other[path] == (value if isinstance(value, str) else pytest.approx(value, rel=1e-9, abs=1e-9)), path


@given(rows)
def test_every_report_is_plain_json_and_its_intervals_hold_their_estimates(rows):
    it = report(rows)
    json.dumps(it, allow_nan=False)
    for path, low in numbers(it["criteria"]).items():
        if path[-1] == "low":
            found = numbers(it["criteria"])
            assert low < found[(*path[:-1], "estimate")] < found[(*path[:-1], "high")]


@given(rows, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows, rng):
    shuffled = rng.sample(rows, len(rows))

    assert report(rows) == report(shuffled)


@given(rows, st.permutations(PEOPLE), st.permutations(ITEMS))
def test_names_do_not_matter(rows, people, items):
    renamed = [(people[PEOPLE.index(p)], items[ITEMS.index(i)], arm, c, value) for p, i, arm, c, value in rows]
    one, other = report(rows), report(renamed)

    # Items are told in the order of their names.
    for criterion, of in one["criteria"].items():
        told = {items[ITEMS.index(row["item"])]: row["arms"] for row in of.pop("by_item")}
        found = {row["item"]: row["arms"] for row in other["criteria"][criterion].pop("by_item")}
        assert_same({"criteria": told}, {"criteria": found})
    assert_same(one, other)


@given(rows, st.integers(-20, 1000))
def test_a_shifted_scale_shifts_means_and_nothing_else(rows, shift):
    shifted = [(*row[:4], None if row[4] is None else row[4] + shift) for row in rows]
    one, other = report(rows), report(shifted, (1 + shift, 10 + shift))

    for criterion in one["criteria"]:
        for name, arm in one["criteria"][criterion]["arms"].items():
            moved = other["criteria"][criterion]["arms"][name]
            assert list(arm["counts"].values()) == list(moved["counts"].values())
            if arm["n_ratings"]:
                assert moved["mean"] == pytest.approx(arm["mean"] + shift)
                assert moved["median"] == pytest.approx(arm["median"] + shift)
            for key in ("sd", "design_effect", "effective_n", "share_at_max"):
                assert_same({"criteria": moved[key]}, {"criteria": arm[key]})
            for key, interval in arm["intervals"].items():
                assert moved["intervals"][key].get("se", -1) == pytest.approx(interval.get("se", -1), rel=1e-6)
        for contrast, moved in zip(
            one["criteria"][criterion]["contrasts"], other["criteria"][criterion]["contrasts"], strict=True
        ):
            assert_same({"criteria": contrast}, {"criteria": moved})


@given(rows)
def test_swapping_the_arms_turns_the_difference_round(rows):
    swapped = [(p, i, {"a": "b", "b": "a"}[arm], c, value) for p, i, arm, c, value in rows]
    one, other = report(rows)["criteria"], report(swapped)["criteria"]

    for criterion in one:
        for contrast, turned in zip(one[criterion]["contrasts"], other[criterion]["contrasts"], strict=True):
            if isinstance(contrast["difference"], float):
                assert turned["difference"] == pytest.approx(-contrast["difference"], abs=1e-12)
            for name, interval in contrast["intervals"].items():
                assert turned["intervals"][name].get("se", -1) == pytest.approx(interval.get("se", -1))


@given(rows)
def test_doubling_every_rating_doubles_counts_and_leaves_the_clustered_mean(rows):
    one, other = report(rows)["criteria"], report(rows * 2)["criteria"]

    for criterion in one:
        for name, arm in one[criterion]["arms"].items():
            doubled = other[criterion]["arms"][name]
            assert doubled["n_ratings"] == 2 * arm["n_ratings"]
            assert_same({"criteria": doubled["mean"]}, {"criteria": arm["mean"]})
            one_way = [found["intervals"]["participant_cr1"].get("se", -1) for found in (arm, doubled)]
            assert one_way[0] == pytest.approx(one_way[1])


def exact_variances(ratings, weights):
    """Fractions, row by row: by participants, by items, and by their pairs."""
    influences = []
    for arm, weight in weights.items():
        values = [row[3] for row in ratings if row[2] == arm]
        mean = Fraction(sum(values), len(values))
        influences += [(row[0], row[1], weight * (row[3] - mean) / len(values)) for row in ratings if row[2] == arm]

    def variance(key):
        sums = {}
        for row in influences:
            sums[key(row)] = sums.get(key(row), 0) + row[2]
        return sum(s * s for s in sums.values()) * Fraction(len(sums), len(sums) - 1)

    return variance(lambda row: row[0]), variance(lambda row: row[1]), variance(lambda row: row[:2])


# Two participants and two items in each arm at least, so that there is something to estimate.
CORNERS = [("p1", "i1", "a", 5), ("p2", "i2", "a", 6), ("p1", "i1", "b", 7), ("p3", "i2", "b", 4)]


@given(st.lists(st.tuples(*map(st.sampled_from, (PEOPLE, ITEMS, ARMS)), st.integers(1, 10)), max_size=30))
@settings(max_examples=200)
@pytest.mark.parametrize("weights", [{"a": 1}, {"a": -1, "b": 1}])
def test_clustered_variances_equal_a_slow_exact_computation(weights, ratings):
    ratings = [*CORNERS, *ratings]
    people, items, pairs = exact_variances(ratings, weights)
    two_way = people + items - pairs
    pooled = pooled_mean(Table.from_columns(*zip(*ratings, strict=True)), weights)

    one_way_interval, interval = pooled.participant_cr1(), pooled.two_way()
    if people:
        assert one_way_interval["se"] == pytest.approx(sqrt(people), rel=1e-12)
    else:
        assert "not_estimable" in one_way_interval
    if two_way > 0 or max(people, items):
        assert interval["floored"] == (two_way <= 0)
        assert interval["se"] == pytest.approx(sqrt(two_way if two_way > 0 else max(people, items)), rel=1e-9)
    else:
        assert "not_estimable" in interval


@given(st.lists(st.integers(1, 10), min_size=1, max_size=60), st.sampled_from([0.25, 0.5, 0.75]))
def test_quantiles_from_counts_equal_those_of_the_ratings(ratings, share):
    table = Table.from_columns(range(len(ratings)), ratings, ["a"] * len(ratings), ratings)

    assert quantile(table.levels, table.counts[0], share) == pytest.approx(np.quantile(ratings, share))
    assert sum(describe_arm(table, "a", (1, 10))["counts"].values()) == len(ratings)
