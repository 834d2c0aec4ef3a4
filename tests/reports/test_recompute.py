"""The scripts in the data package, run as a reviewer would run them."""

import io
import json
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from ratings.frames import pool_of
from reports.package import write_package
from tests.reports.people import make_study, take_part

PYTHON = pytest.param(lambda folder: [sys.executable, folder / "analysis/recompute.py"], id="python")
R = pytest.param(
    lambda folder: ["Rscript", "--vanilla", folder / "analysis/recompute.R"], id="r", marks=pytest.mark.services
)
both_scripts = pytest.mark.parametrize("script", [PYTHON, R])


@pytest.fixture
def unpacked(tmp_path):
    def unpack(study):
        file = io.BytesIO()
        write_package(pool_of(study), None, file)
        zipfile.ZipFile(file).extractall(tmp_path / "package")
        return tmp_path / "package"

    return unpack


def run(script, folder):
    return subprocess.run(list(map(str, script(folder))), capture_output=True, text=True, timeout=120, check=False)


def numbers(output):
    lines = [line.split(",") for line in output.splitlines() if line.count(",") >= 3]
    return {label: (ours, theirs) for label, ours, theirs, *_ in lines[1:]}


def scattered(seed, missing=0.05):
    rng = np.random.default_rng(seed)

    def score(item, arm, criterion):
        drawn = 5 + int(item[-2:]) % 4 + (arm == "rowan") + rng.normal(0, 1.5)
        return None if rng.random() < missing else int(np.clip(round(drawn), 1, 10))

    return score


@both_scripts
def test_every_headline_number_is_found_again(owner, unpacked, script):
    study = make_study(owner, arms=("aspen", "linden", "rowan"), items=12)
    for seed in range(9):
        take_part(study, scattered(seed))

    done = run(script, unpacked(study))

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("All numbers agree.\n")
    found = numbers(done.stdout)
    for name in (
        "empathy_support linden mean",
        "fluency_quality rowan intervals naive_t high",
        "empathy_support aspen intervals participant_cr1 se",
        "empathy_support linden intervals two_way df",
        "empathy_support rowan - aspen difference",
        "fluency_quality rowan - linden intervals two_way low",
        "fluency_quality linden - aspen tests paired_t p",
    ):
        ours, theirs = found[name]
        assert float(ours) == pytest.approx(float(theirs), rel=1e-9)


@both_scripts
def test_arms_rated_by_different_people_have_no_pairs(owner, unpacked, script):
    study = make_study(owner, items=1)
    for seed in range(6):
        take_part(study, scattered(seed, missing=0))

    done = run(script, unpacked(study))

    assert done.returncode == 0, done.stdout + done.stderr
    found = numbers(done.stdout)
    assert found["empathy_support rowan - linden intervals paired"] == ("not estimable", "not estimable")
    assert found["empathy_support linden intervals two_way"] == ("not estimable", "not estimable")


@both_scripts
@pytest.mark.parametrize("people", [0, 1, 2])
def test_what_cannot_be_estimated_is_so_in_both(study, unpacked, script, people):
    for _ in range(people):
        take_part(study, lambda *_: 7)

    done = run(script, unpacked(study))

    assert done.returncode == 0, done.stdout + done.stderr


@both_scripts
@pytest.mark.parametrize("name", ["two_way", "participant_cr1", "naive_t"])
def test_a_number_that_differs_by_more_than_a_billionth_is_shown(study, unpacked, script, name):
    for seed in range(4):
        take_part(study, scattered(seed))
    folder = unpacked(study)
    report = json.loads((folder / "report.json").read_text())
    report["criteria"]["empathy_support"]["arms"]["linden"]["intervals"][name]["se"] *= 1 + 2e-9
    (folder / "report.json").write_text(json.dumps(report))

    done = run(script, folder)

    assert done.returncode == 1
    assert re.findall("^(.*?),.*DIFFERS$", done.stdout, re.MULTILINE) == [f"empathy_support linden intervals {name} se"]
    assert "1 numbers differ." in done.stdout


@both_scripts
def test_a_report_that_holds_no_results_yet_is_told_in_a_sentence(study, unpacked, script):
    folder = unpacked(study)
    report = json.loads((folder / "report.json").read_text())
    del report["criteria"]
    (folder / "report.json").write_text(json.dumps(report))

    done = run(script, folder)

    assert done.returncode == 0
    assert done.stdout.startswith("The report holds no results")
    assert done.stdout.count("\n") == 1


def test_the_description_names_every_column_of_every_table(study, unpacked):
    take_part(study)
    folder = unpacked(study)

    description = json.loads((folder / "dataset_description.json").read_text())

    assert (description["@type"], description["name"]) == ("Dataset", "Small study")
    assert description["description"]
    measured = {variable["name"] for variable in description["variableMeasured"]}
    assert len(measured) == len(description["variableMeasured"])
    for table in ("ratings_long", "ratings_wide", "participants", "events", "checks"):
        assert set((folder / f"{table}.csv").read_text().splitlines()[0].split(",")) <= measured


def test_a_copy_has_the_names_of_psych_ds(study, unpacked, tmp_path):
    take_part(study)
    folder, copy = unpacked(study), tmp_path / "copy"
    script = [sys.executable, str(folder / "analysis/psych_ds.py"), str(copy)]

    assert subprocess.run(script, check=False, capture_output=True).returncode == 0

    assert (copy / "dataset_description.json").exists()
    names = sorted(path.name for path in (copy / "data").iterdir())
    assert all(re.fullmatch(r"([a-z]+-[a-zA-Z0-9]+_)+data\.csv", name) for name in names)
    ratings = copy / "data" / "study-small_description-ratingsLong_data.csv"
    assert ratings.read_bytes() == (folder / "ratings_long.csv").read_bytes()
    assert subprocess.run(script, check=False, capture_output=True).returncode == 1
