"""The data package of a study: one zip that a statistician without Evalsite can work with.

It is written row by row into a file, however large the study is, from one state of the database, so that the report in
it can be computed again from the ratings in it. Names are random ids; no code, panel id or hash of one is in it.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from io import RawIOBase, TextIOWrapper
from itertools import chain
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from django.conf import settings
from django.utils import timezone

from accounts.models import User
from inference.canonical import digest
from inference.models import public_code
from ratings import frames, looks
from ratings.frames import Pool
from ratings.models import EarlyLook
from ratings.studyfile.schema import text_in
from reports import codebook, psychds
from reports.codebook import Column
from reports.labelled import Gathered
from reports.report import study_report

# What a spreadsheet takes for the beginning of a formula, or lets one begin after.
FORMULA_STARTS = tuple("=+-@\t\r\n\0＝＋－＠")

# Tables that also come for SPSS, for Stata and as Parquet.
LABELLED = ("ratings_long.csv", "participants.csv")
FORMATS = (".sav", ".dta", ".parquet")
# Scripts that need nothing but the package.
ANALYSIS = Path(__file__).parent / "analysis"
SCRIPTS = ("recompute.R", "recompute.py", "psych_ds.py")


def write_package(pool: Pool, user: User | None, file: IO[bytes]) -> dict[str, Any]:
    """Write the zip to a file that is open for writing, note whose data is in it, and return its manifest.

    Before the planned number of participants that is an early look, and noted as one.
    """
    looks.note(pool, user, EarlyLook.By.EXPORT)
    while True:
        file.seek(0)
        file.truncate()
        with frames.snapshot():
            manifest, people = _write(pool, file)
        # Somebody who withdrew while it was written must not be in it.
        if frames.record_export(pool, manifest["export_id"], user, manifest["filters"], people):
            return manifest


def _write(pool: Pool, file: IO[bytes]) -> tuple[dict[str, Any], set[str]]:
    definition, people = pool.definition, set()

    def participants() -> Iterator[dict[str, Any]]:
        for row in frames.participant_rows(pool):
            people.add(row["participant_id"])
            yield row | {f"exit_{key}": value for key, value in row.pop("exit").items()}

    def wide() -> Iterator[dict[str, Any]]:
        names = codebook.criterion_columns(definition)
        for row in frames.rated_replies(pool):
            yield row | {names[key]: value for key, value in row["ratings"].items()}

    tables = codebook.tables(definition)
    rows = {
        "ratings_long.csv": frames.rating_rows(pool),
        "ratings_wide.csv": wide(),
        "participants.csv": participants(),
        "events.csv": frames.events(pool),
        "checks.csv": frames.checks(pool),
    }
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        package = Package(archive)
        for name, columns in tables.items():
            if name in LABELLED:
                labelled_too(package, name, columns, rows[name], pool)
            else:
                package.table(name, columns, rows[name])
        engines: dict[str, Any] = {}
        package.lines("conversations.jsonl", _conversations(pool, engines))
        package.table("codebook.csv", codebook.CODEBOOK, codebook.rows(definition))
        package.whole("study.yaml", bytes(pool.version.source))
        report = study_report(pool, looked=True)
        package.whole("report.json", as_json(report))
        manifest = _manifest(pool, report["flow"], engines, package.files)
        describe = psychds.description(pool, tables, manifest["export_id"], manifest["made_at"])
        package.whole("dataset_description.json", as_json(describe))
        for script in SCRIPTS:
            package.whole(f"analysis/{script}", (ANALYSIS / script).read_bytes())
        package.whole("README.md", (settings.BASE_DIR / "docs" / "data-package.md").read_bytes())
        manifest["files"] = package.files
        package.whole("manifest.json", as_json(manifest))
    return manifest, people


def labelled_too(
    package: Package, name: str, columns: list[Column], rows: Iterable[dict[str, Any]], pool: Pool
) -> None:
    """A table as CSV, and from the same rows in the formats with labels."""
    definition = pool.definition
    title = text_in(definition.title, definition.default_locale, definition.default_locale)
    gathered = Gathered(columns, title, definition.scale.min)
    package.table(name, columns, gathered.passing(rows))
    with TemporaryDirectory() as folder:
        for suffix in FORMATS:
            path = Path(folder, name).with_suffix(suffix)
            gathered.write(path)
            package.file(path, len(gathered))
            path.unlink()


def _conversations(pool: Pool, engines: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Conversations whose replies name the engine that made them; what it is goes into `engines`, once."""
    for conversation in chain(frames.chats(pool), frames.shown_replies(pool)):
        for message in [*conversation["messages"], *conversation["failed"]]:
            for attempt in message.get("attempts", ()):
                if engine := attempt["engine"]:
                    attempt["engine"] = digest(engine)
                    engines[attempt["engine"]] = engine
        yield conversation


