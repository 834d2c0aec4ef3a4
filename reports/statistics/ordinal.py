"""Ratings taken as ordered points: shares at the top, the ceiling, and the cumulative logit model of arms.

Where many ratings sit at the top of the scale a mean says little, and these come first.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt

import numpy as np
from scipy.special import expit, logit, ndtri, stdtr

from .clustered import ROUNDING
from .intervals import LEVEL, Result, estimable, not_estimable, t_quantile, warned_if_few
from .table import Table

# With more than this share at the top point the mean is not what to look at first.
CEILING = 0.25

NO_RATINGS = "there are no ratings"
ONE_PARTICIPANT = "one participant alone does not show how participants differ"

# The Newton steps of the cumulative logit; it converges quadratically, in some 6 steps.
MOST_STEPS = 100
CONVERGED = 1e-10

NAMES = {
    "top_box": "share at the top point",
    "top_2_box": "share at the top two points",
    "mode": "most frequent rating",
    "ceiling": "ceiling",
    "cumulative_logit": "cumulative logit model, clustered on participants",
}

DEFINITIONS = {
    "top_box": "Share of ratings at the top point (top_2_box: at the top two). Wilson interval from the effective "
    "number of ratings: n over the design effect by participants, times (t(n - 1) / t(G - 1))² for G participants, "
    "never more than n; where all ratings agree, G (Korn and Graubard 1998).",
    "mode": "The rating, or ratings, given most often.",
    "ceiling": "Share of ratings at the top point and moment skewness m3 / m2^(3/2); above 25 % there is a ceiling.",
    "cumulative_logit": "Proportional odds model of all arms, logit P(rating <= k) = threshold_k - effect of the arm, "
    "by maximum likelihood on the counts (McCullagh 1980); sandwich variance by participants times G / (G - 1), "
    "against t(G - 1). The odds ratio multiplies the odds of a rating above any point when going from a to b.",
}


def top_box(table: Table, arm: str, scale: tuple[int, int]) -> Result:
    """Share of the arm's ratings at the top point of the scale, with an interval that respects clustering.

    Keys `estimate, low, high, n_ratings, n_participants, design_effect, effective_n, df`; a share. Wilson's interval
    with Korn and Graubard's (1998) effective sample size.
    """
    return _share_from(table, arm, scale[1])


def top_2_box(table: Table, arm: str, scale: tuple[int, int]) -> Result:
    """The same for the top two points."""
    return _share_from(table, arm, scale[1] - 1)


def mode(table: Table, arm: str) -> list[float] | Result:
    """The ratings given most often, lowest first; several where they tie."""
    counts = table.counts[table.code(arm)]
    if not counts.any():
        return not_estimable(NO_RATINGS)
    return [level.item() for level in table.levels[counts == counts.max()]]


def ceiling(table: Table, arm: str, scale: tuple[int, int]) -> Result:
    """Keys `share_at_max, skewness, is_ceiling` (a share above a quarter). Skewness is m3 / m2^(3/2) of all ratings."""
    counts = table.counts[table.code(arm)]
    n = int(counts.sum())
    if not n:
        return not_estimable(NO_RATINGS)
    share = float(counts[table.levels >= scale[1]].sum() / n)
    if np.count_nonzero(counts) == 1:
        skewness: float | Result = not_estimable("all ratings are equal, so they have no shape")
    else:
        away = table.levels - float(counts @ table.levels) / n
        skewness = float(counts @ away**3 / n) / float(counts @ away**2 / n) ** 1.5
    return {"share_at_max": share, "skewness": skewness, "is_ceiling": share > CEILING}


def cumulative_logit(table: Table, a: str, b: str) -> Result:
    """Proportional odds of b against a, in a model of all the table's arms, with participant-clustered standard error.

    Keys `estimate` (log odds ratio of a higher rating in b), `se, df, z` (their ratio), `p, low, high`, `odds_ratio`
    (`estimate, low, high`), `naive_se` (as if ratings were independent), `n_ratings, n_participants`, `arms` (of the
    model), `thresholds` (between the points seen). McCullagh 1980; sandwich by participants, Liang and Zeger 1986,
    times G / (G - 1), against t(G - 1), which covers better than the normal where participants are few.
    """
    codes = [table.code(a), table.code(b)]
    if not table.n[codes].all():
        return not_estimable("one of the arms has no ratings")
    if np.count_nonzero(table.counts[codes].sum(axis=0)) == 1:
        return not_estimable("all ratings are equal, so their spread cannot be estimated")
    if min(table.n_participants(a), table.n_participants(b)) < 2:
        return not_estimable(ONE_PARTICIPANT)
    group = next(group for group in _overlapping(table.counts, np.flatnonzero(table.n)) if codes[0] in group)
    if codes[1] not in group:
        return not_estimable("no rating of one arm is above any of the other, so the odds ratio is not finite")
    fit = _fitted(table.counts[group])
    if fit is None:
        return not_estimable("the fit did not converge")
    return _clustered(table, group, fit, [int(np.searchsorted(group, code)) for code in codes])


def how_top_box(result: Result) -> str:
    """How a share's interval came about."""
    if not estimable(result):
        return f"Not estimable: {result['not_estimable']}."
    deff = result["design_effect"]
    because = (
        f"design effect {deff:.8g} by {result['n_participants']} participants, df = {result['df']}"
        if estimable(deff)
        else f"{deff['not_estimable']}: each participant counts once"
    )
    return (
        f"Share {result['estimate']:.8g} of {result['n_ratings']} ratings; they weigh as much as "
        f"{result['effective_n']:.8g} independent ones ({because}). Wilson's interval for that many: "
        f"{result['low']:.8g} to {result['high']:.8g}."
    )


