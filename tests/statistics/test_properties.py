"""What must hold for every study: nothing depends on names or order, and each shift and swap does what it should."""

import json
from fractions import Fraction
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    return summarise(tables_from_columns(*zip(*rows, strict=True)), scale)


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

    assert_same(report(rows), report(renamed))


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


@given(st.lists(st.tuples(st.sampled_from(PEOPLE), st.sampled_from(ITEMS), st.integers(1, 10)), max_size=30))
@settings(max_examples=200)
def test_clustered_variances_equal_a_slow_exact_computation(ratings):
    ratings = [("p1", "i1", 5), ("p2", "i2", 6), *ratings]
    n = len(ratings)
    mean = Fraction(sum(row[2] for row in ratings), n)

    def variance(key):
        sums = {}
        for row in ratings:
            sums[key(row)] = sums.get(key(row), 0) + (row[2] - mean) / n
        return sum(s * s for s in sums.values()) * Fraction(len(sums), len(sums) - 1)

    people, items, pairs = variance(lambda r: r[0]), variance(lambda r: r[1]), variance(lambda r: r[:2])
    two_way = people + items - pairs
    rows = [(person, item, "a", "x", value) for person, item, value in ratings]
    intervals = report(rows)["criteria"]["x"]["arms"]["a"]["intervals"]

    if people:
        assert intervals["participant_cr1"]["se"] == pytest.approx(sqrt(people), rel=1e-12)
    else:
        assert "not_estimable" in intervals["participant_cr1"]
    if two_way > 0 or max(people, items):
        assert intervals["two_way"]["floored"] == (two_way <= 0)
        expected = two_way if two_way > 0 else max(people, items)
        assert intervals["two_way"]["se"] == pytest.approx(sqrt(expected), rel=1e-6)
    else:
        assert "not_estimable" in intervals["two_way"]


@given(st.lists(st.integers(1, 10), min_size=1, max_size=60), st.sampled_from([0.25, 0.5, 0.75]))
def test_quantiles_from_counts_equal_those_of_the_ratings(ratings, share):
    table = Table.from_columns(range(len(ratings)), ratings, ["a"] * len(ratings), ratings)

    assert quantile(table.levels, table.counts[0], share) == pytest.approx(np.quantile(ratings, share))
    assert sum(describe_arm(table, "a", (1, 10))["counts"].values()) == len(ratings)
