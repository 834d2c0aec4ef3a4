import numpy as np
import pytest
from scipy.stats import t

from reports.statistics.items import by_item
from reports.statistics.table import Table


def test_each_item_is_told_by_arm():
    table = Table.from_columns(
        ["p1", "p2", "p3", "p1"], ["i1", "i1", "i1", "i2"], ["a", "a", "b", "b"], [4, 7, 9, None]
    )

    (item,) = by_item(table)

    assert item["item"] == "i1"
    assert item["arms"]["a"]["mean"] == 5.5
    assert item["arms"]["b"] == {"n_ratings": 1, "n_participants": 1, "mean": 9.0}


def test_the_interval_is_students_over_participants_means():
    given = {"p1": [3, 5], "p2": [8], "p3": [7], "p4": [9]}
    rows = [(who, rating) for who, ratings in given.items() for rating in ratings]
    table = Table.from_columns([who for who, _ in rows], ["i"] * 5, ["a"] * 5, [rating for _, rating in rows])
    means = np.array([4.0, 8, 7, 9])
    half = t.ppf(0.975, 3) * means.std(ddof=1) / 2

    cell = by_item(table)[0]["arms"]["a"]

    assert (cell["interval"]["low"], cell["interval"]["high"]) == pytest.approx(
        (means.mean() - half, means.mean() + half)
    )
    assert cell["mean"] == pytest.approx(32 / 5)


def test_people_who_all_agree_have_no_interval():
    table = Table.from_columns(["p1", "p2"], ["i", "i"], ["a", "a"], [6, 6])

    assert "interval" not in by_item(table)[0]["arms"]["a"]
