"""Real servers, each test session's own, that may be killed and started again; and the processes of an installation."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psycopg
import pytest
import redis

from tests.inference.tiny import build_model

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent

TALK = """
format: 1
slug: talk
title: A talk
mode: chat
contact: study-team@example.org
minutes: 12
target: 100
consent: {version: "1", summary: Short., text: Long., ticks: [take_part]}
scale: {min: 1, max: 10}
criteria:
  - {key: empathy_support, label: Empathy and Support, question: How supportive was it?,
     definition: It takes in how you feel., low: Not at all, high: Very}
arms:
  - {key: linden, model: tiny, system: You listen., sampling: {temperature: 1.0, max_new_tokens: 24}}
  - {key: rowan, model: tiny, system: You answer., sampling: {temperature: 1.0, max_new_tokens: 24}}
items:
  - {key: exam, scenario: You have an exam.}
  - {key: home, scenario: You miss home.}
design: {items_each: 2, arms: within, items_are: fixed}
chat: {exchanges: {min: 1, max: 3}}
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_until(true: Callable[[], Any], seconds: float = 20, every: float = 0.05) -> Any:
    until = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < until, "it did not come about in time"
        time.sleep(every)
    return found


class Server:
    """A program that is started, killed, and started again."""

    command: list[str]
    folder: Path

    def start(self) -> None:
        with open(self.folder / "server.log", "a") as log:
            self._process = subprocess.Popen(
                self.command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )
        wait_until(self.answers, 30)

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def restart(self) -> None:
        self.kill()
        self.start()

    def answers(self) -> bool:
        raise NotImplementedError


class RedisServer(Server):
    """Keeps nothing on disk, as in production: started again it is empty."""

    def __init__(self, folder: Path):
        program = shutil.which("redis-server")
        assert program, "redis-server is not installed (Debian: apt install redis-server)"
        port = free_port()
        self.folder = folder
        self.url = f"redis://127.0.0.1:{port}/0"
        self.command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.start()

    def answers(self) -> bool:
        try:
            return bool(redis.Redis.from_url(self.url).ping())
        except redis.ConnectionError:
            return False


