"""Resampling of whole clusters by weights, and the percentile intervals that come of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .clustered import ROUNDING
from .intervals import LEVEL, Result, not_estimable

# Numbers held at once.
CHUNK = 1_000_000
# A draw can leave a coefficient without a value. When more than a tenth do, what is left no longer shows how it varies.
USABLE = 0.9

NO_DRAWS = "no draws were made"
UNDEFINED = "the resampled data too often left nothing to compare"
NO_SPREAD = "the resampled values do not differ at all"


def resampling_weights(
    rng: np.random.Generator, size: int, draws: int, dtype: np.dtype | type = np.float32
) -> np.ndarray:
    """How often each of `size` clusters is drawn in each of so many draws of `size`: draws x size, whole numbers.

    In single precision whole numbers below 2^24 are exact and products cost half.
    """
    drawn = rng.integers(size, size=(draws, size))
    drawn += np.arange(draws)[:, None] * size
    return np.bincount(drawn.ravel(), minlength=draws * size).astype(dtype).reshape(draws, size)


def chunks(draws: int, width: int) -> Iterator[int]:
    """The draws in portions that keep `width` numbers of each within bounds."""
    step = max(1, CHUNK // width)
    for first in range(0, draws, step):
        yield min(step, draws - first)


def percentile_intervals(
    portions: Sequence[Mapping[str, np.ndarray]], names: Sequence[str], of: str
) -> dict[str, Result]:
    """For each coefficient `se_OF, low_OF, high_OF` from its values in each draw, where NaN is a draw without one."""
    if not portions:
        return dict.fromkeys(names, dict.fromkeys(bounds(of), not_estimable(NO_DRAWS)))
    return {name: _interval(np.concatenate([portion[name] for portion in portions]), of) for name in portions[0]}


def bounds(of: str) -> tuple[str, str, str]:
    return f"se_{of}", f"low_{of}", f"high_{of}"


def _interval(values: np.ndarray, of: str) -> Result:
    usable = values[np.isfinite(values)]
    if len(usable) < max(2, USABLE * len(values)):
        return dict.fromkeys(bounds(of), not_estimable(UNDEFINED))
    if np.ptp(usable) <= ROUNDING:
        return dict.fromkeys(bounds(of), not_estimable(NO_SPREAD))
    low, high = np.quantile(usable, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return dict(zip(bounds(of), (float(usable.std(ddof=1)), float(low), float(high)), strict=True))
