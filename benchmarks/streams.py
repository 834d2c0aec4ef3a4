"""Many open streams on one ASGI process: what it delivers, how late, and what it takes.

    python -m benchmarks.streams [--streams 100] [--rate 5] [--seconds 20]

The production form's process for streams, under uvicorn, with a Redis and a PostgreSQL of their own. People's replies
are under way; this process writes their text to Redis, so many events a second for each, as a worker does. The readers
are a process of their own, with one connection for each stream. An event's text is the time at which it was written, so
that each one's way to the reader is known; texts that travelled together are counted one by one.
"""

import argparse
import asyncio
import json
import os
import sys
import threading
import time
from contextlib import ExitStack
from statistics import median, quantiles

import psycopg

from benchmarks.path import HOST, Installation, answers, free_port, wait_for
from benchmarks.path_prepare import PACED


class Reader:
    """One stream, to its end."""

    def __init__(self, port: int, person: dict):
        self.port, self.person = port, person
        self.delays: list[float] = []

    async def read(self) -> None:
        reader, writer = await asyncio.open_connection(HOST, self.port)
        path = f"/s/talk/turns/{self.person['turn']}/events"
        head = f"GET {path} HTTP/1.1\r\nHost: {HOST}:{self.port}\r\nCookie: {self.person['cookie']}\r\n\r\n"
        writer.write(head.encode())
        kind = ""
        while line := await reader.readline():
            name, _, value = line.decode().strip().partition(": ")
            if name == "event":
                kind = value
            elif name == "data" and kind == "token":
                now = time.time()
                self.delays += [now - float(written) for written in json.loads(value)["text"].split()]
            if kind == "final":
                break
        writer.close()


async def read_all(job: dict) -> dict:
    readers = [Reader(job["port"], person) for person in job["people"]]
    cpu = time.process_time()
    await asyncio.gather(*(reader.read() for reader in readers))
    delays = [delay for reader in readers for delay in reader.delays]
    return {"delays": delays, "cpu": time.process_time() - cpu}


def write_all(url: str, people: list[dict], rate: float, seconds: float) -> int:
    """Events at even distances, the streams one after the other; how many there were."""
    from inference.redislive import RedisLiveText

    live = RedisLiveText(url)
    codes = [person["turn"] for person in people]
    for code in codes:
        live.begin(code, 1)
    began, count = time.monotonic(), 0
    while (now := time.monotonic()) < began + seconds:
        due = int((now - began) * rate * len(codes))
        for number in range(count, due):
            live.append(codes[number % len(codes)], 1, "token", f"{time.time():.6f} ")
        count = max(count, due)
        time.sleep(0.002)
    for code in codes:
        live.append(code, 1, "final", "")
    live.close()
    return count


def connections(url: str) -> int:
    """Of the database, held by the process for streams: everybody's but this look's own."""
    with psycopg.connect(url) as database:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        found = database.execute(query).fetchone()
    return found[0] if found else 0


def measure(options: argparse.Namespace) -> None:
    with ExitStack() as stack:
        installation = Installation("production", PACED, stack)
        installation.prepare(options.streams, "--under-way")
        installation.streams = free_port()
        installation.start_streams()
        wait_for(lambda: answers(installation.streams))
        process = installation.processes["streams"]
        url, redis = (installation.environment[f"EVALSITE_{name}_URL"] for name in ("DATABASE", "REDIS"))
        at_rest, memory = connections(url), process.memory_info().rss
        job = {"port": installation.streams, "people": installation.visits}
        found: dict = {}

        def read() -> None:
            found.update(json.loads(installation.python("benchmarks.streams", "--read", text=json.dumps(job))))

        readers = threading.Thread(target=read)
        readers.start()
        time.sleep(4)  # until all are open
        before, began, held = installation.cpu()["streams"], time.monotonic(), []
        watch = threading.Timer(options.seconds / 2, lambda: held.append(connections(url)))
        watch.start()
        written = write_all(redis, installation.visits, options.rate, options.seconds)
        spent, took = installation.cpu()["streams"] - before, time.monotonic() - began
        full = process.memory_info().rss
        readers.join()
    delays = sorted(1000 * delay for delay in found["delays"])
    print(
        f"{options.streams} streams, {options.rate:g} events a second each, {took:.0f} s, load {os.getloadavg()[0]:.1f}"
    )
    print(f"  delivered {len(delays)} of {written} events ({len(delays) / written:.2%})")
    print(f"  delay p50 {median(delays):.1f} ms, p95 {quantiles(delays, n=20)[-1]:.1f} ms, longest {delays[-1]:.0f} ms")
    print(f"  the process for streams took {spent / took:.1%} of one core ({1e6 * spent / written:.0f} µs an event)")
    print(f"  its memory: {memory / 1e6:.0f} MB with none, {full / 1e6:.0f} MB with all open")
    print(f"  connections to the database: {at_rest} with none, {held[0]} with all open")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--rate", type=float, default=5)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--read", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        json.dump(asyncio.run(read_all(json.load(sys.stdin))), sys.stdout)
        return
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evalsite.settings")
    measure(options)


if __name__ == "__main__":
    main()
