"""The processes of production, on a real PostgreSQL and a real Redis."""

import json
import re
import subprocess

import httpx
import pytest

from tests.services.conftest import BIN, ROOT, wait_until

pytestmark = pytest.mark.services

STUDY = """
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


@pytest.fixture(scope="module")
def talk(installation):
    file = installation.folder / "talk.yaml"
    file.write_text(STUDY)
    installation.manage("load_study", str(file), "--publish", "--acknowledge-no-screening")
    return installation


def turns(installation, state: str) -> int:
    return installation.ask("SELECT count(*) FROM inference_turn WHERE state = %s AND role = 'assistant'", state)[0][0]


def is_ready(installation, workers: int = 1) -> bool:
    rows = "SELECT count(*) FROM inference_worker WHERE status = 'ready' AND heard_at > now() - interval '10 seconds'"
    return installation.ask(rows)[0][0] >= workers


def test_a_worker_loads_its_models_at_the_start_and_pages_know(talk):
    with talk.pages() as pages:
        assert 'data-stage="preparing"' in httpx.get(f"{pages}/s/talk/", follow_redirects=True).text
        with talk.worker():
            wait_until(lambda: is_ready(talk), 60)
            page = httpx.get(f"{pages}/s/talk/", follow_redirects=True)
            assert 'data-stage="entry"' in page.text


def test_the_whole_study_through_all_processes(talk):
    with talk.clock(), talk.worker(), talk.worker(), talk.pages() as pages:
        wait_until(lambda: is_ready(talk, 2), 60)
        done = talk.manage("simulate", "talk", "--participants", "12", "--seed", "1", "--url", pages, check=False)
        woken = wake_ups(talk)

    line = json.loads(done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0, (line, done.stderr)
    assert turns(talk, "failed") == turns(talk, "queued") == 0
    workers = {name for (name,) in talk.ask("SELECT DISTINCT worker FROM inference_attempt")}
    assert len(workers) >= 2
    assert all(woken.values()), woken
    assert len(woken) == 2


def wake_ups(installation) -> dict[str, int]:
    """How often each worker was told that somebody waits."""
    command = [str(BIN / "celery"), "-A", "evalsite", "inspect", "stats", "--json", "--timeout", "5"]
    done = subprocess.run(command, cwd=ROOT, env=installation.environment, capture_output=True, text=True, timeout=60)
    stats = json.loads(done.stdout)
    return {
        name: worker["total"].get("inference.tasks.wake", 0)
        for name, worker in stats.items()
        if name.startswith("answers")
    }


def test_a_worker_that_cannot_find_its_model_says_so(talk):
    with talk.worker(EVALSITE_ANSWERS="nobody") as worker:
        assert worker.wait(30) != 0

    assert re.search(r"EVALSITE_ANSWERS names nobody, unknown here\. Known are: .*tiny", talk.log("celery"))
