"""How many people can rate at once: our rating page through the real server, beside a bare Django form on the same one.

    python -m benchmarks.load [--people 100] [--seconds 10] [--rounds 2] [--servers quickstart production]
                              [--peer FOLDER]

Two forms of the server: the quickstart's (one process, pages on WSGI threads beside the event loop) and that of
production (granian, two WSGI processes of two threads). SQLite with the settings that both share. Bare form and rating
page take turns, round by round, so that a busy machine meets both; server CPU a cycle hardly depends on it. The client
runs on the same cores, and its share of one is printed. In the end each acknowledged rating is looked up.

With --peer, oTree takes its turns too, with the same replies and scales. Pip installs it once, into FOLDER and nowhere
else. It has one form of the server, `otree prodserver` with SQLite, and is measured with that beside both of ours.
"""

import argparse
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
HOST = "127.0.0.1"
OTREE = 60  # cycles a second, on a machine of the same kind, in another sitting
OTREE_PACKAGE = "otree>=6,<7"
SERVERS = ["quickstart", "production"]
PROGRAMS = ("bare_form", "evalsite")
WSGI = {"evalsite": "evalsite.wsgi:application", "bare_form": "benchmarks.bare_form.wsgi:application"}
# A visit has 24 items. So many cycles a second are provided for, and some visits are left before their end. The more
# participants oTree has, the slower it finds one of them, so it gets few more than it needs.
MOST_CYCLES = {"bare_form": 700, "evalsite": 700, "otree": 100}
FEWEST_OF_A_VISIT = 20
THINK = 5.0  # seconds
# Seconds until all have come in: for that, oTree takes two requests from each, and answers one at a time.
WARM_UP = {"bare_form": 2.0, "evalsite": 2.0, "otree": 8.0}


