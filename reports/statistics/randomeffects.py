"""The random effects that a mixed model of arms may have: their covariances, their names, and how they get fewer."""

from __future__ import annotations

from typing import Literal

import numpy as np

from .crosseddesign import Covariance
from .intervals import Result

# Intercepts and slopes with all their correlations; the same without; an effect of its own in each arm; intercepts.
Kind = Literal["correlated", "uncorrelated", "by_arm", "intercepts"]

# A larger covariance of the arms has more parameters than a study can tell.
MOST_CORRELATED = 4

_TERMS: dict[Kind, str] = {
    "correlated": "(1 + arm | {0})",
    "uncorrelated": "(1 + arm || {0})",
    "by_arm": "(1 | {0}) + (1 | {0}:arm)",
    "intercepts": "(1 | {0})",
}


def covariance(kind: Kind, n_arms: int) -> Covariance:
    """Sigma of a factor's effects on the arms.

    `correlated`: lme4's theta of (1 + arm | factor), the first arm being the reference. `uncorrelated`, of two arms:
    an intercept half way between them and a slope, so that neither arm is special. `by_arm`: the factor's intercept
    plus an independent effect in each arm, so that all differences of arms vary alike.
    """
    ones, each = np.ones((n_arms, 1)), np.eye(n_arms)
    if kind == "intercepts":
        return Covariance(ones, np.ones((1, 1, 1)), (0,))
    if kind == "correlated":
        treatment = np.eye(n_arms)
        treatment[:, 0] = 1.0
        places = [(i, j) for j in range(n_arms) for i in range(j, n_arms)]
        lower = np.array([np.outer(each[i], each[j]) for i, j in places])
        return Covariance(each, treatment @ lower, tuple(at for at, (i, j) in enumerate(places) if i == j))
    second = np.array([[-0.5], [0.5]]) if kind == "uncorrelated" else each
    first = np.hstack([ones, np.zeros_like(second)])
    return Covariance(each, np.array([first, np.hstack([np.zeros_like(ones), second])]), (0, 1))


def largest(n_arms: int) -> Kind:
    return "correlated" if n_arms <= MOST_CORRELATED else "by_arm"


def fewer(kind: Kind, n_arms: int) -> Kind:
    """Without correlations; without slopes."""
    return without_correlations(n_arms) if kind == "correlated" else "intercepts"


def without_correlations(n_arms: int) -> Kind:
    return "uncorrelated" if n_arms == 2 else "by_arm"


def too_many(kind: Kind, vanished: list[int]) -> bool:
    """A singular correlation is too many; without one, a slope is too many only if it is the slope that is zero."""
    return bool(vanished) if kind == "correlated" else kind != "intercepts" and 1 in vanished


def name(kind: Kind, factor: str) -> str:
    """What `fewer` takes away."""
    return f"the correlations of the {factor}s' effects" if kind == "correlated" else f"the {factor}s' slopes"


def formula(kinds: dict[str, Kind]) -> str:
    """In lme4's notation; a factor that is not random is fixed."""
    items = [] if "item" in kinds else ["item"]
    return "rating ~ " + " + ".join(["arm", *items, *(_TERMS[kind].format(of) for of, kind in kinds.items())])


def start(kind: Kind, before: Kind, theta: np.ndarray, n_arms: int) -> np.ndarray:
    """The theta whose Sigma is nearest to that of another kind, zeros lifted a little so that they can move."""
    old, new = covariance(before, n_arms), covariance(kind, n_arms)
    if kind == before:
        began = theta.copy()
        low = [j for j in new.bounded if abs(theta[j]) < 0.05]
        began[low] = 0.05
        return began
    sigma = old.features @ old.sigma(theta) @ old.features.T
    shapes = new.features @ (new.basis @ new.basis.transpose(0, 2, 1)) @ new.features.T
    squares = np.linalg.lstsq(shapes.reshape(len(shapes), -1).T, sigma.ravel(), rcond=None)[0]
    return np.sqrt(np.maximum(squares, 0.05**2))


def spread(kind: Kind, theta: np.ndarray, residual: float, arms: tuple[str, ...]) -> Result:
    """Standard deviations in rating points, and correlations where they exist; theta is relative to the residual's."""
    theta = np.where(np.abs(theta) < 1e-6, 0.0, theta) * residual
    if kind == "correlated" and len(arms) == 2:
        intercept, slope = float(abs(theta[0])), float(np.hypot(theta[1], theta[2]))
        sd = {"intercept": intercept, "slope": slope}
        return sd | {"correlation": float(np.sign(theta[0]) * theta[1] / slope)} if intercept and slope else sd
    if kind == "correlated":
        sigma = covariance(kind, len(arms)).sigma(theta)
        sd_of_arms = np.sqrt(np.diag(sigma))
        pairs = [(a, b) for b in range(len(arms)) for a in range(b) if sd_of_arms[a] and sd_of_arms[b]]
        return {
            "arms": dict(zip(arms, sd_of_arms.tolist(), strict=True)),
            "correlations": [
                {"a": arms[a], "b": arms[b], "correlation": float(sigma[a, b] / (sd_of_arms[a] * sd_of_arms[b]))}
                for a, b in pairs
            ],
        }
    names = {"intercepts": ("intercept",), "uncorrelated": ("intercept", "slope"), "by_arm": ("intercept", "by_arm")}
    return {label: float(abs(value)) for label, value in zip(names[kind], theta, strict=True)}
