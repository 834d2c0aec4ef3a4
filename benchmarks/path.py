"""From a participant's message to the last byte of the reply in their browser, beside the engine alone.

    python -m benchmarks.path [--forms quickstart production] [--models paced smollm2-135m] [--people 1 8] [--rounds 2]

Each browser posts its message to the pages, is led back to the chat, opens the stream of its reply and reads it to its
end. Beside that, in the same process and taking turns with it, the same engine is asked for the same replies directly.
Replies are released token by token, and all are of one length. People come one after the other, within a second.

Quickstart is one process with SQLite. Production is pages under granian, streams under uvicorn and a worker of Celery,
with a Redis and a PostgreSQL of their own, which must be installed. The paced engine computes nothing: 0.2 s after it
was asked it gives a token, and one each 0.02 s from then on, so that only the path takes the processor. The small model
shares the cores with everything else, the client among it.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks.path_prepare import PACED, TOKENS

ROOT = Path(__file__).parent.parent
HOST = "127.0.0.1"
FORMS = ("quickstart", "production")


class Installation:
    """One of both forms, with the processes it consists of."""

    def __init__(self, form: str, model: str, stack: ExitStack):
        self.form, self.model, self.stack = form, model, stack
        outer = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="evalsite-path-")))
        outer.chmod(0o755)  # PostgreSQL runs as another user
        self.folder = outer / "data"
        self.folder.mkdir()
        self.environment = os.environ | {"EVALSITE_DATA": str(self.folder), "OMP_NUM_THREADS": "1"}
        self.environment |= {"DJANGO_SETTINGS_MODULE": "evalsite.settings"}
        models = os.environ.get("EVALSITE_MODELS") or str(ROOT / "var" / "models")
        self.environment |= {"EVALSITE_MODELS": models}
        for unwanted in ("EVALSITE_URL", "PORT", "EVALSITE_REDIS_URL", "EVALSITE_DATABASE_URL"):
            self.environment.pop(unwanted, None)
        self.processes: dict[str, psutil.Process] = {}
        if form == "production":
            self._start_services(outer)

    def _start_services(self, folder: Path) -> None:
        from tests.services.conftest import PostgresServer, RedisServer

        for name in ("redis", "postgres"):
            (folder / name).mkdir()
        redis = RedisServer(folder / "redis")
        self.stack.callback(redis.kill)
        self.processes["redis"] = psutil.Process(redis._process.pid)
        self.postgres = PostgresServer(folder / "postgres")
        self.stack.callback(self.postgres.kill)
        self.processes["postgres"] = psutil.Process(self.postgres._process.pid)
        self.environment |= {
            "EVALSITE_REDIS_URL": redis.url,
            "EVALSITE_DATABASE_URL": self.postgres.create("path"),
        }

    def python(self, module: str, *arguments: str, text: str = "") -> str:
        command = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=ROOT, env=self.environment)
        if done.returncode:
            raise SystemExit(f"{module} failed:\n{done.stderr[-2000:]}")
        return done.stdout

    def prepare(self, people: int, *options: str) -> None:
        lines = self.python("benchmarks.path_prepare", self.model, str(people), *options).splitlines()
        self.visits = [json.loads(line) for line in lines]

    def serve(self) -> None:
        self.pages, self.streams, self.door = free_port(), free_port(), free_port()
        if self.form == "quickstart":
            self.streams = self.pages
            self.start("server", "benchmarks.path_serve", "quickstart", self.model, str(self.pages), str(self.door))
        else:
            self.start("worker", "benchmarks.path_serve", "worker", self.model, "-", str(self.door))
            granian = ("--interface", "wsgi", "--host", HOST, "--port", str(self.pages), "--log-level", "warning")
            self.start(
                "pages", "granian", *granian, "--workers", "2", "--blocking-threads", "4", "evalsite.wsgi:application"
            )
            self.start_streams()
        for port in (self.pages, self.streams, self.door):
            wait_for(lambda port=port: answers(port))
        if self.form == "production":
            time.sleep(4)  # until the worker hears Celery

    def start_streams(self) -> None:
        uvicorn = ("--host", HOST, "--port", str(self.streams), "--log-level", "warning", "--no-access-log")
        self.start("streams", "uvicorn", "evalsite.asgi:application", *uvicorn)

    def start(self, name: str, module: str, *arguments: str) -> None:
        environment = self.environment | ({"EVALSITE_ANSWERS": self.model} if name == "worker" else {})
        running = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
        )
        process = psutil.Process(running.pid)
        self.processes[name] = process

        def stop() -> None:
            for each in [*process.children(recursive=True), process]:
                each.kill()
            running.wait()

        self.stack.callback(stop)

    def cpu(self) -> dict[str, float]:
        return {
            name: sum(sum(each.cpu_times()[:2]) for each in [process, *process.children(recursive=True)])
            for name, process in self.processes.items()
        }

    def alone(self, replies: int) -> dict:
        """What so many replies take the engine by itself."""
        with socket.create_connection((HOST, self.door)) as door:
            door.sendall(f"{replies}\n".encode())
            return json.loads(door.makefile().readline())

    def through_the_path(self, people: int) -> dict:
        visits = [self.visits.pop() for _ in range(people)]
        job = {"host": HOST, "port": self.pages, "streams": self.streams, "visits": visits}
        before = self.cpu()
        found = json.loads(self.python("benchmarks.path_client", text=json.dumps(job)))
        found["cpu"] = {name: spent - before[name] for name, spent in self.cpu().items()}
        found["cpu"]["client"] = found["client_cpu"]
        return found


def measure(form: str, model: str, options: argparse.Namespace) -> None:
    with ExitStack() as stack:
        installation = Installation(form, model, stack)
        installation.prepare(sum(options.people) * options.rounds + 2 * max(options.people))
        installation.serve()
        for _ in range(2):  # what each thread of each process makes on demand
            installation.through_the_path(max(options.people))
        print(f"\n{form}, {model}: {TOKENS} tokens a reply, {options.rounds} rounds, load {os.getloadavg()[0]:.1f}")
        print(
            f"{'people':>8}{'alone tok/s':>13}{'path tok/s':>12}{'share':>8}{'first token alone / path p50 ms':>33}"
            f"{'overhead':>10}{'POST answered':>15}{'page shown':>12}{'events':>8}"
        )
        for people in options.people:
            rounds = [
                (installation.alone(people), installation.through_the_path(people)) for _ in range(options.rounds)
            ]
            print(row(people, rounds), flush=True)
            print(f"{'':8}  since the click, in ms: {steps(installation, rounds)}", flush=True)
            print(f"{'':8}  CPU time in ms a token: {budget(people, rounds)}", flush=True)


def row(people: int, rounds: list[tuple[dict, dict]]) -> str:
    """Medians over the rounds; the share is the middle one of each round's own."""
    tokens = people * TOKENS
    alone = median(tokens / found["seconds"] for found, _ in rounds)
    path = median(tokens / found["seconds"] for _, found in rounds)
    share = median(a["seconds"] / p["seconds"] for a, p in rounds)
    first = [1000 * median(median(found["first"]) for found in side) for side in zip(*rounds, strict=True)]
    overhead = 1000 * median(median(p["first"]) - median(a["first"]) for a, p in rounds)
    posted, shown = (1000 * median(median(found[key]) for _, found in rounds) for key in ("posted", "shown"))
    events = median(found["events"] for _, found in rounds)
    return (
        f"{people:>8}{alone:>13.1f}{path:>12.1f}{share:>8.1%}"
        f"{f'{first[0]:.0f} / {first[1]:.0f}':>33}{overhead:>7.0f} ms"
        f"{posted:>12.0f} ms{shown:>9.0f} ms{events:>8.0f}"
    )


