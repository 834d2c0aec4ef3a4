"""The report of a study: one dictionary that the page, the command, the API and the data package all show.

It is put together from what `ratings.frames` counts and what `reports.statistics` computes. The numbers rest on every
rating that a consenting participant gave, also of those who did not finish (available cases).
"""

from __future__ import annotations

from typing import Any

from ratings import frames
from ratings.frames import Pool
from ratings.studyfile.schema import StudyFile, text_in
from reports.sample import describe_sample
from reports.statistics.summary import summarise
from reports.statistics.table import Table, tables_from_codes

SCHEMA = 1
KINDS = {"real": "participants", "pilot": "pilot participants", "synthetic": "synthetic participants"}


def study_report(pool: Pool) -> dict[str, Any]:
    definition = pool.definition
    flow = frames.flow(pool)
    numbers = summarise(tables_of(pool), scale_of(definition), definition.design.items_are)
    numbers["methods"] = numbers["methods"] | {
        "participants": participants_sentence(pool, flow),
        "paragraph": f"{participants_sentence(pool, flow)} {numbers['methods']['paragraph']}",
        "rules_declared": list(definition.exclude),
    }
    return {
        "schema": SCHEMA,
        "study": pool.study.slug,
        "fingerprint": pool.version.fingerprint,
        "kind": pool.kind,
        "level": numbers["level"],
        "warnings": [*study_warnings(pool, flow), *numbers["warnings"]],
        "flow": flow,
        "sample": describe_sample(exit_questions(definition), frames.exit_answers(pool), flow["analysed"]),
        "criteria": numbers["criteria"],
        "quality": quality(pool),
        "methods": numbers["methods"],
        "versions": [row | {"published_at": row["published_at"].isoformat()} for row in frames.versions(pool)],
    }


def tables_of(pool: Pool) -> dict[str, Table]:
    columns = frames.rating_columns(pool)
    return tables_from_codes(
        columns.criterion,
        columns.participant,
        columns.item,
        columns.arm,
        columns.rating,
        criteria=columns.criteria,
        participants=columns.participants,
        items=columns.items,
        arms=columns.arms,
    )


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


def quality(pool: Pool) -> dict[str, Any]:
    """Attention checks. They flag, and leave nobody out by themselves."""
    passed: dict[str, list[bool]] = {}
    failing = set()
    for check in frames.checks(pool):
        passed.setdefault(check["check"], []).append(check["passed"])
        if not check["passed"]:
            failing.add(check["participant_id"])
    return {
        "checks": [{"check": key, "answered": len(results), "passed": sum(results)} for key, results in passed.items()],
        "participants_failing_a_check": len(failing),
    }


def study_warnings(pool: Pool, flow: dict[str, Any]) -> list[str]:
    warnings = []
    if pool.kind != "real":
        warnings.append(f"These are {KINDS[pool.kind]}: a rehearsal, not a result.")
    completed, target = flow["completed"], pool.definition.target
    looks_once = pool.kind == "real" and pool.definition.design.looks == "at_target"
    if looks_once and flow["analysed"] and completed < target:
        warnings.append(
            f"{completed} of {target} planned participants have completed. The study looks at its results once, at the "
            "target: whoever stops when an interval looks good finds differences that are not there."
        )
    return warnings


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
