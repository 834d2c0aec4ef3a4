"""A table for SPSS (.sav), Stata (.dta) and everybody else (.parquet): variable labels, value labels, real dates.

Values are those of the CSV, except that texts stand as they were written. SPSS and Stata hold texts with few values as
labelled numbers, and a rating that could not be given as a missing value that says why: a user-missing number far below
the scale in SPSS, `.a`, `.b` in Stata. Times are UTC.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from math import isnan, nan
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

from reports.codebook import Column

if TYPE_CHECKING:
    import pandas as pd

# What the formats carry: bytes of UTF-8 in SPSS, characters in Stata.
SPSS_LABEL, SPSS_VALUE_LABEL, SPSS_FILE_LABEL, SPSS_TEXT = 255, 120, 64, 32767
STATA_NAME, STATA_LABEL, STATA_VALUE_LABEL = 32, 80, 32_000

NUMBERS = {"whole number", "number", "yes or no"}
TIME = "time (UTC)"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NO_TIME = -(2**63)  # what NumPy takes for "not a time"
# The column of ratings, the one that says why there is none, and the number in SPSS for its first reason.
RATING, REASON, FIRST_REASON = "rating", "missing_reason", -98
ROW_GROUP = 50_000


class Gathered:
    """The rows of a table, kept column by column in 4 or 8 bytes a cell while they pass by on their way to the CSV.

    Rows that are alike in a text share it, so a million ratings take about 90 MB; writing them as .sav or .dta takes
    190 MB more (pyreadstat wants the whole table), as .parquet 30 MB.
    """

    def __init__(self, columns: Iterable[Column], title: str, lowest: int = 0):
        """`lowest` is the lowest point of the scale."""
        self.columns = list(columns)
        self.title = title
        self.first_reason = min(0, lowest) + FIRST_REASON
        self.cells: dict[str, array] = {}
        # Text columns: the number of each text, from 1; 0 is an empty one.
        self.words: dict[str, dict[str, int]] = {}
        for column in self.columns:
            if column.type in NUMBERS:
                self.cells[column.name] = array("d")
            elif column.type == TIME:
                self.cells[column.name] = array("q")
            else:
                self.cells[column.name] = array("i")
                self.words[column.name] = {text: place for place, text in enumerate(column.codes, 1)}

    def passing(self, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        notes = [(column.name, self._note(column)) for column in self.columns]
        for row in rows:
            for name, note in notes:
                note(row.get(name))
            yield row

    def _note(self, column: Column) -> Callable[[Any], None]:
        append = self.cells[column.name].append
        if column.type in NUMBERS:
            return lambda value: append(nan if value is None else value)
        if column.type == TIME:
            return lambda value: append(NO_TIME if value is None else _milliseconds(value))
        words = self.words[column.name]

        def note(value: Any) -> None:
            text = _text(value)
            append(words.setdefault(text, len(words) + 1) if text else 0)

        return note

    def __len__(self) -> int:
        return len(self.cells[self.columns[0].name])

    def write(self, path: Path) -> None:
        {".sav": self._write_sav, ".dta": self._write_dta, ".parquet": self._write_parquet}[path.suffix](path)

    # SPSS and Stata ---------------------------------------------------------------------------------------------------

    def _write_sav(self, path: Path) -> None:
        import numpy as np
        import pyreadstat

        frame, labels = self._frame(SPSS_TEXT), self._labels(SPSS_VALUE_LABEL, in_bytes)
        missing: dict[str, list[Any]] = {}
        if reasons := self._reasons(-1, self.first_reason):
            rating, why = frame[RATING].to_numpy(copy=True), np.asarray(self.cells[REASON])
            for code, (number, _) in enumerate(reasons, 1):
                rating[np.isnan(rating) & (why == code)] = number
            frame[RATING] = rating
            labels[RATING] = dict(reasons)
            missing[RATING] = [{"lo": reasons[-1][0], "hi": self.first_reason}]
        texts = [column.name for column in self.columns if self._is_text(column)]
        pyreadstat.write_sav(
            frame,
            path,
            file_label=in_bytes(self.title, SPSS_FILE_LABEL),
            column_labels={c.name: in_bytes(_meaning(c), SPSS_LABEL) for c in self.columns},
            row_compress=True,
            variable_value_labels=labels,
            missing_ranges=missing,
            variable_display_width=dict.fromkeys(texts, 24),
            variable_measure={c.name: "scale" if self._is_scale(c) else "nominal" for c in self.columns},
            variable_format={c.name: form for c in self.columns if (form := _spss_format(c, self._is_text(c)))},
        )

    def _write_dta(self, path: Path) -> None:
        import numpy as np
        import pyreadstat

        frame, labels = self._frame(None), self._labels(STATA_VALUE_LABEL, in_characters)
        letters = {}
        if reasons := self._reasons(1, 0):
            rating, why = frame[RATING].to_numpy(), np.asarray(self.cells[REASON])
            for code, (number, text) in enumerate(reasons, 1):
                if (here := np.isnan(rating) & (why == code)).any():
                    letters[ascii_lowercase[number]] = text, here
        if letters:
            # Stata's `.a` is written as the letter; whole numbers otherwise, which Python keeps only once.
            cells = frame[RATING].astype(object).to_numpy(copy=True)
            present = ~np.isnan(rating)
            cells[present] = rating[present].astype(int)
            for letter, (_, here) in letters.items():
                cells[here] = letter
            frame[RATING] = cells
            labels[RATING] = {letter: text for letter, (text, _) in letters.items()}
        names = dict(zip(frame.columns, stata_names(frame.columns), strict=True))
        frame.columns = list(names.values())
        pyreadstat.write_dta(
            frame,
            path,
            file_label=in_characters(self.title, STATA_LABEL),
            column_labels={names[c.name]: in_characters(_meaning(c), STATA_LABEL) for c in self.columns},
            variable_value_labels={names[name]: of for name, of in labels.items()},
            missing_user_values={RATING: list(letters)} if letters else None,
            variable_format={names[c.name]: "%tc" for c in self.columns if c.type == TIME},
        )

    def _frame(self, longest_text: int | None) -> pd.DataFrame:
        """Numbers as floating point with NaN, labelled texts as numbers too, other texts as categories."""
        import numpy as np
        import pandas as pd

        frame = {}
        for column in self.columns:
            cells: Any = np.asarray(self.cells[column.name])
            if column.type == TIME:
                cells = cells.view("datetime64[ms]")
            elif column.codes:
                cells = np.where(cells > 0, cells, np.float32(nan)).astype(np.float32)
            elif self._is_text(column):
                # Texts that are equal when cut would be one category twice.
                texts = pd.Series([in_bytes(text, longest_text) for text in ("", *self.words[column.name])], dtype=str)
                place, distinct = pd.factorize(texts)
                cells = pd.Categorical.from_codes(place[cells], distinct)
            frame[column.name] = cells
        return pd.DataFrame(frame, copy=False)

    def _is_text(self, column: Column) -> bool:
        return column.name in self.words and not column.codes

    def _is_scale(self, column: Column) -> bool:
        return column.type in {"number", "whole number", TIME} and column.name != "version"

    def _labels(self, longest: int, cut: Callable[[str, int], str]) -> dict[str, dict[Any, str]]:
        labels: dict[str, dict[Any, str]] = {
            column.name: {float(code): cut(text, longest) for text, code in self.words[column.name].items()}
            for column in self.columns
            if column.codes
        }
        yes_no = {1.0: "yes", 0.0: "no"}
        return labels | {column.name: yes_no for column in self.columns if column.type == "yes or no"}

    def _reasons(self, step: int, first: int) -> list[tuple[int, str]]:
        """Every reason for a missing rating, in the order of its code, with numbers from `first` on."""
        if RATING not in self.cells or REASON not in self.words:
            return []
        return [(first + step * place, text) for place, text in enumerate(self.words[REASON])]

    # Parquet ----------------------------------------------------------------------------------------------------------

    def _write_parquet(self, path: Path) -> None:
        from arro3.core import DataType, Field, RecordBatch, RecordBatchReader, Schema
        from arro3.io import write_parquet

        types = {
            "whole number": DataType.int32(),
            "number": DataType.float64(),
            "yes or no": DataType.bool(),
            TIME: DataType.timestamp("ms", tz="UTC"),
        }
        fields = [
            Field(
                column.name,
                types.get(column.type, DataType.string()),
                metadata={"description": column.meaning, "values": column.values},
            )
            for column in self.columns
        ]
        schema = Schema(fields, metadata={"title": self.title})
        words = {name: [None, *words] for name, words in self.words.items()}

        def group(start: int) -> RecordBatch:
            arrays = [
                self._array(field.type, column, start, words.get(column.name))
                for field, column in zip(fields, self.columns, strict=True)
            ]
            return RecordBatch.from_arrays(arrays, schema=schema)

        groups = (group(start) for start in range(0, len(self), ROW_GROUP))
        write_parquet(
            RecordBatchReader.from_batches(schema, groups),
            path,
            compression="zstd(3)",
            max_row_group_size=ROW_GROUP,
            key_value_metadata={"title": self.title},
        )

    def _array(self, data_type: Any, column: Column, start: int, words: list[str | None] | None) -> Any:
        from arro3.core import Array, DataType

        cells = self.cells[column.name][start : start + ROW_GROUP]
        if words is not None:
            return Array([words[code] for code in cells], type=data_type)
        if column.type == TIME:
            times = Array([None if cell == NO_TIME else cell for cell in cells], type=DataType.int64())
            return times.cast(data_type)
        kind = {"whole number": int, "number": float, "yes or no": bool}[column.type]
        return Array([None if isnan(cell) else kind(cell) for cell in cells], type=data_type)


def stata_names(names: Iterable[str]) -> list[str]:
    """Names as Stata takes them: at most 32 letters, digits and underscores. Where two would be one, numbers tell."""
    taken: set[str] = set()
    found = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)[:STATA_NAME]
        candidate, number = plain, 2
        while candidate in taken:
            candidate = f"{plain[: STATA_NAME - len(str(number)) - 1]}_{number}"
            number += 1
        taken.add(candidate)
        found.append(candidate)
    return found


def in_characters(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def in_bytes(text: str, longest: int | None) -> str:
    """The text, or as much of it as fits in so many bytes of UTF-8."""
    if longest is None or len(text.encode()) <= longest:
        return text
    end = "…"
    return text.encode()[: longest - len(end.encode())].decode(errors="ignore") + end


def _spss_format(column: Column, is_text: bool) -> str | None:
    if is_text:
        return None
    # 21 characters to the point, and three digits after it: narrower ones are refused.
    return {TIME: "DATETIME24.3", "number": "F12.3"}.get(column.type, "F8.0")


def _meaning(column: Column) -> str:
    return f"{column.meaning} UTC." if column.type == TIME else column.meaning


def _text(value: Any) -> str:
    if value is None:
        return ""
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)


def _milliseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)
