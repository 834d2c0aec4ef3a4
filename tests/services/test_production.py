"""The processes of production, on a real PostgreSQL and a real Redis."""

import json
import re
import subprocess

import httpx
import pytest

from tests.services.conftest import BIN, ROOT, wait_until

pytestmark = pytest.mark.services


def test_a_worker_loads_its_models_at_the_start_and_pages_know(talk):
    with talk.pages() as pages:
        assert 'data-stage="preparing"' in httpx.get(f"{pages}/s/talk/", follow_redirects=True).text
        with talk.worker():
            wait_until(lambda: talk.is_ready(), 60)
            page = httpx.get(f"{pages}/s/talk/", follow_redirects=True)
            assert 'data-stage="entry"' in page.text


def test_the_whole_study_through_all_processes(talk):
    with talk.clock(), talk.worker(), talk.worker(), talk.pages() as pages:
        wait_until(lambda: talk.is_ready(workers=2), 60)
        done = talk.manage("simulate", "talk", "--participants", "12", "--seed", "1", "--url", pages, check=False)
        woken = wake_ups(talk)

    line = json.loads(done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0, (line, done.stderr)
    assert talk.turns("failed") == talk.turns("queued") == 0
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
