"""The statistical part of the report: every criterion's arms and contrasts, and what to beware of."""

from __future__ import annotations

from collections.abc import Mapping

from .comparison import compare_arms
from .estimation import describe_arm
from .intervals import FEW, LEVEL, Result
from .methods import methods
from .table import Table


def summarise(tables: Mapping[str, Table], scale: tuple[int, int], items_are: str = "random") -> Result:
    """`criteria`, `warnings` and `methods` of the report JSON."""
    criteria = {
        criterion: {
            "arms": {arm: describe_arm(table, arm, scale, items_are) for arm in table.arms},
            "contrasts": compare_arms(table, items_are),
        }
        for criterion, table in tables.items()
    }
    return {
        "level": LEVEL,
        "warnings": warnings(criteria, items_are),
        "criteria": criteria,
        "methods": methods(criteria, scale, items_are),
    }


def warnings(criteria: Mapping[str, Result], items_are: str) -> list[str]:
    """What a reader must know before believing an interval; a warning that holds in several places is said once."""
    places: dict[str, dict[str, list[str]]] = {}
    everywhere = 0
    for criterion, result in criteria.items():
        for name, of in _named(result):
            everywhere += 1
            for caution in _cautions(of, items_are):
                places.setdefault(caution, {}).setdefault(criterion, []).append(name)
    return [_placed(caution, where, everywhere) for caution, where in places.items()]


def _placed(caution: str, where: Mapping[str, list[str]], everywhere: int) -> str:
    if sum(map(len, where.values())) == everywhere:
        return caution
    named = "; ".join(f"{criterion}: {', '.join(names)}" for criterion, names in where.items())
    return f"{caution} ({named})"


def _cautions(of: Result, items_are: str) -> list[str]:
    cautions = []
    if not of["n_ratings"]:
        return ["There are no ratings."]
    if items_are == "random" and of["n_items"] < FEW:
        cautions.append(
            f"Fewer than {FEW} items cannot stand for other items: the interval with items fixed is shown first."
        )
    if of["n_participants"] < FEW:
        cautions.append(f"Fewer than {FEW} participants: the intervals are unreliable.")
    if of["headline"] == "two_way" and of["intervals"]["two_way"].get("floored"):
        cautions.append("The two-way variance was not positive; the larger one-way variance stands in.")
    return cautions


def _named(result: Result) -> list[tuple[str, Result]]:
    contrasts = [(f"{contrast['b']} - {contrast['a']}", contrast) for contrast in result["contrasts"]]
    return [*result["arms"].items(), *contrasts]
