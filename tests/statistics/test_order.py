import numpy as np
import pytest

from reports.statistics.intervals import estimable
from reports.statistics.order import balance, order_effects
from reports.statistics.table import Table


def table(rows):
    """Rows of participant, position, arm, rating."""
    participant, position, arm, rating = zip(*rows, strict=True)
    return Table.from_columns(participant, map(str, position), arm, rating)


def work(rating, people=30, positions=6, noise=0.5):
    """Arms alternate along the way; `rating(position, arm)` plus each person's own level and a little noise."""
    rng = np.random.default_rng(5)
    return table(
        (f"p{person}", position, arm, rating(position, arm) + person % 3 + rng.normal(0, noise))
        for person in range(people)
        for position in range(1, positions + 1)
        for arm in ["ab"[(position + person) % 2]]
    )


def test_a_drift_is_found_within_its_interval():
    drift = order_effects(work(lambda position, arm: 5 + 0.3 * position))["drift"]

    assert drift["low"] < 0.3 < drift["high"]
    assert drift["p"] < 0.01


def test_ratings_that_do_not_drift_show_none():
    drift = order_effects(work(lambda position, arm: 5))["drift"]

    assert drift["low"] < 0 < drift["high"]


def test_arms_that_drift_apart_are_found():
    (apart,) = order_effects(work(lambda position, arm: 5 + 0.4 * position * (arm == "b")))["drift_apart"]

    assert (apart["a"], apart["b"]) == ("a", "b")
    assert apart["low"] < 0.4 < apart["high"]
    assert apart["p"] < 0.01


def test_who_stays_longest_does_not_pass_for_a_drift():
    """Stern people leave early: the mean rises with the position, and nobody's ratings drift."""
    rows = [
        (f"p{n}", position, "a", 3 if n < 10 else 8) for n in range(20) for position in range(1, 3 if n < 10 else 9)
    ]

    assert not estimable(order_effects(table(rows))["drift"])  # a slope of exactly nothing, without any spread


def test_the_slope_of_one_participant_is_no_evidence():
    assert not estimable(order_effects(table([("p1", n, "a", n) for n in range(1, 5)]))["drift"])


def test_the_slope_is_the_least_squares_slope_within_participants():
    rng = np.random.default_rng(1)
    rows = [(f"p{p}", n, "a", float(rng.integers(1, 11))) for p in range(5) for n in range(1, 8)]
    y = np.array([row[3] for row in rows]).reshape(5, 7)
    x = np.arange(1, 8) - 4.0

    slope = float((x * (y - y.mean(axis=1, keepdims=True))).sum() / (5 * (x**2).sum()))

    assert order_effects(table(rows))["drift"]["estimate"] == pytest.approx(slope, rel=1e-12)


def test_the_balance_is_counted_in_the_order_of_the_positions():
    rows = [("p1", 10, "a", 3), ("p1", 2, "b", 4), ("p2", 2, "a", 5)]

    assert balance(table(rows)) == {"2": {"a": 1, "b": 1}, "10": {"a": 1, "b": 0}}
