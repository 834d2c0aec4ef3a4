"""The page on which researchers plan a study."""

import json
import re

import numpy as np
import pytest
from django.urls import reverse

from accounts.models import User
from reports import planning
from reports.planning import DEVIATIONS
from reports.statistics.components import Components
from tests.reports.people import take_part

PAGE = "/studies/-/plan/"


@pytest.fixture
def desk(client, owner):
    client.force_login(owner)
    return client


def text(response):
    return re.sub(r"\s+", " ", response.content.decode())


def ask(desk, **numbers):
    given = {"participants": 100, "items": 24, "items_each": 8, "arms": "within", "difference": 0.3}
    return desk.get(PAGE, given | numbers)


def test_it_begins_with_a_plan(desk):
    response = desk.get(PAGE)

    assert "With 100 participants × 24 items you will find a difference of 0.3 with 9" in text(response)
    assert response.context["plan"]["studies"] == 500


def test_it_says_how_many_people_are_enough(desk):
    assert "For 80 % power, 51 participants are enough with 24 items." in text(ask(desk))


def test_its_table_holds_the_numbers_of_the_figure(desk):
    response = ask(desk)
    (data,) = re.findall(r'<script id="power" type="application/json">(.*?)</script>', response.content.decode(), re.S)

    assert [trace["name"] for trace in json.loads(data)["data"]] == [
        *("12 items", "24 items", "48 items", "96 items", "this plan, simulated")
    ]
    assert "<strong>93 %</strong>" in text(response)


def test_given_deviations_count(desk):
    assert ask(desk, sd_residual=3).context["plan"]["power"] < 0.5


def test_the_forms_defaults_are_those_of_the_planner():
    assert {name: default for name, (_, default, _) in DEVIATIONS.items()} == Components().as_json()


def test_a_margin_plans_equivalence(desk):
    assert "lie within 0.5 of each other" in text(ask(desk, margin=0.5))


def test_a_pilot_gives_the_deviations(desk, study):
    for person in range(10):
        chance = np.random.default_rng(person)
        mood = chance.integers(3, 7)
        take_part(study, lambda *_, chance=chance, mood=mood: int(mood + chance.integers(-2, 3)), kind="pilot")

    response = ask(desk, pilot="small:pilot")

    assert "estimated from 80 ratings of empathy_support by 10 participants" in text(response)
    assert response.context["plan"]["components"]["participant"] != 0.76


def test_a_study_without_ratings_is_no_pilot(desk, study):
    response = ask(desk, pilot="small:real")

    assert "two participants" in response.context["form"].errors["pilot"][0]
    assert "plan" not in response.context


def test_the_studies_of_others_are_not_offered(client, study):
    client.force_login(User.objects.create_user("eve"))

    assert "small:" not in text(client.get(PAGE))
    assert ask(client, pilot="small:pilot").context["form"].errors["pilot"]


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"items_each": 30}, "Each participant cannot rate 30 of 24 items."),
        ({"participants": 4, "items_each": 2}, "too few for every one of 24 items"),
        ({"participants": "x"}, "Enter a whole number."),
        ({"difference": "nan"}, "Enter a number."),
        ({"difference": "-1"}, "greater than or equal to"),
        ({"participants": 100_000, "items": 1000, "items_each": ""}, "too many for this page"),
        (
            {f"sd_{name}": 0 for name in ("participant", "item", "participant_arm", "item_arm", "residual")},
            "nothing is left to chance",
        ),
    ],
)
def test_what_cannot_be_planned_is_said_with_what_was_typed(desk, numbers, words):
    response = ask(desk, **numbers)

    assert response.status_code == 200
    assert words in text(response)
    assert "What this study will find" not in text(response)


def test_a_large_plan_simulates_fewer_studies(desk):
    assert planning.bounded_studies({"participants": 1000, "items": 100, "items_each": None, "margin": None}) == 40
    assert planning.bounded_studies({"participants": 100, "items": 24, "items_each": 8, "margin": 0.5}) == 500


def test_its_policy_is_as_strict_as_the_reports(desk):
    header = desk.get(PAGE).headers["Content-Security-Policy"]

    assert "unsafe" not in header
    assert "sha256-" in header


def test_who_is_not_signed_in_is_asked_to(client, db):
    assert client.get(PAGE).status_code == 302


def test_the_list_of_studies_leads_there(desk, study):
    assert reverse("reports:plan") == PAGE
    assert f'href="{PAGE}"' in desk.get("/studies/").content.decode()
