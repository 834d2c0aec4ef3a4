"""The secrets of an installation: from the environment, or from key files that the quickstart makes for itself."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured


def secret(variable: str, file: Path, make: Callable[[], str], production: bool) -> str:
    """The value of an environment variable, else of a key file, which is made once with owner-only rights.

    In production a missing variable is refused: a key that lies beside its database protects nothing.
    """
    if value := os.environ.get(variable):
        return value
    if production:
        raise ImproperlyConfigured(f"Set {variable} in the environment: production keeps no keys beside its data.")
    try:
        return file.read_text().strip() if file.exists() else _keep(file, make())
    except OSError as fault:
        raise ImproperlyConfigured(
            f"{file} cannot be used ({fault.strerror}). Put it right, or choose another folder: EVALSITE_DATA=FOLDER"
        )


def _keep(file: Path, value: str) -> str:
    """Write a new key: whole or not at all, since a key cut short by a full disk would seal what nobody can open."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = file.with_suffix(f".{os.getpid()}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as handle:
            handle.write(value)
            handle.flush()
            os.fsync(descriptor)
        os.link(partial, file)
    except FileExistsError:
        # Another process was quicker, and its key is the key.
        return file.read_text().strip()
    finally:
        partial.unlink(missing_ok=True)
    return value


def random_key() -> str:
    return secrets.token_urlsafe(48)


def fernet_key() -> str:
    return Fernet.generate_key().decode()