def budget(people: int, rounds: list[tuple[dict, dict]]) -> str:
    """What the path costs each process, and what the engine costs by itself."""
    told = [f"engine alone {1000 * median(alone['cpu'] for alone, _ in rounds) / (people * TOKENS):.2f}"]
    for name in rounds[0][1]["cpu"]:
        told.append(f"{name} {1000 * median(path['cpu'][name] for _, path in rounds) / (people * TOKENS):.2f}")
    return ", ".join(told)


def steps(installation: Installation, rounds: list[tuple[dict, dict]]) -> str:
    """Milliseconds from the click until each step on the way of the first token, medians over all replies."""
    firsts = {
        turn: (at, first) for _, path in rounds for (turn, at), first in zip(path["turns"], path["first"], strict=True)
    }
    found = json.loads(installation.python("benchmarks.path_steps", text=json.dumps(list(firsts))))
    names = list(next(iter(found.values())))
    told = [f"{name} {1000 * median(found[t][name] - firsts[t][0] for t in firsts):.0f}" for name in names]
    told.append(f"read {1000 * median(first for _, first in firsts.values()):.0f}")
    return ", ".join(told)


def free_port() -> int:
    with socket.socket() as free:
        free.bind((HOST, 0))
        return free.getsockname()[1]


def answers(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True


def wait_for(true: Callable[[], Any], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            raise SystemExit("A process does not answer.")
        time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=FORMS)
    parser.add_argument("--models", nargs="+", default=[PACED, "smollm2-135m"])
    parser.add_argument("--people", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    for form in options.forms:
        for model in options.models:
            measure(form, model, options)


if __name__ == "__main__":
    main()
