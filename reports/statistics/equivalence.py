"""Two one-sided tests: whether a difference is small enough not to matter, by a margin fixed before the data."""

from __future__ import annotations

from scipy.special import stdtr

from .intervals import LEVEL, Result, estimable, not_estimable, t_quantile

ALPHA = 1 - LEVEL

NAMES = {"equivalence": "equivalence within a margin (two one-sided tests)"}

DEFINITIONS = {
    "equivalence": "Two one-sided t tests of a difference against -margin and +margin; p is the larger of the two. "
    "Below 0.05, which is where the 90 % interval lies within the margin, the arms count as equivalent (Schuirmann "
    "1987; Lakens 2017). b is not inferior where the test against -margin alone rejects.",
}


def tost(estimate: float, se: float, df: float, margin: float) -> Result:
    """Two one-sided t tests of a difference b - a with its standard error and df, all in rating points.

    Keys `margin, estimate, se, df, low_90, high_90, t_lower, t_upper` (against -margin and +margin), `p_lower,
    p_upper, p` (the larger), `equivalent, noninferior, nonsuperior` (each at 5 %). Schuirmann 1987; Lakens 2017.
    """
    if not margin > 0:
        return not_estimable("no margin above zero was declared")
    if not se > 0:
        return not_estimable("the standard error is zero")
    half = t_quantile(df, 1 - 2 * ALPHA) * se
    t_lower, t_upper = (estimate + margin) / se, (estimate - margin) / se
    p_lower, p_upper = float(stdtr(df, -t_lower)), float(stdtr(df, t_upper))
    p = max(p_lower, p_upper)
    return {
        "margin": margin,
        "estimate": estimate,
        "se": se,
        "df": df,
        "low_90": estimate - half,
        "high_90": estimate + half,
        "t_lower": t_lower,
        "t_upper": t_upper,
        "p_lower": p_lower,
        "p_upper": p_upper,
        "p": p,
        "equivalent": p < ALPHA,
        "noninferior": p_lower < ALPHA,
        "nonsuperior": p_upper < ALPHA,
    }


def how_tost(result: Result) -> str:
    if not estimable(result):
        return f"Not estimable: {result['not_estimable']}."
    estimate, se, margin = (f"{result[key]:.8g}" for key in ("estimate", "se", "margin"))
    return (
        f"t = ({estimate} + {margin}) / {se} = {result['t_lower']:.8g} (p = {result['p_lower']:.8g}) and t = "
        f"({estimate} - {margin}) / {se} = {result['t_upper']:.8g} (p = {result['p_upper']:.8g}), df = "
        f"{result['df']:.8g}; the larger p counts. The 90 % interval {result['low_90']:.8g} to {result['high_90']:.8g} "
        f"lies {'within' if result['equivalent'] else 'not wholly within'} ±{margin}."
    )
