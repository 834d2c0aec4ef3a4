"""Putting a copy in the place of what is there: checked first, whole, without those who have withdrawn since."""

import json
import os
import shutil
import sqlite3
import tempfile
import zipfile
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.migrations.loader import MigrationLoader

from accounts.sealed import lookup_hash, unseal
from evalsite import datafolder
from evalsite.backups import (
    DATABASE,
    FORMAT,
    JOURNAL,
    KEYS,
    MANIFEST,
    BackupError,
    copy_of_the_day,
    database_file,
    sha256_of,
)
from ratings import withdrawal


@dataclass(frozen=True)
class Restored:
    made_at: datetime
    before: Path | None  # a copy of what was there until now
    withdrawn_again: int


def restore(source: Path) -> Restored:
    """Put a copy in the place of what is there. Nothing is touched before the copy has been found sound.

    Whoever withdrew since the copy was made is deleted again. Should anything fail, the former state is put back.
    """
    database = database_file()
    try:
        datafolder.prepare(settings.DATA_DIR, space=0)
        with (
            datafolder.alone(settings.DATA_DIR),
            tempfile.TemporaryDirectory(dir=settings.DATA_DIR, prefix=".restoring-") as folder,
        ):
            manifest = _unpack(source, Path(folder))
            _refuse_unsound(Path(folder) / DATABASE)
            _settle_keys(manifest, Path(folder) / "keys")
            connections.close_all()
            _refuse_in_use(database)
            before = copy_of_the_day() if database.exists() else None
            again = _put_in_place(Path(folder), database)
    except datafolder.Unusable as fault:
        raise BackupError(str(fault)) from None
    except OSError as fault:
        raise BackupError(datafolder.explain(fault, settings.DATA_DIR)) from None
    return Restored(datetime.fromisoformat(manifest["made_at"]), before, again)


def reapply_withdrawals() -> int:
    """Delete again whoever is in the journal and in the database all the same, as after a file was put back by hand."""
    journal = settings.DATA_DIR / JOURNAL
    return withdrawal.reapply(journal.read_text().splitlines()) if journal.exists() else 0


def _unpack(source: Path, folder: Path) -> dict:
    """Take the files we know out of a copy, each as its manifest says it was."""
    try:
        with zipfile.ZipFile(source) as archive:
            manifest = json.loads(archive.read(MANIFEST))
            if manifest["format"] != FORMAT:
                raise BackupError(f"{source} was made by a newer version of Evalsite. Update this one first.")
            names = [*manifest["files"], *({JOURNAL} & set(archive.namelist()))]
            if foreign := [name for name in names if not _belongs(name)]:
                raise BackupError(f"{source} holds {foreign[0]}, which does not belong in a copy.")
            archive.extractall(folder, names)
            for name, digest in manifest["files"].items():
                if sha256_of(folder / name) != digest:
                    raise BackupError(f"{source} is damaged: {name} is not what it was. Take another copy.")
            if DATABASE not in manifest["files"]:
                raise BackupError(f"{source} has no database in it.")
    except FileNotFoundError:
        raise BackupError(f"There is no file {source}.") from None
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError, IndexError, EOFError):
        raise BackupError(f"{source} is not a copy made by Evalsite, or it is damaged.") from None
    return manifest


def _belongs(name: str) -> bool:
    folder, *rest = PurePosixPath(name).parts
    if folder == "keys":
        return rest in [[key] for key in KEYS]
    return name in (DATABASE, JOURNAL) or (folder == "media" and ".." not in rest)


def _refuse_unsound(copied: Path) -> None:
    try:
        with closing(sqlite3.connect(copied)) as copy:
            sound = copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            applied = set(copy.execute("SELECT app, name FROM django_migrations"))
    except sqlite3.DatabaseError:
        sound, applied = False, set()
    if not sound:
        raise BackupError("The database in this copy is damaged. Take another copy.")
    if unknown := applied - set(MigrationLoader(None, ignore_no_migrations=True).disk_migrations):
        app, name = sorted(unknown)[0]
        raise BackupError(
            f"The copy is from a newer version of Evalsite (it knows {app}.{name}). Update this one first."
        )


def _settle_keys(manifest: dict, came_with_it: Path) -> None:
    """The keys in use open the copy; or the copy brought its own, and there is nothing here yet that needs others."""
    if _keys_open(manifest):
        return
    from_environment = [name for name in KEYS.values() if os.environ.get(f"EVALSITE_{name}")]
    if not came_with_it.is_dir() or from_environment:
        raise BackupError(
            "The copy was made with other keys, without which what people wrote cannot be read. Put them into "
            f"{settings.KEYS_DIR} (or the environment) first; or make the copy with: backup --with-keys"
        )
    if database_file().exists():
        raise BackupError(
            f"The copy brings its own keys, and what is in {settings.DATA_DIR} needs others. "
            "Restore it into an empty folder: EVALSITE_DATA=FOLDER"
        )
    for name, setting in KEYS.items():
        key = (came_with_it / name).read_text()
        partial = settings.KEYS_DIR / f"{name}.partial"
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(key)
        partial.replace(settings.KEYS_DIR / name)
        setattr(settings, setting, key.split(",") if name == "fields" else key)


def _keys_open(manifest: dict) -> bool:
    try:
        opened = unseal(manifest["field_keys"])
    except InvalidToken:
        return False
    return opened == DATABASE and lookup_hash("backup", DATABASE) == manifest["lookup_key"]


def _refuse_in_use(database: Path) -> None:
    """Leaving the write-ahead log needs the database for oneself alone, so this fails while any program has it open."""
    if not database.exists():
        return
    try:
        with closing(sqlite3.connect(database, timeout=0)) as own:
            own.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError:
        raise BackupError("The database is in use. Stop every program that serves it, then restore.") from None
    except sqlite3.DatabaseError:
        # What is there is damaged, which is a reason to restore.
        return


def _put_in_place(folder: Path, database: Path) -> int:
    former = folder / "former"
    former.mkdir()
    swaps = [(folder / DATABASE, database), (folder / "media", Path(settings.MEDIA_ROOT))]
    done = []
    try:
        for new, place in swaps:
            if place.exists():
                place.rename(former / place.name)
            done.append(place)
            if new.exists():
                new.rename(place)
        for leftover in ("-wal", "-shm"):
            database.with_name(database.name + leftover).unlink(missing_ok=True)
        _merge_journal(folder / JOURNAL)
        call_command("migrate", verbosity=0, interactive=False)
        again = reapply_withdrawals()
        connections.close_all()
    except BaseException:
        connections.close_all()
        for place in done:
            _remove(place)
            if (former / place.name).exists():
                (former / place.name).rename(place)
        raise
    return again


def _remove(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _merge_journal(copied: Path) -> None:
    """Withdrawals known to the copy and not here: it may come from another machine."""
    if not copied.exists():
        return
    journal = settings.DATA_DIR / JOURNAL
    known = set(journal.read_text().splitlines()) if journal.exists() else set()
    with journal.open("a") as file:
        file.writelines(f"{line}\n" for line in copied.read_text().splitlines() if line and line not in known)
