import pytest
from django.test import Client

from accounts.models import User
from ratings.models import Study
from ratings.studyfile import publishing
from tests.factories import UserFactory, published_study, replies_csv, study_source


@pytest.fixture
def owner(db) -> User:
    return UserFactory(username="owner")


@pytest.fixture
def desk(owner) -> Client:
    """The owner's browser."""
    client = Client()
    client.force_login(owner)
    return client


@pytest.fixture
def stranger(db) -> Client:
    """The browser of another researcher."""
    client = Client()
    client.force_login(UserFactory(username="stranger"))
    return client


@pytest.fixture
def study(owner) -> Study:
    return published_study(owner)


@pytest.fixture
def drafted(owner) -> Study:
    """A study that was never published."""
    return draft_of(owner, "drafted")


def draft_of(owner: User, slug: str, **changes) -> Study:
    """Keep a study file as the draft of its study."""
    replies = replies_csv()
    return publishing.load(study_source(slug, **changes), "study.yaml", lambda name: replies, owner).study


CHAT = {
    "mode": "chat",
    "replies": None,
    "arms": [
        {"key": "linden", "model": "smollm2-135m", "system": "You listen."},
        {"key": "rowan", "model": "smollm2-135m", "system": "You answer."},
    ],
    "items": [{"key": f"situation-{n}", "scenario": f"You are in situation {n}."} for n in range(8)],
    "design": {"items_each": 2, "arms": "within", "items_are": "random"},
    "checks": [],
}
