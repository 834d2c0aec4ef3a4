"""Tables for SPSS, Stata and Parquet, read back and held against the CSV."""

import re
from datetime import UTC, datetime, timedelta

import pandas as pd
import pyreadstat
import pytest
from arro3.io import read_parquet

from reports.codebook import Column, coded
from reports.labelled import Gathered, in_bytes, in_characters, stata_names
from tests.reports.people import exclude, take_part
from tests.reports.test_package import Opened

COLUMNS = [
    Column("participant_id", "text", "Who."),
    coded("arm", "Which arm.", ("linden", "rowan")),
    Column("rating", "whole number", "The rating."),
    coded("missing_reason", "Why there is none.", ("cannot_judge", "skipped")),
    Column("at", "time (UTC)", "When."),
    Column("passed", "yes or no", "Whether."),
    Column("seconds", "number", "How long."),
    Column("remark", "text", "What they said."),
]
MOMENT = datetime(2026, 11, 24, 17, 13, 0, 678000, tzinfo=UTC)
ROW = {"participant_id": "p1", "arm": "rowan", "rating": 7, "missing_reason": "", "at": MOMENT, "passed": True}
ROW |= {"seconds": 1.25, "remark": "=1+1 füßig"}
EMPTY = dict.fromkeys(ROW) | {"participant_id": "p2", "arm": "linden", "missing_reason": "skipped"}


@pytest.fixture
def written(tmp_path):
    def write(rows, suffix, columns=COLUMNS, **more):
        gathered = Gathered(columns, "A study", **more)
        assert list(gathered.passing(rows)) == rows
        gathered.write(path := tmp_path / f"table{suffix}")
        return path

    return write


def test_spss_has_labels_numbers_dates_and_raw_texts(written):
    frame, meta = pyreadstat.read_sav(written([ROW, EMPTY], ".sav"))

    assert meta.column_names_to_labels["arm"] == "Which arm."
    assert meta.variable_value_labels["arm"] == {1: "linden", 2: "rowan"}
    assert meta.variable_value_labels["passed"] == {1: "yes", 0: "no"}
    assert meta.file_label == "A study"
    first = frame.iloc[0]
    assert (first["participant_id"], first["arm"], first["rating"], first["passed"]) == ("p1", 2, 7, 1)
    assert (first["seconds"], first["remark"]) == (1.25, "=1+1 füßig")
    assert abs(first["at"] - MOMENT.replace(tzinfo=None)) < timedelta(milliseconds=1)
    assert frame.iloc[1][["rating", "at", "passed", "seconds"]].isna().all()
    assert meta.original_variable_types["at"] == "DATETIME24.3"


@pytest.mark.parametrize(("lowest", "number"), [(1, -99), (-100, -199)])
def test_in_spss_a_rating_that_was_not_given_is_user_missing_and_says_why(written, lowest, number):
    path = written([ROW, EMPTY], ".sav", lowest=lowest)

    frame, meta = pyreadstat.read_sav(path, user_missing=True)

    assert frame["rating"].tolist() == [7, number]
    assert meta.variable_value_labels["rating"][number] == "skipped"
    (missing,) = meta.missing_ranges["rating"]
    assert missing["lo"] <= number <= missing["hi"] < lowest


def test_stata_has_labels_numbers_dates_and_raw_texts(written):
    path = written([ROW, EMPTY], ".dta")

    frame = pd.read_stata(path, convert_categoricals=False)
    with pd.io.stata.StataReader(path) as reader:
        labels, values = reader.variable_labels(), reader.value_labels()

    assert labels["arm"] == "Which arm."
    assert {"linden", "rowan"} in [set(of.values()) for of in values.values()]
    first = frame.iloc[0]
    assert (first["participant_id"], first["arm"], first["rating"], first["remark"]) == ("p1", 2, 7, "=1+1 füßig")
    assert first["at"] == MOMENT.replace(tzinfo=None)
    assert frame.iloc[1][["rating", "at", "passed", "seconds"]].isna().all()


def test_in_stata_a_rating_that_was_not_given_is_a_lettered_missing_value(written):
    judged_not = EMPTY | {"missing_reason": "cannot_judge"}

    frame, meta = pyreadstat.read_dta(written([ROW, EMPTY, judged_not], ".dta"), user_missing=True)

    assert frame["rating"].tolist() == [7, "b", "a"]
    assert meta.variable_value_labels["rating"] == {"a": "cannot_judge", "b": "skipped"}


def test_a_table_whose_every_rating_is_missing_keeps_a_column_of_numbers(written):
    frame = pd.read_stata(written([EMPTY], ".dta"), convert_categoricals=False)

    assert pd.api.types.is_numeric_dtype(frame["rating"])


