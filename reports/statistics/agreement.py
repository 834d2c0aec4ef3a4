"""How far participants agree with each other about the same reply.

All coefficients come from one count: how often each unit (an item in an arm) was given each value. Disagreement within
a unit is a sum over pairs of its ratings, and such sums are squares of counts, so no pair is ever formed.

Resampling with weights instead of rows: a participant drawn twice has weight two. Such a participant would agree
perfectly with the own copy, which is no evidence of agreement, so pairs of a participant with themselves never count.
With every weight one the formulas are the usual ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import sqrt

import numpy as np

from .clustered import ROUNDING
from .intervals import LEVEL, Result, estimable, not_estimable, t_quantile, warned_if_few
from .intraclass import ALL_EQUAL, ICC, ONE_UNIT, intraclass
from .raters import Counts, Ratings, incidence
from .resampling import bounds, chunks, percentile_intervals, resampling_weights
from .table import Table

KRIPPENDORFF = ("krippendorff_ordinal", "krippendorff_interval")
GWET = ("ac1", "ac2_quadratic", "ac2_ordinal", "ac2_linear")

NO_RATINGS = "there are no ratings"
NO_PAIRS = "no item of an arm was rated by more than one participant"
OFF_SCALE = "some ratings are not points of the declared scale"
NO_CATEGORIES = "a scale with one point leaves nothing to agree about"

# With very many units fewer draws are made, so that slots times draws stays within this; the result says how many.
WORK = 40_000_000
FEWEST_DRAWS = 200
# Of slots x draws and units x draws (how often each unit was given each value, and the sum of the squared weights of
# its raters): each coefficient's value in each draw.
Statistics = Callable[..., dict[str, np.ndarray]]


def agreement(
    table: Table,
    scale: tuple[int, int],
    seed: int,
    draws: int = 2000,
    components: Mapping[str, object] | None = None,
) -> Result:
    """Agreement of participants about the replies of one criterion; unit = item x arm, rater = participant.

    `scale` is the declared lowest and highest point: Gwet's coefficients depend on it, not on the values that occur.
    `components` are REML variances of the model rating = mean + unit + participant + residual, as `var_unit,
    var_rater, var_residual` in squared rating points, with an optional `covariance` (3 x 3, in that order) of these
    estimates; used where not every participant rated every unit.

    The design: `n_units, n_units_paired` (those with two ratings or more), `n_raters, n_ratings, ratings_per_unit`, and
    `n_repeated`: where a participant rated a unit several times the mean is taken first, for Gwet's categories rounded
    to the nearest point, halves up. `seed, draws`: as used; fewer draws than asked for where units are very many.

    - `krippendorff_ordinal, krippendorff_interval` (Krippendorff 2011): `estimate` and percentile intervals `low_units,
      high_units` from resampled units (Hayes and Krippendorff 2007 resample pairs; units are the safer choice) and
      `low_raters, high_raters` from resampled participants.
    - `ac1, ac2_quadratic, ac2_ordinal, ac2_linear` (Gwet 2008, 2014): `estimate, observed, chance, se, df, low, high`
      with Gwet's variance over units and t(units - 1), and the participants' percentile interval.
    - `icc_1` to `icc_3_k` (Shrout and Fleiss 1979; McGraw and Wong 1996), see `intraclass`.
    """
    it = Ratings.of(table)
    n_paired = int(np.count_nonzero(it.per_unit > 1))
    result: Result = {
        "n_units": it.n_units,
        "n_units_paired": n_paired,
        "n_raters": it.n_raters,
        "n_ratings": len(it.unit),
        "ratings_per_unit": len(it.unit) / it.n_units if it.n_units else not_estimable(NO_RATINGS),
        "n_repeated": it.n_repeated,
    }
    if not n_paired:
        reason = NO_PAIRS if it.n_units else NO_RATINGS
        return result | dict.fromkeys((*KRIPPENDORFF, *GWET, *ICC), not_estimable(reason))
    counts = it.counted(it.value)
    draws = min(draws, max(FEWEST_DRAWS, WORK // len(counts.unit)))
    found = _krippendorff_and_gwet(counts, table, scale, seed, draws) | intraclass(it, components)
    clusters = {"items in arms with two ratings": n_paired, "participants": it.n_raters}
    return (
        result
        | {"seed": seed, "draws": draws}
        | {name: warned_if_few(of, **clusters) if estimable(of) else of for name, of in found.items()}
    )


def _krippendorff_and_gwet(
    counts: Counts, table: Table, scale: tuple[int, int], seed: int, draws: int
) -> dict[str, Result]:
    it = counts.ratings
    found = krippendorff_alphas(counts)
    resampled = [_over_units(counts, seed, draws)]
    if reason := _not_on(scale, table):
        found |= dict.fromkeys(GWET, not_estimable(reason))
        resampled.append(_over_raters(counts, [_alphas_of(counts)], seed, draws))
    elif it.n_repeated:
        points = it.counted(np.floor(it.value + 0.5).astype(np.int64))
        found |= gwet_acs(points, scale)
        resampled.append(_over_raters(counts, [_alphas_of(counts)], seed, draws))
        resampled.append(_over_raters(points, [_acs_of(points, scale)], seed, draws))
    else:
        found |= gwet_acs(counts, scale)
        resampled.append(_over_raters(counts, [_alphas_of(counts), _acs_of(counts, scale)], seed, draws))
    for intervals in resampled:
        found = {name: of | intervals.get(name, {}) if estimable(of) else of for name, of in found.items()}
    return found


def krippendorff_alphas(counts: Counts) -> dict[str, Result]:
    """Krippendorff's alpha, 1 - observed / expected disagreement (Krippendorff 2011), without intervals.

    A value of a unit with m values enters the coincidences with 1 / (m - 1). The interval metric is the squared
    difference of values, and so is the ordinal one of their mid-ranks among all pairable values, so that
    sum over pairs = 2 m SS within the unit: the coincidence matrix itself is not needed.
    """
    alphas = _alphas_of(counts)(counts.n[:, None], counts.per_unit[:, None])
    return {
        name: {"estimate": float(alpha[0])} if np.isfinite(alpha[0]) else not_estimable(ALL_EQUAL)
        for name, alpha in alphas.items()
    }


def gwet_acs(counts: Counts, scale: tuple[int, int]) -> dict[str, Result]:
    """Gwet's AC1, and AC2 with quadratic, ordinal and linear weights, for values that are points of the scale.

    observed = mean over units with two ratings of their pairs' mean weight; chance = T / (q (q - 1)) sum pi (1 - pi)
    with q points of the scale, T the sum of all weights, and pi the mean over all units of a point's share. Variance
    over units as Gwet 2014 (chapter 5) gives it, t(units - 1); its upper limit is cut at 1.
    """
    q = scale[1] - scale[0] + 1
    pairs = counts.per_unit * (counts.per_unit - 1)
    weights = _pair_weights(counts, counts.n[:, None], pairs[:, None], q)
    share = counts.n / counts.per_unit[counts.unit]
    pi = counts.by_level(share) / len(pairs)
    found = {}
    for name in GWET:
        factor = _sum_of_weights(q, name) / (q * (q - 1))
        unit_chance = factor * counts.by_unit(share * (1 - pi[counts.level]))
        found[name] = _gwet_over_units(weights[name][:, 0], pairs > 0, factor * float(pi @ (1 - pi)), unit_chance)
    return found


def _gwet_over_units(observed: np.ndarray, paired: np.ndarray, chance: float, unit_chance: np.ndarray) -> Result:
    n_units, mean = len(paired), float(observed[paired].mean())
    estimate = (mean - chance) / (1 - chance)
    result: Result = {"estimate": estimate, "observed": mean, "chance": chance}
    if n_units < 2:
        return result | dict.fromkeys(("se", "low", "high"), not_estimable(ONE_UNIT))
    unit_ac = n_units / np.count_nonzero(paired) * np.where(paired, observed - chance, 0.0) / (1 - chance)
    influence = unit_ac - 2 * (1 - estimate) * (unit_chance - chance) / (1 - chance)
    se = sqrt(float(np.square(influence - estimate).sum()) / (n_units * (n_units - 1)))
    if se <= ROUNDING:
        return result | dict.fromkeys(("se", "low", "high"), not_estimable("the units do not differ at all"))
    half = t_quantile(n_units - 1) * se
    return result | {"se": se, "df": n_units - 1, "low": estimate - half, "high": min(1.0, estimate + half)}


def how_agreement(of: Result, name: str) -> str:
    """How the coefficient `name` of an agreement result came about, for a reader who wants to redo it."""
    found = of[name]
    if "estimate" not in found:
        return f"Not estimable: {found['not_estimable']}."
    what = f"{found['estimate']:.8g} from {of['n_ratings']} ratings of {of['n_units']} items in arms by " + (
        f"{of['n_raters']} participants"
    )
    averaged = ""
    if of["n_repeated"]:
        rounded = ", rounded to the nearest point, halves up" if name in GWET else ""
        averaged = f" {of['n_repeated']} of these are means of several ratings by one participant{rounded}."
    if name in KRIPPENDORFF:
        metric = "squared differences of mid-ranks" if name == "krippendorff_ordinal" else "squared differences"
        return (
            f"1 - observed / expected disagreement = {what}; disagreement in {metric}, units with one rating left "
            f"out.{averaged} {_how_resampled(of, found, ('units', 'raters'))}"
        )
    if name in GWET:
        return (
            f"(observed - chance) / (1 - chance) = ({found['observed']:.8g} - {found['chance']:.8g}) / "
            f"(1 - {found['chance']:.8g}) = {what}, on all points of the declared scale.{averaged}"
            f"{_how_t(found)} {_how_resampled(of, found, ('raters',))}"
        )
    if "between" in found:
        squares = f"mean squares {found['between']:.8g} between units"
        squares += "".join(
            f", {found[key]:.8g} {word}"
            for key, word in (("within", "within units"), ("judges", "between participants"), ("error", "residual"))
            if key in found
        )
        return f"{what}: {squares}.{averaged}{_how_f(found)}"
    return f"{what}, from variance components (REML), for the mean of k = {found['k']:.8g} ratings.{averaged}" + (
        f" The interval {found['low']:.8g} to {found['high']:.8g} is from the delta method on the logit."
        if isinstance(found["low"], float)
        else f" No interval: {found['low']['not_estimable']}."
    )


def _alphas_of(counts: Counts) -> Statistics:
    """Alpha for many weightings at once: of slots x draws, of the squared weights by unit, and of units x draws."""
    interval = counts.levels[:, None] - np.mean(counts.levels)

    def alphas(n: np.ndarray, squares: np.ndarray, unit_weight: np.ndarray | float = 1.0) -> dict[str, np.ndarray]:
        per_unit = counts.by_unit(n)
        pairs = per_unit**2 - squares
        weight = (pairs > 0) * unit_weight
        margins = counts.by_level(n * weight[counts.unit])
        total = margins.sum(axis=0)
        self_pairs = (weight * squares).sum(axis=0)
        share = weight * 2 * per_unit**2 / np.maximum(pairs, 1)
        several = np.count_nonzero(margins, axis=0) > 1
        ordinal = np.cumsum(margins, axis=0) - margins / 2 - total / 2
        found = {}
        for name, score in (("krippendorff_ordinal", ordinal), ("krippendorff_interval", interval)):
            at_slot = score[counts.level]
            mean = counts.by_unit(n * at_slot) / np.maximum(per_unit, 1)
            within = counts.by_unit(n * (at_slot - mean[counts.unit]) ** 2)
            with np.errstate(invalid="ignore", divide="ignore"):
                spread = (margins * (score - (margins * score).sum(axis=0) / total) ** 2).sum(axis=0)
                alpha = 1 - (share * within).sum(axis=0) / total * (total**2 - self_pairs) / (2 * total * spread)
            found[name] = np.where(several, alpha, np.nan)
        return found

    return alphas


def _over_units(counts: Counts, seed: int, draws: int) -> dict[str, Result]:
    paired = np.flatnonzero(counts.per_unit > 1)
    if len(paired) < 2:
        return dict.fromkeys(KRIPPENDORFF, dict.fromkeys(bounds("units"), not_estimable(ONE_UNIT)))
    rng = np.random.default_rng([seed, 1])
    alphas = _alphas_of(counts)
    found = []
    for size in chunks(draws, len(counts.unit)):
        weights = np.zeros((len(counts.per_unit), size))
        weights[paired] = resampling_weights(rng, len(paired), size).T
        found.append(alphas(counts.n[:, None], counts.per_unit[:, None], weights))
    return percentile_intervals(found, KRIPPENDORFF, "units")


def _over_raters(counts: Counts, statistics: Sequence[Statistics], seed: int, draws: int) -> dict[str, Result]:
    it = counts.ratings
    rng = np.random.default_rng([seed, 2])
    to_slot = incidence(counts.slot, it.rater, len(counts.unit), it.n_raters)
    to_unit = incidence(it.unit, it.rater, it.n_units, it.n_raters)
    found = []
    for size in chunks(draws, max(len(counts.unit), it.n_raters)):
        weights = np.ascontiguousarray(resampling_weights(rng, it.n_raters, size).T)
        # Whole numbers below 2^24 are exact in single precision, at half the cost.
        n, squares = (to_slot @ weights).astype(float), (to_unit @ weights**2).astype(float)
        found.append({name: values for statistic in statistics for name, values in statistic(n, squares).items()})
    return percentile_intervals(found, (*KRIPPENDORFF, *GWET), "raters")


def _not_on(scale: tuple[int, int], table: Table) -> str:
    """Why the ratings cannot be taken for points of the scale."""
    given = table.levels[table.counts.sum(axis=0) > 0]
    if scale[1] <= scale[0]:
        return NO_CATEGORIES
    whole = not (given != np.floor(given)).any()
    return "" if whole and scale[0] <= given[0] and given[-1] <= scale[1] else OFF_SCALE


def _acs_of(counts: Counts, scale: tuple[int, int]) -> Statistics:
    """Gwet's coefficients for many weightings of the participants at once."""
    q = scale[1] - scale[0] + 1

    def coefficients(n: np.ndarray, squares: np.ndarray) -> dict[str, np.ndarray]:
        per_unit = counts.by_unit(n)
        pairs = per_unit**2 - squares
        share = n / np.maximum(per_unit, 1)[counts.unit]
        with np.errstate(invalid="ignore", divide="ignore"):
            pi = counts.by_level(share) / np.count_nonzero(per_unit, axis=0)
            spread = (pi * (1 - pi)).sum(axis=0) / (q * (q - 1))
            paired = np.count_nonzero(pairs, axis=0)
            found = {}
            for name, weight in _pair_weights(counts, n, pairs, q).items():
                chance = _sum_of_weights(q, name) * spread
                found[name] = (weight.sum(axis=0) / paired - chance) / (1 - chance)
            return found

    return coefficients


