"""Every word of our own can be translated, and pages mirror themselves for who reads from the right.

A made-up language turns each of our strings into ⟦string⟧, and the study marks its own texts as ‹text›: whatever
letters are left on a page were forgotten.
"""

import gettext
import re
from pathlib import Path

import pytest
from django.utils.translation import trans_real

from ratings.models import Visit
from tests.factories import published_study
from tests.path.page import read_page
from tests.path.person import Person

MADE_UP = "qq"
CODE = r"\b[A-Z0-9]{2,4}(-[A-Z0-9]{2,4})+\b"
REPLIES = r"Worry number \d+\.|An answer to \d+, of the \w kind\."
OURS_OR_THE_STUDYS = re.compile(rf"⟦[^⟦⟧]*⟧|‹[^‹›]*›|{CODE}|{REPLIES}|team@example\.org|UTC")


class MadeUp(gettext.NullTranslations):
    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧" if message else ""

    def ngettext(self, one: str, many: str, n: int) -> str:
        return f"⟦{one if n == 1 else many}⟧"

    def pgettext(self, context: str, message: str) -> str:
        return self.gettext(message)

    def to_language(self) -> str:
        return MADE_UP

    def language(self) -> str:
        return MADE_UP


@pytest.fixture
def made_up(monkeypatch):
    monkeypatch.setitem(trans_real._translations, MADE_UP, MadeUp())


def marked(**changes):
    """A study in the made-up language, each of whose texts is marked."""
    criterion = {"label": "‹label›", "question": "‹question›", "definition": "‹def›", "low": "‹low›", "high": "‹high›"}
    return published_study(
        locales=[MADE_UP],
        title="‹title›",
        instructions="‹instructions›",
        debrief="‹debrief›",
        practice={"prompt": "‹prompt›", "reply": "‹reply›", "feedback": "‹feedback›"},
        eligibility=[{"key": "adult", "question": "‹adult›"}],
        consent={
            "version": "1",
            "summary": "‹summary›",
            "text": "‹text›",
            "ticks": ["take_part", "sensitive", "quotes", "training"],
        },
        criteria=[{"key": key} | criterion for key in ("empathy_support", "fluency_quality")],
        checks=[{"after": 2, "text": "‹check›", "answer": 3}],
        exit_questions=[
            {"key": "field", "question": "‹field›", "choices": ["‹a›", "‹b›"], "optional": False},
            {"key": "remarks", "question": "‹remarks›", "kind": "text"},
        ],
        design={"items_each": 6, "arms": "within"},
        **changes,
    )


def forgotten(page) -> list[str]:
    """Words that were neither ours, translated, nor the study's."""
    spoken = re.sub(r'<[^>]*?(?:aria-label|title|alt|placeholder)="([^"]*)"[^>]*>', r" \1 ", page.html)
    text = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", spoken, flags=re.S)
    left = text.replace("&quot;", '"').replace("&#x27;", "'")
    for _ in range(3):  # a text of the study inside one of ours
        left = OURS_OR_THE_STUDYS.sub(" ", left)
    return re.findall(r"[A-Za-z]{3,}", left)


def every_page(person):
    """Each page of the path, with each of its faults."""
    yield person.get()
    yield person.go_to("eligibility")
    yield person.post({})
    yield person.go_to("consent")
    yield person.post({})
    yield person.go_to("instructions")
    yield person.go_to("practice")
    yield person.post({})
    yield person.post({"empathy_support": "7", "fluency_quality": "4"})
    first = person.go_to("rate")
    yield first
    yield person.post({"comment": "\0", "unknown": "7"})
    yield person.post({"empathy_support": ["7", "7"]})
    yield person.post({"empathy_support": "7", "fluency_quality": "4", "page_time": "no"})
    yield person.rate()
    yield person.post({"empathy_support": "7", "fluency_quality": "4"}, page=first)
    yield person.rate(comment="‹x›")
    yield person.get("/s/small-study/rate/1/")
    yield person.get("/s/small-study/leave/")
    yield person.post(action="delete")
    yield person.go_to("exit")
    yield person.post({}, action="finish")
    yield person.post({"field": "‹a›"}, action="finish")
    yield person.post({"feeling_now": "good"})
    yield person.post({"feeling_now": "not_good"})
    yield person.get("/s/small-study/leave/")


def other_ends(study):
    declined, screened = Person(study), Person(study)
    declined.go_to("consent")
    yield declined.post(action="decline")
    screened.go_to("eligibility")
    yield screened.post({"adult": "no"})
    for outcome in ("quota_full", "withdrew", "safety_stop", "technical"):
        ended = Person(study)
        ended.go_to("instructions")
        ended.visit.end(outcome)
        yield ended.get()


def test_no_string_of_ours_is_left_untranslated(db, made_up):
    study = marked()
    person = Person(study)

    for page in [*every_page(person), *other_ends(study)]:
        assert not forgotten(page), (page.address, forgotten(page))


def test_also_where_the_study_is_not_open(db, made_up, client):
    study = marked()
    for state in ("paused", "closed", "draft"):
        study.state = state
        study.save()
        page = read_page(client.get("/s/small-study/"))
        assert not forgotten(page), forgotten(page)


@pytest.mark.parametrize("language", ["ar", "he", "fa", "ur"])
def test_pages_read_from_the_right_where_people_do(db, language):
    study = published_study(locales=[language])
    person = Person(study)

    for stage in ("eligibility", "consent", "instructions", "practice", "rate", "exit", "debrief"):
        assert f'<html lang="{language}" dir="rtl">' in person.go_to(stage).html
    assert Visit.objects.get().direction == "rtl"


def test_the_studys_texts_choose_their_own_direction(person):
    page = person.go_to("rate")

    assert page.html.count('dir="auto"') >= 4


def test_styles_know_no_left_and_right():
    css = Path("ratings/static/ratings/participant.css").read_text()
    assert not re.search(r"(margin|padding|border|inset)?-?\b(left|right)\b\s*:", css)
    assert not re.search(r"text-align:\s*(left|right)|float:\s*(left|right)", css)
