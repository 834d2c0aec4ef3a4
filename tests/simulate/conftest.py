import json
from dataclasses import dataclass
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import override_settings
from pytest_django.live_server_helper import LiveServer

from accounts.models import User
from ratings.models import Study
from tests.reports.people import make_study

PEOPLE, EFFECT = 24, 2.0


@dataclass
class Run:
    """A dry run that is over: what the command printed, and how it ended."""

    summary: dict
    progress: str
    status: int


def simulate(server: str, slug: str, **options) -> Run:
    out, err, status = StringIO(), StringIO(), 0
    arguments = {"participants": 4, "seed": 1} | options
    try:
        call_command("simulate", slug, url=server, stdout=out, stderr=err, **arguments)
    except SystemExit as ended:
        status = ended.code
    return Run(json.loads(out.getvalue() or "{}"), err.getvalue(), status)


@pytest.fixture(scope="module")
def server(django_db_setup, django_db_blocker):
    """A real server of its own threads, and a database whose rows stay until the module is through."""
    plain = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
    with django_db_blocker.unblock(), override_settings(STORAGES=settings.STORAGES | plain):
        live = LiveServer("localhost")
        try:
            yield live.url
        finally:
            live.stop()
            call_command("flush", verbosity=0, interactive=False)


@pytest.fixture(scope="module")
def run(server) -> Run:
    make_study(User.objects.create_user("ada"), slug="dry", items=8, items_each=4)
    return simulate(
        server, "dry", participants=PEOPLE, seed=11, effect=EFFECT, mix={"careful": 16, "fast": 3, "dropout": 5}
    )


@pytest.fixture(scope="module")
def small_study(server, run) -> str:
    make_study(User.objects.get(username="ada"), slug="again", items=6, items_each=2)
    return "again"


@pytest.fixture
def study(db, run) -> Study:
    return Study.objects.get(slug="dry")