def _pair_weights(counts: Counts, n: np.ndarray, pairs: np.ndarray, q: int) -> dict[str, np.ndarray]:
    """For each coefficient, units x draws: the mean agreement weight of a unit's pairs of ratings, 0 without pairs."""
    per_unit = counts.by_unit(n)
    squared, absolute = _squared(counts, n, per_unit), _absolute(counts, n, per_unit)
    # Ordinal weights count the pairs of points between two, d (d + 1) / 2 of q (q - 1) / 2.
    distances = {
        "ac1": per_unit**2 - counts.by_unit(n**2),
        "ac2_quadratic": squared / (q - 1) ** 2,
        "ac2_ordinal": (squared + absolute) / (q * (q - 1)),
        "ac2_linear": absolute / (q - 1),
    }
    return {name: np.where(pairs > 0, 1 - far / np.maximum(pairs, 1), 0.0) for name, far in distances.items()}


def _squared(counts: Counts, n: np.ndarray, per_unit: np.ndarray) -> np.ndarray:
    """Each unit's sum of squared differences over ordered pairs."""
    x = (counts.levels - counts.levels[0])[counts.level][:, None]
    return 2 * (per_unit * counts.by_unit(n * x**2) - counts.by_unit(n * x) ** 2)


def _absolute(counts: Counts, n: np.ndarray, per_unit: np.ndarray) -> np.ndarray:
    """Each unit's sum of absolute differences over ordered pairs: each gap between values is crossed by the pairs with
    one rating below it and one above."""
    x = counts.levels[counts.level]
    last = np.append(np.diff(counts.unit) > 0, True)
    gap = np.where(last, 0, np.diff(x, append=x[-1]))[:, None]
    upto = np.cumsum(n, axis=0)
    below = upto - (upto - n)[counts.starts][counts.unit]
    return 2 * counts.by_unit(gap * below * (per_unit[counts.unit] - below))


