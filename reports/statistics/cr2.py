"""Participant-clustered standard errors that stay honest with few or unequal participants: CR2 with Satterthwaite df.

The usual sandwich squares residuals that were made smaller by fitting the mean to them, most for participants with most
ratings. CR2 (Bell and McCaffrey 2002) undoes that under the working model of independent ratings, participant by
participant, and its df is that of a chi-square with the same two moments (Pustejovsky and Tipton 2018). For means of
arms the adjustment matrix (I - J / N)^(-1/2) of a participant with n ratings turns the vector of ones into
(1 - n / N)^(-1/2) times itself, so everything is sums over participants.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .clustered import ROUNDING, mean
from .intervals import Result, estimable, not_estimable, t_interval, warned_if_few
from .table import Table

NAMES = {"participant_cr2": "clustered on participants, corrected for few of them (CR2)"}

DEFINITIONS = {
    "participant_cr2": "Sandwich variance by participants, each participant's residuals divided by √(1 - their share "
    "of the arm's ratings) (CR2); t with Satterthwaite's df (Bell and McCaffrey 2002; Pustejovsky and Tipton 2018).",
}


def cr2_mean(table: Table, arm: str) -> Result:
    """The arm's pooled mean with its CR2 standard error and Satterthwaite df, in rating points: an interval."""
    return _cr2(table, {arm: 1})


def cr2_difference(table: Table, a: str, b: str) -> Result:
    """The same for b minus a: least squares of all ratings on the arm, clustered on participants across both arms."""
    return _cr2(table, {a: -1, b: 1})


def how_cr2(interval: Result) -> str:
    """How the interval came about."""
    if not estimable(interval):
        return f"Not estimable: {interval['not_estimable']}."
    return (
        f"SE {interval['se']:.8g} from the residuals summed within each of {interval['participants']} participants, "
        "each sum divided by √(1 - the participant's share of the arm's ratings) (CR2); "
        f"df = {interval['df']:.8g} by Satterthwaite, below {interval['participants']} - 1 where participants gave "
        "unequal numbers of ratings. Items count as fixed."
    )


def _cr2(table: Table, weights: Mapping[str, int]) -> Result:
    arms = [table.code(arm) for arm in weights]
    fewest = min(table.n_participants(arm) for arm in weights)
    if fewest < 2:
        return not_estimable(
            "one participant alone does not show how participants differ" if fewest else "there are no ratings"
        )
    # Arm x participant.
    n, total = (by_arm[arms].astype(np.float64) for by_arm in table.by_participant)
    size = n.sum(axis=1, keepdims=True)
    share = n / size
    adjust = 1 / np.sqrt(1 - share)
    sign = np.array(list(weights.values()))[:, None]
    # Multiplied out, residual sums of whole numbers are exact.
    residual = (size * total - total.sum(axis=1, keepdims=True) * n) / size**2
    se = float(np.sqrt(((sign * adjust * residual).sum(axis=0) ** 2).sum()))
    levels = table.levels[table.counts[arms].sum(axis=0) > 0]
    spread = float(levels[-1] - levels[0])
    if se <= ROUNDING * spread:
        if not spread:
            return not_estimable("all ratings are equal, so their spread cannot be estimated")
        return not_estimable("the clusters do not differ at all, so the standard error would be zero")
    interval = t_interval(
        sum(weight * mean(table, arm) for arm, weight in weights.items()),
        se,
        _satterthwaite(adjust, share, size),
        participants=int((n.sum(axis=0) > 0).sum()),
    )
    return warned_if_few(interval, participants=interval["participants"])


def _satterthwaite(adjust: np.ndarray, share: np.ndarray, size: np.ndarray) -> float:
    """(sum of eigenvalues)² / sum of squared eigenvalues of P, the variance as a quadratic form in independent ratings.

    P = diag(d) - sum over arms of u u', participants x participants, with d and u as below.
    """
    d = (adjust**2 * share / size).sum(axis=0)
    u = adjust * share / np.sqrt(size)
    trace = float(d.sum() - (u**2).sum())
    squares = float((d**2).sum() - 2 * (d * u**2).sum() + ((u @ u.T) ** 2).sum())
    return trace**2 / squares
