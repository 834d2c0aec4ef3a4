"""Means of arms, and differences of means, with standard errors that respect who rated what.

A mean of ratings is a sum of small influences, one per rating. Influences of one participant move together, and so do
those of one item. The sandwich variance adds the influences within each cluster before squaring: clustered on
participants it is right for these very items; clustered on both (Cameron, Gelbach and Miller 2011: participants plus
items minus their intersections) it is right for items like these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np

from .intervals import Result, not_estimable, t_interval, warned_if_few
from .table import Table, group_sums

# Relative to the range of the ratings; a real standard error is far above it, a rounding error far below.
ROUNDING = 1e-11


@dataclass(frozen=True)
class PooledMean:
    """A weighted sum of pooled arm means with its variance by participants, by items and by their pairs."""

    estimate: float
    n_ratings: int
    n_participants: int
    n_items: int
    variance_participants: float
    variance_items: float
    variance_pairs: float
    spread: float
    # The smallest number in any one arm: a cluster that is alone in its arm has no residual to judge it by.
    fewest_participants: int
    fewest_items: int

    def participant_cr1(self) -> Result:
        if reason := self._too_few("participant", self.fewest_participants):
            return not_estimable(reason)
        se = sqrt(self.variance_participants)
        if self._vanishes(se):
            return not_estimable(self._no_spread())
        interval = t_interval(self.estimate, se, self.n_participants - 1)
        return warned_if_few(interval, participants=self.n_participants)

    def two_way(self) -> Result:
        reason = self._too_few("participant", self.fewest_participants) or self._too_few("item", self.fewest_items)
        if reason:
            return not_estimable(reason)
        one_way = max(self.variance_participants, self.variance_items)
        variance = self.variance_participants + self.variance_items - self.variance_pairs
        floored = variance <= 1e-12 * one_way
        se = sqrt(one_way if floored else variance)
        if self._vanishes(se):
            return not_estimable(self._no_spread())
        interval = t_interval(
            self.estimate,
            se,
            min(self.n_participants, self.n_items) - 1,
            floored=bool(floored),
            variance={
                "participants": self.variance_participants,
                "items": self.variance_items,
                "pairs": self.variance_pairs,
            },
        )
        return warned_if_few(interval, participants=self.n_participants, items=self.n_items)

    def _too_few(self, unit: str, fewest: int) -> str:
        if fewest == 0:
            return "there are no ratings"
        if fewest == 1:
            return f"one {unit} alone does not show how {unit}s differ"
        return ""

    def _vanishes(self, se: float) -> bool:
        return se <= ROUNDING * self.spread

    def _no_spread(self) -> str:
        if self.spread == 0:
            return "all ratings are equal, so their spread cannot be estimated"
        return "the clusters do not differ at all, so the standard error would be zero"


def pooled_mean(table: Table, weights: Mapping[str, int]) -> PooledMean:
    """The sum of weight times mean over the arms named: `{"a": -1, "b": 1}` is the difference b minus a."""
    arms = list(weights)
    fewest_participants = min(table.n_participants(arm) for arm in arms)
    fewest_items = min(table.n_items(arm) for arm in arms)
    if not fewest_participants:
        return PooledMean(0.0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0, 0)

    influences, participants, items = [], [], []
    for arm, weight in weights.items():
        cells, n, total = table.cells_of(arm), table.n[table.code(arm)], table.total[table.code(arm)]
        # Multiplied out by n, residuals of integer ratings are exact, so that what is zero is found to be zero.
        influences.append(weight * (n * cells.total - total * cells.n) / float(n) ** 2)
        participants.append(cells.participant)
        items.append(cells.item)
    influence, participant, item = map(np.concatenate, (influences, participants, items))
    n_participants, n_items = len(table.participants), len(table.items)
    pair = participant * n_items + item
    levels = table.levels[table.counts[[table.code(arm) for arm in arms]].sum(axis=0) > 0]
    return PooledMean(
        estimate=sum(weight * mean(table, arm) for arm, weight in weights.items()),
        n_ratings=sum(int(table.n[table.code(arm)]) for arm in arms),
        n_participants=table.n_participants(*arms),
        n_items=table.n_items(*arms),
        variance_participants=_variance(group_sums(participant, n_participants, influence)),
        variance_items=_variance(group_sums(item, n_items, influence)),
        variance_pairs=_variance(group_sums(pair, n_participants * n_items, influence)),
        spread=float(levels[-1] - levels[0]),
        fewest_participants=fewest_participants,
        fewest_items=fewest_items,
    )


def mean(table: Table, arm: str) -> float:
    code = table.code(arm)
    return float(table.total[code] / table.n[code])


def _variance(sums: np.ndarray) -> float:
    """Sum of squares over clusters, times G / (G - 1) because G sums only vary in G - 1 directions (CR1)."""
    groups = len(sums)
    return float(sums @ sums) * groups / (groups - 1) if groups > 1 else 0.0
