"""Copies of what people gave, made while the program runs.

A copy is one zip file with the database as it was at one moment, uploaded files, the journal of withdrawals and a
manifest. The keys stay out of it unless they are asked for: without them, what people wrote cannot be read from a copy
that gets lost.
"""

import hashlib
import json
import os
import sqlite3
import tempfile
import zipfile
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import connection

from accounts.sealed import lookup_hash, seal
from evalsite import datafolder
from ratings import withdrawal

FORMAT = 1
DATABASE = "evalsite.sqlite3"
JOURNAL = "withdrawals.jsonl"
MANIFEST = "manifest.json"
# The file of each key, and the setting that it fills.
KEYS = {"secret": "SECRET_KEY", "fields": "FIELD_KEYS", "lookup": "LOOKUP_KEY"}
# As many automatic copies are kept, and none for longer than as many days.
KEPT = withdrawal.DAYS_OF_COPIES
STAMP = "%Y-%m-%dT%H%M%S.%f"


class BackupError(Exception):
    """A copy cannot be made or used; the message says why and what would help."""


def make(target: Path, with_keys: bool = False) -> Path:
    """Write a copy, whole or not at all, readable by its owner only."""
    database = database_file()
    if not database.exists():
        raise BackupError(f"There is no database in {settings.DATA_DIR} yet.")
    key_files = [settings.KEYS_DIR / name for name in KEYS] if with_keys else []
    if missing := [file.name for file in key_files if not file.exists()]:
        raise BackupError(
            f"The keys are not in files here ({', '.join(missing)} missing): copy them from where they are."
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".copying-") as folder:
            snapshot = Path(folder) / DATABASE
            _snapshot(database, snapshot)
            partial = Path(folder) / "copy.zip"
            with open(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
                _pack(file, snapshot, key_files)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
    except OSError as fault:
        raise BackupError(datafolder.explain(fault, target.parent)) from None
    return target


def copy_of_the_day() -> Path:
    """An automatic copy among the others, of which the old ones then go."""
    target = make(settings.BACKUPS_DIR / f"evalsite-{datetime.now(UTC).strftime(STAMP)}Z.zip")
    forget_old()
    return target


def automatic_copies() -> list[Path]:
    """Oldest first."""
    return sorted(settings.BACKUPS_DIR.glob("evalsite-*Z.zip"))


def forget_old(now: datetime | None = None) -> None:
    """Keep the newest, none that is older than a deletion's receipt says, and rather one a day than many of a day."""
    now = now or datetime.now(UTC)
    copies = automatic_copies()
    for copy in copies[:-1]:
        if made_at(copy) < now - timedelta(days=KEPT):
            copy.unlink(missing_ok=True)
            copies.remove(copy)
    while len(copies) > KEPT:
        on_day = Counter(made_at(copy).date() for copy in copies)
        surplus = next((copy for copy in copies if on_day[made_at(copy).date()] > 1), copies[0])
        surplus.unlink(missing_ok=True)
        copies.remove(surplus)


def made_at(copy: Path) -> datetime:
    return datetime.strptime(copy.name, f"evalsite-{STAMP}Z.zip").replace(tzinfo=UTC)


def database_file() -> Path:
    if connection.vendor != "sqlite":
        raise BackupError(
            "This installation keeps its data in PostgreSQL: copy it with pg_dump, restore it with pg_restore."
        )
    return Path(str(settings.DATABASES["default"]["NAME"]))


def _snapshot(database: Path, target: Path) -> None:
    """SQLite's own way to copy a database that is being written to: one moment, no torn pages."""
    try:
        with closing(sqlite3.connect(database, timeout=20)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
            # One file without a log beside it.
            copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.DatabaseError as fault:
        raise BackupError(f"The database could not be copied: {fault}.") from None


def _pack(file, snapshot: Path, key_files: list[Path]) -> None:
    journal = settings.DATA_DIR / JOURNAL
    members = [(DATABASE, snapshot)] + ([(JOURNAL, journal)] if journal.exists() else [])
    members += [(f"media/{path.relative_to(settings.MEDIA_ROOT).as_posix()}", path) for path in _media()]
    members += [(f"keys/{path.name}", path) for path in key_files]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, path in members:
            archive.write(path, name)
        manifest = {
            "format": FORMAT,
            "made_at": datetime.now(UTC).isoformat(),
            "files": {name: sha256_of(path) for name, path in members if name != JOURNAL},
            # Opens with the right keys only.
            "lookup_key": lookup_hash("backup", DATABASE),
            "field_keys": seal(DATABASE),
        }
        archive.writestr(MANIFEST, json.dumps(manifest, indent=1))


def _media() -> list[Path]:
    return sorted(path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file())


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
