"""What one arm was given under one criterion: its ratings described, its mean with intervals."""

from __future__ import annotations

from math import floor, sqrt

import numpy as np

from .clustered import ROUNDING, mean, pooled_mean
from .intervals import FEW, Result, not_estimable, t_interval
from .table import Table

NO_RATINGS = "there are no ratings"


def describe_arm(table: Table, arm: str, scale: tuple[int, int], items_are: str = "random") -> Result:
    code = table.code(arm)
    counts = table.counts[code]
    n = int(table.n[code])
    n_items = table.n_items(arm)
    sizes = {
        "n_ratings": n,
        "n_participants": table.n_participants(arm),
        "n_items": n_items,
        "missing": int(table.missing[code]),
    }
    by_point = {"counts": counts_by_point(table.levels, counts, scale)}
    if not n:
        described = ("mean", "sd", "median", "q1", "q3")
        nothing = not_estimable(NO_RATINGS)
        return (
            sizes
            | dict.fromkeys(described, nothing)
            | by_point
            | dict.fromkeys(("share_at_max", "design_effect", "effective_n"), nothing)
            | {
                "headline": headline(n_items, items_are),
                "intervals": dict.fromkeys(("naive_t", "participant_cr1", "two_way"), nothing),
            }
        )
    naive = naive_t(table, arm)
    pooled = pooled_mean(table, {arm: 1})
    participant_cr1 = pooled.participant_cr1()
    deff = design_effect(naive, participant_cr1)
    return (
        sizes
        | {
            "mean": mean(table, arm),
            "sd": standard_deviation(table, arm),
            "median": quantile(table.levels, counts, 0.5),
            "q1": quantile(table.levels, counts, 0.25),
            "q3": quantile(table.levels, counts, 0.75),
        }
        | by_point
        | {
            "share_at_max": float(counts[table.levels == scale[1]].sum() / n),
            "design_effect": deff,
            "effective_n": n / deff if isinstance(deff, float) else deff,
            "headline": headline(n_items, items_are),
            "intervals": {
                "naive_t": naive,
                "participant_cr1": participant_cr1,
                "two_way": pooled.two_way(),
            },
        }
    )


def headline(n_items: int, items_are: str) -> str:
    """The interval to show first: with items fixed, or too few to stand for others, only participants are random."""
    return "participant_cr1" if items_are == "fixed" or n_items < FEW else "two_way"


def naive_t(table: Table, arm: str) -> Result:
    """The interval that takes all ratings for independent; shown only to be distrusted."""
    n = int(table.n[table.code(arm)])
    sd = standard_deviation(table, arm)
    if not isinstance(sd, float):
        return sd
    if sd == 0:
        return not_estimable("all ratings are equal, so their spread cannot be estimated")
    return t_interval(mean(table, arm), sd / sqrt(n), n - 1)


def standard_deviation(table: Table, arm: str) -> float | Result:
    code = table.code(arm)
    n = int(table.n[code])
    if n < 2:
        return not_estimable("one rating alone has no spread" if n else NO_RATINGS)
    deviations = table.levels - mean(table, arm)
    sd = sqrt(float(table.counts[code] @ deviations**2) / (n - 1))
    return sd if np.count_nonzero(table.counts[code]) > 1 else 0.0


def quantile(levels: np.ndarray, counts: np.ndarray, share: float) -> float:
    """R's type 7, from counts: between the two order statistics around (n - 1) x share."""
    place = (int(counts.sum()) - 1) * share
    below = floor(place)
    upto = np.cumsum(counts)
    low, high = (levels[np.searchsorted(upto, k, side="right")] for k in (below, min(below + 1, int(upto[-1]) - 1)))
    return float(low + (place - below) * (high - low))


def counts_by_point(levels: np.ndarray, counts: np.ndarray, scale: tuple[int, int]) -> dict[str, int]:
    """How often each point of the scale was given, those never given included, lowest first."""
    given = {level.item(): int(n) for level, n in zip(levels, counts, strict=True) if n}
    return {f"{point:g}": given.get(point, 0) for point in sorted({*range(scale[0], scale[1] + 1), *given})}


def design_effect(naive: Result, participant_cr1: Result) -> float | Result:
    """How many times larger the variance is than if every rating had come from another person."""
    for interval in (naive, participant_cr1):
        if "not_estimable" in interval:
            return interval
    ratio = participant_cr1["se"] / naive["se"]
    return ratio**2 if ratio > ROUNDING else not_estimable("the clusters do not differ at all")
