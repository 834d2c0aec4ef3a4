"""R's answers for real and simulated studies: every value that we compute, to nine digits or more."""

import csv
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from reports.longcsv import report_from_csv
from reports.statistics.comparison import compare, hedges_j, participant_means, welch_difference
from reports.statistics.estimation import describe_arm
from reports.statistics.table import tables_from_columns

REFERENCE = Path(__file__).parents[2].parent / "shared" / "reference-data"
STUDIES = ("mathconverse", "squality", "sim_crossed", "sim_seedshape")

pytestmark = pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference data is not beside this checkout")


def near(value):
    return pytest.approx(value, rel=1e-9, abs=1e-300)


@cache
def study(name):
    rows = list(csv.DictReader((REFERENCE / f"{name}.csv").open(newline="")))
    columns = ([row[key] for row in rows] for key in ("participant_id", "item_id", "arm", "criterion"))
    tables = tables_from_columns(*columns, [float(row["rating"]) if row["rating"] else None for row in rows])
    return tables, json.loads((REFERENCE / f"{name}.reference.json").read_text())


def cases(part):
    """Every criterion with every arm (or pair of arms) of every study."""
    if not REFERENCE.is_dir():
        return []
    return [
        pytest.param(name, criterion, place, id=f"{name}-{criterion}-{place}")
        for name in STUDIES
        for criterion, found in (dict(study(name)[1][part]) if study(name)[1][part] else {}).items()
        for place in (found if isinstance(found, dict) else range(len(found)))
    ]


@pytest.fixture
def arm(name, criterion, place):
    tables, reference = study(name)
    return describe_arm(tables[criterion], place, reference["scale"]), reference["summary"][criterion][place]


@pytest.fixture
def contrast(name, criterion, place):
    tables, reference = study(name)
    expected = reference["contrasts"][criterion][place]
    return compare(tables[criterion], expected["a"], expected["b"]), expected


@pytest.mark.parametrize(("name", "criterion", "place"), cases("summary"))
class TestArms:
    @pytest.mark.parametrize(
        ("ours", "theirs"),
        [
            ("n_ratings", "n"),
            ("n_participants", "participants"),
            ("n_items", "items"),
            ("mean", "mean"),
            ("sd", "sd"),
            ("median", "median"),
            ("q1", "q1"),
            ("q3", "q3"),
            ("share_at_max", "share_at_max"),
            ("design_effect", "design_effect"),
            ("effective_n", "effective_n"),
        ],
    )
    def test_it_describes_the_ratings_as_r_does(self, arm, ours, theirs):
        got, expected = arm
        assert got[ours] == near(expected[theirs])

    def test_it_counts_each_point(self, arm):
        got, expected = arm
        assert {point: n for point, n in got["counts"].items() if n} == expected["counts"]

    def test_the_naive_interval(self, arm):
        interval, expected = arm[0]["intervals"]["naive_t"], arm[1]["naive_t"]
        assert [interval[key] for key in ("se", "low", "high")] == near([expected[key] for key in ("se", "lo", "hi")])

    def test_the_participant_clustered_interval(self, arm):
        interval, expected = arm[0]["intervals"]["participant_cr1"], arm[1]["cluster"]
        got = [interval[key] for key in ("se", "df", "low", "high")]
        assert got == near([expected[key] for key in ("CR1", "df", "lo", "hi")])

    def test_the_two_way_standard_error(self, arm):
        interval, expected = arm[0]["intervals"]["two_way"], arm[1]["two_way"]
        assert [interval["se"], interval["df"]] == near([expected["se_component"], expected["df"]])
        assert not interval["floored"]


@pytest.mark.parametrize(("name", "criterion", "place"), cases("contrasts"))
class TestContrasts:
    def test_the_difference_of_pooled_means(self, contrast):
        got, expected = contrast
        assert got["design"] == "paired"
        assert got["difference"] == near(expected["raw_diff_b_minus_a"])

    def test_the_paired_interval_and_test(self, contrast):
        expected = contrast[1]["paired_participant"]
        interval, test = contrast[0]["intervals"]["paired"], contrast[0]["tests"]["paired_t"]
        got = [interval[key] for key in ("estimate", "se", "df", "low", "high")]
        assert got == near([expected[key] for key in ("mean", "se", "df", "lo", "hi")])
        assert [test[key] for key in ("t", "df", "p")] == near([expected[key] for key in ("t", "df", "p")])

    def test_the_clustered_standard_errors(self, contrast):
        got, expected = contrast[0]["intervals"], contrast[1]["ols"]
        one_way, two_way = got["participant_cr1"], got["two_way"]
        assert [one_way["estimate"], one_way["se"], one_way["df"]] == near([expected[k] for k in ("b", "CR1", "df")])
        assert two_way["se"] == near(expected["two_way"]["se_component"])
        assert two_way["df"] == expected["two_way"]["df"]

    def test_the_effect_sizes(self, contrast):
        got, paired, cliff = contrast[0]["effect_sizes"], contrast[1]["paired_participant"], contrast[1]["cliff_b_vs_a"]
        assert [got[key] for key in ("d_z", "g_z", "d_av", "g_av")] == near(
            [paired[key] for key in ("dz", "gz", "d_av", "g_av")]
        )
        assert [got["cliffs_delta"], got["prob_superiority"]] == near([cliff["delta"], cliff["A"]])

    def test_welch_on_participant_means(self, contrast, name, criterion):
        """No paired study offers it, but the arithmetic is R's."""
        table, expected = study(name)[0][criterion], contrast[1]["welch_participant_means"]
        means = [participant_means(table, contrast[1][arm]) for arm in ("a", "b")]
        interval, test = welch_difference(*(m[~np.isnan(m)] for m in means), spread=1.0)
        got = [interval["estimate"], interval["df"], interval["low"], interval["high"], test["t"], test["p"]]
        assert got == near([expected[key] for key in ("diff", "df", "lo", "hi", "t", "p")])


@pytest.mark.parametrize("name", STUDIES)
def test_the_report_of_a_file_has_the_same_numbers(name):
    tables, reference = study(name)
    report = report_from_csv(REFERENCE / f"{name}.csv", reference["scale"])

    for criterion, arms in reference["summary"].items():
        assert report["criteria"][criterion]["arms"] == {
            arm: describe_arm(tables[criterion], arm, reference["scale"]) for arm in arms
        }
    assert json.dumps(report, allow_nan=False)


def test_the_exact_small_sample_factor():
    for case in json.loads((REFERENCE / "textbook.reference.json").read_text())["hedges_J"]:
        assert hedges_j(case["df"]) == near(case["J"])
