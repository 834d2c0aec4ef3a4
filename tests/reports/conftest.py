import pytest

from accounts.models import User
from tests.reports.people import make_study


@pytest.fixture
def owner(db):
    return User.objects.create_user("ada")


@pytest.fixture
def study(owner):
    return make_study(owner)
