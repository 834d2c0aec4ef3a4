"""A sign of life for the health check of a process that serves no pages: a file, named by EVALSITE_HEARTBEAT."""

from pathlib import Path

from django.conf import settings


def beat() -> None:
    if settings.HEARTBEAT:
        Path(settings.HEARTBEAT).touch()
