"""Keeps the processes of an installation running, as a compose file or systemd does, and kills them on demand."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.services.conftest import Installation, free_port, kill

WORKER = ("-A", "evalsite", "worker", "-P", "threads", "-c", "2", "-l", "WARNING")


class Supervisor:
    def __init__(self, installation: Installation):
        self._installation = installation
        self._starts: dict[str, Callable[[], subprocess.Popen]] = {}
        self._running: dict[str, subprocess.Popen] = {}
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.killed: list[tuple[float, str, int]] = []  # when, what, process id
        self.ended: list[tuple[str, int]] = []  # what, exit status: those that ended by themselves

    def __enter__(self) -> "Supervisor":
        self._thread.start()
        return self

    def __exit__(self, *raised) -> None:
        self._stopping.set()
        self._thread.join()
        for process in self._running.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGCONT)
            kill(process)

    def run(self, name: str, *command: str, **environment: str) -> None:
        with self._lock:
            self._starts[name] = lambda: self._installation.start(*command, **environment)
            self._running[name] = self._starts[name]()

    def worker(self, name: str, step: float = 0.0, **environment: str) -> None:
        """A model worker, whose steps can be slowed, and made to hang."""
        environment |= {"EVALSITE_ANSWERS": "tiny", "EVALSITE_TEST_STEP": str(step)}
        environment |= {"EVALSITE_TEST_HANGS": str(self.hangs(name))}
        command = (sys.executable, "-m", "tests.services.slowed", *WORKER, "-n", f"{name}@%h")
        self.run(name, *command, **environment)

    def pages(self, name: str, port: str) -> str:
        command = ("granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", port, "--workers", "2")
        self.run(name, *command, "--blocking-threads", "8", "--respawn-failed-workers", "evalsite.wsgi:application")
        return f"http://127.0.0.1:{port}"

    def streams(self, name: str) -> str:
        port = str(free_port())
        self.run(name, "uvicorn", "evalsite.asgi:application", "--host", "127.0.0.1", "--port", port)
        return f"http://127.0.0.1:{port}"

    def hangs(self, name: str) -> Path:
        """The file that makes a worker's engine hang at its next step."""
        return self._installation.folder / f"{name}.hangs"

    def pid(self, name: str) -> int:
        return self._running[name].pid

    def kill(self, name: str) -> int:
        """SIGKILL a process with all its children; the process id it had."""
        with self._lock:
            process = self._running[name]
            self.killed.append((time.time(), name, process.pid))
            kill(process)
            self._running[name] = self._starts[name]()
        return process.pid

    def stop(self, name: str) -> None:
        """SIGKILL a process, which stays away until it is started again."""
        with self._lock:
            kill(self._running.pop(name))

    def restart(self, name: str) -> None:
        with self._lock:
            self._running[name] = self._starts[name]()

    def signal(self, name: str, number: int) -> None:
        os.killpg(self.pid(name), number)

    def _watch(self) -> None:
        while not self._stopping.wait(0.1):
            with self._lock:
                for name, process in self._running.items():
                    if process.poll() is not None:
                        self.ended.append((name, process.returncode))
                        self._running[name] = self._starts[name]()
