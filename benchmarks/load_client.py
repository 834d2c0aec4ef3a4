"""Many people at once in front of one server, as light as a client can be: each one socket, one request at a time.

    python -m benchmarks.load_client < job.json > result.json

A cycle is a submitted form and the page that follows it, until its last byte. Each of the two counts as half of one,
because in front of a slow server all people submit together and then see their pages together. What the server
acknowledged, by sending a person on to another page, is written down to be compared with the database.
"""

import asyncio
import json
import re
import sys
import time
from urllib.parse import urlencode

HIDDEN = re.compile(rb'name="(csrfmiddlewaretoken|page)" value="([^"]*)"')
HAS_SCALE = b'name="empathy_support"'


class Refused(Exception):
    """Not the answer that a person going on their way would get."""


class Person:
    """A connection, and the visits that somebody makes over it, one after the other."""

    headers: tuple[str, ...] = ()

    def __init__(self, host: str, port: int, visits: list[dict], number: int):
        self.host, self.port, self.visits, self.number = host, port, visits, number
        self.cycles: list[tuple[float, float]] = []
        self.acknowledged: list[tuple[str, int, int, int]] = []
        self.errors: list[str] = []
        self.halves: list[float] = []
        self.requests = 0

    async def go(self, begin: float, until: float, think: float, late: float) -> None:
        await asyncio.sleep(max(0, begin + late - time.monotonic()))
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        try:
            await self._arrive()
            while (now := time.monotonic()) < until:
                try:
                    await self._cycle()
                except Refused as fault:
                    self.errors.append(str(fault))
                    await self._arrive()
                if think:
                    await asyncio.sleep(max(0, now + think - time.monotonic()))
        except (OSError, asyncio.IncompleteReadError, IndexError) as fault:
            self.errors.append(type(fault).__name__)
        finally:
            self.writer.close()

    async def _arrive(self) -> None:
        """The first page of the next visit."""
        self.visit = self.visits.pop()
        self.cookies = dict([self.visit["cookie"].split("=", 1)]) if self.visit["cookie"] else {}
        await self._see(self.visit["path"])

    async def _see(self, path: str) -> None:
        status, headers, body = await self._request("GET", path)
        if status == 307:  # an oTree participant's link leads to the first page
            path = headers["location"]
            status, headers, body = await self._request("GET", path)
        if status != 200:
            raise Refused(f"GET: status {status}")
        self.path, self.hidden = path, dict(HIDDEN.findall(body))
        self.has_scale = HAS_SCALE in body

    async def _cycle(self) -> None:
        values = self._choose()
        form = {name.decode(): value.decode() for name, value in self.hidden.items()} | self.visit["fields"]
        form |= {"empathy_support": values[0], "fluency_quality": values[1], "action": "next"}
        started = time.perf_counter()
        status, headers, _ = await self._request("POST", self.path, urlencode(form).encode())
        if status not in (302, 303) or headers["location"].split("?")[0] == self.path:
            raise Refused(f"POST: status {status}")
        self.acknowledged.append((self.visit["name"], position_in(self.path), *values))
        self.halves.append(time.monotonic())
        await self._see(headers["location"])
        self.halves.append(time.monotonic())
        self.cycles.append((time.monotonic(), time.perf_counter() - started))
        if not self.has_scale or position_in(self.path) > self.visit["items"]:
            await self._arrive()

    def _choose(self) -> tuple[int, int]:
        count = len(self.acknowledged) + self.number
        return count % 10 + 1, count * 7 % 10 + 1

    async def _request(self, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}", *self.headers]
        if self.cookies:
            lines.append("Cookie: " + "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        if body:
            lines += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        head = await self.reader.readuntil(b"\r\n\r\n")
        status, *rows = head.decode("latin-1").split("\r\n")
        headers = {}
        for row in rows:
            name, _, value = row.partition(":")
            headers[name.lower()] = value.strip()
            if name.lower() == "set-cookie":
                name, _, value = value.strip().partition(";")[0].partition("=")
                self.cookies[name] = value
        if "content-length" in headers:
            answer = await self.reader.readexactly(int(headers["content-length"]))
        else:
            answer = await self._chunks()
        self.requests += 1
        return int(status.split(" ")[1]), headers, answer

    async def _chunks(self) -> bytes:
        """A body whose length is not told in the head, as oTree's redirects have."""
        chunks = []
        while size := int(await self.reader.readline(), 16):
            chunks.append(await self.reader.readexactly(size))
            await self.reader.readline()
        await self.reader.readline()
        return b"".join(chunks)


async def run(job: dict) -> dict:
    people = [Person(job["host"], job["port"], visits, number) for number, visits in enumerate(job["visits"])]
    begin = time.monotonic() + 0.1
    counted_from = begin + job["warm_up"]
    until = counted_from + job["seconds"]
    spread = job["think"] or min(1.0, job["warm_up"])
    cpu = time.process_time()
    await asyncio.gather(
        *(person.go(begin, until, job["think"], late=spread * person.number / len(people)) for person in people)
    )
    elapsed = time.monotonic() - begin
    times = sorted(took for person in people for at, took in person.cycles if counted_from <= at <= until)
    halves = sum(counted_from <= at <= until for person in people for at in person.halves)
    return {
        "per_second": halves / 2 / job["seconds"],
        "p50_ms": percentile(times, 50),
        "p95_ms": percentile(times, 95),
        "p99_ms": percentile(times, 99),
        "requests": sum(person.requests for person in people),
        "errors": [error for person in people for error in person.errors],
        "client_cpu_share": (time.process_time() - cpu) / elapsed,
        "acknowledged": [rating for person in people for rating in person.acknowledged],
    }


def position_in(path: str) -> int:
    return int(path.rstrip("/").rpartition("/")[2])


def percentile(times: list[float], percent: int) -> float | None:
    if not times:
        return None
    return 1000 * times[min(len(times) - 1, round(percent / 100 * (len(times) - 1)))]


if __name__ == "__main__":
    json.dump(asyncio.run(run(json.load(sys.stdin))), sys.stdout)
