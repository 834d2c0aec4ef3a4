"""Whether ratings drift along a participant's way, and whether they drift apart between arms.

Read from a table whose "items" are the positions 1, 2, ... at which replies were shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from .clustered import ROUNDING
from .intervals import Result, not_estimable, t_interval, t_test, warned_if_few
from .table import Table

TOO_LITTLE = "at least two positions and two participants are needed"
ALIKE = "the participants do not differ at all, so the standard error would be zero"


def order_effects(by_position: Table) -> Result:
    """`drift`: change of the rating with each position on; `drift_apart`: for every pair of arms, by how much it
    differs.

    Least squares on position within participant and arm (each participant's mean in each arm is their own), so that
    who happened to stay longest does not pass for a drift. SE: sandwich by participants times G / (G - 1), t(G - 1).
    """
    arms = [arm for arm in by_position.arms if by_position.n[by_position.code(arm)]]
    return {
        "drift": _drift(by_position, arms),
        "drift_apart": [
            {"a": a, "b": b, **_drift_apart(by_position, a, b)}
            for place, a in enumerate(arms)
            for b in arms[place + 1 :]
        ],
    }


def balance(by_position: Table) -> dict[str, dict[str, int]]:
    """How often each arm was rated at each position."""
    places = sorted(range(len(by_position.items)), key=lambda place: int(by_position.items[place]))
    counts = by_position.by_item
    return {
        by_position.items[place]: {arm: int(counts[code, place]) for code, arm in enumerate(by_position.arms)}
        for place in places
    }


@dataclass(frozen=True, eq=False)
class Slope:
    """A slope, each participant's influence on it, and which participants have a say in it."""

    estimate: float
    influence: np.ndarray
    has_a_say: np.ndarray

    def interval(self) -> Result:
        groups = int(self.has_a_say.sum())
        se = sqrt(float(self.influence @ self.influence) * groups / (groups - 1))
        if se <= ROUNDING:
            return not_estimable(ALIKE)
        found = t_interval(self.estimate, se, groups - 1) | t_test(self.estimate, se, groups - 1)
        return warned_if_few(found, participants=groups)


def _drift(table: Table, arms: list[str]) -> Result:
    slope = _slope(table, arms)
    return slope.interval() if slope else not_estimable(TOO_LITTLE)


def _drift_apart(table: Table, a: str, b: str) -> Result:
    in_a, in_b = _slope(table, [a]), _slope(table, [b])
    if in_a is None or in_b is None:
        return not_estimable(TOO_LITTLE)
    return Slope(
        in_b.estimate - in_a.estimate, in_b.influence - in_a.influence, in_a.has_a_say | in_b.has_a_say
    ).interval()


def _slope(table: Table, arms: list[str]) -> Slope | None:
    cells, codes = table.cells, [table.code(arm) for arm in arms]
    mine = np.isin(cells.arm, codes)
    position = np.array([float(label) for label in table.items])[cells.item[mine]]
    n, total = cells.n[mine].astype(float), cells.total[mine].astype(float)
    people = len(table.participants)
    group = cells.arm[mine] * people + cells.participant[mine]
    size = (max(codes) + 1) * people if codes else 0
    weight = np.bincount(group, n, minlength=size)
    safe = np.where(weight > 0, weight, 1)
    x = position - (np.bincount(group, n * position, minlength=size) / safe)[group]
    y = total - n * (np.bincount(group, total, minlength=size) / safe)[group]
    spread = float(n @ x**2)
    moved = np.bincount(cells.participant[mine], n * x**2, minlength=people) > 0
    if spread <= 0 or moved.sum() < 2:
        return None
    slope = float(x @ y) / spread
    influence = np.bincount(cells.participant[mine], x * (y - n * slope * x), minlength=people) / spread
    return Slope(slope, influence, moved)
