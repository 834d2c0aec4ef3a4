"""Sentences that go with a number: how it was computed, and what it says.

They are made from the report's own dictionaries, so that a page, a file and the API can say the same. A reader with a
pocket calculator can redo every interval from its sentence.
"""

from __future__ import annotations

from .intervals import LEVEL, Result, estimable, t_quantile

NAMES = {
    "naive_t": "taking all ratings for independent",
    "participant_cr1": "clustered on participants",
    "two_way": "clustered on participants and items",
    "paired": "paired by participant",
    "welch": "Welch on participants' means",
}


def how_computed(of: Result, name: str) -> str:
    """How the interval `name` of this arm's or contrast's dictionary came about, with its own n, SE, df and t."""
    interval = of["intervals"][name]
    if not estimable(interval):
        return f"Not estimable: {interval['not_estimable']}."
    formula = (
        f"{_n(interval['estimate'])} ± t({(1 + LEVEL) / 2:g}; df = {_n(interval['df'])}) = "
        f"{_n(t_quantile(interval['df']))} × SE {_n(interval['se'])}, "
        f"that is {_n(interval['low'])} to {_n(interval['high'])}"
    )
    return f"{formula}; {_STANDARD_ERRORS[name](of, interval)}"


def how_design_effect(arm: Result) -> str:
    if not estimable(arm["design_effect"]):
        return f"Not estimable: {arm['design_effect']['not_estimable']}."
    clustered, naive = (arm["intervals"][name]["se"] for name in ("participant_cr1", "naive_t"))
    return (
        f"({_n(clustered)} / {_n(naive)})² = {_n(arm['design_effect'])}: the squared ratio of the clustered to the "
        f"naive standard error. The {arm['n_ratings']} ratings weigh as much as {_n(arm['effective_n'])} "
        "independent ones."
    )


def read_mean(arm_name: str, arm: Result) -> str:
    """One sentence for the overview: the mean, and where it plausibly lies."""
    if not estimable(arm["mean"]):
        return f"{arm_name} has no mean: {arm['mean']['not_estimable']}."
    interval = arm["intervals"][arm["headline"]]
    said = f"{arm_name} was rated {_short(arm['mean'])} on average"
    if doubt := _doubt(interval):
        return f"{said}; {doubt}."
    return (
        f"{said}; for {_population(arm['headline'])} the mean plausibly lies between {_short(interval['low'])} "
        f"and {_short(interval['high'])}."
    )


def read_contrast(contrast: Result) -> str:
    """One sentence for the overview: which arm was rated higher, by how much, and whether the data can tell."""
    a, b, difference = contrast["a"], contrast["b"], contrast["difference"]
    if not estimable(difference):
        return f"{b} and {a} cannot be compared: {difference['not_estimable']}."
    if difference == 0:
        said = f"{b} and {a} were rated equal on average"
    else:
        way = "higher" if difference > 0 else "lower"
        said = f"{b} was rated {_short(abs(difference))} points {way} than {a}"
    interval = contrast["intervals"][contrast["headline"]]
    if doubt := _doubt(interval):
        return f"{said}; {doubt}."
    low, high = interval["low"], interval["high"]
    whose = _population(contrast["headline"])
    lies = f"for {whose} the difference plausibly lies between {_short(low)} and {_short(high)}"
    if low > 0 or high < 0:
        return f"{said}; {lies}, so {b if low > 0 else a} is rated higher."
    return f"{said}; {lies}, so these ratings do not show which of the two is rated higher."


def _doubt(interval: Result) -> str:
    """Why an interval should not be read out: it does not exist, or too few people or items stand behind it."""
    if not estimable(interval):
        return f"how far to trust this cannot be said: {interval['not_estimable']}"
    return str(interval.get("warning", ""))


def _naive(arm: Result, interval: Result) -> str:
    n = arm["n_ratings"]
    return (
        f"SE = sd / √n = {_n(arm['sd'])} / √{n} and df = {n} - 1, as if each of the {n} ratings came from "
        f"another person; {arm['n_participants']} participants gave them."
    )


def _participants(of: Result, interval: Result) -> str:
    g = of["n_participants"]
    return (
        f"SE from the residuals of {of['n_ratings']} ratings summed within each of {g} participants (CR1: times "
        f"√({g} / {g - 1})); df = {g} - 1. Items count as fixed."
    )


def _two_way(of: Result, interval: Result) -> str:
    parts = interval["variance"]
    by = (
        f"{_n(parts['participants'])} (by participants) + {_n(parts['items'])} (by items) - "
        f"{_n(parts['pairs'])} (by participant and item)"
    )
    if interval["floored"]:
        larger = "participants" if parts["participants"] >= parts["items"] else "items"
        source = f"The two-way variance {by} is not positive, so the larger one-way variance, by {larger}, stands in"
    else:
        source = f"SE = √({by})"
    return f"{source}; df = min({of['n_participants']} participants, {of['n_items']} items) - 1."


def _paired(contrast: Result, interval: Result) -> str:
    n = contrast["n_participants_both"]
    sd = interval["se"] * n**0.5
    return (
        f"SE = sd / √n = {_n(sd)} / √{n} over the differences of {n} participants' means in the two arms; "
        f"df = {n} - 1. Each participant counts once and items count as fixed."
    )


def _welch(contrast: Result, interval: Result) -> str:
    return (
        f"SE from the two variances of the participants' means, {contrast['n_participants']} participants in all, "
        "with Welch's df. Each participant counts once and items count as fixed."
    )


_STANDARD_ERRORS = {
    "naive_t": _naive,
    "participant_cr1": _participants,
    "two_way": _two_way,
    "paired": _paired,
    "welch": _welch,
}


def _population(headline: str) -> str:
    return "people and items like these" if headline == "two_way" else "people like these and these very items"


def _n(value: float) -> str:
    return f"{value:.8g}"


def _short(value: float) -> str:
    """Two decimals, more where they would hide on which side of zero the value lies."""
    return f"{value:.2f}" if value == 0 or abs(value) >= 0.005 else f"{value:.1g}"
