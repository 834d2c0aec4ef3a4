"""Small studies and people for tests. `published_study()` goes through the real reading and publishing of a file."""

import csv
import io
from typing import Any

import factory
from factory.django import DjangoModelFactory
from ruamel.yaml import YAML

from accounts.models import User
from ratings import codes
from ratings.models import Invitation, Study
from ratings.studyfile import publishing

ARMS = [{"key": "linden"}, {"key": "rowan"}]


class UserFactory(DjangoModelFactory):
    username = factory.Sequence(lambda n: f"researcher{n}")
    password = factory.django.Password("a long enough password")

    class Meta:
        model = User


def study_source(slug: str = "small-study", **changes: Any) -> bytes:
    """The file of a small study of stored replies: two arms, two criteria, a check after the second of four replies.

    `changes` replace whole blocks of it; None leaves a block out.
    """
    study: dict[str, Any] = {
        "format": 1,
        "slug": slug,
        "title": "How supportive are these replies?",
        "mode": "stored",
        "locales": ["en"],
        "contact": "team@example.org",
        "minutes": 5,
        "target": 20,
        "consent": {
            "version": "1",
            "summary": "You will rate four replies.\nYou can stop at any time.",
            "text": "This is the full information.\n\nIt has a second paragraph.",
            "ticks": ["take_part", "sensitive", "quotes", "training"],
        },
        "replies": "replies.csv",
        "scale": {"min": 1, "max": 10},
        "criteria": [
            {
                "key": "empathy_support",
                "label": "Empathy and Support",
                "question": "How supportive is this reply?",
                "definition": "It takes the person's feelings seriously.",
                "low": "Not at all",
                "high": "Extremely",
            },
            {
                "key": "fluency_quality",
                "label": "Fluency and Response Quality",
                "question": "How well made is this reply?",
                "definition": "It is clear and complete.",
                "low": "Very poor",
                "high": "Excellent",
            },
        ],
        "arms": ARMS,
        "design": {"items_each": 4, "arms": "within", "items_are": "random"},
        "checks": [{"after": 2, "text": "Please choose 3 here.", "answer": 3}],
        "exit_questions": [
            {"key": "field_of_study", "question": "What do you study?", "choices": ["arts", "sciences"]},
            {"key": "remarks", "question": "Anything else?", "kind": "text"},
        ],
    }
    study |= changes
    text = io.StringIO()
    YAML().dump({key: value for key, value in study.items() if value is not None}, text)
    return text.getvalue().encode()


def replies_csv(items: int = 6, arms: tuple[str, ...] = ("linden", "rowan")) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["item_id", "arm", "prompt", "reply"])
    for item in range(1, items + 1):
        for arm in arms:
            rows.writerow([f"item-{item}", arm, f"Worry number {item}.", f"An answer to {item}, of the {arm[0]} kind."])
    return text.getvalue().encode()


def published_study(
    owner: User | None = None, slug: str = "small-study", items: int = 6, state: str = "live", **changes: Any
) -> Study:
    """A study that people can take. Keyword arguments replace blocks of its file, as in `study_source`."""
    replies = replies_csv(items, tuple(arm["key"] for arm in changes.get("arms", ARMS)))
    version = publishing.load(
        study_source(slug, **changes),
        f"{slug}.yaml",
        lambda name: replies,
        owner or UserFactory(),
        publish_it=True,
    )
    study = version.study
    study.refresh_from_db()
    if study.state != state:
        Study.objects.filter(pk=study.pk).update(state=state)
        study.refresh_from_db()
    return study


def invitation(study: Study, kind: str = "real", **fields: Any) -> tuple[str, Invitation]:
    """An invitation's address and its row."""
    token, digest = codes.new_token()
    return f"/i/{token}/", Invitation.objects.create(study=study, token_hash=digest, kind=kind, **fields)
