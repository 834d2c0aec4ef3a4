import json
import sqlite3
import zipfile
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connections

from accounts.models import User
from evalsite import backups, restoring, startup
from evalsite.backups import BackupError
from ratings import withdrawal
from ratings.enrolment import arrive, enrol
from ratings.models import Participant, Study, Visit

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def folder(tmp_path, settings):
    settings.DATA_DIR = tmp_path
    settings.BACKUPS_DIR = tmp_path / "backups"
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.KEYS_DIR = tmp_path / "keys"
    return tmp_path


@pytest.fixture
def study():
    User.objects.create_user("ada")
    file = startup.EXAMPLES / "own-replies.yaml"
    return startup.load_example(file, User.objects.get()).study


def someone(study: Study) -> Visit:
    visit = arrive(study, "real", "en")
    enrol(visit)
    return visit


def everything() -> dict[str, list]:
    """All rows of all tables."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        names = [name for (name,) in cursor.fetchall()]
        return {name: cursor.execute(f'SELECT * FROM "{name}"').fetchall() for name in names}


def test_a_study_comes_back_as_it_was(study, folder):
    someone(study)
    (folder / "media").mkdir()
    (folder / "media" / "picture").write_bytes(b"as it was")
    before = everything()
    copy = backups.make(folder / "copy.zip")
    someone(study)
    (folder / "media" / "picture").write_bytes(b"changed")

    restored = restoring.restore(copy)

    assert everything() == before
    assert (folder / "media" / "picture").read_bytes() == b"as it was"
    assert restored.withdrawn_again == 0


def test_what_was_there_before_a_restore_is_kept(study, folder):
    copy = backups.make(folder / "copy.zip")
    someone(study)
    before = everything()

    restoring.restore(restoring.restore(copy).before)

    assert everything() == before


def test_whoever_withdrew_after_the_copy_is_deleted_again(study, folder):
    visit, other = someone(study), someone(study)
    copy = backups.make(folder / "copy.zip")
    withdrawal.withdraw(visit)

    restored = restoring.restore(copy)

    assert restored.withdrawn_again == 1
    assert list(Participant.objects.all()) == [other.participant]


def test_the_journal_of_withdrawals_outlives_a_restore(study, folder):
    copy = backups.make(folder / "copy.zip")
    withdrawal.withdraw(someone(study))
    journal = (folder / "withdrawals.jsonl").read_text()

    restoring.restore(copy)

    assert (folder / "withdrawals.jsonl").read_text() == journal


def test_withdrawals_that_only_the_copy_knows_are_learned(study, folder):
    withdrawal.withdraw(someone(study))
    copy = backups.make(folder / "copy.zip")
    journal = (folder / "withdrawals.jsonl").read_text()
    (folder / "withdrawals.jsonl").unlink()

    restoring.restore(copy)
    restoring.restore(copy)

    assert (folder / "withdrawals.jsonl").read_text() == journal


def test_a_copy_is_for_its_owner_only(study, folder):
    assert backups.make(folder / "copy.zip").stat().st_mode & 0o777 == 0o600


def test_the_keys_are_left_out(study, folder):
    with zipfile.ZipFile(backups.make(folder / "copy.zip")) as copy:
        assert set(copy.namelist()) == {"evalsite.sqlite3", "manifest.json"}


def test_nothing_readable_of_the_keys_is_in_the_manifest(study, folder, settings):
    with zipfile.ZipFile(backups.make(folder / "copy.zip")) as copy:
        manifest = copy.read("manifest.json").decode()

    assert all(key not in manifest for key in [settings.SECRET_KEY, settings.LOOKUP_KEY, *settings.FIELD_KEYS])


def with_key_files(settings) -> None:
    settings.KEYS_DIR.mkdir(parents=True)
    for name, value in [
        ("secret", settings.SECRET_KEY),
        ("fields", ",".join(settings.FIELD_KEYS)),
        ("lookup", settings.LOOKUP_KEY),
    ]:
        (settings.KEYS_DIR / name).write_text(value)


def test_the_keys_come_along_when_asked_for(study, folder, settings):
    with_key_files(settings)

    with zipfile.ZipFile(backups.make(folder / "copy.zip", with_keys=True)) as copy:
        assert copy.read("keys/lookup").decode() == settings.LOOKUP_KEY


def test_keys_that_are_not_in_files_cannot_come_along(study, folder):
    with pytest.raises(BackupError, match="not in files"):
        backups.make(folder / "copy.zip", with_keys=True)


def test_a_copy_made_with_other_keys_is_refused(study, folder, settings):
    copy = backups.make(folder / "copy.zip")
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]

    with pytest.raises(BackupError, match="other keys"):
        restoring.restore(copy)


def test_a_copy_with_its_keys_does_not_replace_data_that_need_others(study, folder, settings):
    with_key_files(settings)
    copy = backups.make(folder / "copy.zip", with_keys=True)
    settings.LOOKUP_KEY = "another"

    with pytest.raises(BackupError, match="empty folder"):
        restoring.restore(copy)


def test_a_damaged_copy_is_refused_and_nothing_is_touched(study, folder):
    copy = backups.make(folder / "copy.zip")
    with zipfile.ZipFile(copy) as good, zipfile.ZipFile(folder / "bad.zip", "w") as bad:
        bad.writestr("manifest.json", good.read("manifest.json"))
        bad.writestr("evalsite.sqlite3", good.read("evalsite.sqlite3")[:-4096])
    before = everything()

    with pytest.raises(BackupError, match="damaged"):
        restoring.restore(folder / "bad.zip")
    assert everything() == before


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04"])
def test_what_is_no_copy_is_refused(folder, content):
    (folder / "x.zip").write_bytes(content)

    with pytest.raises(BackupError, match="not a copy"):
        restoring.restore(folder / "x.zip")


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "media/../../outside", "keys/other", "evalsite.py"])
def test_a_copy_with_a_foreign_file_is_refused(study, folder, name):
    copy = backups.make(folder / "copy.zip")
    with zipfile.ZipFile(copy) as good, zipfile.ZipFile(folder / "bad.zip", "w") as bad:
        manifest = json.loads(good.read("manifest.json"))
        manifest["files"][name] = "0" * 64
        bad.writestr("manifest.json", json.dumps(manifest))
        bad.writestr(name, "x")

    with pytest.raises(BackupError, match="does not belong"):
        restoring.restore(folder / "bad.zip")


def test_a_missing_copy_is_told(folder):
    with pytest.raises(BackupError, match="There is no file"):
        restoring.restore(folder / "none.zip")


def test_a_copy_of_a_newer_program_is_refused(study, folder):
    copy = backups.make(folder / "copy.zip")
    with zipfile.ZipFile(copy) as archive:
        archive.extractall(folder / "open")
    with closing(sqlite3.connect(folder / "open" / "evalsite.sqlite3")) as database:
        database.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('ratings', '9999_later', '')")
        database.commit()

    with pytest.raises(BackupError, match=r"ratings\.9999_later"):
        restoring._refuse_unsound(folder / "open" / "evalsite.sqlite3")


def test_a_database_in_use_is_not_replaced(study, folder):
    copy = backups.make(folder / "copy.zip")
    with closing(sqlite3.connect(backups.database_file())) as other:
        other.execute("SELECT * FROM django_migrations").fetchone()

        with pytest.raises(BackupError, match="in use"):
            restoring.restore(copy)


def test_a_restore_that_fails_midway_leaves_everything_as_it_was(study, folder, monkeypatch):
    (folder / "media").mkdir()
    (folder / "media" / "picture").write_bytes(b"first")
    copy = backups.make(folder / "copy.zip")
    someone(study)
    (folder / "media" / "picture").write_bytes(b"second")
    before = everything()
    monkeypatch.setattr(restoring, "call_command", lambda *args, **kwargs: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        restoring.restore(copy)

    assert everything() == before
    assert (folder / "media" / "picture").read_bytes() == b"second"


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


def keep_copies(folder, *times: datetime) -> None:
    (folder / "backups").mkdir()
    for time in times:
        (folder / "backups" / f"evalsite-{time.strftime(backups.STAMP)}Z.zip").touch()


def days_kept() -> list[tuple[int, int]]:
    return [(time.day, time.hour) for time in map(backups.made_at, backups.automatic_copies())]


def test_fourteen_copies_are_kept(folder):
    keep_copies(folder, *(at(day) for day in range(1, 20)))
    backups.forget_old(at(15))

    assert days_kept() == [(day, 0) for day in range(6, 20)]


def test_many_starts_on_one_day_do_not_push_out_earlier_days(folder):
    keep_copies(folder, *(at(day) for day in range(1, 11)), *(at(11, hour) for hour in range(20)))
    backups.forget_old(at(11, 20))

    assert days_kept() == [(day, 0) for day in range(1, 11)] + [(11, hour) for hour in range(16, 20)]


def test_no_copy_outlives_what_the_receipt_of_a_withdrawal_says(folder):
    keep_copies(folder, at(1), at(2), at(30))
    backups.forget_old(at(30))

    assert days_kept() == [(30, 0)]
    assert withdrawal.last_copy_gone_by(date(2026, 3, 1)) >= date(2026, 3, 1) + timedelta(days=backups.KEPT)


def test_the_newest_copy_stays_however_old_it_is(folder):
    keep_copies(folder, at(1))
    backups.forget_old(at(1) + timedelta(days=400))

    assert days_kept() == [(1, 0)]


def test_the_command_names_the_copy_and_says_that_it_has_no_keys(study, folder):
    out, err = StringIO(), StringIO()
    call_command("backup", output=folder / "copy.zip", stdout=out, stderr=err)

    assert out.getvalue().strip() == str(folder / "copy.zip")
    assert "keys are not in it" in err.getvalue()


def test_the_command_says_what_was_restored(study, folder):
    copy = backups.make(folder / "copy.zip")
    out = StringIO()
    call_command("restore", copy, stdout=out)

    assert out.getvalue().startswith("Restored the copy of ")


def test_the_command_refuses_in_one_line(folder):
    with pytest.raises(CommandError, match="There is no file"):
        call_command("restore", folder / "none.zip")
