"""Who may not have read what they rated, who left at which arm, and what the results are without them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ratings import frames
from ratings.frames import Pool, RatingColumns
from reports.statistics import quality
from reports.statistics.analysis import Analysis
from reports.statistics.comparison import compare
from reports.statistics.intervals import Result, not_estimable
from reports.statistics.quality import RULES, Work
from reports.statistics.summary import headlines
from reports.statistics.table import Table
from reports.tables import tables_of


@dataclass(frozen=True)
class Signs:
    """Attention checks, and by flag the participants who show it."""

    checks: list[dict[str, Any]]
    flags: dict[str, set[str]]

    @property
    def flagged(self) -> set[str]:
        return set().union(*self.flags.values())


def signs_of(pool: Pool, columns: RatingColumns | None) -> Signs:
    """Without columns, before ratings may be looked at, attention checks only."""
    checks = list(frames.checks(pool))
    failed = {"failed_check": {check["participant_id"] for check in checks if not check["passed"]}} if checks else {}
    if columns is None:
        return Signs(checks, failed)
    work = work_of(columns, frames.seconds_taken(pool))
    place = {participant: code for code, participant in enumerate(columns.participants)}
    comments: dict[int, list[str]] = {}
    for participant, comment in frames.comments(pool):
        if participant in place:
            comments.setdefault(place[participant], []).append(comment)
    by_place = {
        "straight_lining": quality.straight_lining(work),
        "too_fast": quality.too_fast(work),
        "repeated_comment": quality.repeated_comments(comments),
    }
    named = {flag: {columns.participants[code] for code in codes} for flag, codes in by_place.items()}
    return Signs(checks, failed | named)


def quality_of(signs: Signs) -> Result:
    """They flag, and leave nobody out by themselves."""
    return {
        "checks": _checks(signs.checks),
        "participants_failing_a_check": len(signs.flags.get("failed_check", ())),
        "flags": [
            {"flag": flag, "rule": RULES[flag], "participants": len(participants)}
            for flag, participants in signs.flags.items()
        ],
        "flagged": len(signs.flagged),
    }


def with_and_without(
    pool: Pool, columns: RatingColumns, tables: Mapping[str, Table], flags: Mapping[str, set[str]], analysis: Analysis
) -> list[Result]:
    """Every headline again for other choices of whose ratings count, each with how many people it takes from each arm.

    First the analysis itself; then with those put back whom a recorded decision left out; then without the flagged.
    """
    rows = [_choice("analysis", tables, tables, analysis)]
    if everyone := frames.excluded_columns(pool):
        rows.append(_choice("with_excluded", tables_of(everyone), tables, analysis))
    for flag, participants in flags.items():
        if participants:
            rows.append(_choice(f"without_{flag}", without(columns, participants), tables, analysis))
    if sum(map(bool, flags.values())) > 1:
        rows.append(_choice("without_flagged", without(columns, set().union(*flags.values())), tables, analysis))
    return rows


def _choice(choice: str, tables: Mapping[str, Table], ours: Mapping[str, Table], analysis: Analysis) -> Result:
    return {
        "choice": choice,
        "removed": {
            arm: max(table.n_participants(arm) for table in ours.values())
            - max(table.n_participants(arm) for table in tables.values())
            for arm in next(iter(ours.values())).arms
        },
        "criteria": {criterion: headlines(table, analysis.items_are) for criterion, table in tables.items()},
    }


def work_of(columns: RatingColumns, seconds: Mapping[tuple[str, int], float]) -> Work:
    """The ratings as replies: one row a participant and position, one column a criterion."""
    keys = columns.participant * (int(columns.position.max(initial=0)) + 1) + columns.position
    distinct, first, row = np.unique(keys, return_index=True, return_inverse=True)
    values = np.full((len(distinct), max(len(columns.criteria), 1)), np.nan)
    values[row, columns.criterion] = columns.rating
    participant, position = columns.participant[first], columns.position[first]
    times = [
        seconds.get((columns.participants[who], at), np.nan)
        for who, at in zip(participant.tolist(), position.tolist(), strict=True)
    ]
    return Work(participant, columns.item[first], position, values, np.array(times, dtype=float))


def dropout(pool: Pool, arms: Iterable[str]) -> Result:
    """How many of the replies that were shown were rated, by arm, and whether people rather leave in one of them.

    Only people who are no longer under way count. A difference is the share rated in b minus that in a, with the
    intervals of any other difference of means.
    """
    rows = list(frames.outcomes_of_shown(pool))
    participants, items, arms_shown, rated = zip(*rows, strict=True) if rows else ((), (), (), ())
    table = Table.from_columns(participants, items, arms_shown, [float(given) for given in rated], arms=arms)
    shares = {
        arm: {
            "shown": int(table.n[code]),
            "rated": int(table.total[code]),
            "participants": table.n_participants(arm),
        }
        for code, arm in enumerate(table.arms)
    }
    contrasts = [
        {"a": a, "b": b, **_difference(table, a, b)}
        for place, a in enumerate(table.arms)
        for b in table.arms[place + 1 :]
    ]
    return {"arms": shares, "contrasts": contrasts}


def _difference(table: Table, a: str, b: str) -> Result:
    if all(table.n[code] == table.total[code] for code in (table.code(a), table.code(b))):
        return {"interval": not_estimable("everything that was shown was rated")}
    found = compare(table, a, b)
    return {"difference": found["difference"], "interval": found["intervals"][found["headline"]]}


def without(columns: RatingColumns, participants: set[str]) -> dict[str, Table]:
    """The tables as they were if these participants had never come."""
    gone = np.array([participant in participants for participant in columns.participants], dtype=bool)
    stay = ~gone[columns.participant] if len(gone) else np.ones(len(columns.participant), dtype=bool)
    return tables_of(columns, stay)


def _checks(checks: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    passed: dict[str, list[bool]] = {}
    for check in checks:
        passed.setdefault(check["check"], []).append(check["passed"])
    return [{"check": key, "answered": len(results), "passed": sum(results)} for key, results in passed.items()]