class Program:
    """One of the programs, behind one of the servers: where it answers, who waits in front of it."""

    def __init__(self, name: str, folder: Path, visits: int):
        self.name = name
        self.folder = folder
        self.environment = os.environ | {f"{program.upper()}_DATA": str(folder) for program in MOST_CYCLES}
        self.environment |= {"OMP_NUM_THREADS": "1"}
        for unwanted in ("EVALSITE_URL", "PORT", "DJANGO_SETTINGS_MODULE", "DATABASE_URL"):
            self.environment.pop(unwanted, None)
        if name == "otree":
            self.environment |= {"OTREE_PRODUCTION": "1", "PYTHONPATH": str(ROOT)}
        lines = self.python("benchmarks.load_prepare", name, str(visits)).splitlines()
        self.visits = [json.loads(line) for line in lines]
        self.acknowledged: list = []
        self.port = 0
        self.process: psutil.Process | None = None

    def python(self, module: str, *arguments: str, text: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            input=text,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=self.environment,
        )
        if done.returncode:
            raise SystemExit(f"{module} failed:\n{done.stderr[-2000:]}")
        return done.stdout

    @contextmanager
    def served(self, server: str) -> Iterator[None]:
        with socket.socket() as free:
            free.bind((HOST, 0))
            self.port = free.getsockname()[1]
        where, quiet = (self.folder, subprocess.DEVNULL) if self.name == "otree" else (ROOT, None)
        environment = self.environment
        if server == "production":
            # Pages in processes of their own ask for a Redis; rating stored replies never talks to it.
            environment = environment | {"EVALSITE_REDIS_URL": "redis://127.0.0.1:1/0"}
        with subprocess.Popen(self._command(server), cwd=where, env=environment, stdout=quiet) as running:
            self.process = psutil.Process(running.pid)
            try:
                self._wait()
                yield
            finally:
                # oTree's worker would outlive it.
                for process in self.processes():
                    with suppress(psutil.NoSuchProcess):
                        process.terminate()

    def _command(self, server: str) -> list[str]:
        if self.name == "otree":
            return ["otree", "prodserver", f"{HOST}:{self.port}"]
        if server == "quickstart":
            return [sys.executable, "-m", "benchmarks.load_serve", self.name, str(self.port)]
        command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", HOST, "--port", str(self.port)]
        return [*command, "--workers", "2", "--blocking-threads", "2", "--log-level", "warning", WSGI[self.name]]

    def _wait(self) -> None:
        for _ in range(300):
            try:
                socket.create_connection((HOST, self.port), 1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise SystemExit(f"{self.name} does not answer.")

    def load(self, people: int, seconds: float, think: float = 0) -> dict:
        """What so many people measure in so many seconds."""
        each = visits_of_each(self.name, people, seconds, think)
        visits = [[self.visits.pop() for _ in range(each)] for _ in range(people)]
        job = {
            "host": HOST,
            "port": self.port,
            "visits": visits,
            "seconds": seconds,
            "warm_up": THINK if think else WARM_UP[self.name],
            "think": think,
        }
        before = self.cpu_seconds()
        result = json.loads(self.python("benchmarks.load_client", text=json.dumps(job)))
        # Two requests are as much as a cycle.
        result["cpu_ms"] = 1000 * (self.cpu_seconds() - before) / max(result["requests"] / 2, 1)
        result["memory_mb"] = sum(process.memory_info().rss for process in self.processes()) / 1e6
        self.acknowledged += result.pop("acknowledged")
        return result

    def processes(self) -> list[psutil.Process]:
        assert self.process is not None
        return [self.process, *self.process.children(recursive=True)]

    def cpu_seconds(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in self.processes())

    def check(self) -> dict:
        return json.loads(self.python("benchmarks.load_check", self.name, text=json.dumps(self.acknowledged)))

    def first_page(self) -> list[tuple[str, int]]:
        """What a browser with an empty cache asks for to show a first rating page, and the bytes that it gets."""
        visit = self.visits.pop()
        page = self._fetch(visit["path"], visit["cookie"])
        wanted = re.findall(rb'<(?:link|script|img)[^>]* (?:href|src)="([^"]+)"', page)
        paths = dict.fromkeys(address.decode() for address in wanted)
        return [("page", len(page))] + [(path, len(self._fetch(path))) for path in paths]

    def _fetch(self, path: str, cookie: str = "") -> bytes:
        with socket.create_connection((HOST, self.port)) as connection:
            request = f"GET {path} HTTP/1.1\r\nHost: {HOST}:{self.port}\r\nAccept-Encoding: gzip, br\r\n"
            request += f"Cookie: {cookie}\r\n" if cookie else ""
            connection.sendall(f"{request}Connection: close\r\n\r\n".encode())
            return b"".join(iter(lambda: connection.recv(65536), b""))


def measure(server: str, options: argparse.Namespace) -> bool:
    """Print the table of one form of the server; whether nothing went wrong."""
    print(f"\n{server}: {options.people} people at once, no think time, rounds of {options.seconds:g} s")
    print(f"  {'':<12}{'cycles/s':>10}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'CPU ms':>9}{'client':>9}{'errors':>8}")
    names = [*PROGRAMS, "otree"] if options.peer else PROGRAMS
    rounds: dict[str, list[dict]] = {name: [] for name in names}
    with ExitStack() as stack:
        programs = {name: Program(name, folder_of_its_own(stack), visits_for(name, options)) for name in names}
        for program in programs.values():
            stack.enter_context(program.served(server))
        ours = programs["evalsite"]
        first = ours.first_page()
        for _ in range(options.rounds):
            for name, program in programs.items():
                found = program.load(options.people, options.seconds)
                rounds[name].append(found)
                print(row(name, found), flush=True)
        thinking = ours.load(options.people, options.think_seconds, THINK)
        checks = {name: program.check() for name, program in programs.items()}
    compare(rounds)
    print(f"  each submits every {THINK:g} s, for {options.think_seconds:g} s:\n{row('evalsite', thinking)}")
    print(f"  first rating page, empty cache: {len(first)} requests, {sum(size for _, size in first) / 1000:.1f} kB")
    for path, size in first:
        print(f"    {path:<50}{size:>8} bytes")
    memory = {"evalsite": thinking["memory_mb"], "bare_form": rounds["bare_form"][-1]["memory_mb"]}
    print(f"  memory of the server: {memory['evalsite']:.0f} MB (with the bare form {memory['bare_form']:.0f} MB)")
    for name, check in checks.items():
        print(
            f"  {name}: {check['acknowledged']} ratings acknowledged, {check['stored_once']} of them stored once; "
            f"{check['unacknowledged']} stored without having been acknowledged"
        )
    errors = [f"{name}: {error}" for name in names for found in rounds[name] for error in found["errors"]]
    errors += [f"evalsite: {error}" for error in thinking["errors"]]
    for error in sorted(set(errors)):
        print(f"  error: {error} ({errors.count(error)} times)")
    return not errors and all(check["acknowledged"] == check["stored_once"] for check in checks.values())


def compare(rounds: dict[str, list[dict]]) -> None:
    def mean(name: str, key: str) -> float:
        return sum(found[key] for found in rounds[name]) / len(rounds[name])

    rate = mean("evalsite", "per_second")
    cpu = mean("bare_form", "cpu_ms") / mean("evalsite", "cpu_ms")
    if "otree" in rounds:
        otree, when = mean("otree", "per_second"), "in this run"
    else:
        otree, when = OTREE, "a reference that was measured earlier"
    print(
        f"  {rate / mean('bare_form', 'per_second'):.0%} of the bare form's rate (by server CPU alone {cpu:.0%}); "
        f"{rate / otree:.1f} times oTree's {otree:.0f}/s, {when}"
    )


def durable_commits(folder: Path, seconds: float = 1.0) -> float:
    """How often a second this disk confirms a write: no server that keeps its word acknowledges more."""
    connection = sqlite3.connect(folder / "commits.sqlite3", isolation_level=None)
    connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (n)")
    count, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        connection.execute("INSERT INTO t VALUES (1)")
        count += 1
    connection.close()
    return count / seconds


def folder_of_its_own(stack: ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="evalsite-load-")))


