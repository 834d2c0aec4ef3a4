"""Participants' browsers: each sends its message, gets the page it is led to, opens the stream and reads to its end.

python -m benchmarks.path_client < job.json > result.json
"""

import asyncio
import json
import sys
import time
from urllib.parse import urlencode

from benchmarks.engine import WORRIES
from benchmarks.load_client import HIDDEN, Person
from benchmarks.path_prepare import SPREAD

EVENTS = b'data-events="'
PAGE = "/s/talk/chat/1/"


class Chatter(Person):
    """One participant, and one message."""

    headers = ("X-Live: 1",)  # as the script asks: the page does not wait for the reply

    def __init__(self, job: dict, visit: dict, number: int):
        super().__init__(job["host"], job["port"], [], number)
        self.streams, self.visit = job["streams"], visit
        self.cookies = dict([visit["cookie"].split("=", 1)])

    async def come(self) -> None:
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        status, _, body = await self._request("GET", PAGE)
        assert status == 200, f"GET: status {status}"
        self.form = {name.decode(): value.decode() for name, value in HIDDEN.findall(body)} | self.visit["fields"]

    async def say(self, late: float) -> None:
        await asyncio.sleep(late)
        began, self.clicked = time.perf_counter(), time.time()
        form = self.form | {"message": WORRIES[self.number % len(WORRIES)], "turn": "0", "action": "send"}
        status, headers, _ = await self._request("POST", PAGE, urlencode(form).encode())
        assert status in (302, 303), f"POST: status {status}"
        self.posted = time.perf_counter() - began
        _, _, page = await self._request("GET", headers["location"])
        self.shown = time.perf_counter() - began
        _, found, rest = page.partition(EVENTS)
        assert found, "The page waits for no reply."
        events = rest.partition(b'"')[0].decode()
        self.turn = events.split("/")[-2]
        await self._follow(events, began)
        self.writer.close()

    async def _follow(self, path: str, began: float) -> None:
        reader, writer = await asyncio.open_connection(self.host, self.streams)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {self.host}:{self.streams}\r\nCookie: {cookies}\r\n\r\n".encode())
        self.first = self.events = 0
        self.text = ""
        kind = ""
        while line := await reader.readline():
            name, _, value = line.decode().strip().partition(": ")
            if name == "event":
                kind = value
                self.events += 1
                if kind == "token" and not self.first:
                    self.first = time.perf_counter() - began
            elif name == "data" and kind == "token":
                self.text += json.loads(value)["text"]
            elif name == "data" and kind in ("final", "error"):
                assert kind == "final", "The reply failed."
                assert json.loads(value)["text"].strip() == self.text.strip(), "The stream is not the whole reply."
                break
        self.ended = time.perf_counter()
        writer.close()


async def run(job: dict) -> dict:
    people = [Chatter(job, visit, number) for number, visit in enumerate(job["visits"])]
    for person in people:
        await person.come()
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(person.say(SPREAD * person.number / len(people)) for person in people))
    return {
        "posted": [person.posted for person in people],
        "shown": [person.shown for person in people],
        "first": [person.first for person in people],
        "turns": [(person.turn, person.clicked) for person in people],
        "events": sum(person.events for person in people),
        "seconds": max(person.ended for person in people) - began,
        "client_cpu": time.process_time() - cpu,
    }


if __name__ == "__main__":
    json.dump(asyncio.run(run(json.load(sys.stdin))), sys.stdout)
