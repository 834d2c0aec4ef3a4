"""Rank tests on participants' means. Each participant counts once; items count as fixed.

Means of whole numbers that are equal need not be equal in floating point, which would break ties at random; so values
are rounded before they are ranked.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from scipy.special import ndtr, stdtr
from scipy.stats import rankdata

from .intervals import Result, estimable, not_estimable, t_interval, warned_if_few

DECIMALS = 10

NO_PAIRS = "no participant rated both arms"
EMPTY_ARM = "one of the arms has no ratings"

NAMES = {
    "wilcoxon": "Wilcoxon's signed-rank test on participants' differences",
    "mann_whitney": "Mann-Whitney test on participants' means",
    "brunner_munzel": "Brunner-Munzel test on participants' means",
}

DEFINITIONS = {
    "wilcoxon": "Sum of the ranks of the participants whose mean is higher in b, among all who differ (zeros dropped, "
    "differences rounded to 10 decimals); normal approximation, variance corrected for ties, continuity correction of "
    "1/2, as R's wilcox.test (Wilcoxon 1945). `p_uncorrected` leaves the continuity correction out.",
    "mann_whitney": "Pairs of participants, one of each arm, in which b's mean is higher, ties half; normal "
    "approximation, variance corrected for ties, continuity correction of 1/2, as R's wilcox.test (Mann and "
    "Whitney 1947).",
    "brunner_munzel": "Probability that a participant of b has a higher mean than one of a, ties half; t from the "
    "variances of the placements, which may differ, with Satterthwaite's df (Brunner and Munzel 2000).",
}


def wilcoxon(differences: np.ndarray) -> Result:
    """Signed-rank test of paired differences b - a, one per participant, without NaN.

    Keys `statistic` (R's V), `z`, `p` (with continuity correction), `p_uncorrected`, `n` (all), `n_zero` (dropped),
    `direction` (which arm is higher: a, b or neither). Two-sided. Wilcoxon 1945; ties after Hollander and Wolfe 1973.
    """
    rounded = np.round(np.asarray(differences, dtype=np.float64), DECIMALS)
    n, kept = len(rounded), rounded[rounded != 0]
    if not n:
        return not_estimable(NO_PAIRS)
    if not len(kept):
        return not_estimable("no participant's mean differs between the arms, so there is nothing to rank")
    ranks = rankdata(np.abs(kept))
    statistic = float(ranks[kept > 0].sum())
    m = len(kept)
    away = statistic - m * (m + 1) / 4
    sd = sqrt(m * (m + 1) * (2 * m + 1) / 24 - _tied(np.abs(kept)) / 48)
    return warned_if_few(
        {"statistic": statistic, **_normal(away, sd), "n": n, "n_zero": n - m, "direction": _direction(away)},
        participants=m,
    )


def mann_whitney(means_a: np.ndarray, means_b: np.ndarray) -> Result:
    """Test of participants' means in two arms rated by different participants, without NaN.

    Keys `statistic` (U: pairs in which b is higher, ties half), `z`, `p` (with continuity correction), `p_uncorrected`,
    `n` (all), `n_a, n_b, prob_superiority` (U over the pairs), `direction`. Two-sided. Mann and Whitney 1947.
    """
    n_a, n_b = len(means_a), len(means_b)
    if not min(n_a, n_b):
        return not_estimable(EMPTY_ARM)
    both = np.round(np.concatenate([means_a, means_b]), DECIMALS)
    if (both == both[0]).all():
        return not_estimable("all participants' means are equal, so there is nothing to rank")
    statistic = float(rankdata(both)[n_a:].sum()) - n_b * (n_b + 1) / 2
    n = n_a + n_b
    away = statistic - n_a * n_b / 2
    sd = sqrt(n_a * n_b / 12 * (n + 1 - _tied(both) / (n * (n - 1))))
    sizes = {"n": n, "n_a": n_a, "n_b": n_b, "prob_superiority": statistic / (n_a * n_b)}
    return warned_if_few(
        {"statistic": statistic, **_normal(away, sd), **sizes, "direction": _direction(away)}, participants=n
    )


def brunner_munzel(means_a: np.ndarray, means_b: np.ndarray) -> Result:
    """Test and interval of the probability that a participant of b has a higher mean than one of a, ties half.

    Without NaN; variances and shapes may differ between the arms. Keys `statistic` (t), `df, p, n, n_a, n_b`,
    `prob_superiority` (an interval, not clipped to 0 to 1, as R's), `direction`. Two-sided. Brunner and Munzel 2000.
    """
    n_a, n_b = len(means_a), len(means_b)
    if not min(n_a, n_b):
        return not_estimable(EMPTY_ARM)
    if min(n_a, n_b) < 2:
        return not_estimable("an arm with one participant does not show how participants differ")
    a, b = np.round(means_a, DECIMALS), np.round(means_b, DECIMALS)
    together = rankdata(np.concatenate([a, b]))
    # Placements: how many of the other arm each participant exceeds, ties half.
    above_b, above_a = together[:n_a] - rankdata(a), together[n_a:] - rankdata(b)
    estimate = float(above_a.mean()) / n_a
    parts = float(above_b.var(ddof=1)) / (n_a * n_b**2), float(above_a.var(ddof=1)) / (n_b * n_a**2)
    variance = sum(parts)
    if variance <= 1e-20:
        if estimate in (0.0, 1.0):
            higher = "b" if estimate else "a"
            return not_estimable(f"every participant's mean in arm {higher} is above every one in the other")
        return not_estimable("the participants within an arm do not differ, so the standard error would be zero")
    df = variance**2 / (parts[0] ** 2 / (n_a - 1) + parts[1] ** 2 / (n_b - 1))
    se = sqrt(variance)
    t = (estimate - 0.5) / se
    return warned_if_few(
        {
            "statistic": t,
            "df": df,
            "p": float(2 * stdtr(df, -abs(t))),
            "n": n_a + n_b,
            "n_a": n_a,
            "n_b": n_b,
            "prob_superiority": t_interval(estimate, se, df),
            "direction": _direction(estimate - 0.5),
        },
        participants=n_a + n_b,
    )


def how_wilcoxon(result: Result) -> str:
    if not estimable(result):
        return f"Not estimable: {result['not_estimable']}."
    m = result["n"] - result["n_zero"]
    return (
        f"V = {result['statistic']:g} is the sum of ranks of the participants higher in b among the {m} of "
        f"{result['n']} who differ; under no difference it is {m * (m + 1) / 4:g} on average. "
        f"z = {result['z']:.8g}, {_ps(result)}."
    )


def how_mann_whitney(result: Result) -> str:
    if not estimable(result):
        return f"Not estimable: {result['not_estimable']}."
    pairs = result["n_a"] * result["n_b"]
    return (
        f"U = {result['statistic']:g} of the {result['n_a']} × {result['n_b']} = {pairs} pairs of participants are "
        f"higher in b, ties half; under no difference it is {pairs / 2:g} on average. "
        f"z = {result['z']:.8g}, {_ps(result)}."
    )


def how_brunner_munzel(result: Result) -> str:
    if not estimable(result):
        return f"Not estimable: {result['not_estimable']}."
    interval = result["prob_superiority"]
    return (
        f"In {interval['estimate']:.8g} of the {result['n_a']} × {result['n_b']} pairs of participants b is higher, "
        f"ties half (SE {interval['se']:.8g} from the placements' variances, {interval['low']:.8g} to "
        f"{interval['high']:.8g}); t = ({interval['estimate']:.8g} - 1/2) / SE = {result['statistic']:.8g}, df = "
        f"{result['df']:.8g}, p = {result['p']:.8g}."
    )


def _ps(result: Result) -> str:
    return f"p = {result['p']:.8g} with continuity correction ({result['p_uncorrected']:.8g} without)"


def _tied(values: np.ndarray) -> float:
    """Sum of t³ - t over the groups of t equal values."""
    t = np.unique(values, return_counts=True)[1].astype(np.float64)
    return float((t**3 - t).sum())


def _normal(away: float, sd: float) -> Result:
    nearer = max(abs(away) - 0.5, 0.0)
    z = nearer / sd if away > 0 else -nearer / sd
    return {"z": z, "p": float(2 * ndtr(-abs(z))), "p_uncorrected": float(2 * ndtr(-abs(away) / sd))}


def _direction(away: float) -> str:
    return "b" if away > 0 else "a" if away < 0 else "neither"