def test_parquet_has_types_descriptions_and_nothing_for_nothing(written):
    table = read_parquet(written([ROW, EMPTY], ".parquet")).read_all()

    rows = [dict(zip(table.column_names, row, strict=True)) for row in zip(*map(list_of, table.columns), strict=True)]
    assert rows[0] == ROW | {"missing_reason": None}
    assert rows[1] == EMPTY
    assert table.schema.field("arm").metadata_str["description"] == "Which arm."


def list_of(column):
    return column.to_pylist()


def test_parquet_goes_on_over_several_groups_of_rows(written, monkeypatch):
    monkeypatch.setattr("reports.labelled.ROW_GROUP", 3)
    rows = [ROW | {"rating": number} for number in range(10)]

    table = read_parquet(written(rows, ".parquet")).read_all()

    assert table.column("rating").to_pylist() == list(range(10))


@pytest.mark.parametrize("suffix", [".sav", ".dta", ".parquet"])
def test_a_table_without_rows_has_its_columns(written, suffix):
    path = written([], suffix)

    if suffix == ".parquet":
        names = read_parquet(path).read_all().column_names
    else:
        names = (pyreadstat.read_sav if suffix == ".sav" else pyreadstat.read_dta)(path)[0].columns

    assert list(names) == [column.name for column in COLUMNS]


def test_a_text_that_is_not_among_the_few_known_gets_a_number_too(written):
    _, meta = pyreadstat.read_sav(written([ROW | {"arm": "aspen"}], ".sav"))

    assert meta.variable_value_labels["arm"] == {1: "linden", 2: "rowan", 3: "aspen"}


@pytest.mark.parametrize(("suffix", "read"), [(".sav", pyreadstat.read_sav), (".dta", pyreadstat.read_dta)])
def test_long_texts_and_labels_fit(written, suffix, read):
    text, label = "ü" * 5000, "What? " * 100
    columns = [*COLUMNS[:-1], Column("remark", "text", label)]

    frame, meta = read(written([ROW | {"remark": text}], suffix, columns))

    assert frame["remark"].tolist() == [text]
    kept = meta.column_names_to_labels["remark"].removesuffix("…")
    assert len(kept) > 70
    assert label.startswith(kept)


def test_texts_that_are_equal_once_cut_are_one(written):
    same = "ü" * 20000

    frame, _ = pyreadstat.read_sav(written([ROW | {"remark": f"{same}{end}"} for end in "ab"], ".sav"))

    assert frame["remark"].nunique() == 1
    assert len(frame["remark"][0].encode()) <= 32767


def test_names_fit_stata_and_stay_apart():
    long = "exit_" + "a" * 40
    names = stata_names(["rating", f"{long}1", f"{long}2", f"{long}3", "with-hyphen"])

    assert names[0] == "rating"
    assert len(set(names)) == 5
    assert all(re.fullmatch(r"[a-z][a-z0-9_]{0,31}", name) for name in names)


def test_a_text_is_cut_between_characters():
    assert in_bytes("üüü", 6) == "üüü"
    assert in_bytes("üüüü", 6) == "ü…"
    assert in_characters("abcd", 3) == "ab…"


def test_the_packages_tables_hold_what_its_csv_holds(study, tmp_path):
    take_part(study, lambda item, arm, criterion: None if item == "item-03" else 6 + (arm == "rowan"))
    take_part(study, answers={"age_band": "21-24", "remark": "@home"})
    exclude(take_part(study), "straight lines")
    package = Opened(study)
    for name in ("ratings_long", "participants"):
        rows = package.rows(f"{name}.csv")
        frames = []
        for suffix, read in ((".sav", pyreadstat.read_sav), (".dta", pyreadstat.read_dta)):
            path = tmp_path / f"{name}{suffix}"
            path.write_bytes(package.bytes(path.name))
            frames.append(read(path, apply_value_formats=True, formats_as_category=False)[0])
        path = tmp_path / f"{name}.parquet"
        path.write_bytes(package.bytes(path.name))
        table = read_parquet(path).read_all()
        frames.append(pd.DataFrame({column: table.column(column).to_pylist() for column in table.column_names}))
        for frame in frames:
            assert list(frame.columns) == list(rows[0])
            for column in frame.columns:
                if not column.endswith("_at"):
                    assert [plain(cell) for cell in frame[column]] == [csv_cell(row[column]) for row in rows], column


def plain(cell):
    """A cell as the CSV would hold it."""
    if cell is None or cell != cell:
        return ""
    if cell in ("yes", "no") or isinstance(cell, bool):
        return "1" if cell in ("yes", True) else "0"
    return f"{cell:g}" if isinstance(cell, int | float) else str(cell)


def csv_cell(text):
    text = text.removeprefix("'")
    return f"{float(text):g}" if re.fullmatch(r"-?[0-9]+\.[0-9]+", text) else text
