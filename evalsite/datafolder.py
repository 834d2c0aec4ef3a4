"""The folder that holds everything: whether it can be used, and who is using it."""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GIGABYTE = 1024**3


class Unusable(Exception):
    """The data folder cannot be used now; the message says why and how to mend it."""


def prepare(folder: Path, space: int) -> None:
    """Make the folder if it is missing, and see that it can be written and has room for so many bytes."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        with tempfile.TemporaryFile(dir=folder):
            pass
        free = shutil.disk_usage(folder).free
    except OSError as fault:
        raise Unusable(explain(fault, folder)) from None
    if free < space:
        raise Unusable(
            f"The disk of {folder} has {free / GIGABYTE:.1f} GB left, and {space / GIGABYTE:.1f} GB are needed. "
            "Make room, or choose another folder: EVALSITE_DATA=FOLDER"
        )


def explain(fault: OSError, folder: Path) -> str:
    if fault.errno == errno.ENOSPC:
        return f"The disk of {folder} is full. Make room, or choose another folder: EVALSITE_DATA=FOLDER"
    return (
        f"{fault.filename or folder} cannot be used ({fault.strerror}). "
        "Put it right, or choose another folder: EVALSITE_DATA=FOLDER"
    )


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only program that serves or replaces what is in the folder. The system frees it should we be killed."""
    with open(folder / "running", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise Unusable(
                f"{folder} is in use by process {file.read().strip() or 'unknown'}. "
                "Stop that one first (Ctrl-C), or choose another folder: EVALSITE_DATA=FOLDER"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
