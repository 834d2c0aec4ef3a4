"""Intervals by resampling whole participants, and, as a cross-check, participants and items independently.

A resample draws as many participants as rated anything under the criterion, with replacement, whichever arms they saw.
Only how often each was drawn matters, so a resample is a row of weights, and every statistic of all resamples is a
product of weights with what each participant is known by: a histogram of their ratings, and their means. No rating is
ever copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite, sqrt

import numpy as np
from scipy.sparse import csr_array
from scipy.special import ndtr, ndtri

from .clustered import ROUNDING
from .comparison import detect_design, hedges_j, participant_means
from .intervals import LEVEL, Result, estimable, not_estimable
from .resampling import resampling_weights
from .table import Table

DRAWS = 2000

# Resampling a handful of people again and again shows little of the people one has not met.
FEWEST = 10
FEW_TO_RESAMPLE = 20

# Resamples without a value, because an arm or a standard deviation vanished, are left out; no more than this share.
MOST_UNDEFINED = 0.01

# Numbers held at once for a block of resamples.
BLOCK = 1 << 20
# A large matrix with fewer filled places than one in this many is multiplied as a sparse one.
SPARSE = 16
# Weights are kept for the next arm up to this many.
KEPT = 1 << 24
# Whole numbers below this are exact in single precision.
EXACT_SINGLE = 1 << 24

# The random streams of one seed.
PARTICIPANTS, ITEMS = 1, 2
TAIL = (1 - LEVEL) / 2

EMPTY = "there are no ratings"
EMPTY_ARM = "one of the arms has no ratings"
EQUAL = "all ratings are equal, so their spread cannot be estimated"
SAME = "the clusters do not differ at all, so the standard error would be zero"
BETWEEN = "the arms were rated by different participants, so there are no pairs"
NO_SD = "the participants do not differ at all, so the standard deviation is zero"

ARM_INTERVALS = (
    "participant_bootstrap_percentile",
    "participant_bootstrap_bca",
    "two_way_bootstrap",
    "median",
    "top_box",
    "top_2_box",
)
EFFECT_SIZES = ("cliffs_delta", "prob_superiority", "d_z", "g_z", "d_av", "g_av")
CONTRAST_INTERVALS = ("participant_bootstrap_percentile", "participant_bootstrap_bca", *EFFECT_SIZES)

NAMES = {
    "participant_bootstrap_percentile": "participants resampled, percentiles",
    "participant_bootstrap_bca": "participants resampled, corrected for bias and skewness (BCa)",
    "two_way_bootstrap": "participants and items resampled",
    "median": "median, participants resampled",
    "top_box": "share at the top point, participants resampled",
    "top_2_box": "share at the top two points, participants resampled",
    "cliffs_delta": "Cliff's delta, participants resampled",
    "prob_superiority": "probability of superiority, participants resampled",
    "d_z": "d_z, participants resampled",
    "g_z": "g_z, participants resampled",
    "d_av": "d_av, participants resampled",
    "g_av": "g_av, participants resampled",
}

DEFINITIONS = {
    "participant_bootstrap_percentile": "2.5 % and 97.5 % quantiles of the statistic over resamples of whole "
    "participants, each with all of their ratings (Field and Welsh 2007). Items count as fixed.",
    "participant_bootstrap_bca": "The same, with quantiles moved for bias and skewness; the acceleration comes from "
    "leaving out one participant at a time (BCa, Efron 1987).",
    "two_way_bootstrap": "Quantiles over resamples of participants and, independently, of items; a rating weighs the "
    "product of the two numbers of draws (Owen 2007). A cross-check of `two_way`; it counts the residual variance up "
    "to three times and so tends to be wide.",
}


def bootstrap_arm(table: Table, arm: str, scale: tuple[int, int], seed: int, draws: int = DRAWS) -> Result:
    """Intervals of one arm's pooled mean, median and top-box shares from resamples of the participants.

    Keys `ARM_INTERVALS`, each an interval or not estimable: `estimate, se, low, high, draws, seed, participants` (how
    many were drawn from), `endpoint_mcse` (the larger Monte-Carlo standard error of the endpoints); BCa also `z0,
    acceleration, percentiles`, two-way also `items`. In rating points; shares as fractions. Efron 1987; Field and Welsh
    2007; Owen 2007.
    """
    rated, levels, counts = table.n_participants(arm), table.levels, table.counts[table.code(arm)]
    if reason := _refused(rated, counts):
        return dict.fromkeys(ARM_INTERVALS, not_estimable(reason))
    pool = _pool(table)
    histogram = _histogram(table, arm, pool)
    (drawn,) = _resampled([histogram], draws, seed)
    about = _About(draws, seed, len(pool), rated)
    spread = float(np.ptp(levels[counts > 0]))
    mean, means = float(_means(counts, levels)), _means(drawn, levels)
    median, medians = float(_medians(counts[None], levels)[0]), _medians(drawn, levels)
    return {
        "participant_bootstrap_percentile": about.percentile(mean, means, spread),
        "participant_bootstrap_bca": about.bca(mean, means, _means(counts - _dense(histogram), levels), spread),
        "two_way_bootstrap": _two_way(table, arm, mean, spread, pool, seed, draws),
        # A median takes few values: that it is the same in every resample does not mean that anything is amiss.
        "median": about.percentile(median, medians, spread, may_be_flat=True),
        "top_box": _box(counts, drawn, levels >= scale[1], about),
        "top_2_box": _box(counts, drawn, levels >= scale[1] - 1, about),
    }


def bootstrap_contrast(table: Table, a: str, b: str, seed: int, draws: int = DRAWS) -> Result:
    """Intervals of b minus a, and of the effect sizes, from resamples of the participants.

    Keys `CONTRAST_INTERVALS`, as in `bootstrap_arm`. A participant of both arms is drawn with their ratings of both.
    The effect sizes are those of `comparison.compare`: from histograms of all ratings, or from participants' means,
    weighted by draws; g is d times the factor of the study at hand. Percentiles; the difference also BCa (Efron 1987).
    """
    counts, levels = table.counts[[table.code(a), table.code(b)]], table.levels
    fewest = min(table.n_participants(a), table.n_participants(b))
    if reason := _refused(fewest, counts.sum(axis=0)) if fewest else EMPTY_ARM:
        return dict.fromkeys(CONTRAST_INTERVALS, not_estimable(reason))
    pool = _pool(table)
    spread = float(np.ptp(levels[counts.sum(axis=0) > 0]))
    histograms = [_histogram(table, arm, pool) for arm in (a, b)]
    sizes = _Standardised([participant_means(table, arm)[pool] for arm in (a, b)], spread)
    drawn_a, drawn_b, moments = _resampled(histograms, draws, seed, sizes.moments)
    about = _About(draws, seed, len(pool), fewest)

    difference = float(_means(counts[1], levels) - _means(counts[0], levels))
    differences = _means(drawn_b, levels) - _means(drawn_a, levels)
    left_a, left_b = (_means(n - _dense(histogram), levels) for n, histogram in zip(counts, histograms, strict=True))
    (delta, above), (deltas, aboves) = _superiority(*counts[:, None]), _superiority(drawn_a, drawn_b)
    return {
        "participant_bootstrap_percentile": about.percentile(difference, differences, spread),
        "participant_bootstrap_bca": about.bca(difference, differences, left_b - left_a, spread),
        "cliffs_delta": about.percentile(float(delta[0]), deltas, 1.0),
        "prob_superiority": about.percentile(float(above[0]), aboves, 1.0),
        **sizes.intervals(moments, about),
    }


def how_bootstrap(interval: Result) -> str:
    """How one of the intervals came about, enough to draw it again."""
    if not estimable(interval):
        return f"Not estimable: {interval['not_estimable']}."
    who = f"the {interval['participants']} participants"
    if "items" in interval:
        who += f" and, independently, of the {interval['items']} items"
    low, high = interval.get("percentiles", (TAIL, 1 - TAIL))
    sentence = (
        f"{interval['estimate']:.8g} in the study; over {interval['draws']} resamples of {who} with replacement (seed "
        f"{interval['seed']}) its standard deviation is {interval['se']:.8g}, and its {100 * low:.4g} % and "
        f"{100 * high:.4g} % quantiles are {interval['low']:.8g} and {interval['high']:.8g}, each with a Monte-Carlo "
        f"standard error of at most {interval['endpoint_mcse']:.2g}"
    )
    if "z0" in interval:
        sentence += (
            f"; which quantiles to take follows from the bias z0 = {interval['z0']:.6g} and the acceleration "
            f"{interval['acceleration']:.6g}"
        )
    if undefined := interval.get("undefined"):
        sentence += f"; {undefined} of the resamples had no value and were left out"
    return f"{sentence}."


@dataclass(frozen=True)
class _About:
    """What the resamples were drawn from, and the intervals that can be read off them."""

    draws: int
    seed: int
    participants: int
    # The fewest participants in any one arm concerned: the others who may be drawn tell nothing of it.
    rated: int
    items: int | None = None

    def percentile(self, estimate: float, drawn: np.ndarray, spread: float, may_be_flat: bool = False) -> Result:
        return self._between(estimate, drawn, (TAIL, 1 - TAIL), spread, may_be_flat)

    def bca(self, estimate: float, drawn: np.ndarray, without_one: np.ndarray, spread: float) -> Result:
        """Efron 1987; `without_one` is the statistic with each participant left out in turn."""
        defined, slack = drawn[~np.isnan(drawn)], ROUNDING * spread
        below, upto = (np.count_nonzero(defined < estimate + by) for by in (-slack, slack))
        z0 = float(ndtri((below + upto) / (2 * max(len(defined), 1))))
        if not isfinite(z0):
            return not_estimable("all resamples lie on one side of the estimate")
        acceleration = _acceleration(without_one, slack)
        z = z0 + np.array([ndtri(TAIL), ndtri(1 - TAIL)])
        if (acceleration * z >= 1).any():
            return not_estimable("the participants weigh too unequally for the correction")
        low, high = (float(share) for share in ndtr(z0 + z / (1 - acceleration * z)))
        interval = self._between(estimate, drawn, (low, high), spread)
        if not estimable(interval):
            return interval
        return interval | {"z0": z0, "acceleration": acceleration, "percentiles": [low, high]}

    def _between(
        self, estimate: float, drawn: np.ndarray, at: tuple[float, float], spread: float, may_be_flat: bool = False
    ) -> Result:
        defined = drawn[~np.isnan(drawn)]
        undefined = len(drawn) - len(defined)
        if len(defined) < 2 or undefined > MOST_UNDEFINED * len(drawn):
            return not_estimable(f"{undefined} of {len(drawn)} resamples have no value")
        se = float(defined.std(ddof=1))
        if se <= ROUNDING * spread:
            if not may_be_flat:
                return not_estimable(SAME)
            se = 0.0
        low, high = (float(end) for end in np.quantile(defined, at))
        interval: Result = {"estimate": estimate, "se": se, "low": low, "high": high}
        interval |= {"draws": self.draws, "seed": self.seed, "participants": self.participants}
        interval["endpoint_mcse"] = max(_endpoint_mcse(defined, place) for place in at)
        if self.items is not None:
            interval["items"] = self.items
        if undefined:
            interval["undefined"] = undefined
        return self._warned(interval)

    def _warned(self, interval: Result) -> Result:
        found = {"participants": self.rated, "items": FEW_TO_RESAMPLE if self.items is None else self.items}
        few = [f"{n} {unit}" for unit, n in found.items() if n < FEW_TO_RESAMPLE]
        if not few:
            return interval
        return interval | {
            "warning": f"only {' and '.join(few)}: resampling fewer than {FEW_TO_RESAMPLE} is unreliable"
        }


class _Standardised:
    """Differences in units of standard deviations of participants' means, from weighted moments.

    Moments are taken about the middles, so that squares of large numbers do not cancel.
    """

    def __init__(self, means: Sequence[np.ndarray], spread: float) -> None:
        means_a, means_b = means
        self.paired = detect_design(means_a, means_b) == "paired"
        values = [means_a, means_b]
        if self.paired:
            both = ~np.isnan(means_a) & ~np.isnan(means_b)
            values = [np.where(both, value, np.nan) for value in (means_a, means_b, means_b - means_a)]
        # Differences of sums of squares lose half of their digits.
        self.floor = sqrt(ROUNDING) * spread
        self.middles = [float(np.nanmean(value)) for value in values]
        n_a, n_b = (int(np.count_nonzero(~np.isnan(value))) for value in values[:2])
        self.df = {"d_z": n_a - 1, "d_av": n_a + n_b - 2}
        # Participant x (whether there is a value, the value, its square) of each in turn.
        self.moments = np.column_stack([column for k, value in enumerate(values) for column in self._columns(k, value)])

    def intervals(self, moments: np.ndarray, about: _About) -> Result:
        estimates, drawn = self._sizes(self.moments.sum(axis=0)[None]), self._sizes(moments)
        found: Result = {}
        for d, g in (("d_z", "g_z"), ("d_av", "g_av")):
            if d not in estimates:
                found[d] = not_estimable(BETWEEN)
            elif np.isnan(estimates[d][0]):
                found[d] = not_estimable(NO_SD)
            else:
                found[d] = about.percentile(float(estimates[d][0]), drawn[d], 1.0)
            found[g] = _times(found[d], hedges_j(self.df[d]))
        return found

    def _columns(self, k: int, value: np.ndarray) -> tuple[np.ndarray, ...]:
        there = ~np.isnan(value)
        away = np.where(there, value - self.middles[k], 0.0)
        return there.astype(np.float64), away, away**2

    def _sizes(self, moments: np.ndarray) -> dict[str, np.ndarray]:
        means, variances = [], []
        with np.errstate(divide="ignore", invalid="ignore"):
            for k, middle in enumerate(self.middles):
                n, away, square = moments[:, 3 * k : 3 * k + 3].T
                means.append(middle + away / n)
                variances.append(np.maximum(square - away**2 / n, 0) / (n - 1))
            sizes = {"d_av": self._over(means[1] - means[0], np.sqrt((variances[0] + variances[1]) / 2))}
            if self.paired:
                sizes["d_z"] = self._over(means[2], np.sqrt(variances[2]))
        return sizes

    def _over(self, difference: np.ndarray, sd: np.ndarray) -> np.ndarray:
        return np.where(sd > self.floor, difference / sd, np.nan)


def _refused(rated: int, counts: np.ndarray) -> str:
    if not rated:
        return EMPTY
    if rated < FEWEST:
        return f"resampling needs at least {FEWEST} participants, and there {'is' if rated == 1 else 'are'} {rated}"
    return EQUAL if np.count_nonzero(counts) == 1 else ""


def _pool(table: Table) -> np.ndarray:
    """The participants with a rating in any arm."""
    return np.flatnonzero(table.by_participant[0].any(axis=0))


def _histogram(table: Table, arm: str, pool: np.ndarray) -> np.ndarray | csr_array:
    """Participant of the pool x level: how often they gave it in the arm."""
    marks = table.marks
    here = slice(*np.searchsorted(marks.arm, (table.code(arm), table.code(arm) + 1)))
    person = np.searchsorted(pool, marks.participant[here])
    return _matrix(person, marks.level[here], marks.n[here], (len(pool), len(table.levels)))


def _matrix(row: np.ndarray, column: np.ndarray, value: np.ndarray, shape: tuple[int, int]) -> np.ndarray | csr_array:
    """The values at their places; in single precision where every resample's sums are exact in it."""
    whole = np.issubdtype(value.dtype, np.integer)
    exact = whole and np.abs(value).max(initial=0) * shape[0] < EXACT_SINGLE
    value = value.astype(np.float32 if exact else np.float64)
    size = shape[0] * shape[1]
    if size > BLOCK and SPARSE * len(value) < size:
        return csr_array((value, (row, column)), shape=shape)
    matrix = np.zeros(shape, value.dtype)
    matrix[row, column] = value
    return matrix


