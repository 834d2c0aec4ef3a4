"""The page about the models: for all researchers, with the arms of one's own studies only."""

import pytest

from inference import answering
from inference.engines.scripted import ScriptedEngine
from inference.models import Turn
from tests.desk.conftest import CHAT, draft_of

PAGE = "/studies/-/models/"


@pytest.fixture
def answered(desk, owner):
    prompts = [{"key": f"worry-{n}", "prompt": f"Worry {n}."} for n in range(8)]
    draft_of(owner, "made-later", **CHAT | {"mode": "stored", "items": prompts})
    desk.post("/studies/made-later/publish/", {"opening": "pilot"})
    for turn in Turn.objects.open()[:4]:
        answering.answer(turn.pk, "w", ScriptedEngine(["A reply of the model."]))


def test_without_workers_and_replies_the_page_says_so(desk):
    page = desk.get(PAGE).content.decode()

    assert "No worker has been heard of" in page
    assert "Nothing waits" in page
    assert "No reply was tried in the last hour." in page


def test_strangers_sign_in_first(client, db):
    assert client.get(PAGE).status_code == 302


def test_a_researcher_sees_their_arms(desk, answered):
    page = desk.get(PAGE).content.decode()

    assert "made-later" in page
    assert "linden" in page
    assert "A reply of the model." not in page


def test_nobody_sees_the_arms_of_others_but_how_many_tries_there_were(stranger, answered):
    page = stranger.get(PAGE).content.decode()

    assert "made-later" not in page
    assert "linden" not in page
    assert "4 more tries" in page


def test_htmx_gets_the_figures_alone(desk):
    assert "<html" not in desk.get(PAGE, headers={"hx-request": "true"}).content.decode()


def test_the_page_costs_few_queries(desk, answered, django_assert_max_num_queries):
    with django_assert_max_num_queries(14):
        desk.get(PAGE)
