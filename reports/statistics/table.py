"""The sufficient statistics of the ratings under one criterion.

Ratings are small numbers given by few participants to few items, so one pass over the rows leaves everything the
methods need: the cells (participant x item x arm: how many ratings and their sum) and the marks (participant x arm x
value: how often). All the rest is algebra on these two. Several ratings of one cell are data and are counted as such.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

# Above this many slots a count array costs more memory than sorting the keys that occur.
DENSE_SLOTS = 1 << 22


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells that hold a rating, ordered by arm, participant and item."""

    arm: np.ndarray
    participant: np.ndarray
    item: np.ndarray
    n: np.ndarray
    total: np.ndarray


@dataclass(frozen=True, eq=False)
class Marks:
    """How often each participant gave each value in each arm; `level` is a place in `Table.levels`."""

    arm: np.ndarray
    participant: np.ndarray
    level: np.ndarray
    n: np.ndarray


@dataclass(frozen=True, eq=False)
class Table:
    """All that is known of one criterion. Arms, participants and items are in bytewise order."""

    arms: tuple[str, ...]
    participants: tuple[str, ...]
    items: tuple[str, ...]
    levels: np.ndarray
    cells: Cells
    marks: Marks
    missing: np.ndarray

    @classmethod
    def from_columns(cls, participant: Iterable, item: Iterable, arm: Iterable, rating: ArrayLike, **labels) -> Table:
        """One criterion's table from four columns of equal length; a rating of None or NaN is missing."""
        arm = list(arm)
        tables = tables_from_columns(participant, item, arm, [""] * len(arm), rating, **labels)
        return tables[""] if tables else _empty(tuple(sorted(labels.get("arms", ()))))

    def code(self, arm: str) -> int:
        return self.arms.index(arm)

    @cached_property
    def counts(self) -> np.ndarray:
        """Arm x level: how many ratings."""
        shape = (len(self.arms), len(self.levels))
        key = self.marks.arm * shape[1] + self.marks.level
        return np.bincount(key, self.marks.n, minlength=shape[0] * shape[1]).astype(np.int64).reshape(shape)

    @cached_property
    def n(self) -> np.ndarray:
        """Arm: how many ratings."""
        return self.counts.sum(axis=1)

    @cached_property
    def total(self) -> np.ndarray:
        """Arm: sum of the ratings, an exact integer where the ratings are integers."""
        return self.counts @ self.levels

    @cached_property
    def by_participant(self) -> tuple[np.ndarray, np.ndarray]:
        """Arm x participant: how many ratings, and their sum."""
        shape = (len(self.arms), len(self.participants))
        key = self.cells.arm * shape[1] + self.cells.participant
        n, total = (
            np.bincount(key, weight, minlength=shape[0] * shape[1]).astype(weight.dtype).reshape(shape)
            for weight in (self.cells.n, self.cells.total)
        )
        return n, total

    @cached_property
    def by_item(self) -> np.ndarray:
        """Arm x item: how many ratings."""
        shape = (len(self.arms), len(self.items))
        key = self.cells.arm * shape[1] + self.cells.item
        return np.bincount(key, self.cells.n, minlength=shape[0] * shape[1]).astype(np.int64).reshape(shape)

    def n_participants(self, *arms: str) -> int:
        """Participants with a rating in any of the arms."""
        return self._distinct(self.by_participant[0], arms)

    def n_items(self, *arms: str) -> int:
        return self._distinct(self.by_item, arms)

    def cells_of(self, arm: str) -> Cells:
        here = slice(*np.searchsorted(self.cells.arm, (self.code(arm), self.code(arm) + 1)))
        cells = self.cells
        return Cells(cells.arm[here], cells.participant[here], cells.item[here], cells.n[here], cells.total[here])

    def _distinct(self, counts: np.ndarray, arms: Sequence[str]) -> int:
        return int(np.count_nonzero(counts[[self.code(arm) for arm in arms]].any(axis=0)))


def tables_from_columns(
    participant: Iterable, item: Iterable, arm: Iterable, criterion: Iterable, rating: ArrayLike, *, arms: Iterable = ()
) -> dict[str, Table]:
    """A table for each criterion of a long list of ratings. `arms` names arms that must appear even when unrated."""
    columns = [_codes(column) for column in (criterion, participant, item)]
    arm_codes, arm_labels = _codes(arm, known=arms)
    (criteria, criterion_labels), (participants, participant_labels), (items, item_labels) = columns
    return tables_from_codes(
        criteria, participants, items, arm_codes, rating, criterion_labels, participant_labels, item_labels, arm_labels
    )