def _dense(matrix: np.ndarray | csr_array) -> np.ndarray:
    return matrix.toarray() if isinstance(matrix, csr_array) else matrix


def _resampled(
    histograms: list[np.ndarray | csr_array], draws: int, seed: int, moments: np.ndarray | None = None
) -> list[np.ndarray]:
    """Resample x level for each histogram, then resample x moment, all with the same draws of participants."""
    found: list[list[np.ndarray]] = [[] for _ in range(len(histograms) + (moments is not None))]
    dtype = np.result_type(*(histogram.dtype for histogram in histograms))
    for drawn in _blocks(histograms[0].shape[0], draws, seed, PARTICIPANTS):
        weights = drawn.astype(dtype)
        for histogram, blocks in zip(histograms, found, strict=False):
            blocks.append(weights @ histogram)
        if moments is not None:
            found[-1].append(drawn.astype(np.float64) @ moments)
    return [np.concatenate(blocks) for blocks in found]


def _blocks(units: int, draws: int, seed: int, stream: int, rows: int = 0) -> Iterator[np.ndarray]:
    """Resamples x units, `rows` at a time: how often each unit was drawn."""
    rows = rows or _rows(units)
    if units * draws > KEPT:
        rng = np.random.default_rng([seed, stream])
        yield from (
            resampling_weights(rng, units, min(rows, draws - start), np.min_scalar_type(units))
            for start in range(0, draws, rows)
        )
    else:
        weights = _kept(units, draws, seed, stream)
        yield from (weights[start : start + rows] for start in range(0, draws, rows))