def _manifest(pool: Pool, flow: dict[str, Any], engines: dict[str, Any], files: list[dict[str, Any]]) -> dict[str, Any]:
    out = frames.left_out(pool)
    reasons = [
        ("participants of another kind (real, pilot and synthetic are never mixed)", out["other_kinds"]),
        ("participants in versions with another design", out["other_designs"]),
        ("people who came but gave no consent, or took it back", out["without_consent"]),
        ("people who withdrew; their data is deleted", out["withdrew"]),
        ("excluded participants, from every file but participants.csv, which names the rule", flow["excluded"]),
    ]
    return {
        "schema": 1,
        "export_id": public_code(),
        "study": pool.study.slug,
        "fingerprint": pool.version.fingerprint,
        "made_at": timezone.now().isoformat(),
        "filters": {
            "kind": pool.kind,
            "versions": [row["number"] for row in frames.versions(pool) if row["in_report"]],
            "consent": "take_part",
        },
        "left_out": [{"what": what, "people": people} for what, people in reasons]
        + [{"what": "practice and eligibility answers, panel ids, codes, addresses", "people": None}],
        "notes": [
            "Everybody here agreed that researchers read what they wrote. Before quoting or training, keep to those "
            "with consent_quotes or consent_training, in participants.csv and conversations.jsonl.",
            "In the CSV files, a text that a spreadsheet would run as a formula begins with an apostrophe. "
            "All other files hold every text as it was.",
            "ratings_long and participants as .sav, .dta and .parquet have the columns of the CSV of that name, which "
            "codebook.csv explains; Stata cuts names after 32 characters.",
            "Each try at a reply, in conversations.jsonl, names by its digest the engine that made it. `engines` says "
            "of each what it is: files with their SHA-256, template, tokenizer, versions, device.",
        ],
        "engines": engines,
        "files": list(files),
    }


class Package:
    """A zip being filled; `files` lists what is in it."""

    def __init__(self, archive: ZipFile):
        self.archive = archive
        self.files: list[dict[str, Any]] = []

    def table(self, name: str, columns: list[Column], rows: Iterable[dict[str, Any]]) -> None:
        with self._file(name) as (file, entry), TextIOWrapper(file, "utf-8", newline="") as text:  # type: ignore[type-var]
            writer = csv.writer(text, lineterminator="\n")
            names = [column.name for column in columns]
            writer.writerow(names)
            for entry["rows"], row in enumerate(rows, 1):
                writer.writerow([cell(row.get(name)) for name in names])

    def lines(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        with self._file(name) as (file, entry):
            for entry["rows"], row in enumerate(rows, 1):
                file.write(json.dumps(row, ensure_ascii=False, default=moment).encode() + b"\n")

    def file(self, path: Path, rows: int) -> None:
        with self._file(path.name) as (file, entry), path.open("rb") as source:
            copyfileobj(source, file)
            entry["rows"] = rows

    def whole(self, name: str, content: bytes) -> None:
        with self._file(name) as (file, entry):
            file.write(content)
            entry["rows"] = None

    @contextmanager
    def _file(self, name: str) -> Iterator[tuple[Hashing, dict[str, Any]]]:
        entry = {"name": name, "sha256": "", "rows": 0}
        info = ZipInfo(name, timezone.now().timetuple()[:6])
        info.compress_type = ZIP_DEFLATED
        with self.archive.open(info, "w", force_zip64=True) as raw:
            file = Hashing(raw)
            yield file, entry
        entry["sha256"] = file.sha256.hexdigest()
        self.files.append(entry)


class Hashing(RawIOBase):
    """A file to write to that knows the SHA-256 of what went through it."""

    def __init__(self, raw: IO[bytes]):
        self.raw, self.sha256 = raw, hashlib.sha256()

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.sha256.update(data)
        return self.raw.write(data)

    def writable(self) -> bool:
        return True


def cell(value: Any) -> str | int | float:
    """A value as a CSV holds it. Only texts can be taken for formulas; numbers stay as they are."""
    match value:
        case None:
            return ""
        case bool():
            return int(value)
        case int() | float():
            return value
        case datetime():
            return moment(value)
        case dict():
            return harmless(json.dumps(value, ensure_ascii=False, sort_keys=True))
        case list():
            return harmless("; ".join(map(str, value)))
    return harmless(str(value))


def moment(value: datetime) -> str:
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def harmless(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def as_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2).encode() + b"\n"
