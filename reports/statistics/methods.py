"""How the report's numbers were made, in words: definitions, versions, and a paragraph ready to paste.

The paragraph is made from the results themselves, so that it claims nothing that was not run.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping

import numpy as np
import scipy

from .intervals import FEW, Result, estimable

DEFINITIONS = {
    "mean": "Sum of the arm's ratings over their number: pooled, so participants who gave more ratings weigh more.",
    "median, q1, q3": "Quantiles of type 7 (Hyndman and Fan 1996), R's default.",
    "naive_t": "mean ± t(n - 1) sd / √n. Takes all ratings for independent, which they are not; for contrast only.",
    "participant_cr1": "Sandwich variance by participants times G / (G - 1), t(G - 1) (Liang and Zeger 1986).",
    "two_way": "Sandwich variance by participants plus by items minus by their pairs, each times its own G / (G - 1); "
    "t(min(participants, items) - 1) (Cameron, Gelbach and Miller 2011). Where that is not positive the larger one-way "
    "variance stands in, marked `floored`.",
    "design_effect": "(SE of participant_cr1 / SE of naive_t)²; effective_n is the number of ratings divided by it.",
    "difference": "Pooled mean of b minus pooled mean of a.",
    "paired": "Student's t on the differences of participants' means, where the same participants rated both arms.",
    "welch": "Welch's t on participants' means, where different participants rated the arms.",
    "d_z, g_z": "Mean difference of participants' means over the sd of the differences; g with Hedges' exact factor.",
    "d_av, g_av": "The same over the root of the mean of the two arms' variances; g with Hedges' exact factor.",
    "cliffs_delta": "Share of pairs of ratings in which b is higher minus share in which a is.",
    "prob_superiority": "Share of pairs of ratings in which b is higher, ties counted half.",
}

ESTIMANDS = {
    "random": "the mean rating that people like these give to items like these (participants and items both random)",
    "fixed": "the mean rating that people like these give to these very items (participants random, items fixed)",
}


def methods(criteria: Mapping[str, Result], scale: tuple[int, int], items_are: str) -> Result:
    return {
        "estimand": ESTIMANDS[items_are],
        "items_are": items_are,
        "scale": list(scale),
        "definitions": DEFINITIONS,
        "software": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__},
        "paragraph": " ".join(_sentences(criteria, scale, items_are)),
    }


def _sentences(criteria: Mapping[str, Result], scale: tuple[int, int], items_are: str) -> Iterator[str]:
    results = list(criteria.values())
    arms = [arm for result in results for arm in result["arms"].values()]
    contrasts = [contrast for result in results for contrast in result["contrasts"]]
    headlines = [(of["headline"], of["intervals"][of["headline"]]) for of in (*arms, *contrasts)]
    two_way, participant_cr1 = (
        [interval for name, interval in headlines if name == wanted and estimable(interval)]
        for wanted in ("two_way", "participant_cr1")
    )
    n_arms = max((len(result["arms"]) for result in results), default=0)

    yield (
        f"Ratings on a scale from {scale[0]} to {scale[1]} under {_count(len(criteria), 'criterion', 'criteria')} of "
        f"{_count(n_arms, 'arm')} were analysed criterion by criterion. The target is {ESTIMANDS[items_are]}."
    )
    if missing := sum(arm["missing"] for arm in arms):
        asked = missing + sum(arm["n_ratings"] for arm in arms)
        yield f"{_count(missing, 'missing rating')} of {asked} were left out."
    if two_way:
        yield (
            "95 % intervals of means and differences use variances clustered on both participants and items (Cameron, "
            "Gelbach and Miller 2011, each component with its own G / (G - 1)) and t quantiles with "
            "min(participants, items) - 1 degrees of freedom."
        )
    if floored := sum(interval["floored"] for interval in two_way):
        yield f"In {floored} of them that variance was not positive, and the larger one-way variance stands in."
    if participant_cr1:
        where = "" if items_are == "fixed" else f"with fewer than {FEW} items "
        yield (
            f"95 % intervals of means and differences {where}treat the items as fixed: variances clustered on "
            "participants (CR1) and t quantiles with participants - 1 degrees of freedom."
        )
    if any(estimable(contrast["tests"]["paired_t"]) for contrast in contrasts):
        yield "Arms rated by the same participants were also compared by a paired t test on participants' means."
    if any(estimable(contrast["tests"]["welch_t"]) for contrast in contrasts):
        yield "Arms rated by different participants were also compared by Welch's t test on participants' means."
    if len(contrasts) > 1:
        yield f"The {len(contrasts)} comparisons are not adjusted for their number."
    yield (
        f"Computed by Evalsite with Python {platform.python_version()}, NumPy {np.__version__} and "
        f"SciPy {scipy.__version__}."
    )


def _count(n: int, one: str, many: str = "") -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"
