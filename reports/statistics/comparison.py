"""Two arms under one criterion: b minus a, with the intervals and tests that the design supports, and no others."""

from __future__ import annotations

from itertools import combinations
from math import exp, sqrt

import numpy as np
from scipy.special import gammaln

from .clustered import ROUNDING, pooled_mean
from .estimation import headline
from .intervals import Result, not_estimable, t_interval, t_test, warned_if_few
from .table import Table

EMPTY = "one of the arms has no ratings"
BETWEEN = "the arms were rated by different participants, so there are no pairs"
PAIRED = "the same participants rated both arms, so their means are not independent"
NO_SPREAD = "the participants do not differ at all, so the standard error would be zero"


def compare_arms(table: Table, items_are: str = "random") -> list[Result]:
    """Every pair of arms a < b, bytewise."""
    return [compare(table, a, b, items_are) for a, b in combinations(table.arms, 2)]


def compare(table: Table, a: str, b: str, items_are: str = "random") -> Result:
    difference = pooled_mean(table, {a: -1, b: 1})
    means_a, means_b = participant_means(table, a), participant_means(table, b)
    both = ~np.isnan(means_a) & ~np.isnan(means_b)
    design = detect_design(means_a, means_b)
    sizes = {
        "n_ratings": int(table.n[[table.code(a), table.code(b)]].sum()),
        "n_participants": table.n_participants(a, b),
        "n_participants_both": int(both.sum()),
        "n_items": table.n_items(a, b),
    }
    first = {"a": a, "b": b, "design": design, **sizes}
    if not difference.n_ratings:
        nothing = not_estimable(EMPTY)
        return first | {
            "difference": nothing,
            "headline": headline(sizes["n_items"], items_are),
            "intervals": dict.fromkeys(("paired", "welch", "participant_cr1", "two_way"), nothing),
            "tests": dict.fromkeys(("paired_t", "welch_t"), nothing),
            "effect_sizes": dict.fromkeys(("d_z", "g_z", "d_av", "g_av", "cliffs_delta", "prob_superiority"), nothing),
        }

    if design == "paired":
        means_a, means_b = means_a[both], means_b[both]
        paired, paired_t = paired_difference(means_a, means_b, difference.spread)
        welch = welch_t = not_estimable(PAIRED)
    else:
        means_a, means_b = means_a[~np.isnan(means_a)], means_b[~np.isnan(means_b)]
        paired = paired_t = not_estimable(BETWEEN)
        if both.any():
            welch = welch_t = not_estimable(
                f"{both.sum()} of the participants rated both arms; Welch's test needs that none did"
            )
        else:
            welch, welch_t = welch_difference(means_a, means_b, difference.spread)
    return first | {
        "difference": difference.estimate,
        "headline": headline(sizes["n_items"], items_are),
        "intervals": {
            "paired": paired,
            "welch": welch,
            "participant_cr1": difference.participant_cr1(),
            "two_way": difference.two_way(),
        },
        "tests": {"paired_t": paired_t, "welch_t": welch_t},
        "effect_sizes": standardised(means_a, means_b, design, difference.spread) | superiority(table, a, b),
    }


def participant_means(table: Table, arm: str) -> np.ndarray:
    """Each participant's mean in the arm; NaN, inside this package only, where they rated nothing in it."""
    n, total = (by_arm[table.code(arm)] for by_arm in table.by_participant)
    return np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)


def detect_design(means_a: np.ndarray, means_b: np.ndarray) -> str:
    """Paired where at least half of all participants rated both arms; a few who strayed do not make pairs."""
    rated_a, rated_b = ~np.isnan(means_a), ~np.isnan(means_b)
    both, any_ = np.count_nonzero(rated_a & rated_b), np.count_nonzero(rated_a | rated_b)
    return "paired" if both and 2 * both >= any_ else "between"


def paired_difference(means_a: np.ndarray, means_b: np.ndarray, spread: float) -> tuple[Result, Result]:
    """Student's interval and test on the differences of participants' means."""
    differences = means_b - means_a
    n = len(differences)
    if n < 2:
        alone = not_estimable("one participant alone does not show how participants differ")
        return alone, alone
    se = float(differences.std(ddof=1)) / sqrt(n)
    if se <= ROUNDING * spread:
        return not_estimable(NO_SPREAD), not_estimable(NO_SPREAD)
    estimate = float(differences.mean())
    return warned_if_few(t_interval(estimate, se, n - 1), participants=n), t_test(estimate, se, n - 1)


def welch_difference(means_a: np.ndarray, means_b: np.ndarray, spread: float) -> tuple[Result, Result]:
    """Welch's interval and test on participants' means: each participant counts once, variances may differ."""
    if min(len(means_a), len(means_b)) < 2:
        alone = not_estimable("an arm with one participant does not show how participants differ")
        return alone, alone
    v_a, v_b = (float(means.var(ddof=1)) / len(means) for means in (means_a, means_b))
    se = sqrt(v_a + v_b)
    if se <= ROUNDING * spread:
        return not_estimable(NO_SPREAD), not_estimable(NO_SPREAD)
    df = (v_a + v_b) ** 2 / (v_a**2 / (len(means_a) - 1) + v_b**2 / (len(means_b) - 1))
    estimate = float(means_b.mean() - means_a.mean())
    interval = warned_if_few(t_interval(estimate, se, df), participants=len(means_a) + len(means_b))
    return interval, t_test(estimate, se, df)


def standardised(means_a: np.ndarray, means_b: np.ndarray, design: str, spread: float) -> Result:
    """Differences in units of a standard deviation over participants: of the differences (z), of the arms (av)."""
    n_a, n_b = len(means_a), len(means_b)
    if min(n_a, n_b) < 2:
        return dict.fromkeys(("d_z", "g_z", "d_av", "g_av"), not_estimable("an arm has only one participant"))
    estimate = float(means_b.mean() - means_a.mean())
    d_av = _ratio(estimate, sqrt((float(means_a.var(ddof=1)) + float(means_b.var(ddof=1))) / 2), spread)
    sizes: Result = {"d_z": not_estimable(BETWEEN), "g_z": not_estimable(BETWEEN)}
    if design == "paired":
        d_z = _ratio(estimate, float((means_b - means_a).std(ddof=1)), spread)
        sizes = {"d_z": d_z, "g_z": _unbiased(d_z, n_a - 1)}
    return sizes | {"d_av": d_av, "g_av": _unbiased(d_av, n_a + n_b - 2)}


def superiority(table: Table, a: str, b: str) -> Result:
    """Over all pairs of a rating of b with one of a: how much more often b is higher, and how often, ties half."""
    counts_a, counts_b = table.counts[table.code(a)].astype(float), table.counts[table.code(b)].astype(float)
    pairs = float(counts_a.sum() * counts_b.sum())
    below = np.cumsum(counts_a) - counts_a
    higher = float(counts_b @ below) / pairs
    equal = float(counts_b @ counts_a) / pairs
    return {"cliffs_delta": higher - (1 - higher - equal), "prob_superiority": higher + equal / 2}


def hedges_j(df: float) -> float:
    """The factor that takes the small-sample bias out of a standardised difference."""
    return exp(gammaln(df / 2) - gammaln((df - 1) / 2)) / sqrt(df / 2)


def _ratio(estimate: float, sd: float, spread: float) -> float | Result:
    return estimate / sd if sd > ROUNDING * spread else not_estimable(NO_SPREAD)


def _unbiased(d: float | Result, df: int) -> float | Result:
    if not isinstance(d, float):
        return d
    return d * hedges_j(df) if df > 1 else not_estimable("the correction needs more participants")
