"""Anyone's ratings as a long CSV: one row a rating, read in one pass, and every fault named by its line.

The columns `participant_id, item_id, arm, criterion, rating` may stand in any order among others; an empty rating is a
missing one. Commas, semicolons and tabs are understood, as are the marks that spreadsheets leave at a file's start.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np

from .statistics.analysis import Analysis
from .statistics.intervals import Result
from .statistics.summary import summarise
from .statistics.table import Table, tables_from_codes

COLUMNS = ("participant_id", "item_id", "arm", "criterion", "rating")
DELIMITERS = ",;\t"
MOST_FAULTS = 50
# A file beyond these has its columns mixed up: every pair of arms would be compared, every point of the scale counted.
MOST_VALUES = {"arm": 50, "criterion": 100}
MOST_POINTS = 1001
# Rows read at a time: few enough to stay in the processor's cache.
BATCH = 500

WHOLE = re.compile(r"-?[0-9]{1,15}(\.0*)?", re.ASCII)
NUMBER = re.compile(r"[-+]?[0-9]*[.,]?[0-9]+([eE][-+]?[0-9]+)?", re.ASCII)
THOUSANDS = re.compile(r"-?[0-9]{1,3}([,. '’][0-9]{3})+", re.ASCII)
MISSING_WORDS = {"na", "n/a", "nan", "none", "null", "-", ".", "missing"}


class LongCsvError(ValueError):
    """The file cannot be used. `faults` are its first faults as `FILE:LINE: message`, `total` is how many there are."""

    def __init__(self, faults: list[str], total: int | None = None) -> None:
        self.faults = faults
        self.total = total or len(faults)
        more = [f"and {self.total - len(faults)} more"] if self.total > len(faults) else []
        super().__init__("\n".join([*faults, *more]))


@dataclass(frozen=True)
class LongTable:
    """The rows of a file as codes, each a place in its list of labels; a missing rating is NaN."""

    codes: dict[str, np.ndarray]
    labels: dict[str, tuple[str, ...]]
    ratings: np.ndarray
    warnings: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ratings)

    def tables(self) -> dict[str, Table]:
        codes, labels = self.codes, self.labels
        return tables_from_codes(
            codes["criterion"],
            codes["participant_id"],
            codes["item_id"],
            codes["arm"],
            self.ratings,
            criteria=labels["criterion"],
            participants=labels["participant_id"],
            items=labels["item_id"],
            arms=labels["arm"],
        )


def report_from_csv(source: str | Path | IO[bytes], scale: tuple[int, int], items_are: str = "random") -> Result:
    """The report JSON of a bare file of ratings."""
    table = read_long_csv(source, scale)
    report = summarise(table.tables(), Analysis(scale, items_are))
    return {"schema": 1, **report, "warnings": [*table.warnings, *report["warnings"]]}


def read_long_csv(source: str | Path | IO[bytes], scale: tuple[int, int]) -> LongTable:
    """Read the ratings, or raise `LongCsvError` with every fault."""
    if scale[0] >= scale[1]:
        raise LongCsvError([f"the scale {scale[0]} to {scale[1]} must rise"])
    if scale[1] - scale[0] >= MOST_POINTS:
        raise LongCsvError([f"the scale {scale[0]} to {scale[1]} has more than {MOST_POINTS} points"])
    if not isinstance(source, str | Path):
        name = str(getattr(source, "name", None) or "the file")
        return _read(source if source.seekable() else io.BytesIO(source.read()), name, scale)
    try:
        with open(source, "rb") as file:
            return _read(file, str(source), scale)
    except OSError as error:
        raise LongCsvError([f"{source}: cannot be read: {error.strerror}"])


def _read(binary: IO[bytes], name: str, scale: tuple[int, int]) -> LongTable:
    encoding, warnings = _encoding(binary, name)
    binary.seek(0)
    text = io.TextIOWrapper(binary, encoding, newline="")
    try:
        return _Reader(name, text, scale, warnings).read()
    finally:
        text.detach()  # the file belongs to the caller


class _Labels(dict):
    """Numbers the labels of one column as they come."""

    dtype = np.int64

    def __init__(self, column: str) -> None:
        self.column = column
        self.places: dict[str, int] = {}

    def __missing__(self, raw: str) -> int:
        label = raw.strip()
        if not label:
            raise ValueError(f"{self.column} is empty")
        if "\0" in label:
            raise ValueError(f"{self.column} {label!r} contains a NUL character")
        self[raw] = code = self.places.setdefault(label, len(self.places))
        return code


class _Ratings(dict):
    """Reads each distinct way of writing a rating once."""

    dtype = np.float64

    def __init__(self, scale: tuple[int, int], decimal_comma: bool) -> None:
        self.scale = scale
        self.decimal_comma = decimal_comma

    def __missing__(self, raw: str) -> float:
        self[raw] = value = self._parse(raw.strip())
        return value

    def _parse(self, text: str) -> float:
        if not text:
            return np.nan
        shown = repr(text if len(text) <= 40 else text[:37] + "...")
        low, high = self.scale
        plain = text.replace(",", ".") if self.decimal_comma else text
        if WHOLE.fullmatch(plain):
            if low <= (value := float(plain)) <= high:
                return value
            raise ValueError(f"rating {shown} is outside the scale {low} to {high}")
        if text.lower() in MISSING_WORDS:
            raise ValueError(f"rating {shown} is not a number; leave the cell empty where a rating is missing")
        if THOUSANDS.fullmatch(text):
            raise ValueError(f"rating {shown} is written with thousands separators; write digits only")
        if NUMBER.fullmatch(text):
            raise ValueError(f"rating {shown} is not a whole number on the scale {low} to {high}")
        raise ValueError(f"rating {shown} is not a number")


class _Reader:
    """One pass over one file; faults are collected, and the rows are given only when there are none."""

    def __init__(self, name: str, text: io.TextIOWrapper, scale: tuple[int, int], warnings: list[str]) -> None:
        self.name, self.text, self.warnings = name, text, warnings
        self.delimiter = self._delimiter()
        self.labels = [_Labels(column) for column in COLUMNS[:-1]]
        self.columns: list[_Labels | _Ratings] = [*self.labels, _Ratings(scale, decimal_comma=self.delimiter == ";")]
        self.faults: list[tuple[int, str]] = []
        self.total = 0

    def read(self) -> LongTable:
        rows = self._rows()
        header, line = next((row for row in rows if any(row[0])), ([], 1))
        places = self._places([cell.strip() for cell in header], line)
        batches = []
        while batch := list(islice(rows, BATCH)):
            batches.append(self._batch(batch, len(header), places))
        if not self.total and not sum(len(batch[-1]) for batch in batches):
            self._fault(line, "there are no ratings below the header")
        for labels in self.labels:
            if (n := len(labels.places)) > (most := MOST_VALUES.get(labels.column, n)):
                self._fault(
                    line, f"the column {labels.column} has {n} different values, at most {most} can be reported"
                )
        self._refuse_if_faulty()
        *codes, ratings = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        return LongTable(
            codes=dict(zip(COLUMNS[:-1], codes, strict=True)),
            labels={labels.column: tuple(labels.places) for labels in self.labels},
            ratings=ratings,
            warnings=tuple(self.warnings),
        )

    def _rows(self) -> Iterator[tuple[list[str], int]]:
        """Each row with its line, up to the place where the file itself is broken."""
        rows = csv.reader(self.text, delimiter=self.delimiter, strict=True)
        try:
            for row in rows:
                yield row, rows.line_num
        except csv.Error as error:
            self._fault(rows.line_num, f"a cell's quoting or length is broken ({error}); the rest was not read")

    def _delimiter(self) -> str:
        """The one under which the header shows the most of our columns, or else the most cells."""
        header = next((line for line in self.text if line.strip()), "")
        self.text.seek(0)

        def columns(delimiter: str) -> tuple[int, int]:
            cells = header.casefold().replace('"', "").split(delimiter)
            return len({cell.strip() for cell in cells} & set(COLUMNS)), len(cells)

        return max(DELIMITERS, key=columns)

    def _places(self, header: list[str], line: int) -> list[int]:
        if not header:
            self._fault(line, "the file is empty")
            self._refuse_if_faulty()
        for column in COLUMNS:
            if header.count(column) > 1:
                self._fault(line, f"the column {column} occurs {header.count(column)} times")
            elif column not in header:
                self._fault(line, f"the column {column} is missing; {_hint(column, header)}")
        self._refuse_if_faulty()
        return [header.index(column) for column in COLUMNS]

    def _batch(self, batch: list[tuple[list[str], int]], width: int, places: list[int]) -> tuple[np.ndarray, ...]:
        rows = [row for row, _ in batch]
        if set(map(len, rows)) == {width}:
            cells = list(zip(*rows, strict=True))
            try:
                # Every distinct text is parsed once; a million rows are then mostly looking up.
                return tuple(
                    self._column(known, cells[place]) for known, place in zip(self.columns, places, strict=True)
                )
            except ValueError:
                pass
        good = [row for row, line in batch if any(map(str.strip, row)) and self._sound(row, line, width, places)]
        return tuple(
            self._column(known, [row[place] for row in good]) for known, place in zip(self.columns, places, strict=True)
        )

    @staticmethod
    def _column(known: _Labels | _Ratings, cells: Sequence[str]) -> np.ndarray:
        return np.array(list(map(known.__getitem__, cells)), dtype=known.dtype)

    def _sound(self, row: list[str], line: int, width: int, places: list[int]) -> bool:
        """Whether the row can be read; each of its faults is noted."""
        if len(row) != width:
            cells = f"{len(row)} cell{'' if len(row) == 1 else 's'}"
            self._fault(line, f"the row has {cells}, the header {width}; is a comma or a quote out of place?")
            return False
        before = self.total
        for known, place in zip(self.columns, places, strict=True):
            try:
                known[row[place]]
            except ValueError as error:
                self._fault(line, str(error))
        return self.total == before

    def _fault(self, line: int, message: str) -> None:
        self.total += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append((line, message))

    def _refuse_if_faulty(self) -> None:
        if self.total:
            by_line = sorted(self.faults, key=lambda fault: fault[0])
            raise LongCsvError([f"{self.name}:{line}: {message}" for line, message in by_line], self.total)


def _hint(column: str, header: list[str]) -> str:
    by_plain = {re.sub(r"[^a-z]", "", name.casefold()): name for name in header if name and name not in COLUMNS}
    near = difflib.get_close_matches(column.replace("_", ""), by_plain, n=1, cutoff=0.6)
    if near:
        return f"did you mean {by_plain[near[0]]!r}?"
    return f"the header has {', '.join(header[:12])}"


def _encoding(binary: IO[bytes], name: str) -> tuple[str, list[str]]:
    """How the bytes are to be read: UTF-8, or what spreadsheets write instead, with a warning."""
    start = binary.read(4)
    if start == b"PK\x03\x04":
        raise LongCsvError([f"{name}: this is a spreadsheet or zip file; save it as CSV (UTF-8) first"])
    if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        if (unreadable := _first_undecodable_line(binary, "utf-16")) is not None:
            raise LongCsvError([f"{name}:{unreadable}: the UTF-16 text is broken; save the file as CSV (UTF-8)"])
        return "utf-16", []
    line = _first_undecodable_line(binary, "utf-8")
    if line is None:
        return "utf-8-sig", []
    if (unreadable := _first_undecodable_line(binary, "cp1252")) is not None:
        raise LongCsvError([f"{name}:{unreadable}: neither UTF-8 nor Windows-1252 text; save the file as CSV (UTF-8)"])
    return "cp1252", [f"{name}:{line}: not UTF-8; the file was read as Windows-1252. Check letters with accents."]


def _first_undecodable_line(binary: IO[bytes], encoding: str) -> int | None:
    decoder = codecs.getincrementaldecoder(encoding)()
    binary.seek(0)
    lines = 1
    while True:
        chunk = binary.read(1 << 20)
        try:
            decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            return lines + error.object[: error.start].count(b"\n")
        if not chunk:
            return None
        lines += chunk.count(b"\n")
