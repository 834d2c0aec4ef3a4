"""Installations that cannot work are refused when a process starts, with the reason."""

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

# Pages, streams and models share this process; set by whoever serves them together.
one_process = False


def refuse_pages_alone() -> None:
    """For a process that serves pages or streams, and no models."""
    if one_process:
        return
    if not settings.REDIS_URL:
        raise ImproperlyConfigured(
            "Pages in a process of their own need Redis, through which they wake the models and get live text: set "
            "EVALSITE_REDIS_URL. Without it everything is served by one process: make run."
        )
    refuse_a_shared_file()


def refuse_a_shared_file() -> None:
    """For every process that is one of several."""
    if settings.PRODUCTION and not settings.DATABASE_URL:
        raise ImproperlyConfigured(
            "Several processes, perhaps on several machines, need a database server: set EVALSITE_DATABASE_URL to "
            "postgresql://USER:PASSWORD@HOST:5432/NAME."
        )


def refuse_company() -> None:
    """For the quickstart, which is the only process."""
    if settings.REDIS_URL or settings.DATABASE_URL:
        raise ImproperlyConfigured(
            "make run is one process with SQLite and needs no services. Unset EVALSITE_REDIS_URL and "
            "EVALSITE_DATABASE_URL, or start the processes of production instead."
        )
