"""The served program, as tests see it: its address, its database, and what it has sent."""

import json
import os
import queue
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from tests.browser.served import SENT

START_WITHIN = 120  # seconds


@dataclass
class Site:
    url: str
    password: str  # of the first researcher, for one use
    data: Path

    def rows(self, query: str, *values) -> list[tuple]:
        """Ask the database, read-only."""
        with closing(sqlite3.connect(f"file:{self.data}/evalsite.sqlite3?mode=ro", uri=True)) as database:
            return database.execute(query, values).fetchall()

    def sent_to_participants(self) -> bytes:
        return (self.data / SENT).read_bytes()


@contextmanager
def serving(data: Path) -> Iterator[Site]:
    port = free_port()
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "evalsite.settings",
        "EVALSITE_DATA": str(data),
        "PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    log = data / "log"
    with open(log, "w") as errors:
        program = subprocess.Popen(
            [sys.executable, "-m", "tests.browser.served"],
            cwd=settings.BASE_DIR,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            started = json.loads(first_line(program))
            yield Site(f"http://localhost:{port}", started["password"], data)
        except queue.Empty:
            raise AssertionError(f"The program did not start:\n{log.read_text()}") from None
        finally:
            program.terminate()
            program.wait(10)
    assert "Traceback" not in log.read_text(), log.read_text()


def first_line(program: subprocess.Popen) -> str:
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=lambda: lines.put(program.stdout.readline()), daemon=True).start()
    if line := lines.get(timeout=START_WITHIN):
        return line
    raise queue.Empty


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