def _rows(width: int) -> int:
    return max(1, BLOCK // width)


@lru_cache(maxsize=4)
def _kept(units: int, draws: int, seed: int, stream: int) -> np.ndarray:
    """Every arm, contrast and criterion of a study asks for the same weights."""
    rng, rows = np.random.default_rng([seed, stream]), _rows(units)
    blocks = [
        resampling_weights(rng, units, min(rows, draws - start), np.min_scalar_type(units))
        for start in range(0, draws, rows)
    ]
    weights = np.concatenate(blocks)
    weights.setflags(write=False)
    return weights


def _two_way(table: Table, arm: str, estimate: float, spread: float, pool: np.ndarray, seed: int, draws: int) -> Result:
    """The pooled mean with independent draws of participants and items."""
    cells, items, rated = table.cells_of(arm), np.flatnonzero(table.by_item.any(axis=0)), table.n_items(arm)
    if rated < FEWEST:
        are = "is" if rated == 1 else "are"
        return not_estimable(f"resampling items needs at least {FEWEST} of them, and there {are} {rated}")
    shape = (len(pool), len(items))
    place = np.searchsorted(pool, cells.participant), np.searchsorted(items, cells.item)
    n, total = (_matrix(*place, value, shape) for value in (cells.n, cells.total))
    rows = _rows(sum(shape))
    by_people, by_items = (
        _blocks(shape[0], draws, seed, PARTICIPANTS, rows),
        _blocks(shape[1], draws, seed, ITEMS, rows),
    )
    means = []
    for people_drawn, items_drawn in zip(by_people, by_items, strict=True):
        weights = people_drawn.astype(np.result_type(n, total))
        sums, numbers = ((weights @ of * items_drawn).sum(axis=1, dtype=np.float64) for of in (total, n))
        means.append(np.divide(sums, numbers, out=np.full(len(sums), np.nan), where=numbers > 0))
    about = _About(draws, seed, shape[0], table.n_participants(arm), shape[1])
    return about.percentile(estimate, np.concatenate(means), spread)


def _box(counts: np.ndarray, drawn: np.ndarray, top: np.ndarray, about: _About) -> Result:
    share = float(_share(counts, top))
    if share in (0.0, 1.0):
        return not_estimable(
            f"{'none' if share == 0 else 'all'} of the ratings are there, so every resample says the same"
        )
    return about.percentile(share, _share(drawn, top), 1.0)


def _means(counts: np.ndarray, levels: np.ndarray) -> np.ndarray:
    counts = counts.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return counts @ levels.astype(np.float64) / counts.sum(axis=-1)


def _share(counts: np.ndarray, top: np.ndarray) -> np.ndarray:
    counts = counts.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return counts[..., top].sum(axis=-1) / counts.sum(axis=-1)


def _medians(counts: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Resample: the middle rating, or the mean of the two middle ones."""
    upto = np.cumsum(counts.astype(np.float64), axis=1)
    n = upto[:, -1:]
    last = len(levels) - 1
    low, high = (levels[np.minimum((upto <= place).sum(axis=1), last)] for place in ((n - 1) // 2, n // 2))
    return np.where(n[:, 0] > 0, (low + high) / 2, np.nan)


def _superiority(counts_a: np.ndarray, counts_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Resample: Cliff's delta and the probability of superiority of b, over all pairs of ratings."""
    a, b = counts_a.astype(np.float64), counts_b.astype(np.float64)
    below = np.cumsum(a, axis=1) - a
    with np.errstate(divide="ignore", invalid="ignore"):
        pairs = a.sum(axis=1) * b.sum(axis=1)
        higher, equal = (b * below).sum(axis=1) / pairs, (b * a).sum(axis=1) / pairs
    return 2 * higher + equal - 1, higher + equal / 2


def _times(interval: Result, factor: float) -> Result:
    if not estimable(interval):
        return interval
    return interval | {key: interval[key] * factor for key in ("estimate", "se", "low", "high", "endpoint_mcse")}


def _acceleration(without_one: np.ndarray, slack: float) -> float:
    away = without_one.mean() - without_one
    squares = float(away @ away)
    return float((away**3).sum()) / (6 * squares**1.5) if squares > slack**2 else 0.0


def _endpoint_mcse(drawn: np.ndarray, at: float) -> float:
    """How far a quantile strays from run to run: half of what lies between one standard error of `at` either way."""
    step = sqrt(at * (1 - at) / len(drawn))
    low, high = np.quantile(drawn, (max(at - step, 0.0), min(at + step, 1.0)))
    return float(high - low) / 2
