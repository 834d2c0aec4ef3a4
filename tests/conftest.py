import os
import tempfile

# Before Django reads its settings: tests leave a checkout's own data alone.
os.environ.setdefault("EVALSITE_DATA", tempfile.mkdtemp(prefix="evalsite-tests-"))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


@pytest.fixture(autouse=True)
def plain_static_files(settings):
    """Static addresses without a manifest, which only `collectstatic` makes."""
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix):
    """A file, as in real life: in memory, SQLite locks whole tables between threads."""
    from django.conf import settings
    from django.db import connections

    connections["default"].settings_dict["TEST"]["NAME"] = str(settings.DATA_DIR / "tests.sqlite3")
