"""How much ratings differ between people, between items, and otherwise: variance components from any table.

Henderson's first method (1953): the sums of squares between participants, items, participant x arm and item x arm, and
of all ratings, each around its arm's mean, are set equal to what the components make them on average. With complete
data these are the components of the analysis of variance. Nothing is assumed about shapes, and unbalanced data bias
nothing; a component estimated below zero is given as zero.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy import sparse

from .intervals import Result, not_estimable
from .table import Table

SOURCES = ("participant", "item", "participant_arm", "item_arm", "residual")


@dataclass(frozen=True)
class Components:
    """Standard deviations, in points of the scale."""

    participant: float = 0.76
    item: float = 0.28
    participant_arm: float = 0.15
    item_arm: float = 0.2
    residual: float = 0.8

    def as_json(self) -> dict[str, float]:
        return asdict(self)


def estimate_components(table: Table) -> Result:
    """The five standard deviations, over all arms of the table.

    Keys: those of `SOURCES`, each a number or not_estimable (where each participant rated in one arm only, their arm's
    deviation is a part of `participant`; so with items), `below_zero` (the components set to zero), n_ratings,
    n_participants, n_items. Not estimable as a whole where the design cannot tell the components apart.
    """
    cells, n_arms = table.cells, len(table.arms)
    n_ratings = int(cells.n.sum())
    arms = np.unique(cells.arm)
    groups = {
        "participant": _codes(cells.participant),
        "item": _codes(cells.item),
        "participant_arm": _codes(cells.participant * n_arms + cells.arm),
        "item_arm": _codes(cells.item * n_arms + cells.arm),
    }
    sizes = {source: int(code.max(initial=-1)) + 1 for source, code in groups.items()}
    if sizes["participant"] < 2 or sizes["item"] < 2:
        return not_estimable("variance components need at least two participants and two items")
    # A participant who saw one arm only cannot show how participants differ from arm to arm.
    for whole in ("participant", "item"):
        if sizes[f"{whole}_arm"] == sizes[whole]:
            del groups[f"{whole}_arm"]

    weight = cells.n.astype(float)
    arm_n = np.bincount(cells.arm, weight, minlength=n_arms)[arms]
    arm_total = np.bincount(cells.arm, cells.total, minlength=n_arms)[arms]
    arm = np.searchsorted(arms, cells.arm)
    residuals = cells.total - cells.n * (arm_total / arm_n)[arm]
    incidence = {source: sparse.csr_array((weight, (np.arange(len(code)), code))) for source, code in groups.items()}
    member = {
        source: sparse.csr_array((np.ones(len(code)), (np.arange(len(code)), code))) for source, code in groups.items()
    }
    by_arm = {
        source: np.asarray((member[source].T @ sparse.csr_array((weight, (np.arange(len(arm)), arm)))).toarray())
        for source in groups
    }
    counts = table.counts[arms]
    total_squares = float((counts * (table.levels[None, :] - (arm_total / arm_n)[:, None]) ** 2).sum())

    equations, squares = [], []
    for source in groups:
        n = by_arm[source].sum(axis=1)
        squares.append(float((np.bincount(groups[source], residuals) ** 2 / n).sum()))
        equations.append(
            [_expected(source, of, incidence, member, by_arm, arm_n) for of in groups]
            + [len(n) - float((_between(by_arm[source], n).diagonal() / arm_n).sum())]
        )
    squares.append(total_squares)
    equations.append(
        [n_ratings - float(((by_arm[of] ** 2).sum(axis=0) / arm_n).sum()) for of in groups] + [n_ratings - len(arms)]
    )
    matrix = np.array(equations)
    scaled = matrix / np.abs(matrix).max(axis=1, keepdims=True).clip(1e-300)
    if np.linalg.matrix_rank(scaled, tol=1e-9) < len(scaled):
        return not_estimable("these ratings cannot tell apart how much participants, items and single ratings vary")
    variances = dict(zip((*groups, "residual"), np.linalg.solve(matrix, squares), strict=True))
    unknown = not_estimable("no participant rated more than one arm"), not_estimable("no item was rated in two arms")
    found: Result = {"participant_arm": unknown[0], "item_arm": unknown[1]}
    found |= {source: float(np.sqrt(max(variance, 0.0))) for source, variance in variances.items()}
    return {source: found[source] for source in SOURCES} | {
        "below_zero": [source for source in SOURCES if source in variances and variances[source] < 0],
        "n_ratings": n_ratings,
        "n_participants": sizes["participant"],
        "n_items": sizes["item"],
    }


def _expected(source, of, incidence, member, by_arm, arm_n) -> float:
    """What one unit of the variance `of` adds, on average, to the sum of squares between the groups of `source`."""
    n = by_arm[source].sum(axis=1)
    shared = (incidence[source].T @ member[of]).tocoo()
    group, other, both = shared.row, shared.col, shared.data
    overlap = (by_arm[source][group] * by_arm[of][other] / arm_n).sum(axis=1)
    direct = float(((both**2 - 2 * both * overlap) / n[group]).sum())
    inverse = np.diag(1 / arm_n)
    others = by_arm[of].T @ by_arm[of]
    return direct + float(np.trace(inverse @ _between(by_arm[source], n) @ inverse @ others))


def _between(by_arm: np.ndarray, n: np.ndarray) -> np.ndarray:
    return by_arm.T @ (by_arm / n[:, None])


def _codes(labels: np.ndarray) -> np.ndarray:
    return np.unique(labels, return_inverse=True)[1]
