"""What a data package is and holds, as Psych-DS asks for it: a schema.org `Dataset` in JSON-LD."""

from __future__ import annotations

from typing import Any

from ratings.frames import Pool
from ratings.studyfile.schema import text_in
from reports.codebook import Column

KINDS = {"real": "participants", "pilot": "pilot participants", "synthetic": "simulated participants, no people"}


def description(pool: Pool, tables: dict[str, list[Column]], export_id: str, made_at: str) -> dict[str, Any]:
    definition = pool.definition
    locale = definition.default_locale
    criteria = ", ".join(text_in(criterion.label, locale, locale) for criterion in definition.criteria)
    low, high = definition.scale.min, definition.scale.max
    return {
        "@context": "https://schema.org/",
        "@type": "Dataset",
        "name": text_in(definition.title, locale, locale),
        "description": (
            f"Blinded ratings of {len(definition.arms)} arms on {len(definition.items)} items by {KINDS[pool.kind]}, "
            f"on a scale from {low} to {high}: {criteria}."
        ),
        "identifier": export_id,
        "version": pool.version.fingerprint,
        "dateCreated": made_at,
        "inLanguage": list(definition.locales),
        "keywords": ["human evaluation", "language model", "rating"],
        "variableMeasured": _variables(tables, definition.scale.min, definition.scale.max),
    }


def _variables(tables: dict[str, list[Column]], low: int, high: int) -> list[dict[str, Any]]:
    """One entry a name. Where tables mean different things by a name, each meaning says of which table."""
    found: dict[str, dict[str, list[str]]] = {}
    firsts: dict[str, Column] = {}
    for file, columns in tables.items():
        for column in columns:
            firsts.setdefault(column.name, column)
            found.setdefault(column.name, {}).setdefault(column.meaning, []).append(file)
    return [_variable(firsts[name], meanings, low, high) for name, meanings in found.items()]


def _variable(column: Column, meanings: dict[str, list[str]], low: int, high: int) -> dict[str, Any]:
    places = [f"{meaning} ({', '.join(files)})" for meaning, files in meanings.items()]
    variable: dict[str, Any] = {
        "@type": "PropertyValue",
        "name": column.name,
        "description": " ".join(places if len(places) > 1 else meanings),
    }
    if column.values == f"{low} to {high}":
        variable |= {"minValue": low, "maxValue": high}
    elif column.codes:
        variable["valueReference"] = list(column.codes)
    elif column.values:
        variable["valueReference"] = column.values
    if column.type == "time (UTC)":
        variable["unitText"] = "date and time, UTC, ISO 8601"
    elif column.name == "seconds":
        variable["unitText"] = "seconds"
    return variable
