"""Who rates what: the arithmetic of a balanced, counterbalanced and repeatable allocation, without a database.

`seen` is what an allocation knows of the people before: how many of them hold each cell (item x arm) and each place
(position x arm). Given the same `seen`, design and seed it gives the same plan, so that a record of the three proves
that nobody chose. Ties are broken at random; within a plan each arm comes equally often (+-1).

A plan is a minimum-cost assignment of slots to items (Hungarian algorithm, scipy.optimize.linear_sum_assignment):
never take an item further towards the arm that leads there; first mend cells that are behind by more than one; then
take the items that were rated least. Because each plan holds its arms in equal number, the leads over all items sum
to zero, so that there is always a plan that makes no lead larger than one.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

ALGORITHM = 1

# Weights of the goals, each larger than all that can be gained below it.
NEVER_LEAD, LEAST_RATED, CLOSE_LEAD = 10**9, 10**5, 10**4


@dataclass(frozen=True)
class Seen:
    """Counts over completed and active visits: `cells[item][arm]` and `places[position][arm]`, by their keys."""

    cells: dict[str, dict[str, int]]
    places: dict[str, dict[str, int]]

    @classmethod
    def of(cls, rows: Sequence[tuple[str, str, int, int]]) -> "Seen":
        """From rows of (item, arm, position, count)."""
        cells: dict[str, dict[str, int]] = {}
        places: dict[str, dict[str, int]] = {}
        for item, arm, position, count in rows:
            for table, key in ((cells, item), (places, str(position))):
                row = table.setdefault(key, {})
                row[arm] = row.get(arm, 0) + count
        return cls(cells, places)

    def as_json(self) -> dict[str, Any]:
        return {"cells": self.cells, "places": self.places}

    def cell(self, item: str, arm: str) -> int:
        return self.cells.get(item, {}).get(arm, 0)

    def place(self, position: int, arm: str) -> int:
        return self.places.get(str(position), {}).get(arm, 0)

    def arm(self, arm: str) -> int:
        return sum(row.get(arm, 0) for row in self.cells.values())


def allocate(
    seen: Seen, items: Sequence[str], arms: Sequence[str], items_each: int, within: bool, seed: int
) -> list[tuple[str, str]]:
    """The plan of one participant: (item, arm) in the order in which they will be shown.

    Raises ValueError when fewer items exist than a participant is to rate.
    """
    if items_each > len(items):
        raise ValueError(f"{items_each} items for each participant, but the study has only {len(items)}.")
    chance = random.Random(seed)
    slots = _arms_of_slots(seen, arms, items_each, within, chance)
    pairs = _items_for(slots, seen, items, arms if within else None, chance)
    return _in_order(pairs, seen, chance)


def _arms_of_slots(seen: Seen, arms: Sequence[str], items_each: int, within: bool, chance: random.Random) -> list[str]:
    fewest_first = sorted(arms, key=lambda arm: (seen.arm(arm), chance.random()))
    if not within:
        return [fewest_first[0]] * items_each
    return [fewest_first[slot % len(arms)] for slot in range(items_each)]


def _items_for(
    slots: list[str], seen: Seen, items: Sequence[str], rivals: Sequence[str] | None, chance: random.Random
) -> list[tuple[str, str]]:
    """Choose an item for each slot; without `rivals` (arms between participants) only the filling of items counts."""

    def cost(arm: str, item: str) -> int:
        if rivals is None:
            return LEAST_RATED * seen.cell(item, arm)
        others = [seen.cell(item, rival) for rival in rivals if rival != arm]
        lead = seen.cell(item, arm) - min(others) if others else 0
        rated = seen.cell(item, arm) + sum(others)
        return NEVER_LEAD * (max(0, lead) - max(0, -lead - 1)) + LEAST_RATED * rated + CLOSE_LEAD * lead

    return [(item, arm) for arm, item in _cheapest(slots, list(items), cost, chance)]


def _in_order(pairs: list[tuple[str, str]], seen: Seen, chance: random.Random) -> list[tuple[str, str]]:
    """Put the pairs at positions so that each arm comes equally often at each position."""
    positions = list(range(1, len(pairs) + 1))
    placed = _cheapest(pairs, positions, lambda pair, position: LEAST_RATED * seen.place(position, pair[1]), chance)
    return [pair for pair, _ in sorted(placed, key=lambda at: at[1])]


def _cheapest(rows: list, columns: list, cost, chance: random.Random) -> list[tuple]:
    """Each row with its column, at the least sum of costs; among equals a random choice."""
    # Imported when someone enrols, so that a web process starts without scipy.
    import numpy
    from scipy.optimize import linear_sum_assignment

    jitter = 1000 // len(rows)
    matrix = numpy.array([[cost(row, column) + chance.randrange(jitter) for column in columns] for row in rows])
    chosen_rows, chosen_columns = linear_sum_assignment(matrix)
    return [(rows[r], columns[c]) for r, c in zip(chosen_rows.tolist(), chosen_columns.tolist(), strict=True)]
