"""Student's intervals, and the answer given where a number does not exist."""

from __future__ import annotations

from math import isfinite
from typing import Any

from scipy.special import stdtr, stdtrit

LEVEL = 0.95

# With fewer participants or items than this an asymptotic interval is a guess, and says so.
FEW = 8

# A piece of the report JSON.
Result = dict[str, Any]


def not_estimable(reason: str) -> Result:
    return {"not_estimable": reason}


def estimable(value: object) -> bool:
    return not (isinstance(value, dict) and "not_estimable" in value)


def t_quantile(df: float, level: float = LEVEL) -> float:
    return float(stdtrit(df, (1 + level) / 2))


def t_interval(estimate: float, se: float, df: float, **more: object) -> Result:
    half = t_quantile(df) * se
    return {"estimate": estimate, "se": se, "df": df, "low": estimate - half, "high": estimate + half, **more}


def warned_if_few(interval: Result, **clusters: int) -> Result:
    few = [f"{n} {unit}" for unit, n in clusters.items() if n < FEW]
    if not few:
        return interval
    return {**interval, "warning": f"only {' and '.join(few)}: intervals from fewer than {FEW} are unreliable"}


def t_test(estimate: float, se: float, df: float) -> Result:
    t = estimate / se
    return {"t": t, "df": df, "p": float(2 * stdtr(df, -abs(t))) if isfinite(t) else 0.0}
