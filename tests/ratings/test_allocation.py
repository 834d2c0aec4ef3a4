"""The arithmetic of the allocation: balance, counterbalance, repetition."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratings.allocation import Seen, allocate

ITEMS = [f"item-{n}" for n in range(12)]


class Book:
    """Everyone's plans, and what the next allocation sees of them."""

    def __init__(self):
        self.held: dict[tuple[str, str, int], int] = {}

    def seen(self) -> Seen:
        return Seen.of([(*cell, count) for cell, count in self.held.items()])

    def add(self, plan, change=1):
        for position, (item, arm) in enumerate(plan, 1):
            self.held[item, arm, position] = self.held.get((item, arm, position), 0) + change

    def leads(self, arms) -> list[int]:
        rows = [[self.seen().cell(item, arm) for arm in arms] for item in ITEMS]
        return [max(row) - min(row) for row in rows]

    def first_places(self, arms) -> list[int]:
        return [self.seen().place(1, arm) for arm in arms]


def run(people, arms, items_each, drop_out, chance):
    book = Book()
    for _ in range(people):
        plan = allocate(book.seen(), ITEMS, arms, items_each, within=True, seed=chance.getrandbits(60))
        book.add(plan)
        if chance.random() < drop_out:
            book.add(plan, -1)
    return book


def test_a_plan_has_different_items():
    plan = allocate(Seen({}, {}), ITEMS, ["linden", "rowan"], 8, within=True, seed=1)

    assert len({item for item, _ in plan}) == 8


def test_a_plan_has_each_arm_equally_often():
    plan = allocate(Seen({}, {}), ITEMS, ["linden", "rowan"], 8, within=True, seed=1)

    assert [arm for _, arm in plan].count("linden") == 4


def test_the_same_seed_gives_the_same_plan():
    seen = Seen.of([("item-3", "linden", 1, 2)])

    first = allocate(seen, ITEMS, ["linden", "rowan"], 4, within=True, seed=7)

    assert first == allocate(seen, ITEMS, ["linden", "rowan"], 4, within=True, seed=7)


def test_another_seed_gives_another_plan():
    plans = {tuple(allocate(Seen({}, {}), ITEMS, ["linden", "rowan"], 4, within=True, seed=seed)) for seed in range(9)}

    assert len(plans) > 5


@pytest.mark.parametrize("seed", range(4))
def test_drop_outs_leave_the_arms_of_every_item_within_one(seed):
    book = run(100, ["linden", "rowan"], 8, drop_out=0.3, chance=random.Random(seed))

    assert max(book.leads(["linden", "rowan"])) <= 1


@pytest.mark.parametrize("seed", range(4))
def test_each_arm_comes_first_equally_often(seed):
    book = run(60, ["linden", "rowan"], 2, drop_out=0.3, chance=random.Random(seed))

    first, second = book.first_places(["linden", "rowan"])
    assert abs(first - second) <= 1


def test_all_items_are_rated_about_equally_often():
    book = run(60, ["linden", "rowan"], 4, drop_out=0, chance=random.Random(0))

    rated = [sum(book.seen().cells[item].values()) for item in ITEMS]
    assert max(rated) - min(rated) <= 1


def test_between_participants_everyone_sees_one_arm():
    book, arms = Book(), ["linden", "rowan"]
    for seed in range(10):
        plan = allocate(book.seen(), ITEMS, arms, 4, within=False, seed=seed)
        assert len({arm for _, arm in plan}) == 1
        book.add(plan)

    assert book.seen().arm("linden") == book.seen().arm("rowan") == 20


def test_a_cell_that_fell_behind_is_mended_first():
    seen = Seen.of([("item-5", "linden", 1, 9), ("item-5", "rowan", 1, 4)])

    plan = allocate(seen, ITEMS, ["linden", "rowan"], 2, within=True, seed=0)

    assert ("item-5", "rowan") in plan


def test_more_items_than_there_are_is_refused():
    with pytest.raises(ValueError, match="only 12"):
        allocate(Seen({}, {}), ITEMS, ["linden"], 13, within=True, seed=0)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 4), st.integers(1, 3), st.floats(0, 0.6), st.integers(0, 2**32))
def test_whoever_drops_out_no_item_leans_by_more_than_one(arm_count, rounds, drop_out, seed):
    arms = [f"arm-{n}" for n in range(arm_count)]

    book = run(24, arms, arm_count * rounds, drop_out, random.Random(seed))

    assert max(book.leads(arms)) <= 1
