"""The report of a study: one dictionary that the page, the command, the API and the data package all show.

It is put together from what `ratings.frames` counts and what `reports.statistics` computes. The numbers rest on every
rating that a consenting participant gave, also of those who did not finish (available cases).
"""

from __future__ import annotations

from typing import Any

from ratings import frames
from ratings.frames import Pool, RatingColumns
from ratings.looks import Looks, looks_of
from ratings.studyfile.schema import StudyFile, text_in
from reports.quality import dropout, quality_of, signs_of, with_and_without
from reports.sample import describe_sample
from reports.statistics.analysis import Analysis, Primary
from reports.statistics.intervals import LEVEL
from reports.statistics.summary import summarise
from reports.tables import tables_of

SCHEMA = 1
KINDS = {"real": "participants", "pilot": "pilot participants", "synthetic": "synthetic participants"}


def study_report(pool: Pool, looked: bool = False) -> dict[str, Any]:
    """The whole report. Before the planned number it holds no results, unless they were opened for a reason, or are
    shown at a terminal that notes who looked (`looked`)."""
    definition = pool.definition
    flow, looks = frames.flow(pool), looks_of(pool)
    hidden = looks.hidden and not looked
    columns = frames.rating_columns(pool)
    numbers = nothing_yet(pool, looks) if hidden else results(pool, columns, looks)
    people = participants_sentence(pool, flow)
    methods = numbers.pop("methods")
    return {
        "schema": SCHEMA,
        "study": pool.study.slug,
        "fingerprint": pool.version.fingerprint,
        "kind": pool.kind,
        "level": LEVEL,
        "warnings": [*study_warnings(pool, flow, looks), *numbers.pop("warnings")],
        "flow": flow,
        "sample": describe_sample(exit_questions(definition), frames.exit_answers(pool), flow["analysed"]),
        **numbers,
        "looks": told(looks),
        "methods": methods
        | {
            "participants": people,
            "paragraph": " ".join(filter(None, [people, looks_sentence(looks), methods["paragraph"]])),
            "rules_declared": list(definition.exclude),
        },
        "versions": [row | {"published_at": row["published_at"].isoformat()} for row in frames.versions(pool)],
    }


def results(pool: Pool, columns: RatingColumns, looks: Looks) -> dict[str, Any]:
    analysis = analysis_of(pool)
    tables = tables_of(columns)
    numbers = summarise(tables, analysis, by_position=tables_of(columns, by="position"))
    signs = signs_of(pool, columns)
    return numbers | {
        "dropout": dropout(pool, columns.arms),
        "quality": quality_of(signs)
        | {"with_and_without": with_and_without(pool, columns, tables, signs.flags, analysis)},
    }


def nothing_yet(pool: Pool, looks: Looks) -> dict[str, Any]:
    return {
        "warnings": [],
        "hidden": f"Results are shown when {looks.target} participants have completed, or when the study is closed; "
        f"{looks.completed} have.",
        "criteria": {},
        "quality": {"checks": quality_of(signs_of(pool, None))["checks"]},
        "methods": {"paragraph": ""},
    }


def analysis_of(pool: Pool) -> Analysis:
    definition = pool.definition
    planned, primary = definition.design.primary, None
    if planned:
        a, b = sorted((planned.a, planned.b))
        primary = Primary(planned.criterion, a, b, planned.margin)
    return Analysis(scale_of(definition), definition.design.items_are, primary, seed=pool.version.seed % 2**31)


def scale_of(definition: StudyFile) -> tuple[int, int]:
    return definition.scale.min, definition.scale.max


def exit_questions(definition: StudyFile) -> list[dict[str, Any]]:
    def text(value: Any) -> str:
        return text_in(value, definition.default_locale, definition.default_locale)

    return [
        {
            "key": question.key,
            "question": text(question.question),
            "kind": question.kind,
            "choices": [(choice.key, text(choice.label)) for choice in question.choices],
        }
        for question in definition.exit_questions
    ]


def study_warnings(pool: Pool, flow: dict[str, Any], looks: Looks) -> list[str]:
    warnings = []
    if pool.kind != "real":
        warnings.append(f"These are {KINDS[pool.kind]}: a rehearsal, not a result.")
    if looks.too_early and flow["analysed"] and not looks.hidden:
        warnings.append(
            f"{looks.completed} of {looks.target} planned participants have completed. The study looks at its results "
            "once, at the target: whoever stops when an interval looks good finds differences that are not there."
        )
    return warnings


def told(looks: Looks) -> dict[str, Any]:
    return {
        "planned": "at_target" if looks.at_target else "sequential",
        "completed": looks.completed,
        "target": looks.target,
        "over": looks.is_over,
        "early": [
            {"at": look.at.isoformat(), "by": look.by, "completed": look.completed, "reason": look.reason}
            for look in looks.early
        ],
    }


def looks_sentence(looks: Looks) -> str:
    """When the results were seen before their time, and why; for the methods paragraph."""
    if not looks.early:
        return ""
    opened = [look for look in looks.early if look.reason]
    others = len(looks.early) - len(opened)
    said = [
        f"on {look.at:%Y-%m-%d}, with {look.completed} of {look.target} participants, for this reason: {look.reason}"
        for look in opened
    ]
    if others:
        said.append(
            f"{others} more time{'s'[: others > 1]} without a reason being given"
            if opened
            else f"{others} time{'s'[: others > 1]} without a reason being given"
        )
    return f"Results were seen before the planned number of participants {'; and '.join(said)}."


def participants_sentence(pool: Pool, flow: dict[str, Any]) -> str:
    """What the numbers rest on, for the methods paragraph."""
    analysed, partial, excluded = flow["analysed"], flow["analysed_partial"], flow["excluded"]
    sentence = f"The analysis holds every rating of {analysed} consenting {KINDS[pool.kind]} (available cases)"
    if partial:
        sentence += f", of whom {partial} did not finish"
    sentence += "; practice and attention checks are not ratings"
    if excluded:
        rules = "; ".join(f"{row['rule']}: {row['participants']}" for row in flow["exclusions"])
        sentence += f". Left out by a recorded decision: {excluded} ({rules})"
    if flow["withdrew"]:
        sentence += f". Withdrawn, with all data deleted: {flow['withdrew']}"
    return f"{sentence}."
