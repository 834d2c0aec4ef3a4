import errno

import pytest

from evalsite import datafolder
from evalsite.datafolder import Unusable


def test_a_missing_folder_is_made(tmp_path):
    datafolder.prepare(tmp_path / "a" / "b", space=0)

    assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_that_cannot_be_made_is_told_with_a_way_out(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(Unusable, match="EVALSITE_DATA"):
        datafolder.prepare(tmp_path / "file" / "data", space=0)


def test_too_little_room_is_told_in_gigabytes(tmp_path):
    with pytest.raises(Unusable, match="GB are needed"):
        datafolder.prepare(tmp_path, space=10**18)


def test_a_full_disk_is_called_a_full_disk(tmp_path):
    assert "is full" in datafolder.explain(OSError(errno.ENOSPC, "No space left on device"), tmp_path)


def test_only_one_program_uses_a_folder(tmp_path):
    with datafolder.alone(tmp_path), pytest.raises(Unusable, match="in use by process"), datafolder.alone(tmp_path):
        pass


def test_a_folder_is_free_again_afterwards(tmp_path):
    with datafolder.alone(tmp_path):
        pass
    with datafolder.alone(tmp_path):
        pass
