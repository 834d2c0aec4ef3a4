"""Which processes may run with which services."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from evalsite import mixtures


@pytest.fixture(autouse=True)
def apart(monkeypatch):
    monkeypatch.setattr(mixtures, "one_process", False)


def test_pages_alone_need_redis(settings):
    settings.REDIS_URL = ""
    with pytest.raises(ImproperlyConfigured, match="EVALSITE_REDIS_URL"):
        mixtures.refuse_pages_alone()

    settings.REDIS_URL = "redis://localhost:6379/0"
    mixtures.refuse_pages_alone()


def test_pages_beside_their_models_need_nothing(settings, monkeypatch):
    settings.REDIS_URL = ""
    monkeypatch.setattr(mixtures, "one_process", True)

    mixtures.refuse_pages_alone()


def test_several_processes_of_a_server_need_a_database_server(settings):
    settings.REDIS_URL, settings.PRODUCTION, settings.DATABASE_URL = "redis://localhost:6379/0", True, ""
    for refuse in (mixtures.refuse_pages_alone, mixtures.refuse_a_shared_file):
        with pytest.raises(ImproperlyConfigured, match="EVALSITE_DATABASE_URL"):
            refuse()

    settings.DATABASE_URL = "postgresql://localhost/study"
    mixtures.refuse_pages_alone()


@pytest.mark.parametrize("name", ["REDIS_URL", "DATABASE_URL"])
def test_the_quickstart_wants_no_company(settings, name):
    setattr(settings, name, "redis://localhost")
    with pytest.raises(ImproperlyConfigured, match="one process"):
        mixtures.refuse_company()
