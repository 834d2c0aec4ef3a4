"""Which numbers a reader is shown: rounded, and no interval that too few people or items stand behind.

The JSON keeps every interval, with its warning.
"""

from __future__ import annotations

from typing import Any

from reports.statistics.intervals import FEW, Result, estimable


def doubt(of: Result, kind: str) -> str:
    """Why the interval of an arm or a contrast is not shown; empty where it is."""
    interval = of["intervals"][kind]
    if not estimable(interval):
        return "not estimable"
    if of["n_participants"] < FEW:
        return "too few people"
    if "warning" in interval:
        return "too few items"
    return ""


def interval(of: Result, kind: str) -> str:
    ends = of["intervals"][kind]
    return doubt(of, kind) or f"{ends['low']:.2f} to {ends['high']:.2f}"


def number(value: Any) -> str:
    return f"{value:.2f}" if estimable(value) else "-"
