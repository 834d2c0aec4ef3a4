"""The statistical part of the report: every criterion's arms and contrasts, and what to beware of."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from .analysis import Analysis
from .clustered import pooled_mean
from .comparison import compare_arms
from .estimation import describe_arm, headline
from .intervals import FEW, LEVEL, Result
from .items import by_item
from .methods import methods
from .order import order_effects
from .table import Table


def summarise(
    tables: Mapping[str, Table], analysis: Analysis, by_position: Mapping[str, Table] | None = None
) -> Result:
    """`level`, `warnings`, `criteria` and `methods` of the report JSON.

    `by_position`: the same ratings with the position at which a reply was shown in the item's place, where known.
    """
    criteria = {
        criterion: _criterion(table, analysis, (by_position or {}).get(criterion))
        for criterion, table in tables.items()
    }
    return {
        "level": LEVEL,
        "warnings": warnings(criteria, analysis.items_are),
        "criteria": criteria,
        "methods": methods(criteria, analysis.scale, analysis.items_are),
    }


def headlines(table: Table, items_are: str) -> Result:
    """Only the means and differences with the interval shown first, by which a choice of participants is judged."""
    return {
        "arms": {arm: _headline(table, {arm: 1}, items_are) for arm in table.arms},
        "contrasts": [
            {"a": a, "b": b, **_headline(table, {a: -1, b: 1}, items_are)} for a, b in combinations(table.arms, 2)
        ],
    }


def _headline(table: Table, weights: Mapping[str, int], items_are: str) -> Result:
    of = pooled_mean(table, weights)
    name = headline(of.n_items, items_are)
    interval = of.two_way() if name == "two_way" else of.participant_cr1()
    return {"n_participants": of.n_participants, "headline": name, "interval": interval}


def _criterion(table: Table, analysis: Analysis, by_position: Table | None) -> Result:
    scale, items_are = analysis.scale, analysis.items_are
    result: Result = {
        "arms": {arm: describe_arm(table, arm, scale, items_are) for arm in table.arms},
        "contrasts": compare_arms(table, items_are),
        "by_item": by_item(table),
    }
    if by_position is not None and len(by_position.items):
        positions = sorted(by_item(by_position), key=lambda row: int(row["item"]))
        result["by_position"] = [{"position": int(row["item"]), "arms": row["arms"]} for row in positions]
        result["order_effects"] = order_effects(by_position)
    return result


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
