"""The statistical part of the report: every criterion's arms and contrasts, what to beware of, and how it was done."""

from __future__ import annotations

import platform
from collections.abc import Mapping

import numpy as np
import scipy

from .comparison import compare_arms
from .estimation import describe_arm
from .intervals import FEW, LEVEL, Result, estimable
from .table import Table

DEFINITIONS = {
    "mean": "Sum of the arm's ratings divided by their number (pooled; participants with more ratings weigh more).",
    "median, q1, q3": "Quantiles of type 7 (Hyndman and Fan 1996), as R's default.",
    "naive_t": "mean ± t(n - 1) sd / √n. Ignores that ratings of one participant resemble each other; for contrast only.",
    "participant_cr1": "Cluster-robust sandwich variance by participant times G / (G - 1), t(G - 1) (Liang and Zeger 1986).",
    "two_way": "Cluster-robust variance by participants plus by items minus by their pairs, each with its own G / (G - 1), "
    "t(min(participants, items) - 1) (Cameron, Gelbach and Miller 2011). If not positive, the larger one-way variance "
    "stands in, marked `floored`.",
    "design_effect": "(participant_cr1 SE / naive SE)²; effective_n is the number of ratings divided by it.",
    "difference": "Pooled mean of b minus pooled mean of a.",
    "paired": "Student's t on the differences of participants' means.",
    "welch": "Welch's t on participants' means, where different participants rated the arms.",
    "d_z, g_z": "Mean difference of participants' means over the sd of those differences; g with the exact small-sample factor.",
    "d_av, g_av": "Mean difference of participants' means over the root of the average of both arms' variances; g as above.",
    "cliffs_delta": "Share of pairs of ratings in which b is higher minus the share in which a is higher.",
    "prob_superiority": "Share of pairs of ratings in which b is higher, ties counted half.",
}

ESTIMANDS = {
    "random": "the mean rating by participants like these of items like these (participants and items both random)",
    "fixed": "the mean rating by participants like these of these very items (participants random, items fixed)",
}


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
    if of["intervals"]["two_way"].get("floored"):
        cautions.append("The two-way variance was not positive; the larger one-way variance stands in.")
    return cautions


def _named(result: Result) -> list[tuple[str, Result]]:
    contrasts = [(f"{contrast['b']} - {contrast['a']}", contrast) for contrast in result["contrasts"]]
    return [*result["arms"].items(), *contrasts]


def methods(criteria: Mapping[str, Result], scale: tuple[int, int], items_are: str) -> Result:
    return {
        "estimand": ESTIMANDS[items_are],
        "items_are": items_are,
        "scale": list(scale),
        "definitions": DEFINITIONS,
        "software": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__},
        "paragraph": methods_paragraph(criteria, scale, items_are),
    }


def methods_paragraph(criteria: Mapping[str, Result], scale: tuple[int, int], items_are: str) -> str:
    """The analysis that was run, ready to paste; nothing is claimed that this report does not contain."""
    results = list(criteria.values())
    arms = [arm for result in results for arm in result["arms"].values()]
    contrasts = [contrast for result in results for contrast in result["contrasts"]]
    said = [of for of in (*arms, *contrasts) if estimable(of["intervals"][of["headline"]])]
    shown = {of["headline"] for of in said}
    n_arms = max((len(result["arms"]) for result in results), default=0)
    sentences = [
        f"Ratings on a scale from {scale[0]} to {scale[1]} were analysed separately for {_count(len(criteria), 'criterion', 'criteria')} "
        f"and {_count(n_arms, 'arm')}; the target of inference is {ESTIMANDS[items_are]}."
    ]
    if missing := sum(arm["missing"] for arm in arms):
        sentences.append(
            f"{_count(missing, 'missing rating')} of {missing + sum(arm['n_ratings'] for arm in arms)} were left out."
        )
    if said:
        sentences.append("Means pool all ratings of an arm.")
    if "two_way" in shown:
        sentences.append(
            "The 95% intervals use variances clustered on participants and on items (Cameron, Gelbach and Miller 2011; "
            "each component with its G / (G - 1)) and t quantiles with min(participants, items) - 1 degrees of freedom."
        )
        if floored := sum(
            bool(of["intervals"]["two_way"].get("floored")) for of in said if of["headline"] == "two_way"
        ):
            sentences.append(
                f"In {floored} of them that variance was not positive and the larger one-way variance stands in."
            )
    if "participant_cr1" in shown:
        because = "" if items_are == "fixed" else f" Where there were fewer than {FEW} items,"
        sentences.append(
            f"{because or ' The'} 95% intervals {'use' if not because else 'treat items as fixed and use'} variances "
            "clustered on participants (CR1) and t quantiles with participants - 1 degrees of freedom.".lstrip()
        )
    if contrasts:
        sentences.append("Arms were compared by the difference of their pooled means with the same kind of interval.")
    if any(estimable(contrast["tests"]["paired_t"]) for contrast in contrasts):
        sentences.append(
            "Where the same participants rated both arms, participants' means were compared by a paired t test."
        )
    if any(estimable(contrast["tests"]["welch_t"]) for contrast in contrasts):
        sentences.append(
            "Where different participants rated the arms, participants' means were compared by Welch's t test."
        )
    if len(contrasts) > 1:
        sentences.append(f"p values are not adjusted for the {len(contrasts)} comparisons.")
    sentences.append(
        f"Computed by Evalsite with Python {platform.python_version()}, NumPy {np.__version__} and SciPy {scipy.__version__}."
    )
    return " ".join(sentence.strip() for sentence in sentences)


def _count(n: int, one: str, many: str = "") -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"
