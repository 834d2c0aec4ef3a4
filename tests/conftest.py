import pytest

from ratings.path import served


@pytest.fixture(autouse=True)
def plain_static_files(settings):
    """Static addresses without a manifest, which only `collectstatic` makes."""
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    """Hashing that is slow on purpose would be half the time of the suite."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def notes_are_written_at_once(monkeypatch):
    """Else the thread that notes served pages would write when their test, and its database, are gone."""
    monkeypatch.setattr(served.Notebook, "add", lambda self, note: served.write([note]))
