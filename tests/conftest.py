import pytest


@pytest.fixture(autouse=True)
def plain_static_files(settings):
    """Static addresses without a manifest, which only `collectstatic` makes."""
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }
