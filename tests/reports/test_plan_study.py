import json

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from tests.reports.people import make_study, take_part


def run(capsys, *args):
    call_command("plan_study", *args)
    return capsys.readouterr().out


def planned(capsys, *args):
    return json.loads(run(capsys, *args, "--json"))


def moody(person):
    """Ratings that vary between people, items, and otherwise."""
    chance = np.random.default_rng(person)
    mood = chance.normal(0, 1)
    return lambda item, arm, criterion: int(
        np.clip(round(5.5 + mood + int(item[-2:]) % 3 * 0.5 + chance.normal(0, 1)), 1, 10)
    )


@pytest.fixture
def piloted(study):
    for person in range(12):
        take_part(study, moody(person), kind="pilot")
    return study


@pytest.fixture
def csv(tmp_path):
    rng = np.random.default_rng(3)
    rows = [
        f"p{p:02},i{i:02},{arm},{criterion},{rng.integers(4, 10)}"
        for p in range(12)
        for i in range(8)
        for arm in ("x", "y")
        for criterion in ("warm", "clear")
    ]
    path = tmp_path / "pilot.csv"
    path.write_text("\n".join(["participant_id,item_id,arm,criterion,rating", *rows]))
    return str(path)


def test_the_contract_as_json(capsys):
    result = planned(capsys, "--participants", "100", "--items", "24")

    assert (result["participants"], result["items"], result["items_each"]) == (100, 24, 24)
    assert result["components"]["participant_arm"] == 0.15
    assert result["power"] == pytest.approx(result["power_closed_form"], abs=0.02)
    assert result["components_from"]["source"] == "defaults"


def test_the_answer_in_words(capsys):
    said = run(capsys, "--participants", "100", "--items", "24", "--items-each", "8")

    assert "With 100 participants × 24 items you will find a difference of 0.3 with 9" in said
    assert "For 80 % power, 51 participants are enough with 24 items." in said
    assert "items \\ participants" in said


def test_deviations_can_be_given(capsys):
    narrow, wide = (
        planned(capsys, "--participants", "40", "--items", "12", "--sd-residual", sd)["half_width"]
        for sd in ("0.5", "3")
    )

    assert wide > 2 * narrow


def test_an_item_in_both_arms_or_in_one(capsys):
    args = ("--participants", "40", "--items", "12", "--items-each", "6")

    assert planned(capsys, *args)["ratings_each"] == 6
    assert planned(capsys, *args, "--each-item-in", "both-arms")["ratings_each"] == 12


def test_a_study_gives_its_design_and_its_pilots_deviations(piloted, capsys):
    result = planned(capsys, "--from-study", "small", "--pilot")

    assert (result["participants"], result["items"], result["items_each"]) == (100, 8, 8)
    assert result["each_item_in"] == "one arm"
    assert result["components"]["participant"] > 0.5
    assert result["components_from"]["n_participants"] == 12
    assert result["components_from"]["source"] == "pilot participants of small"


def test_what_is_given_goes_before_what_the_study_says(piloted, capsys):
    result = planned(
        capsys, "--from-study", "small", "--pilot", "--participants", "30", "--sd-residual", "1.25", "--arms", "between"
    )

    assert result["participants"] == 30
    assert result["arms"] == "between"
    assert result["components"]["residual"] == 1.25
    assert result["components_from"]["given"] == ["residual"]


def test_a_pair_of_three_arms_gets_two_thirds_of_the_ratings(owner, capsys):
    study = make_study(owner, slug="three", arms=("aspen", "birch", "cedar"), items=9)
    for person in range(9):
        take_part(study, moody(person))

    assert planned(capsys, "--from-study", "three")["items_each"] == 6


def test_a_csv_gives_deviations(csv, capsys):
    result = planned(
        capsys, "--participants", "40", "--items", "12", "--from-csv", csv, "--scale", "1", "10", "--criterion", "warm"
    )

    assert result["components"]["residual"] == pytest.approx(1.7, abs=0.3)
    assert result["components_from"]["criterion"] == "warm"


def test_arms_between_participants_leave_a_default_and_say_so(tmp_path, capsys):
    rng = np.random.default_rng(3)
    rows = [f"p{p:02},i{i},{'xy'[p % 2]},c,{rng.integers(4, 10)}" for p in range(12) for i in range(8)]
    path = tmp_path / "between.csv"
    path.write_text("\n".join(["participant_id,item_id,arm,criterion,rating", *rows]))

    args = ("--participants", "40", "--items", "12", "--from-csv", str(path), "--scale", "1", "10")

    assert planned(capsys, *args)["components"]["participant_arm"] == 0.15
    assert "the default stands in: participant by arm." in run(capsys, *args)


PLAN = ["--participants", "40", "--items", "12"]


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["--items", "12"], 2, "--participants"),
        ([*PLAN, "--from-csv", "x.csv"], 2, "--scale"),
        ([*PLAN, "--pilot"], 2, "--from-study"),
        ([*PLAN, "--criterion", "warm"], 2, "--from-study"),
        ([*PLAN, "--arms", "between", "--each-item-in", "both-arms"], 2, "nobody"),
        ([*PLAN, "--items-each", "13"], 1, "cannot rate 13 of 12"),
        ([*PLAN, "--difference", "nan"], 1, "the difference is nan"),
        ([*PLAN, "--sd-item", "inf"], 1, "item is inf"),
        ([*PLAN, "--from-study", "nowhere"], 1, "no study called 'nowhere'"),
        ([*PLAN, "--from-study", "small"], 1, "participants of small, empathy_support: .* two participants"),
        ([*PLAN, "--from-csv", "missing.csv", "--scale", "1", "10"], 1, "cannot be read"),
    ],
)
def test_what_cannot_be_planned_is_said(study, args, code, words):
    with pytest.raises(CommandError, match=words) as refused:
        call_command("plan_study", *args)

    assert refused.value.returncode == code


def test_a_file_of_several_criteria_wants_one_named(csv):
    with pytest.raises(CommandError, match="name one of clear, warm"):
        call_command("plan_study", *PLAN, "--from-csv", csv, "--scale", "1", "10")


def test_every_fault_is_told(db):
    with pytest.raises(CommandError) as refused:
        call_command("plan_study", "--participants", "1", "--items", "5", "--items-each", "9", "--studies", "0")

    assert str(refused.value).count("\n") == 2
