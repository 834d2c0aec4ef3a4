"""Who rated which unit how: the counts from which agreement is computed.

The unit is an item in an arm, the rater is a participant, and a unit may be rated by any number of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from .table import DENSE_SLOTS, Table


@dataclass(frozen=True, eq=False)
class Ratings:
    """One value of each rater for each unit rated; units and raters are counted from 0 and all occur."""

    unit: np.ndarray
    rater: np.ndarray
    value: np.ndarray
    n_units: int
    n_raters: int
    n_repeated: int

    @cached_property
    def per_unit(self) -> np.ndarray:
        return np.bincount(self.unit, minlength=self.n_units)

    @classmethod
    def of(cls, table: Table) -> Ratings:
        cells = table.cells
        units, unit = distinct(cells.arm * len(table.items) + cells.item)
        raters, rater = distinct(cells.participant)
        return cls(unit, rater, cell_values(table), len(units), len(raters), int(np.count_nonzero(cells.n > 1)))

    def counted(self, value: np.ndarray) -> Counts:
        levels, level = distinct(value)
        slots, slot = distinct(self.unit * len(levels) + level)
        unit, level = np.divmod(slots, len(levels))
        return Counts(unit, level, levels, np.bincount(slot).astype(float), self, slot)


@dataclass(frozen=True, eq=False)
class Counts:
    """How often each unit was given each value, for those that occur: one slot for each unit and value, in order."""

    unit: np.ndarray
    level: np.ndarray
    levels: np.ndarray
    n: np.ndarray
    ratings: Ratings
    slot: np.ndarray

    @cached_property
    def starts(self) -> np.ndarray:
        return np.flatnonzero(np.diff(self.unit, prepend=-1))

    @cached_property
    def sums_of_units(self) -> sparse.csr_array:
        return _sums(self.unit, self.ratings.n_units)

    @cached_property
    def sums_of_levels(self) -> sparse.csr_array:
        return _sums(self.level, len(self.levels))

    @cached_property
    def per_unit(self) -> np.ndarray:
        return self.by_unit(self.n)

    def by_unit(self, slots: np.ndarray) -> np.ndarray:
        return self.sums_of_units @ slots

    def by_level(self, slots: np.ndarray) -> np.ndarray:
        return self.sums_of_levels @ slots


def _sums(group: np.ndarray, groups: int) -> sparse.csr_array:
    """The matrix that adds up the slots of each group, for many columns at once."""
    return sparse.csr_array((np.ones(len(group)), (group, np.arange(len(group)))), shape=(groups, len(group)))


def cell_values(table: Table) -> np.ndarray:
    """Each cell's rating, or the mean of its ratings; equal rationals are equal numbers."""
    cells = table.cells
    if not (cells.n > 1).any():
        return cells.total
    values = cells.total / cells.n
    return values if np.issubdtype(cells.total.dtype, np.integer) else np.round(values, 10)


def distinct(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct values in order, and each value's place among them."""
    if np.issubdtype(values.dtype, np.integer) and len(values):
        low = values.min()
        if values.max() - low < DENSE_SLOTS:
            seen = np.bincount(values - low) > 0
            return np.flatnonzero(seen) + low, (np.cumsum(seen) - 1)[values - low]
    return np.unique(values, return_inverse=True)


def incidence(row: np.ndarray, column: np.ndarray, rows: int, columns: int) -> np.ndarray | sparse.csr_array:
    """Ones where a rating is, as a dense matrix while that is small enough to be the faster one."""
    ones = np.ones(len(row), dtype=np.float32)
    matrix = sparse.csr_array((ones, (row, column)), shape=(rows, columns))
    return matrix.toarray() if rows * columns <= min(4 * DENSE_SLOTS, 50 * len(row)) else matrix
