import json

import pytest
from django.core.management import CommandError, call_command

from tests.reports.people import make_study, take_part

CSV = "participant_id,item_id,arm,criterion,rating\na,i,x,c,3\na,j,y,c,5\nb,i,x,c,4\nb,j,y,c,\n"


def run(capsys, *args):
    call_command("report", *args)
    return capsys.readouterr().out


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(CSV)
    return str(path)


def test_a_study_as_json(study, capsys):
    take_part(study)

    report = json.loads(run(capsys, "small", "--json"))

    assert report["criteria"]["empathy_support"]["arms"]["linden"]["mean"] == 7


def test_a_study_as_a_table(study, capsys):
    take_part(study, lambda item, arm, criterion: 4 if arm == "linden" else 6)

    text = run(capsys, "small")

    assert "1 completed" in text
    assert "4.00" in text


def test_kinds_by_option(study, capsys):
    take_part(study, kind="synthetic")

    assert json.loads(run(capsys, "small", "--json"))["flow"]["arrived"] == 0
    assert json.loads(run(capsys, "small", "--json", "--synthetic"))["flow"]["arrived"] == 1


def test_a_bare_csv(csv, capsys):
    report = json.loads(run(capsys, "--csv", csv, "--scale", "1", "10", "--json"))

    assert report["criteria"]["c"]["arms"]["x"]["mean"] == 3.5
    assert report["criteria"]["c"]["arms"]["y"]["missing"] == 1
    assert "flow" not in report
    assert "3.50" in run(capsys, "--csv", csv, "--scale", "1", "10")


def test_an_earlier_design_by_its_version(owner, study, capsys):
    take_part(study)
    make_study(owner, items=9)

    assert json.loads(run(capsys, "small", "--json"))["flow"]["arrived"] == 0
    assert json.loads(run(capsys, "small", "--json", "--study-version", "1"))["flow"]["arrived"] == 1


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["nowhere"], 1, "no study called 'nowhere'"),
        (["small", "--study-version", "9"], 1, "no published version 9"),
        (["--csv", "missing.csv", "--scale", "1", "10"], 1, "missing.csv"),
        ([], 2, "Name a study"),
        (["small", "--csv", "x.csv", "--scale", "1", "10"], 2, "Name a study"),
        (["--csv", "x.csv"], 2, "--scale"),
        (["small", "--pilot", "--synthetic"], 1, "not allowed"),
    ],
)
def test_what_cannot_be_reported_is_said(study, args, code, words):
    with pytest.raises(CommandError, match=words) as refused:
        call_command("report", *args)

    assert refused.value.returncode == code


def test_every_bad_line_of_a_csv_is_named(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("participant_id,item_id,arm,criterion,rating\na,i,x,c,11\na,i,x,c,abc\n")

    with pytest.raises(CommandError) as refused:
        call_command("report", "--csv", str(path), "--scale", "1", "10")

    assert ":2:" in str(refused.value)
    assert ":3:" in str(refused.value)