def how_cumulative_logit(result: Result) -> str:
    """How the odds ratio came about."""
    if not estimable(result):
        return f"Not estimable: {result['not_estimable']}."
    ratio = result["odds_ratio"]
    return (
        f"Maximum likelihood on {result['n_ratings']} ratings of {len(result['arms'])} arms: log odds ratio "
        f"{result['estimate']:.8g}, SE {result['se']:.8g} by {result['n_participants']} participants "
        f"({result['naive_se']:.8g} as if ratings were independent), "
        f"t = {result['z']:.8g}, df = {result['df']}, p = {result['p']:.8g}; "
        f"exp gives the odds ratio {ratio['estimate']:.8g}, {ratio['low']:.8g} to {ratio['high']:.8g}."
    )


def _share_from(table: Table, arm: str, lowest: float) -> Result:
    code = table.code(arm)
    n_by, _ = table.by_participant
    rated = n_by[code] > 0
    n, participants = int(table.n[code]), int(rated.sum())
    if not n:
        return not_estimable(NO_RATINGS)
    if participants < 2:
        return not_estimable(ONE_PARTICIPANT)
    marks = table.marks
    there = (marks.arm == code) & (table.levels[marks.level] >= lowest)
    tops = np.bincount(marks.participant[there], marks.n[there], minlength=len(rated))[rated]
    share = float(tops.sum() / n)
    # Multiplied out by n, residuals are whole numbers, and vanish where they should.
    residuals = n * tops - tops.sum() * n_by[code][rated]
    clustered = float(residuals @ residuals) / float(n) ** 4 * participants / (participants - 1)
    if share in (0.0, 1.0):
        deff: float | Result = not_estimable("all ratings agree, so clustering cannot be seen")
        effective = float(participants)
    else:
        deff = clustered / (share * (1 - share) / (n - 1))
        to_df = (t_quantile(n - 1) / t_quantile(participants - 1)) ** 2
        effective = min(float(n), n / deff * to_df) if deff > ROUNDING else float(n)
    low, high = _wilson(share, effective)
    return warned_if_few(
        {
            "estimate": share,
            "low": low,
            "high": high,
            "n_ratings": n,
            "n_participants": participants,
            "design_effect": deff,
            "effective_n": effective,
            "df": participants - 1,
        },
        participants=participants,
    )


def _wilson(share: float, n: float) -> tuple[float, float]:
    z2 = float(ndtri((1 + LEVEL) / 2)) ** 2
    middle, half = share + z2 / (2 * n), sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2)))
    # The ends of a share of 0 or 1 are exact.
    low = 0.0 if share == 0 else (middle - half) / (1 + z2 / n)
    high = 1.0 if share == 1 else (middle + half) / (1 + z2 / n)
    return low, high


def _overlapping(counts: np.ndarray, arms: np.ndarray) -> list[np.ndarray]:
    """The arms in groups within which all odds ratios are finite.

    Where some arms' ratings lie at or below a point and all other arms' at or above it, the likelihood grows for ever
    as these move apart, and the model falls into one of either side; so does an arm with all its ratings at that point.
    """
    seen = counts[arms] > 0
    lowest, highest = seen.argmax(axis=1), counts.shape[1] - 1 - seen[:, ::-1].argmax(axis=1)
    for point in range(counts.shape[1]):
        below, above = highest <= point, lowest >= point
        sides = [arms[side] for side in (below & ~above, below & above, above & ~below)]
        parts = [side for side in sides if len(side)]
        if (below | above).all() and len(parts) > 1:
            return [group for part in parts for group in _overlapping(counts, part)]
    return [arms]


@dataclass(frozen=True)
class _Fit:
    """The maximum of the likelihood: thresholds between the points seen, and effects of the arms, the first zero."""

    points: np.ndarray
    thresholds: np.ndarray
    effects: np.ndarray
    information: np.ndarray


