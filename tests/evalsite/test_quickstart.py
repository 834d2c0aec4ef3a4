"""The real quickstart in a process of its own, with the real model."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
STUDIES = sorted(file.stem for file in (ROOT / "studies").glob("*.yaml"))


class Quickstart:
    def __init__(self, folder: Path, port: int):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("EVALSITE_", "DJANGO_"))}
        self.url = f"http://localhost:{port}"
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "quickstart"],
            cwd=ROOT,
            env=kept | {"EVALSITE_DATA": str(folder), "PORT": str(port), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        self.lines.extend(self.process.stdout)

    def wait(self, until: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            if until():
                return True
            time.sleep(0.1)
        return until()

    def get(self, path: str) -> httpx.Response | None:
        try:
            return httpx.get(self.url + path, timeout=30)
        except httpx.TransportError:
            return None

    def serves(self) -> bool:
        return (response := self.get("/healthz")) is not None and response.status_code == 200

    def said(self, pattern: str) -> list[str]:
        return re.findall(pattern, "".join(self.lines), re.MULTILINE)

    def end(self, by: int = signal.SIGINT) -> int:
        self.process.send_signal(by)
        return self.process.wait(15)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def start(folder) -> Iterator[Callable[[], Quickstart]]:
    running: list[Quickstart] = []

    def go(port: int | None = None) -> Quickstart:
        running.append(Quickstart(folder, port or free_port()))
        return running[-1]

    yield go
    for one in running:
        one.process.kill()


@pytest.mark.model
def test_from_nothing_to_studies_that_can_be_taken_and_back_again_with_all_data(start, folder):
    first = start()
    assert first.wait(first.serves, 60), first.lines
    assert first.wait(lambda: bool(first.said("^Ctrl-C")), 5)

    # Each address once; the password at this first start only.
    assert first.said(r"^participants (\S+)$") == [f"{first.url}/s/{slug}/" for slug in STUDIES]
    assert first.said(r"^researchers (\S+)$") == [f"{first.url}/studies/"]
    [password] = first.said(r"^sign in: researcher (\S+)$")
    assert first.said("^Only this computer")

    # What was promised is there, and the password opens the page that asks for another.
    assert all(first.get(f"/s/{slug}/").status_code == 200 for slug in STUDIES)
    with httpx.Client(base_url=first.url, follow_redirects=True) as browser:
        page = browser.get("/studies/")
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[1]
        form = {"csrfmiddlewaretoken": token, "username": "researcher", "password": password}
        assert "new_password1" in browser.post(page.url, data=form).text

    # The real model begins to answer; the program is stopped in the middle.
    assert first.wait(lambda: bool(first.said(r"(\d+) of \d+ made")), 180), first.lines
    assert first.get("/readyz").status_code == 503
    assert first.end() == 0
    assert first.said("^Stopped. Everything is kept")
    assert not first.said("Traceback"), first.lines

    again = start()
    assert again.wait(again.serves, 30), again.lines
    assert again.wait(lambda: bool(again.said("^Ctrl-C")), 5)
    assert again.said(r"^participants (\S+)$") == [f"{again.url}/s/{slug}/" for slug in STUDIES]
    assert not again.said("sign in:")
    assert not again.said("Converting")
    assert list((folder / "backups").glob("*.zip"))
    assert again.end(signal.SIGTERM) == 0
    assert not again.said("Traceback"), again.lines


@pytest.mark.model
def test_a_second_program_on_the_same_port_or_folder_is_refused_in_one_line(start):
    first = start()
    assert first.wait(first.serves, 60), first.lines
    port = int(first.url.rpartition(":")[2])

    on_same_port, on_same_folder = start(port), start()

    assert on_same_port.process.wait(20) == 1
    assert on_same_folder.process.wait(20) == 1
    assert on_same_port.wait(lambda: bool(on_same_port.said("is taken by another program")), 1)
    assert on_same_folder.wait(lambda: bool(on_same_folder.said("is in use by process")), 1)
    assert len(on_same_port.lines) == len(on_same_folder.lines) == 1
    assert first.end() == 0