def tables_from_codes(
    criterion: np.ndarray,
    participant: np.ndarray,
    item: np.ndarray,
    arm: np.ndarray,
    rating: ArrayLike,
    criteria: Sequence[str],
    participants: Sequence[str],
    items: Sequence[str],
    arms: Sequence[str],
) -> dict[str, Table]:
    """The same from columns of integer codes, each a place in its list of labels."""
    labels, coded = [], []
    for names, codes in ((criteria, criterion), (arms, arm), (participants, participant), (items, item)):
        names, codes = _in_order(names, codes)
        labels.append(names)
        coded.append(codes)
    criteria, arms, participants, items = labels
    criterion, arm, participant, item = coded
    n_arms, n_participants, n_items = len(arms), len(participants), len(items)

    values = np.asarray(rating, dtype=np.float64)
    if not len(values) == len(criterion) == len(arm) == len(participant) == len(item):
        raise ValueError("The columns differ in length.")
    if np.isinf(values).any():
        raise ValueError("A rating is infinite.")
    absent = np.isnan(values)
    block = criterion * n_arms + arm
    missing = np.bincount(block[absent], minlength=len(criteria) * n_arms).reshape(len(criteria), n_arms)
    if absent.any():
        present = ~absent
        values, block, participant, item = values[present], block[present], participant[present], item[present]
    levels, level = _levels(values)

    person = block * n_participants + participant
    keys, n, total = _tally(person * n_items + item, len(criteria) * n_arms * n_participants * n_items, values)
    if np.issubdtype(levels.dtype, np.integer):
        total = total.astype(np.int64)
    keys, cell_item = np.divmod(keys, max(n_items, 1))
    keys, cell_participant = np.divmod(keys, max(n_participants, 1))
    cell_criterion, cell_arm = np.divmod(keys, max(n_arms, 1))

    marks, mark_n, _ = _tally(person * len(levels) + level, len(criteria) * n_arms * n_participants * len(levels))
    marks, mark_level = np.divmod(marks, max(len(levels), 1))
    marks, mark_participant = np.divmod(marks, max(n_participants, 1))
    mark_criterion, mark_arm = np.divmod(marks, max(n_arms, 1))

    tables = {}
    for code, name in enumerate(criteria):
        # Keys come sorted with the criterion first, so that each criterion is one slice.
        cell = slice(*np.searchsorted(cell_criterion, (code, code + 1)))
        mark = slice(*np.searchsorted(mark_criterion, (code, code + 1)))
        tables[name] = Table(
            arms=arms,
            participants=participants,
            items=items,
            levels=levels,
            cells=Cells(cell_arm[cell], cell_participant[cell], cell_item[cell], n[cell], total[cell]),
            marks=Marks(mark_arm[mark], mark_participant[mark], mark_level[mark], mark_n[mark]),
            missing=missing[code],
        )
    return tables


def group_sums(group: np.ndarray, size: int, weight: np.ndarray) -> np.ndarray:
    """The sum of the weights in each group that occurs."""
    return _tally(group, size, weight)[2]


def _tally(key: np.ndarray, size: int, weight: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The keys that occur, in order, how often, and the sums of their weights."""
    if size <= max(DENSE_SLOTS, 4 * len(key)):
        n = np.bincount(key, minlength=size)
        keys = np.flatnonzero(n)
        total = np.bincount(key, weight, minlength=size)[keys] if weight is not None else n[keys]
        return keys, n[keys], total
    keys, place, n = np.unique(key, return_inverse=True, return_counts=True)
    return keys, n, np.bincount(place, weight, minlength=len(keys)) if weight is not None else n


def _codes(column: Iterable, known: Iterable = ()) -> tuple[np.ndarray, tuple[str, ...]]:
    place: dict = {label: code for code, label in enumerate(dict.fromkeys(known))}
    codes = [place.setdefault(value, len(place)) for value in column]
    return np.array(codes, dtype=np.int64), tuple(map(str, place))


def _in_order(labels: Sequence[str], codes: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Labels in bytewise order (for text that is the order of code points), and the codes to match.

    Always int64: products of small integer codes would overflow without a word.
    """
    codes = np.asarray(codes, dtype=np.int64)
    order = sorted(range(len(labels)), key=lambda code: labels[code])
    rank = np.empty(len(labels), dtype=np.int64)
    rank[order] = np.arange(len(labels))
    return tuple(labels[code] for code in order), rank[codes] if len(labels) else codes


def _levels(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct values, and each rating's place among them; integers where all ratings are whole numbers."""
    whole = values.astype(np.int64)
    if not np.array_equal(whole, values):
        return np.unique(values, return_inverse=True)
    if not len(values):
        return whole, whole
    low = whole.min()
    if whole.max() - low > DENSE_SLOTS:
        return np.unique(whole, return_inverse=True)
    seen = np.flatnonzero(np.bincount(whole - low))
    place = np.zeros(seen[-1] + 1, dtype=np.int64)
    place[seen] = np.arange(len(seen))
    return seen + low, place[whole - low]


def _empty(arms: tuple[str, ...]) -> Table:
    none = np.array([], dtype=np.int64)
    return Table(
        arms, (), (), none, Cells(none, none, none, none, none), Marks(none, none, none, none), np.zeros(len(arms), int)
    )
