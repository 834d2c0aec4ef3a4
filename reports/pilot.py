"""What a pilot says about how much ratings vary, for planning the study after it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ratings.frames import Pool, rating_columns, snapshot
from reports.longcsv import read_long_csv
from reports.report import KINDS
from reports.statistics.components import Components, estimate_components
from reports.statistics.intervals import Result, estimable
from reports.statistics.table import Table
from reports.tables import tables_of

DEFAULTS = {"source": "defaults", "sentence": "The standard deviations are those of the simulated reference study."}


class NoPilot(ValueError):
    """These ratings say nothing about how much ratings vary; the message says why."""


@dataclass(frozen=True)
class Pilot:
    """Standard deviations, and where they come from: `about` is a part of the plan's JSON."""

    components: Components
    about: Result


def pilot_of_study(pool: Pool, criterion: str | None = None) -> Pilot:
    """From a study's ratings under one criterion: that of its main question, or else its first."""
    definition = pool.definition
    primary = definition.design.primary
    criterion = criterion or (primary.criterion if primary else definition.criteria[0].key)
    with snapshot():
        tables = tables_of(rating_columns(pool))
    return pilot_of(tables, criterion, f"{KINDS[pool.kind]} of {pool.study.slug}")


def pilot_of_csv(path: Path, scale: tuple[int, int], criterion: str | None = None) -> Pilot:
    """From a long CSV under one criterion, which must be named where the file has several."""
    tables = read_long_csv(path, scale).tables()
    if criterion is None:
        criterion, *others = tables
        if others:
            raise NoPilot(f"{path} has several criteria; name one of {', '.join(tables)}.")
    return pilot_of(tables, criterion, str(path))


def pilot_of(tables: dict[str, Table], criterion: str, source: str) -> Pilot:
    if criterion not in tables:
        raise NoPilot(f"{source}: there is no criterion {criterion!r}; there is {', '.join(tables) or 'none'}.")
    found = estimate_components(tables[criterion])
    if not estimable(found):
        raise NoPilot(f"{source}, {criterion}: {found['not_estimable']}.")
    names = [field.name for field in fields(Components)]
    known = {name: found[name] for name in names if estimable(found[name])}
    if not any(known.values()):
        raise NoPilot(f"{source}, {criterion}: all ratings are equal.")
    about = {
        "source": source,
        "criterion": criterion,
        **{key: found[key] for key in ("n_ratings", "n_participants", "n_items", "below_zero")},
        "defaults_for": [name for name in names if name not in known],
    }
    return Pilot(Components(**known), about | {"sentence": _sentence(about)})


def _sentence(about: dict[str, Any]) -> str:
    said = (
        f"The standard deviations are estimated from {about['n_ratings']:,} ratings of {about['criterion']} by "
        f"{about['n_participants']:,} participants on {about['n_items']:,} items ({about['source']})."
    )
    if about["below_zero"]:
        said += f" Came out below zero and was taken as zero: {_listed(about['below_zero'])}."
    if about["defaults_for"]:
        said += f" Cannot be seen in such a design, so the default stands in: {_listed(about['defaults_for'])}."
    return said


def _listed(names: list[str]) -> str:
    return ", ".join(name.replace("_", " by ") for name in names)
