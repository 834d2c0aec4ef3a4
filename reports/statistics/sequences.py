"""Intervals that stay honest however often, and whenever, somebody looks.

A fixed interval promises 95 % for one look. Whoever looks after every ten participants and stops when zero lies outside
is wrong far more often. A confidence sequence is wider, and holds the mean at all looks together.
"""

from __future__ import annotations

from math import log, sqrt

import numpy as np
from numpy.typing import ArrayLike

from .clustered import ROUNDING
from .intervals import LEVEL, Result, estimable, not_estimable, warned_if_few

NAME = "at every look"
DEFINITION = (
    "Asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, Gaussian mixture): the mean "
    "of completed participants' values ± sd √(2 (n ρ² + 1) / (n² ρ²) ln(√(n ρ² + 1) / α)), narrowest at the planned "
    "number N by ρ² = (-2 ln α + ln(-2 ln α) + 1) / N. It holds at all looks together, whatever made one look or stop."
)


def confidence_sequence(values: ArrayLike, planned: int, level: float = LEVEL) -> Result:
    """The sequence's interval after these values, one for each completed participant: their mean, or their difference.

    `planned` is the number of participants at which it is to be narrowest; it must be fixed before the first look. NaN
    stands for a participant without a value and is left out. Keys: estimate, low, high, n, planned, rho, sd, level.
    """
    every = np.asarray(values, dtype=np.float64)
    # Sorted, so that a sum does not depend on who came first.
    known = np.sort(every[~np.isnan(every)])
    n = len(known)
    if n == 0:
        return not_estimable("nobody has completed yet")
    if n == 1:
        return not_estimable("one participant alone does not show how participants differ")
    estimate, sd = float(known.mean()), float(known.std(ddof=1))
    if sd <= ROUNDING * max(1.0, float(np.abs(known).max())):
        return not_estimable("the participants do not differ at all, so their spread cannot be estimated")
    alpha, rho = 1 - level, tuned_rho(planned, level)
    spread = n * rho**2
    half = sd * sqrt(2 * (spread + 1) / (n * spread) * log(sqrt(spread + 1) / alpha))
    interval = {
        "estimate": estimate,
        "low": estimate - half,
        "high": estimate + half,
        "n": n,
        "planned": planned,
        "rho": rho,
        "sd": sd,
        "level": level,
    }
    return warned_if_few(interval, participants=n)


def tuned_rho(planned: int, level: float = LEVEL) -> float:
    """The mixture's parameter that makes the sequence nearly narrowest at the planned number (the paper's appendix)."""
    twice = -2 * log(1 - level)
    return sqrt((twice + log(twice) + 1) / max(planned, 1))


def how_confidence_sequence(result: Result) -> str:
    if not estimable(result):
        return f"Not estimable: {result['not_estimable']}."
    n, rho = result["n"], result["rho"]
    return (
        f"{result['estimate']:.8g} ± sd {result['sd']:.8g} × √(2 ({n} ρ² + 1) / ({n}² ρ²) × "
        f"ln(√({n} ρ² + 1) / {1 - result['level']:.3g})) with ρ = {rho:.8g} for {result['planned']} planned "
        f"participants, that is {result['low']:.8g} to {result['high']:.8g}; {n} have completed. It holds at all looks "
        "together (asymptotic confidence sequence, Waudby-Smith et al. 2024)."
    )
