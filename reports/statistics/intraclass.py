"""Intraclass correlations: how much of what ratings differ by lies between the replies rated."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log, sqrt

import numpy as np
from scipy.special import fdtri

from . import reml
from .clustered import ROUNDING
from .crosseddesign import Aliased, Cells, Model
from .intervals import LEVEL, Result, not_estimable, t_quantile
from .mixed import LARGEST
from .randomeffects import covariance
from .raters import Ratings
from .table import Table

ICC = ("icc_1", "icc_1_k", "icc_2_1", "icc_2_k", "icc_3_1", "icc_3_k")

ALL_EQUAL = "all ratings are equal, so there is nothing to agree about"
ONE_UNIT = "one item in one arm alone does not show how replies differ"
UNTOLD = "the design does not tell units, participants and chance apart"
NEEDS_MODEL = (
    "not every participant rated every item in every arm, so this needs variance components of a mixed model, "
    "which are not there"
)


def intraclass(it: Ratings, components: Mapping[str, object] | None = None) -> Result:
    """Intraclass correlations: the share of the variance of a rating (`_1`), or of the mean of k ratings (`_k`), that
    lies between units.

    `icc_1` takes a unit's raters for drawn anew (one-way); `icc_2_1, icc_2_k` count differences of level between raters
    as disagreement, `icc_3_1, icc_3_k` do not. Where every participant rated every unit: mean squares and F intervals
    (Shrout and Fleiss 1979; Satterthwaite's df for `icc_2`). Else `icc_1` is the unbalanced one-way estimate with the
    average group size n0 in the F interval, marked `approximate`, and the others come from `components`
    (`icc_from_components`), with k the harmonic mean of the ratings per unit.
    """
    complete = len(it.unit) == it.n_units * it.n_raters
    per_unit = it.per_unit
    if it.n_units < 2:
        return dict.fromkeys(ICC, not_estimable(ONE_UNIT))
    value = it.value - it.value.mean()
    negligible = (ROUNDING * float(np.ptp(it.value))) ** 2
    if not negligible:
        return dict.fromkeys(ICC, not_estimable(ALL_EQUAL))
    unit_mean = np.bincount(it.unit, value, minlength=it.n_units) / per_unit
    between = float(per_unit @ unit_mean**2) / (it.n_units - 1)
    within = float(np.square(value - unit_mean[it.unit]).sum()) / (len(value) - it.n_units)
    k = (len(value) - float(per_unit @ per_unit) / len(value)) / (it.n_units - 1)
    if not complete:
        squares = {"between": between, "within": within, "approximate": True}
        one_way = _by_f(
            ("icc_1", "icc_1_k"), between, within, squares, it.n_units, k, len(value) - it.n_units, negligible
        )
        return one_way | _from_model(components, it.n_units / float((1 / per_unit).sum()))
    n, raters = it.n_units, it.n_raters
    rater_mean = np.bincount(it.rater, value, minlength=raters) / n
    judges = n * float(rater_mean @ rater_mean) / (raters - 1)
    residual = value - unit_mean[it.unit] - rater_mean[it.rater]
    error = float(residual @ residual) / ((n - 1) * (raters - 1))
    return (
        _by_f(
            ("icc_1", "icc_1_k"),
            between,
            within,
            {"between": between, "within": within},
            n,
            raters,
            len(value) - n,
            negligible,
        )
        | _two_way_random(between, judges, error, n, raters, negligible)
        | _by_f(
            ("icc_3_1", "icc_3_k"),
            between,
            error,
            {"between": between, "error": error},
            n,
            raters,
            (n - 1) * (raters - 1),
            negligible,
        )
    )


def unit_components(table: Table) -> Result:
    """Variance components for `agreement(components=...)`: rating = mean + unit + participant + residual by REML.

    `var_unit, var_rater, var_residual` in squared rating points (lme4's (1 | unit) + (1 | participant), no arm effects:
    what arms differ by is a difference between units), and `covariance`, twice the inverse Hessian of the deviance
    carried over to them. Several ratings of one participant for one unit are averaged first.
    """
    it = Ratings.of(table)
    if not len(it.unit):
        return not_estimable("there are no ratings")
    if it.n_units < 2 or it.n_raters < 2 or not np.ptp(it.value):
        return not_estimable("variance components need two units, two participants and ratings that differ")
    if min(it.n_units, it.n_raters) > LARGEST:
        return not_estimable(f"the model is not fitted where units and participants both number more than {LARGEST}")
    if it.per_unit.max() < 2 or np.bincount(it.rater).max() < 2:
        return not_estimable(UNTOLD)
    # The factor with more levels is the one that is eliminated.
    rows_are_units = it.n_units > it.n_raters
    try:
        point = reml.fit(_crossed(it, rows_are_units)).point
    except (reml.Unidentified, Aliased):
        return not_estimable(UNTOLD)
    except reml.NoResidual:
        return not_estimable("nothing is left to chance: unit and participant explain every rating")
    except reml.Unsettled:
        return not_estimable("the fit did not settle")
    rows, columns = np.where(np.abs(point.theta) < reml.SINGULAR, 0.0, point.theta)
    # From (theta, log sigma^2) to (theta^2 sigma^2, sigma^2).
    slopes = np.array([[2 * rows, 0, rows**2], [0, 2 * columns, columns**2], [0, 0, 1]]) * point.sigma2
    spread = slopes @ (2 * np.linalg.pinv(point.full_hessian(), hermitian=True)) @ slopes.T
    order = [0, 1, 2] if rows_are_units else [1, 0, 2]
    variances = np.array([rows**2, columns**2, 1]) * point.sigma2
    return dict(zip(("var_unit", "var_rater", "var_residual"), variances[order].tolist(), strict=True)) | {
        "covariance": spread[np.ix_(order, order)].tolist()
    }


def _crossed(it: Ratings, rows_are_units: bool) -> Model:
    row, column, n_rows, n_columns = it.unit, it.rater, it.n_units, it.n_raters
    if not rows_are_units:
        row, column, n_rows, n_columns = column, row, n_columns, n_rows
    value = (it.value - round(float(it.value.mean()))).astype(float)
    arm, n = np.zeros(len(value), dtype=np.int64), np.ones(len(value))
    cells = Cells(row, column, arm, n, value, float(value @ value), n_rows, n_columns, 1)
    intercepts = covariance("intercepts", 1)
    return Model(cells, intercepts, intercepts, np.ones((n_columns, 1)))


def icc_from_components(
    var_unit: float, var_rater: float, var_residual: float, k: float, covariance: object = None
) -> Result:
    """`icc_2_1, icc_2_k, icc_3_1, icc_3_k` from the variances of units, raters and residuals (McGraw and Wong 1996).

    `icc_2_1` = unit / (unit + rater + residual), `icc_3_1` = unit / (unit + residual); for the mean of k ratings the
    noise is divided by k. With the 3 x 3 `covariance` of the three estimates: delta-method interval on the logit.
    """
    result = {}
    for name, rater, size in (("2_1", 1.0, 1.0), ("2_k", 1.0, k), ("3_1", 0.0, 1.0), ("3_k", 0.0, k)):
        noise = (rater * var_rater + var_residual) / size
        total = var_unit + noise
        if total <= 0:
            result[f"icc_{name}"] = not_estimable("all variance components are zero")
            continue
        slope = np.array([noise, -var_unit * rater / size, -var_unit / size]) / total**2
        result[f"icc_{name}"] = {"estimate": var_unit / total, "k": size} | _logit_interval(
            var_unit / total, slope, covariance
        )
    return result


def _by_f(
    names: tuple[str, str], between: float, noise: float, squares: Result, n: int, k: float, df: int, negligible: float
) -> Result:
    """The ICC of one rating and of the mean of k, by these names; limits from F = between / noise on n - 1 and df."""
    single, mean = (between - noise, between + (k - 1) * noise), (between - noise, between)
    if noise <= negligible:
        return _no_noise(names[0], single, squares | {"k": 1.0}, negligible) | _no_noise(
            names[1], mean, squares | {"k": float(k)}, negligible
        )
    f = between / noise
    lower, upper = f / _f_quantile(n - 1, df), f * _f_quantile(df, n - 1)
    shared = squares | {"df": [n - 1, df]}
    return {
        names[0]: {"estimate": single[0] / single[1], "k": 1.0}
        | shared
        | {"low": (lower - 1) / (lower + k - 1), "high": (upper - 1) / (upper + k - 1)},
        names[1]: _of_means(between - noise, between, shared | {"k": float(k)}, lower, upper, negligible),
    }


def _two_way_random(between: float, judges: float, error: float, n: int, k: int, negligible: float) -> Result:
    squares = {"between": between, "judges": judges, "error": error}
    single = (between - error, between + (k - 1) * error + k * (judges - error) / n)
    mean = (between - error, between + (judges - error) / n)
    if min(error, judges) <= negligible or single[1] <= negligible:
        return _no_noise("icc_2_1", single, squares | {"k": 1.0}, negligible) | _no_noise(
            "icc_2_k", mean, squares | {"k": float(k)}, negligible
        )
    icc = single[0] / single[1]
    ratio = judges / error
    a, b = k * icc * ratio, n * (1 + (k - 1) * icc) - k * icc
    df = (k - 1) * (n - 1) * (a + b) ** 2 / ((n - 1) * a**2 + b**2)
    f_low, f_high = _f_quantile(n - 1, df), _f_quantile(df, n - 1)
    noise = k * judges + (k * n - k - n) * error
    low = n * (between - f_low * error) / (f_low * noise + n * between)
    high = n * (f_high * between - error) / (noise + n * f_high * between)
    shared = squares | {"df": [n - 1, df]}
    return {
        "icc_2_1": {"estimate": icc, "k": 1.0} | shared | {"low": low, "high": high},
        "icc_2_k": _mean_of_random(mean, shared | {"k": float(k)}, low, high, k, negligible),
    }


def _of_means(above: float, between: float, shared: Result, lower: float, upper: float, negligible: float) -> Result:
    """The ICC of a mean of k ratings, 1 - 1 / F; it has no bound below."""
    if between <= negligible:
        return not_estimable("the units do not differ at all")
    return {"estimate": above / between} | shared | {"low": 1 - 1 / lower, "high": 1 - 1 / upper}


def _mean_of_random(
    parts: tuple[float, float], shared: Result, low: float, high: float, k: int, negligible: float
) -> Result:
    """The limits for one rating stepped up to k by Spearman and Brown, which has a pole at -1 / (k - 1)."""
    if parts[1] <= negligible:
        return not_estimable("the units differ less than their noise explains")
    bounds = [
        at * k / (1 + at * (k - 1)) if 1 + at * (k - 1) > 0 else not_estimable("there is no bound on this side")
        for at in (low, high)
    ]
    return {"estimate": parts[0] / parts[1]} | shared | {"low": bounds[0], "high": bounds[1]}


def _no_noise(name: str, parts: tuple[float, float], shared: Result, negligible: float) -> Result:
    """A ratio whose F interval does not exist, because one of the mean squares is zero."""
    if parts[1] <= negligible:
        return {name: not_estimable("the units do not differ at all")}
    nothing = not_estimable("a mean square is zero, so the F interval does not exist")
    return {name: {"estimate": parts[0] / parts[1]} | shared | {"low": nothing, "high": nothing}}


def _from_model(components: Mapping[str, object] | None, k: float) -> Result:
    names = ("icc_2_1", "icc_2_k", "icc_3_1", "icc_3_k")
    if components is None:
        return dict.fromkeys(names, not_estimable(NEEDS_MODEL))
    if "not_estimable" in components:
        return dict.fromkeys(names, dict(components))
    return icc_from_components(k=k, **components)  # type: ignore[arg-type]


def _logit_interval(icc: float, slope: np.ndarray, covariance: object) -> Result:
    if covariance is None:
        nothing = not_estimable("the precision of the variance components is not known")
        return {"low": nothing, "high": nothing}
    variance = float(slope @ np.asarray(covariance, dtype=float) @ slope)
    if not 0 < icc < 1 or not variance > 0:
        nothing = not_estimable("a variance component lies at its bound of zero")
        return {"low": nothing, "high": nothing}
    middle, half = log(icc / (1 - icc)), t_quantile(np.inf) * sqrt(variance) / (icc * (1 - icc))
    low, high = (1 / (1 + exp(-max(-700.0, min(700.0, at)))) for at in (middle - half, middle + half))
    return {"se": sqrt(variance), "low": low, "high": high}


def _f_quantile(df_above: float, df_below: float) -> float:
    return float(fdtri(df_above, df_below, (1 + LEVEL) / 2))
