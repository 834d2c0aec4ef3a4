import pytest
from django.core.cache import cache

from tests.factories import published_study
from tests.path.person import Person


@pytest.fixture(autouse=True)
def no_wrong_tries_before():
    cache.clear()


@pytest.fixture
def study(db):
    return published_study()


@pytest.fixture
def person(study):
    return Person(study)
