"""The report as a reader sees it: rounded numbers, a sentence each, and how each was computed.

Everything comes out of the report's dictionary, so that the page can say nothing else than its JSON.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ratings.studyfile.schema import Criterion, StudyFile, text_in
from reports.shown import doubt, interval, number
from reports.statistics import howcomputed
from reports.statistics.intervals import Result, estimable

INTERVALS = {
    "two_way": "people and items like these",
    "participant_cr1": "people like these, these very items",
    "naive_t": "naive: takes all ratings for independent",
    "paired": "paired by participant",
    "welch": "Welch, participants' means",
}
HEADLINES = {
    "two_way": "The interval speaks about people and items like these.",
    "participant_cr1": "The interval speaks about people like these and exactly these items.",
}
OTHERS = {"two_way": "Items fixed", "participant_cr1": "Items random"}
LABELS = {
    "means": "Means with their intervals. The table below has the numbers.",
    "difference": "Differences with their intervals. The table below has the numbers.",
    "distribution": "How often each point was given, by arm. The table below has the numbers.",
}
FLOW = [
    ("declined", "declined"),
    ("screened_out", "screened out"),
    ("quota_full", "came when the study was full"),
    ("left_early", "left early and let us keep what they gave"),
    ("safety_stop", "stopped for safety"),
    ("technical", "stopped for technical reasons"),
    ("expired", "stopped coming"),
    ("under_way", "under way"),
    ("withdrew", "withdrew; everything of theirs is deleted"),
]


def as_page(report: Result, definition: StudyFile) -> dict[str, Any]:
    """What the template shows, criteria and arms in the order of the study file."""
    return {
        "flow": [(report["flow"][key], label) for key, label in FLOW if report["flow"][key]],
        "checks": [
            f"{check['passed']} of {check['answered']} passed the one after item {check['check'].rpartition('-')[2]}"
            for check in report["quality"]["checks"]
        ],
        "sample": [_question(question) for question in report["sample"]["questions"]],
        "criteria": [
            _criterion(criterion, report, definition)
            for criterion in definition.criteria
            if criterion.key in report["criteria"]
        ],
        "arms": [
            (arm.key, arm.about or arm.model or "replies from a file", arm.system or "") for arm in definition.arms
        ],
        "versions": [row | {"published_at": datetime.fromisoformat(row["published_at"])} for row in report["versions"]],
    }


def _criterion(criterion: Criterion, report: Result, definition: StudyFile) -> dict[str, Any]:
    results = report["criteria"][criterion.key]
    arms = {arm.key: results["arms"][arm.key] for arm in definition.arms}
    contrasts = results["contrasts"]
    primary = definition.design.primary
    margin = primary.margin if primary and primary.criterion == criterion.key else None
    headline = next(iter(arms.values()))["headline"]
    rows = [_arm(name, arm) for name, arm in arms.items()]
    compared = [_contrast(of) for of in contrasts]
    return {
        "key": criterion.key,
        "label": _text(definition, criterion.label),
        "question": _text(definition, criterion.question),
        "is_primary": primary is not None and primary.criterion == criterion.key,
        "margin": margin,
        "rated": any(arm["n_ratings"] for arm in arms.values()),
        "in_short": [_verdict(of) for of in contrasts] or [_verdict_alone(*arm) for arm in arms.items()],
        "sentences": [howcomputed.read_contrast(of) for of in contrasts]
        or [howcomputed.read_mean(name, arm) for name, arm in arms.items()],
        "headline": HEADLINES[headline],
        "other": OTHERS[headline],
        "arms": rows,
        "contrasts": compared,
        "computed": [*rows, *compared],
        "points": list(next(iter(arms.values()))["counts"]),
        "figures": _figures(criterion.key, arms, contrasts, definition, margin),
    }


def _figures(
    key: str, arms: dict[str, Result], contrasts: list[Result], definition: StudyFile, margin: float | None
) -> dict[str, dict[str, Any]]:
    """Each figure with the id of its place on the page; what has no numbers has no figure."""
    from reports import figures

    drawn = {}
    if any(arm["n_ratings"] for arm in arms.values()):
        drawn["distribution"] = figures.distributions(arms)
        drawn["means"] = figures.means(arms, (definition.scale.min, definition.scale.max))
    if any(estimable(of["difference"]) for of in contrasts):
        drawn["difference"] = figures.differences(contrasts, margin)
    return {
        name: {"id": f"{key}-{name}", "label": LABELS[name], "data": figures.as_json(figure)}
        for name, figure in drawn.items()
    }


def _verdict(of: Result) -> str:
    """A comparison in a few words."""
    a, b, between = of["a"], of["b"], of["intervals"][of["headline"]]
    if not estimable(of["difference"]):
        return f"{a} and {b} cannot be compared"
    if doubt(of, of["headline"]):
        return f"too little to tell {a} and {b} apart"
    if between["low"] <= 0 <= between["high"]:
        return f"no difference shown between {a} and {b}"
    higher, lower = (b, a) if of["difference"] > 0 else (a, b)
    return f"{higher} is rated higher than {lower}, by {abs(of['difference']):.2f} points"


def _verdict_alone(name: str, arm: Result) -> str:
    return f"{name} {number(arm['mean'])} ({interval(arm, arm['headline'])})"


def _arm(name: str, arm: Result) -> dict[str, Any]:
    intervals = arm["intervals"]
    return {
        "name": name,
        "mean": number(arm["mean"]),
        "interval": interval(arm, arm["headline"]),
        "other": interval(arm, _other(arm["headline"])),
        "naive": interval(arm, "naive_t"),
        "design_effect": number(arm["design_effect"]),
        "people": arm["n_participants"],
        "items": arm["n_items"],
        "ratings": arm["n_ratings"],
        "missing": arm["missing"],
        "sd": number(arm["sd"]),
        "median": f"{arm['median']:g}" if estimable(arm["median"]) else "-",
        "quartiles": f"{arm['q1']:g} to {arm['q3']:g}" if estimable(arm["median"]) else "-",
        "at_max": f"{arm['share_at_max']:.0%}" if estimable(arm["share_at_max"]) else "-",
        "counts": list(arm["counts"].values()),
        "how": [
            ("mean", _how_mean(arm)),
            *((f"interval, {INTERVALS[kind]}", _how_interval(arm, kind)) for kind in intervals if kind in INTERVALS),
            ("design effect", howcomputed.how_design_effect(arm)),
            ("sd, median", _how_spread(arm)),
        ],
    }


def _contrast(of: Result) -> dict[str, Any]:
    superiority = of["effect_sizes"]["prob_superiority"]
    by_participant = "paired" if of["design"] == "paired" else "welch"
    return {
        "name": f"{of['b']} − {of['a']}",
        "difference": f"{of['difference']:+.2f}" if estimable(of["difference"]) else "-",
        "interval": interval(of, of["headline"]),
        "other": interval(of, _other(of["headline"])),
        "by_participant": interval(of, by_participant),
        "design": "same people" if of["design"] == "paired" else "different people",
        "people": of["n_participants"],
        "superiority": f"{superiority:.0%}" if estimable(superiority) else "-",
        "how": [
            ("difference", f"Mean of {of['b']} minus mean of {of['a']}, each over all its ratings."),
            *(
                (f"interval, {INTERVALS[kind]}", _how_interval(of, kind))
                for kind in ("two_way", "participant_cr1", by_participant)
            ),
            ("rated higher", f"Of all pairs of a rating of {of['b']} and one of {of['a']}, ties counted half."),
        ],
    }


def _how_interval(of: Result, kind: str) -> str:
    reason = doubt(of, kind)
    if reason.startswith("too few"):
        return f"Not shown: {reason} for an interval to be relied on. The JSON has it."
    return howcomputed.how_computed(of, kind)


def _how_mean(arm: Result) -> str:
    if not estimable(arm["mean"]):
        return f"Not estimable: {arm['mean']['not_estimable']}."
    total = sum(float(point) * n for point, n in arm["counts"].items())
    return f"Sum of the ratings over their number: {total:g} / {arm['n_ratings']} = {arm['mean']:.8g}."


def _how_spread(arm: Result) -> str:
    if not estimable(arm["sd"]):
        return f"Not estimable: {arm['sd']['not_estimable']}."
    return (
        f"sd = √(Σ(rating − mean)² / {arm['n_ratings'] - 1}) = {arm['sd']:.8g}; median and quartiles of the "
        f"{arm['n_ratings']} ratings in order (type 7)."
    )


def _other(headline: str) -> str:
    return "participant_cr1" if headline == "two_way" else "two_way"


def _question(question: dict[str, Any]) -> dict[str, Any]:
    rows = [(cell["label"], cell["n"]) for cell in question["answers"]] + [("No answer", question["no_answer"])]
    shown = [(label, "hidden" if isinstance(n, dict) else n) for label, n in rows]
    return {"question": question["question"], "rows": [row for row in shown if row[1]]}


def _text(definition: StudyFile, value: Any) -> str:
    return text_in(value, definition.default_locale, definition.default_locale)