def _sum_of_weights(q: int, name: str) -> float:
    apart = np.arange(1, q)
    distance = {
        "ac1": np.ones(q - 1),
        "ac2_quadratic": (apart / (q - 1)) ** 2,
        "ac2_linear": apart / (q - 1),
        "ac2_ordinal": apart * (apart + 1) / (q * (q - 1)),
    }[name]
    return float(q + 2 * ((q - apart) @ (1 - distance)))


def _how_t(found: Result) -> str:
    if not isinstance(found["low"], float):
        return f" No interval over units: {found['low']['not_estimable']}."
    cut = ", cut at 1" if found["high"] == 1 else ""
    return (
        f" {found['low']:.8g} to {found['high']:.8g}{cut} is ± t({(1 + LEVEL) / 2:g}; df = {found['df']}) = "
        f"{t_quantile(found['df']):.8g} × SE {found['se']:.8g}, Gwet's over units."
    )


def _how_f(found: Result) -> str:
    if not isinstance(found["low"], float):
        return f" No interval: {found['low']['not_estimable']}."
    above, below = found["df"]
    about = " (approximate: units have unequal numbers of ratings)" if found.get("approximate") else ""
    return f" The interval {found['low']:.8g} to {found['high']:.8g} is from F({above}, {below:.8g}){about}."


def _how_resampled(of: Result, found: Result, by: tuple[str, ...]) -> str:
    said = []
    for cluster, words in (("units", "items in arms"), ("raters", "participants")):
        if cluster not in by or f"low_{cluster}" not in found:
            continue
        low, high = found[f"low_{cluster}"], found[f"high_{cluster}"]
        if isinstance(low, float):
            said.append(
                f"Resampling {words} {of['draws']} times (seed {of['seed']}), 95 % of the values lie between "
                f"{low:.8g} and {high:.8g}."
            )
        else:
            said.append(f"No interval by resampling {words}: {low['not_estimable']}.")
    return " ".join(said)