def _fitted(counts: np.ndarray) -> _Fit | None:
    """Newton's method on counts, arm x level. The likelihood is concave, so that halved steps always lead up."""
    points = np.flatnonzero(counts.any(axis=0))
    n = counts[:, points].astype(np.float64)
    upto = np.cumsum(n.sum(axis=0))
    at = np.concatenate([logit(upto[:-1] / upto[-1]), np.zeros(len(n) - 1)])
    value, gradient, information = _likelihood(n, at)
    for _ in range(MOST_STEPS):
        try:
            step = np.linalg.solve(information, gradient)
        except np.linalg.LinAlgError:
            return None
        for _ in range(MOST_STEPS):
            found = _likelihood(n, at + step)
            if found[0] >= value - 1e-12 * abs(value) or np.abs(step).max() < CONVERGED:
                break
            step = step / 2
        at, (value, gradient, information) = at + step, found
        if np.abs(step).max() < CONVERGED:
            k = len(points) - 1
            return _Fit(points, at[:k], np.concatenate([[0.0], at[k:]]), information)
    return None


def _likelihood(n: np.ndarray, at: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """The log likelihood, its gradient and minus its second derivatives; thresholds first, then later arms' effects."""
    k = n.shape[1] - 1
    chances, densities = _chances(at[:k], np.concatenate([[0.0], at[k:]]))
    if (chances <= 0).any():
        return -np.inf, at, np.eye(len(at))
    ratio, square = n / chances, n / chances**2
    # Density and its derivative at the thresholds, arm x threshold.
    density, slope = densities[0][:, 1:-1], densities[1][:, 1:-1]
    first = density * (ratio[:, :-1] - ratio[:, 1:])
    diagonal = density**2 * (square[:, :-1] + square[:, 1:]) - slope * (ratio[:, :-1] - ratio[:, 1:])
    beside = -density[:, :-1] * density[:, 1:] * square[:, 1:-1]
    # An arm's effect moves all of its thresholds down together.
    rows = diagonal.copy()
    rows[:, :-1] += beside
    rows[:, 1:] += beside
    information = np.zeros((len(at), len(at)))
    information[:k, :k] = np.diag(diagonal.sum(axis=0))
    if k > 1:
        between = np.diag(beside.sum(axis=0), 1)
        information[:k, :k] += between + between.T
    information[:k, k:] = -rows[1:].T
    information[k:, :k] = -rows[1:]
    information[k:, k:] = np.diag(rows[1:].sum(axis=1))
    gradient = np.concatenate([first.sum(axis=0), -first[1:].sum(axis=1)])
    return float((n * np.log(chances)).sum()), gradient, information


def _chances(thresholds: np.ndarray, effects: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Arm x point: its chance. Arm x threshold, the infinite ones at both ends included: density and slope of it."""
    edges = np.concatenate([[-np.inf], thresholds, [np.inf]]) - effects[:, None]
    upto, beyond = expit(edges), expit(-edges)
    # The smaller tails are subtracted, so that no digits are lost at either end.
    chances = np.where(edges[:, :-1] > 0, beyond[:, :-1] - beyond[:, 1:], upto[:, 1:] - upto[:, :-1])
    density = upto * beyond
    return chances, (density, density * (beyond - upto))


def _clustered(table: Table, group: np.ndarray, fit: _Fit, pair: list[int]) -> Result:
    k = len(fit.thresholds)
    contrast = np.zeros(k + len(group))
    contrast[k + pair[1]] += 1
    contrast[k + pair[0]] -= 1
    contrast = np.delete(contrast, k)
    weights = np.linalg.solve(fit.information, contrast)
    chances, (density, _) = _chances(fit.thresholds, fit.effects)
    # What a rating at a point in an arm adds to the estimate, thresholds and effect taken together.
    by_arm = np.concatenate([[0.0], weights[k:]])[:, None]
    moved = density * (np.concatenate([[0.0], weights[:k], [0.0]]) - by_arm)
    influence = np.zeros((len(table.arms), len(table.levels)))
    influence[np.ix_(group, fit.points)] = (moved[:, 1:] - moved[:, :-1]) / chances

    marks = table.marks
    size = len(table.participants)
    sums = np.bincount(marks.participant, marks.n * influence[marks.arm, marks.level], minlength=size)
    participants = int((table.by_participant[0][group] > 0).any(axis=0).sum())
    se = sqrt(float(sums @ sums) * participants / (participants - 1))
    naive = sqrt(float(contrast @ weights))
    if se <= sqrt(ROUNDING) * naive:
        return not_estimable("the participants do not differ at all, so the standard error would be zero")
    estimate = float(fit.effects[pair[1]] - fit.effects[pair[0]])
    half = t_quantile(participants - 1) * se
    low, high, z = estimate - half, estimate + half, estimate / se
    points = [f"{point:g}" for point in table.levels[fit.points]]
    return warned_if_few(
        {
            "estimate": estimate,
            "se": se,
            "df": participants - 1,
            "z": z,
            "p": float(2 * stdtr(participants - 1, -abs(z))),
            "low": low,
            "high": high,
            "odds_ratio": {"estimate": exp(estimate), "low": exp(low), "high": exp(high)},
            "naive_se": naive,
            "n_ratings": int(table.n[group].sum()),
            "n_participants": participants,
            "arms": [table.arms[code] for code in group],
            "thresholds": {
                f"{below}|{above}": float(value)
                for below, above, value in zip(points[:-1], points[1:], fit.thresholds, strict=True)
            },
        },
        participants=participants,
    )
