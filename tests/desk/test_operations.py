"""The page about the models: for all researchers, with the arms of one's own studies only."""

from datetime import timedelta

import pytest
from django.utils import timezone

from inference import answering
from inference.engines.scripted import ScriptedEngine
from inference.models import Attempt, Turn
from ratings.desk.operations import WINDOWS
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
    assert "No reply was tried." in page


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


@pytest.mark.parametrize(("query", "heading"), [("", "The last hour"), ("?window=7d", "The last 7 days")])
def test_the_window_of_time_is_chosen_by_a_link(desk, query, heading):
    page = desk.get(PAGE + query).content.decode()

    assert f"{heading}, by model" in page
    assert 'href="?window=all"' in page
    assert page.count('aria-current="true"') == 1


@pytest.mark.parametrize("window", ["2h", "", "1h;"])
def test_a_window_that_does_not_exist_is_not_there(desk, window):
    assert desk.get(PAGE, {"window": window}).status_code == 404


def test_each_window_counts_what_was_tried_in_it(desk, answered):
    Attempt.objects.update(claimed_at=timezone.now() - timedelta(days=2))

    tries = {key: [line.ends.tries for line in desk.get(PAGE, {"window": key}).context["arms"]] for key in WINDOWS}

    assert tries == {"15m": [], "1h": [], "24h": [], "7d": [2, 2], "all": [2, 2]}


def test_the_page_renews_itself_with_its_window(desk):
    assert f'hx-get="{PAGE}?window=15m" hx-trigger="every 10s"' in desk.get(PAGE, {"window": "15m"}).content.decode()
    assert f'hx-get="{PAGE}?window=all" hx-trigger="every 60s"' in desk.get(PAGE, {"window": "all"}).content.decode()


def test_all_windows_cost_as_many_queries(desk, answered, django_assert_max_num_queries):
    with django_assert_max_num_queries(14):
        desk.get(PAGE, {"window": "all"})
