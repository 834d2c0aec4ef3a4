"""Real processes that are killed, stopped and cut off while people chat: nothing is lost, nothing is there twice.

Each test says its numbers; `pytest -s` shows them.
"""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager

import pytest

from tests.services.conftest import ROOT, free_port, served_at, wait_until
from tests.services.supervisor import Supervisor

pytestmark = pytest.mark.services

# Turns are taken up again so soon after the process that worked on them has gone.
RESUMED_WITHIN = 20  # seconds
WORKERS = ("first", "second", "third")


class Site:
    """The installation, served: three workers whose replies take a second or so, pages, streams and the clock."""

    def __init__(self, installation, supervisor: Supervisor):
        self.installation, self.supervisor = installation, supervisor
        self.database_back: list[float] = []
        for name in WORKERS:
            supervisor.worker(name, step=0.04)
        self.pages = supervisor.pages("pages", str(free_port()))
        self.streams = supervisor.streams("streams")
        for address in (self.pages, self.streams):
            served_at(address.rpartition(":")[2])

    def ready(self) -> list[str]:
        """The workers that could take up a turn now."""
        rows = self.installation.ask(
            "SELECT split_part(name, '-', 2)::int FROM inference_worker WHERE status = 'ready'"
        )
        pids = {pid for (pid,) in rows}
        return [name for name in WORKERS if self.supervisor.pid(name) in pids]

    def wait_for_workers(self, count: int) -> list[str]:
        return wait_until(lambda: len(there := self.ready()) >= count and there, 120)

    def now(self):
        return self.installation.ask("SELECT now()")[0][0]

    def running_on(self, name: str) -> int:
        rows = "SELECT count(*) FROM inference_turn WHERE state = 'running' AND split_part(worker, '-', 2)::int = %s"
        return self.installation.ask(rows, self.supervisor.pid(name))[0][0]

    @contextmanager
    def crowd(self, people: int, seed: int):
        """Synthetic participants, who take the study through its pages and follow their replies."""
        command = [sys.executable, "manage.py", "simulate", "talk", "--participants", str(people), "--seed", str(seed)]
        command += ["--url", self.pages, "--streams", self.streams, "--patience", "90", "--at-once", str(people)]
        process = subprocess.Popen(
            [*command, "--mix", "careful=1"],
            cwd=ROOT,
            env=self.installation.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def replies(self, since) -> list[tuple]:
        """Each reply since a moment: its key, state, attempts, how each attempt ended, and their numbers."""
        return self.installation.ask(
            "SELECT t.id, t.state, t.attempts, array_agg(a.outcome ORDER BY a.number),"
            " array_agg(a.number ORDER BY a.number)"
            " FROM inference_turn t LEFT JOIN inference_attempt a ON a.turn_id = t.id"
            " WHERE t.role = 'assistant' AND t.created_at >= %s GROUP BY t.id",
            since,
        )

    def not_done_once(self, since) -> list[tuple]:
        return [
            row
            for row in self.replies(since)
            if row[1] != "done" or row[4] != list(range(1, row[2] + 1)) or Counter(row[3])["done"] != 1
        ]

    def messages_without_their_reply(self) -> list[tuple]:
        return self.installation.ask(
            "SELECT conversation_id FROM inference_turn GROUP BY conversation_id"
            " HAVING count(*) FILTER (WHERE role = 'user') <> count(*) FILTER (WHERE role = 'assistant')"
        )

    def restart_database(self, server) -> None:
        server.restart()
        self.database_back.append(time.time())

    def taken_up_after(self, since) -> list[float]:
        """For each attempt that was cut off, how long after its worker's end, or its claim, the next one began.

        Those that met the restart of the database are left out: while it is away nobody can take up anything.
        """
        rows = self.installation.ask(
            "SELECT split_part(cut.worker, '-', 2)::int, extract(epoch FROM cut.claimed_at)::float,"
            " extract(epoch FROM next.claimed_at)::float"
            " FROM inference_attempt cut JOIN inference_attempt next"
            " ON next.turn_id = cut.turn_id AND next.number = cut.number + 1"
            " WHERE cut.outcome <> 'done' AND cut.claimed_at >= %s",
            since,
        )
        killed = {pid: when for when, _, pid in self.supervisor.killed}
        cuts = [(killed.get(pid, claimed), taken_up) for pid, claimed, taken_up in rows]
        return [
            taken_up - cut
            for cut, taken_up in cuts
            if not any(cut < back < taken_up + RESUMED_WITHIN for back in self.database_back)
        ]


@pytest.fixture(scope="module")
def site(talk):
    with Supervisor(talk) as supervisor, talk.clock():
        yield Site(talk, supervisor)


def summary_of(crowd: subprocess.Popen) -> dict:
    out, told = crowd.communicate(timeout=400)
    assert out.strip(), told
    summary = json.loads(out.strip().splitlines()[-1])
    assert summary["failed_pages"] == 0, told
    return {name: summary[name] for name in ("completed", "messages", "reloads", "replies")}


def say(**numbers) -> None:
    sys.stdout.write("\n" + json.dumps(numbers, default=str) + "\n")


def test_a_hundred_people_chat_while_everything_is_killed(site, redis_server, postgres_server):
    """Workers one after the other, page processes, the process with the open streams, Redis and PostgreSQL."""
    since, chance, kills = site.now(), random.Random(11), Counter()
    others = {
        1: ("streams", lambda: site.supervisor.kill("streams")),
        2: ("pages", lambda: site.supervisor.kill("pages")),
        3: ("redis", redis_server.restart),
        4: ("postgresql", lambda: site.restart_database(postgres_server)),
    }
    site.wait_for_workers(3)
    with site.crowd(people=100, seed=5) as crowd:
        wait_until(lambda: site.installation.turns("running") >= 8, 60)
        began = time.monotonic()
        while crowd.poll() is None and site.installation.turns("done") < 300:
            # Two are there, so one is left.
            workers = site.wait_for_workers(2)
            time.sleep(chance.uniform(0.2, 1.5))
            site.supervisor.kill(chance.choice(workers))
            kills["worker"] += 1
            if kills["worker"] in others:
                name, kill = others[kills["worker"]]
                kill()
                kills[name] += 1
        summary = summary_of(crowd)
    rows, taken_up = site.replies(since), site.taken_up_after(since)
    say(
        seconds=round(time.monotonic() - began),
        kills=kills,
        turns=len(rows),
        attempts=sum(row[2] for row in rows),
        cut_off=len(taken_up),
        taken_up_after_s=round(max(taken_up), 1),
        **summary,
    )
    assert kills["postgresql"] == kills["redis"] == kills["pages"] == kills["streams"] == 1
    assert len(rows) >= 120
    assert site.not_done_once(since) == []
    assert site.messages_without_their_reply() == []
    assert max(taken_up) < RESUMED_WITHIN
    assert summary["completed"] == 100
    assert summary["replies"]["failed"] == 0


def test_a_worker_that_stood_still_past_its_lease_changes_nothing(site):
    since = site.now()
    stopped = site.wait_for_workers(3)[0]
    with site.crowd(people=8, seed=6) as crowd:
        wait_until(lambda: site.running_on(stopped), 60)
        site.supervisor.signal(stopped, signal.SIGSTOP)
        wait_until(lambda: not site.running_on(stopped), RESUMED_WITHIN)
        site.supervisor.signal(stopped, signal.SIGCONT)
        summary = summary_of(crowd)
    outcomes = Counter(outcome for row in site.replies(since) for outcome in row[3])
    say(stood_still=stopped, outcomes=outcomes, taken_up_after_s=round(max(site.taken_up_after(since)), 1), **summary)
    assert outcomes["lost"] >= 1
    assert site.not_done_once(since) == []
    assert site.messages_without_their_reply() == []


def test_an_engine_that_hangs_ends_its_worker_and_its_turns_go_on(site):
    since = site.now()
    hanging = site.wait_for_workers(3)[1]
    pid = site.supervisor.pid(hanging)
    with site.crowd(people=8, seed=7) as crowd:
        wait_until(lambda: site.running_on(hanging), 60)
        site.supervisor.hangs(hanging).touch()
        wait_until(lambda: site.supervisor.pid(hanging) != pid, 60)
        summary = summary_of(crowd)
    taken_up = site.taken_up_after(since)
    say(hung=hanging, ended=site.supervisor.ended, taken_up_after_s=round(max(taken_up, default=0), 1), **summary)
    assert site.supervisor.ended == [(hanging, 70)]
    assert site.not_done_once(since) == []
    assert site.messages_without_their_reply() == []
    assert 0 < max(taken_up) < RESUMED_WITHIN


def test_wake_ups_that_come_many_times_over_make_no_second_reply(site):
    since = site.now()
    site.wait_for_workers(3)
    wake = "from inference import tasks; [tasks.send(engine) for engine in {!r} for _ in range(200)]"
    engines = [engine for (engine,) in site.installation.ask("SELECT DISTINCT engine FROM inference_worker")]
    with site.crowd(people=8, seed=8) as crowd:
        wait_until(lambda: site.installation.turns("running"), 60)
        site.installation.manage("shell", "-v0", "-c", wake.format(engines))
        summary_of(crowd)
    assert {row[2] for row in site.replies(since)} == {1}
    assert site.not_done_once(since) == []
    assert site.messages_without_their_reply() == []