class PostgresServer(Server):
    def __init__(self, folder: Path):
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        assert programs, "PostgreSQL is not installed (Debian: apt install postgresql)"
        # It refuses to run as root.
        self._as = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        self.folder, data, port = folder, folder / "data", free_port()
        if self._as:
            shutil.chown(folder, "postgres")
        initdb = [*self._as, str(programs[-1] / "initdb"), "-D", str(data), "-A", "trust", "-U", "postgres"]
        subprocess.run([*initdb, "--no-sync"], cwd=folder, check=True, capture_output=True)
        self.address = f"postgresql://postgres@127.0.0.1:{port}"
        server = str(programs[-1] / "postgres")
        self.command = [*self._as, server, "-D", str(data), "-p", str(port), "-k", str(folder), "-h", "127.0.0.1"]
        self.start()

    def answers(self) -> bool:
        try:
            psycopg.connect(f"{self.address}/postgres", connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def restart(self) -> None:
        """Shut down at once, as if the machine had failed: sessions are cut off, and the log is replayed."""
        postmaster = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGQUIT)
        self._process.wait(30)
        self.start()

    def create(self, name: str) -> str:
        with psycopg.connect(f"{self.address}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"{self.address}/{name}"


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    # pytest's own folders are for one user only, and PostgreSQL's is another.
    with TemporaryDirectory(prefix="evalsite-postgres-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder))
        yield server
        server.kill()


class Installation:
    """Evalsite as in production: its processes, each started by the command that the compose file has."""

    def __init__(self, folder: Path, database_url: str, redis_url: str):
        self.folder, self.database_url = folder, database_url
        self.environment = os.environ | {
            "EVALSITE_DATA": str(folder),
            "EVALSITE_MODELS": str(folder / "models"),
            "EVALSITE_DATABASE_URL": database_url,
            "EVALSITE_REDIS_URL": redis_url,
            "OMP_NUM_THREADS": "1",
        }
        for unwanted in ("DJANGO_SETTINGS_MODULE", "EVALSITE_URL", "PORT"):
            self.environment.pop(unwanted, None)
        self.manage("migrate", "-v0")
        self.manage("collectstatic", "--noinput", "-v0")

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=180)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def ask(self, query: str, *values: Any) -> list[tuple]:
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(query, values).fetchall()

    def do(self, statement: str, *values: Any) -> None:
        with psycopg.connect(self.database_url) as connection:
            connection.execute(statement, values)

    def turns(self, state: str) -> int:
        """How many replies are in this state."""
        return self.ask("SELECT count(*) FROM inference_turn WHERE state = %s AND role = 'assistant'", state)[0][0]

    def is_ready(self, workers: int = 1) -> bool:
        heard = "SELECT count(*) FROM inference_worker WHERE status = 'ready' AND heard_at > now() - interval '10 s'"
        return self.ask(heard)[0][0] >= workers

    def start(self, *command: str, **environment: str) -> subprocess.Popen:
        with open(self.folder / f"{Path(command[0]).name}.log", "a") as log:
            return subprocess.Popen(
                [str(BIN / command[0]), *command[1:]],
                cwd=ROOT,
                env=self.environment | environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @contextmanager
    def runs(self, *command: str, **environment: str) -> Iterator[subprocess.Popen]:
        """A process of ours, killed at the end if it still runs then."""
        process = self.start(*command, **environment)
        try:
            yield process
        finally:
            kill(process)

    def worker(self, **environment: str):
        command = ("celery", "-A", "evalsite", "worker", "-P", "threads", "-c", "2", "-l", "WARNING")
        name = f"answers{free_port()}@%h"
        return self.runs(*command, "-n", name, **{"EVALSITE_ANSWERS": "tiny"} | environment)

    def clock(self):
        schedule = str(self.folder / "clock")
        command = ("celery", "-A", "evalsite", "worker", "-P", "threads", "-c", "2", "-Q", "periodic", "-B")
        return self.runs(*command, "-s", schedule, "-n", "clock@%h", "-l", "WARNING")

    @contextmanager
    def pages(self) -> Iterator[str]:
        port = str(free_port())
        command = ("granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", port, "--workers", "2")
        with self.runs(*command, "--blocking-threads", "4", "evalsite.wsgi:application"):
            yield served_at(port)

    @contextmanager
    def streams(self) -> Iterator[str]:
        port = str(free_port())
        with self.runs("uvicorn", "evalsite.asgi:application", "--host", "127.0.0.1", "--port", port):
            yield served_at(port)

    def log(self, program: str) -> str:
        return (self.folder / f"{program}.log").read_text()


def served_at(port: str) -> str:
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{address}/healthz").status_code == 200
        except httpx.TransportError:
            return False

    wait_until(answers, 30)
    return address


def kill(process: subprocess.Popen) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    from inference.engines.threads import prepare

    prepare(threads=1)
    return build_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module")
def installation(tmp_path_factory, request, postgres_server, redis_server, tiny_folder) -> Installation:
    name = request.module.__name__.rpartition(".")[2]
    made = Installation(tmp_path_factory.mktemp(name), postgres_server.create(name), redis_server.url)
    made.do(
        "INSERT INTO inference_chatmodel (key, engine, base, adapter, stands_alone, served_as, options, revision,"
        " names, hashes, lineage, registered_at)"
        " VALUES ('tiny', 'huggingface', %s, '', false, '', '{\"rows\": 32}', '', '[]', '{}', '{}', now())",
        str(tiny_folder),
    )
    return made


@pytest.fixture(scope="module")
def talk(installation) -> Installation:
    """The installation with a published study of live chats."""
    file = installation.folder / "talk.yaml"
    file.write_text(TALK)
    installation.manage("load_study", str(file), "--publish", "--acknowledge-no-screening")
    return installation
