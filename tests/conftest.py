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
