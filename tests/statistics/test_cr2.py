"""CR2 standard errors: R's values, and matrices written out in full."""

import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.statistics.clustered import pooled_mean
from reports.statistics.cr2 import cr2_difference, cr2_mean, how_cr2
from reports.statistics.table import Table

from .test_reference import cases, near, study


@pytest.mark.parametrize(("name", "criterion", "place"), cases("summary"))
def test_the_reference_means(name, criterion, place):
    tables, reference = study(name)
    interval, expected = cr2_mean(tables[criterion], place), reference["summary"][criterion][place]

    assert [interval["estimate"], interval["se"], interval["df"]] == near(
        [expected["mean"], expected["cluster"]["CR2"]["se"], expected["cluster"]["CR2"]["df"]]
    )


@pytest.mark.parametrize(("name", "criterion", "place"), cases("contrasts"))
def test_the_reference_differences(name, criterion, place):
    tables, reference = study(name)
    expected = reference["contrasts"][criterion][place]
    interval = cr2_difference(tables[criterion], expected["a"], expected["b"])

    assert [interval[key] for key in ("estimate", "se", "df")] == near(
        [expected["ols"]["b"], expected["ols"]["CR2"]["se"], expected["ols"]["CR2"]["df"]]
    )


def in_full(rows, arms):
    """Estimate, SE and df with all matrices N x N, as Pustejovsky and Tipton (2018) define them."""
    people = np.array([row[0] for row in rows])
    y = np.array([row[3] for row in rows], float)
    design = np.array([[1.0] + [float(row[2] == arm) for arm in arms[1:]] for row in rows])
    bread = np.linalg.inv(design.T @ design)
    residual_maker = np.eye(len(rows)) - design @ bread @ design.T
    residuals, contrast = residual_maker @ y, np.eye(len(arms))[-1]
    variance, forms = 0.0, []
    for person in sorted(set(people)):
        here = people == person
        values, vectors = np.linalg.eigh(residual_maker[np.ix_(here, here)])
        adjust = vectors @ np.diag([value**-0.5 if value > 1e-9 else 0 for value in values]) @ vectors.T
        row = adjust @ design[here] @ bread @ contrast
        variance += (row @ residuals[here]) ** 2
        forms.append(residual_maker[:, here] @ row)
    products = np.array(forms) @ np.array(forms).T
    return contrast @ bread @ design.T @ y, variance**0.5, np.trace(products) ** 2 / (products**2).sum()


ROWS = st.lists(
    st.tuples(st.sampled_from("pqrst"), st.sampled_from("ij"), st.sampled_from("ab"), st.integers(1, 10)), max_size=25
)
# Two participants in each arm at least, who differ.
CORNERS = [("p", "i", "a", 2), ("q", "i", "a", 5), ("p", "i", "b", 3), ("r", "i", "b", 9)]


@given(ROWS)
def test_the_closed_forms_equal_the_matrices(rows):
    rows = [*CORNERS, *rows]
    table = Table.from_columns(*zip(*rows, strict=True))
    in_a = [row for row in rows if row[2] == "a"]
    for interval, expected in (
        (cr2_difference(table, "a", "b"), in_full(rows, "ab")),
        (cr2_mean(table, "a"), in_full(in_a, "a")),
    ):
        if "not_estimable" in interval:
            assert expected[1] < 1e-7
        else:
            assert [interval[key] for key in ("estimate", "se", "df")] == pytest.approx(expected, rel=1e-7)


def test_with_equal_numbers_of_ratings_it_is_cr1():
    rng = random.Random(2)
    rows = [(p, i, "a", rng.randint(1, 10)) for p in range(9) for i in range(4)]
    table = Table.from_columns(*zip(*rows, strict=True))
    interval, cr1 = cr2_mean(table, "a"), pooled_mean(table, {"a": 1}).participant_cr1()

    for key in ("se", "df", "low", "high"):
        assert interval[key] == pytest.approx(cr1[key])


def test_a_talkative_participant_costs_degrees_of_freedom():
    rng = random.Random(3)
    rows = [(p, i, "a", rng.randint(1, 10)) for p in range(12) for i in range(40 if p == 0 else 2)]
    table = Table.from_columns(*zip(*rows, strict=True))

    assert cr2_mean(table, "a")["df"] < 4 < pooled_mean(table, {"a": 1}).participant_cr1()["df"]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([("p", "i", "b", 3)], "there are no ratings"),
        ([("p", "i", "a", 3), ("p", "j", "a", 4)], "one participant alone does not show how participants differ"),
        ([("p", "i", "a", 3), ("q", "i", "a", 3)], "all ratings are equal, so their spread cannot be estimated"),
        (
            [(p, i, "a", value) for p in "pq" for i, value in (("i", 3), ("j", 5))],
            "the clusters do not differ at all, so the standard error would be zero",
        ),
    ],
)
def test_what_cannot_be_estimated(rows, reason):
    table = Table.from_columns(*zip(*rows, strict=True), arms=("a", "b"))

    assert cr2_mean(table, "a") == {"not_estimable": reason}
    assert "not_estimable" in cr2_difference(table, "a", "b")


def test_few_participants_are_warned_of():
    interval = cr2_difference(Table.from_columns(*zip(*CORNERS, strict=True)), "a", "b")

    assert interval["warning"].startswith("only 3 participants")
    assert json.dumps(interval, allow_nan=False)


def test_how():
    interval = cr2_difference(Table.from_columns(*zip(*CORNERS, strict=True)), "a", "b")

    assert f"df = {interval['df']:.8g} by Satterthwaite" in how_cr2(interval)
    assert "3 participants" in how_cr2(interval)
    assert how_cr2({"not_estimable": "why"}) == "Not estimable: why."