def install_peer(folder: Path) -> None:
    """Have oTree in a virtual environment apart from ours, and its command on the path."""
    folder = folder.resolve()
    if folder.is_relative_to(ROOT.resolve()):
        raise SystemExit("Give --peer a folder outside the repository.")
    if not (folder / "bin" / "otree").exists():
        print(f"installing oTree into {folder} ...", flush=True)
        venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", OTREE_PACKAGE], check=True)
    os.environ["PATH"] = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"


def visits_of_each(name: str, people: int, seconds: float, think: float = 0) -> int:
    """As many as one person could make, and two more for being in the middle of one."""
    cycles = (seconds + WARM_UP[name]) * (1 / think if think else MOST_CYCLES[name] / people)
    return 2 + int(cycles / FEWEST_OF_A_VISIT)


def visits_for(name: str, options: argparse.Namespace) -> int:
    """For all rounds, for the one with think time, and one whose first page is looked at."""
    without = options.rounds * visits_of_each(name, options.people, options.seconds)
    return options.people * (without + visits_of_each(name, options.people, options.think_seconds, THINK)) + 1


def row(name: str, found: dict) -> str:
    times = "".join(f"{found[key]:>9.1f}" if found[key] else f"{'-':>9}" for key in ("p50_ms", "p95_ms", "p99_ms"))
    return (
        f"  {name:<12}{found['per_second']:>10.1f}{times}{found['cpu_ms']:>9.2f}{found['client_cpu_share']:>9.0%}"
        f"{len(found['errors']):>8}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", "--participants", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10, help="of each round without think time")
    parser.add_argument("--think-seconds", type=float, default=20, help="with think time")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=SERVERS)
    parser.add_argument("--peer", type=Path, metavar="FOLDER", help="measure oTree too, installed into this folder")
    options = parser.parse_args()
    if options.peer:
        install_peer(options.peer)
    with ExitStack() as stack:
        commits = durable_commits(folder_of_its_own(stack))
    print(f"this disk confirms {commits:.0f} writes a second, one after the other")
    went_well = [measure(server, options) for server in options.servers]
    return 0 if all(went_well) else 1


if __name__ == "__main__":
    sys.exit(main())
