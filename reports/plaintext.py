"""The report for a terminal: the same numbers as its JSON, rounded and laid out in columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reports.shown import interval, number
from reports.statistics import howcomputed
from reports.statistics.intervals import Result


def as_text(report: Result) -> str:
    return "\n".join(_lines(report))


def _lines(report: Result) -> Iterator[str]:
    for warning in report["warnings"]:
        yield f"! {warning}"
    if flow := report.get("flow"):
        yield ""
        yield (
            f"{flow['arrived']} arrived, {flow['consented']} consented, {flow['started']} started, "
            f"{flow['completed']} completed; {flow['analysed']} are analysed, {flow['excluded']} left out, "
            f"{flow['withdrew']} withdrew."
        )
    for name, criterion in report["criteria"].items():
        yield ""
        yield name
        yield from _table(
            ("arm", "people", "items", "ratings", "missing", "mean", "95 % interval", "sd", "median", "naive"),
            [
                (
                    arm,
                    str(of["n_participants"]),
                    str(of["n_items"]),
                    str(of["n_ratings"]),
                    str(of["missing"]),
                    number(of["mean"]),
                    interval(of, of["headline"]),
                    number(of["sd"]),
                    number(of["median"]),
                    interval(of, "naive_t"),
                )
                for arm, of in criterion["arms"].items()
            ],
        )
        for contrast in criterion["contrasts"]:
            yield f"  {howcomputed.read_contrast(contrast)}"
    yield ""
    yield report["methods"]["paragraph"]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    rows = [head, *rows]
    widths = [max(len(row[place]) for row in rows) for place in range(len(head))]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        yield f"  {'  '.join(cells)}"
