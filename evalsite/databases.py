"""Which database: SQLite in the data folder, or the PostgreSQL server that EVALSITE_DATABASE_URL names."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

SCHEMES = ("postgresql", "postgres")
# Connections of one process; each page thread and each reply under way takes one for a moment.
MOST_CONNECTIONS = 16


def sqlite(folder: Path) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": folder / "evalsite.sqlite3",
        # Each thread keeps its connection: opening one, with its pragmas, costs more than a whole rating page.
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            # An acknowledged rating survives a power cut; a deleted one leaves no bytes behind.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;",
        },
    }


def postgresql(url: str) -> dict[str, Any]:
    """The settings for `postgresql://USER:PASSWORD@HOST:PORT/NAME?sslmode=...`; what follows `?` goes to the driver."""
    address = urlsplit(url)
    name = unquote(address.path.lstrip("/"))
    if address.scheme not in SCHEMES or not name:
        raise ImproperlyConfigured(
            "EVALSITE_DATABASE_URL is not the address of a PostgreSQL database. "
            "Write postgresql://USER:PASSWORD@HOST:5432/NAME, or leave it out to use SQLite."
        )
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(address.username or ""),
        "PASSWORD": unquote(address.password or ""),
        "HOST": address.hostname or "",
        "PORT": str(address.port or ""),
        # After a restart of the server the pool is full of dead connections, which no person shall meet.
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "pool": {"min_size": 1, "max_size": MOST_CONNECTIONS, "timeout": 20},
            **dict(parse_qsl(address.query)),
        },
    }
