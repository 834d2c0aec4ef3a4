import numpy as np
import pytest

from reports.statistics.table import Table, tables_from_codes, tables_from_columns


def table(*rows, **labels):
    return Table.from_columns(*zip(*rows, strict=True), **labels)


def test_it_counts_and_adds_cells():
    it = table(("p", "i", "a", 3), ("p", "i", "a", 4), ("q", "i", "a", 5), ("p", "j", "b", 1))

    assert it.cells.n.tolist() == [2, 1, 1]
    assert it.cells.total.tolist() == [7, 5, 1]
    assert it.n.tolist() == [3, 1]


def test_sums_of_whole_ratings_are_exact_integers():
    it = table(("p", "i", "a", 3.0), ("q", "i", "a", 4.0))

    assert it.cells.total.dtype == np.int64
    assert it.total.tolist() == [7]


def test_a_rating_given_twice_is_data():
    it = table(("p", "i", "a", 3), ("p", "i", "a", 3))

    assert it.n.tolist() == [2]
    assert it.n_participants("a") == it.n_items("a") == 1


def test_missing_ratings_are_counted_by_arm_and_nowhere_else():
    it = table(("p", "i", "a", None), ("q", "i", "a", 4), ("q", "i", "b", float("nan")))

    assert it.missing.tolist() == [1, 1]
    assert it.n.tolist() == [1, 0]
    assert it.n_participants("a") == 1


def test_arms_stand_in_bytewise_order():
    it = table(("p", "i", "b", 1), ("p", "i", "B", 2), ("p", "i", "é", 3), ("p", "i", "a10", 4), ("p", "i", "a9", 5))

    assert it.arms == ("B", "a10", "a9", "b", "é")
    assert it.total.tolist() == [2, 4, 5, 1, 3]


def test_an_arm_that_nobody_rated_can_be_named():
    it = table(("p", "i", "b", 1), arms=["a", "b"])

    assert it.arms == ("a", "b")
    assert it.n.tolist() == [0, 1]


def test_a_table_of_nothing_is_a_table():
    it = Table.from_columns([], [], [], [], arms=["a"])

    assert it.arms == ("a",)
    assert it.n.tolist() == [0]
    assert it.n_participants("a") == 0


def test_each_criterion_has_its_own_table():
    tables = tables_from_columns("pqpq", "iiii", "aaaa", "xxyy", [1, 2, 3, None])

    assert list(tables) == ["x", "y"]
    assert tables["x"].total.tolist() == [3]
    assert tables["y"].total.tolist() == [3]
    assert tables["y"].missing.tolist() == [1]


def test_narrow_codes_do_not_overflow():
    people, items = np.meshgrid(np.arange(120, dtype=np.int8), np.arange(120, dtype=np.int8))
    n = people.size
    zeros = np.zeros(n, dtype=np.int8)
    names = [f"{k:03}" for k in range(120)]
    it = tables_from_codes(zeros, people.ravel(), items.ravel(), zeros, np.ones(n), ["c"], names, names, ["a"])["c"]

    assert len(it.cells.n) == n
    assert it.n_participants("a") == it.n_items("a") == 120


def test_many_items_of_few_ratings_need_no_room_for_the_empty_cells():
    """A live chat's items can be as many as its participants."""
    n = 3000
    names = [f"{k:05}" for k in range(n)]
    it = Table.from_columns(names, names[::-1], ["a"] * n, [k % 10 + 1 for k in range(n)])

    assert len(it.cells.n) == n
    assert it.n_items("a") == n


def test_half_points_are_kept():
    it = table(("p", "i", "a", 1.5), ("q", "i", "a", 2.0))

    assert it.levels.tolist() == [1.5, 2.0]
    assert it.total.tolist() == [3.5]


@pytest.mark.parametrize("rating", [[1, 2], [1, float("inf"), 3]])
def test_columns_that_cannot_be_a_table_are_refused(rating):
    with pytest.raises(ValueError, match="length|infinite"):
        Table.from_columns("ppp", "iii", "aaa", rating)
