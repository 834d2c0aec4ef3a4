"""P values adjusted for how many tests are shown together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

NAMES = {"holm": "Holm", "benjamini_hochberg": "Benjamini-Hochberg"}

DEFINITIONS = {
    "holm": "Step-down Bonferroni: the k-th smallest of m p values times m - k + 1, made monotone. Keeps the chance of "
    "any false rejection below 5 % (Holm 1979).",
    "benjamini_hochberg": "Step-up: the k-th smallest of m p values times m / k, made monotone. Keeps the expected "
    "share of false ones among the rejections below 5 % (Benjamini and Hochberg 1995).",
}


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Adjusted p values in the order given. None, a test that does not exist, stays None and is not counted."""
    return _adjusted(p, lambda ordered: np.maximum.accumulate(ordered * np.arange(len(ordered), 0, -1)))


def benjamini_hochberg(p: Sequence[float | None]) -> list[float | None]:
    """The same by Benjamini and Hochberg's false discovery rate."""

    def stepped_up(ordered: np.ndarray) -> np.ndarray:
        m = len(ordered)
        return np.minimum.accumulate((ordered * m / np.arange(1, m + 1))[::-1])[::-1]

    return _adjusted(p, stepped_up)


def how_adjusted(method: str, family: int) -> str:
    """`method`: a key of `NAMES`; `family`: how many tests were adjusted for."""
    return f"Adjusted by {NAMES[method]} for the {family} test{'' if family == 1 else 's'} shown together."


def _adjusted(p: Sequence[float | None], step: Callable[[np.ndarray], np.ndarray]) -> list[float | None]:
    there = [place for place, value in enumerate(p) if value is not None]
    values = np.array([p[place] for place in there], dtype=np.float64)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(step(values[order]), 1.0) if len(values) else values
    result: list[float | None] = [None] * len(p)
    for place, value in zip(there, adjusted, strict=True):
        result[place] = float(value)
    return result
