"""Plans: the closed form, the simulation that it checks, how many people are needed, and what cannot be planned."""

import json
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import chdtri, ndtr

from reports.statistics.clustered import pooled_mean
from reports.statistics.components import Components
from reports.statistics.intervals import estimable
from reports.statistics.planner import (
    Design,
    Unplannable,
    _power,
    _two_way,
    answers,
    as_design,
    closed_form,
    lay_out,
    plan,
    simulate,
    smallest_items,
    smallest_participants,
    variance,
)
from reports.statistics.table import Table

SD = Components()
BOTH, ONE, OWN = "both arms", "one arm", "own arm"
DESIGNS = [
    Design(30, 12, 12, BOTH),
    Design(30, 12, 6, BOTH),
    Design(48, 12, 6, ONE),
    Design(48, 9, 5, ONE),
    Design(48, 12, 12, OWN),
    Design(48, 12, 4, OWN),
    Design(37, 9, 9, OWN),
]


def from_its_layout(design, sd):
    """The exact variance of the difference, from who rated what, without any formula of the planner."""
    rows = lay_out(design)
    n = np.bincount(rows.arm)
    weight = np.where(rows.arm == 1, 1 / n[1], -1 / n[0])

    def squares(*code):
        key = np.unique(np.stack(code), axis=1, return_inverse=True)[1].ravel()
        return (np.bincount(key, weight) ** 2).sum()

    return (
        sd.participant**2 * squares(rows.participant)
        + sd.item**2 * squares(rows.item)
        + sd.participant_arm**2 * squares(rows.participant, rows.arm)
        + sd.item_arm**2 * squares(rows.item, rows.arm)
        + sd.residual**2 * squares(np.arange(len(weight)))
    )


@pytest.mark.parametrize("design", DESIGNS, ids=str)
def test_the_closed_form_is_the_exact_variance_of_the_layout(design):
    assert variance(design, SD) == pytest.approx(from_its_layout(design, SD), rel=0.005)


def test_it_is_the_formula_of_the_crossed_design():
    design = as_design(100, 24, None, "within", None)

    assert variance(design, SD) == pytest.approx(2 * 0.15**2 / 100 + 2 * 0.2**2 / 24 + 2 * 0.8**2 / 2400, rel=1e-12)


@pytest.mark.parametrize("design", DESIGNS, ids=str)
def test_simulated_differences_vary_as_much_as_the_closed_form_says(design):
    estimates, _ = simulate(design, SD, 0.3, studies=4000, seed=3)

    assert estimates.mean() == pytest.approx(0.3, abs=4 * sqrt(variance(design, SD) / 4000))
    # The relative Monte-Carlo error of a standard deviation of 4,000 values is 1.1 %.
    assert estimates.std(ddof=1) == pytest.approx(sqrt(variance(design, SD)), rel=0.045)


@pytest.mark.parametrize("design", DESIGNS, ids=str)
def test_the_simulation_uses_the_interval_of_the_report(design):
    rows = lay_out(design)
    rng = np.random.default_rng(1)
    ratings = rng.integers(1, 11, (3, len(rows.arm))).astype(float)

    estimates, errors = _two_way(ratings, rows)

    for study, estimate, error in zip(ratings, estimates, errors, strict=True):
        labels = ([f"{kind}{k:03}" for k in code] for kind, code in (("p", rows.participant), ("i", rows.item)))
        table = Table.from_columns(*labels, ["ab"[k] for k in rows.arm], study)
        two_way = pooled_mean(table, {"a": -1, "b": 1}).two_way()
        assert (estimate, error) == pytest.approx((two_way["estimate"], two_way["se"]), rel=1e-9)
        assert design.df == two_way["df"]


@settings(max_examples=60)
@given(st.integers(2, 40), st.integers(2, 15), st.integers(1, 15), st.sampled_from([BOTH, ONE, OWN]))
def test_every_layout_is_balanced(people, items, each, shown):
    design = Design(people, items, min(each, items), shown)
    if any(design.faults()):
        return
    rows = lay_out(design)
    cells = np.bincount(2 * rows.item + rows.arm, minlength=2 * items).reshape(items, 2)
    pairs = 2 * (rows.participant * items + rows.item) + rows.arm

    assert len(rows.arm) == design.n_ratings
    assert len(np.unique(pairs)) == len(pairs)
    assert cells.min() >= 1
    for arm in (0, 1):
        assert np.ptp(cells[:, arm]) <= 1
    by_arm = np.bincount(2 * rows.participant + rows.arm, minlength=2 * people).reshape(people, 2)
    assert (by_arm.sum(axis=1) == design.ratings_each).all()
    if shown != OWN:
        assert (np.abs(by_arm[:, 0] - by_arm[:, 1]) <= each % 2).all() or shown == ONE
        assert (np.abs(by_arm[:, 0] - by_arm[:, 1]) <= 2).all()


@pytest.mark.parametrize("design", DESIGNS, ids=str)
def test_simulated_power_and_width_are_near_the_closed_form(design):
    estimates, errors = simulate(design, SD, 0.4, studies=2000, seed=5)
    power, half = closed_form(design, SD, 0.4)
    t = half / sqrt(variance(design, SD))

    assert np.mean(np.abs(estimates) > t * errors) == pytest.approx(power, abs=0.07)
    # With nine items the mean standard error lies below the root of the mean variance.
    assert t * errors.mean() == pytest.approx(half, rel=0.1)


@pytest.mark.parametrize(
    ("df", "t", "shift"),
    [(23, 2.07, 2.5), (9, 2.26, 2.9), (1, 12.7, 1.5), (99, 1.98, 12.0), (2, 4.3, 29.0), (1, 12.7, 40)],
)
def test_power_is_that_of_a_noncentral_t(df, t, shift):
    """Summed over the chi distribution of the standard error."""
    error = np.sqrt(chdtri(df, (np.arange(20_000) + 0.5) / 20_000) / df)
    power = np.mean(ndtr(shift - t * error) + ndtr(-shift - t * error))

    assert _power(df, t, shift) == pytest.approx(power, abs=1e-4)


@pytest.mark.parametrize(
    ("df", "t", "shift", "power"),
    [(23, 2.07, 2.5, 0.667635341291), (9, 2.26, 2.9, 0.733677443646), (1, 12.7, 1.5, 0.097410190608)],
)
def test_power_is_rs(df, t, shift, power):
    """R: pt(t, df, shift, lower = FALSE) + pt(-t, df, shift)"""
    assert _power(df, t, shift) == pytest.approx(power, rel=1e-11)


@given(st.integers(1, 2000), st.floats(0, 1e6))
def test_power_is_a_probability_that_rises(df, shift):
    assert 0 <= _power(df, 2.0, shift) <= _power(df, 2.0, shift * 1.5 + 0.1) + 1e-3 <= 1.001


def test_no_power_is_left_to_chance_where_nothing_differs():
    assert _power(23, 2.0686576, 0) == pytest.approx(0.05, rel=1e-6)


def test_the_keys_that_others_rely_on():
    result = plan(100, 24)

    assert {
        *("participants", "items", "items_each", "arms", "components", "difference", "power", "power_mc_error"),
        *("half_width", "half_width_closed_form", "grid", "smallest_participants", "seed", "studies"),
    } <= set(result)
    assert set(result["components"]) == {"participant", "item", "participant_arm", "item_arm", "residual"}
    assert set(result["smallest_participants"]) == {"0.8", "0.9"}


def test_its_error_is_that_of_a_share():
    result = plan(30, 12, items_each=6, difference=0.4)

    assert 0 < result["power"] < 1
    assert result["power_mc_error"] == pytest.approx(sqrt(result["power"] * (1 - result["power"]) / 500))


def test_the_same_seed_gives_the_same_plan():
    assert plan(30, 12, margin=0.5, mean=8.0) == plan(30, 12, margin=0.5, mean=8.0)
    assert plan(30, 12)["half_width"] != plan(30, 12, seed=2)["half_width"]


def test_the_sign_of_the_difference_does_not_matter():
    assert plan(30, 12, difference=-0.3)["power_closed_form"] == plan(30, 12, difference=0.3)["power_closed_form"]


@pytest.mark.parametrize("goal", [0.8, 0.9])
@pytest.mark.parametrize("shown", [BOTH, ONE, OWN])
def test_one_participant_fewer_would_not_do(shown, goal):
    design = Design(50, 24, 8, shown)
    people = smallest_participants(design, SD, 0.4, goal)

    assert closed_form(design.resized(people, 24), SD, 0.4)[0] >= goal
    assert closed_form(design.resized(people - 1, 24), SD, 0.4)[0] < goal


def test_one_item_fewer_would_not_do():
    design = Design(100, 24, 24, BOTH)
    items = smallest_items(design, SD, 0.2, 0.9)

    assert closed_form(design.resized(100, items), SD, 0.2)[0] >= 0.9
    assert closed_form(design.resized(100, items - 1), SD, 0.2)[0] < 0.9


def test_where_items_set_the_limit_more_people_do_not_help():
    result = plan(100, 8, difference=0.15)

    assert "however many take part" in result["smallest_participants"]["0.8"]["not_estimable"]
    assert f"{result['smallest_items']['0.8']} items are enough for 100 participants" in " ".join(answers(result))


def test_more_of_anything_never_costs_power():
    cells = {(cell["participants"], cell["items"]): cell for cell in plan(40, 12, items_each=6)["grid"]}

    for (people, items), cell in cells.items():
        for more in ((2 * people, items), (people, 2 * items)):
            if more in cells and estimable(cell["power"]) and estimable(cells[more]["power"]):
                assert cells[more]["power"] >= cell["power"] - 1e-9
                assert cells[more]["half_width"] <= cell["half_width"] + 1e-9


def test_the_grid_holds_the_planned_study():
    result = plan(100, 24, items_each=8)
    (here,) = [cell for cell in result["grid"] if (cell["participants"], cell["items"]) == (100, 24)]

    assert here["power"] == result["power_closed_form"]
    assert here["half_width"] == result["half_width_closed_form"]
    assert {cell["items_each"] for cell in result["grid"]} == {8}


def test_whoever_rates_all_items_rates_all_of_more():
    assert {cell["items_each"] for cell in plan(40, 10)["grid"]} == {5, 10, 20, 40}


def test_arms_that_do_not_differ_are_shown_to_be_close_if_the_margin_is_wide():
    wide, narrow = (plan(60, 24, margin=margin)["equivalence"] for margin in (1.0, 0.02))

    assert wide["power"] == 1
    assert narrow["power"] == 0


def test_a_ceiling_hides_a_part_of_the_difference():
    at_the_top, in_the_middle = (plan(60, 24, difference=1.0, mean=mean)["rounded"] for mean in (9.5, 5.5))

    assert at_the_top["difference_shown"] < 0.9
    assert in_the_middle["difference_shown"] == pytest.approx(1.0, abs=0.05)


def test_every_fault_is_told():
    with pytest.raises(Unplannable) as refused:
        plan(1, 1, items_each=0, difference=0, components=Components(item=-1), margin=0, mean=11, studies=0)

    assert len(refused.value.faults) == 8


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        ({"participants": 10, "items": 5, "items_each": 6}, "cannot rate 6 of 5"),
        ({"participants": 10, "items": 5, "items_each": 1}, "at least two items"),
        ({"participants": 4, "items": 50, "items_each": 2}, "too few for every one of 50 items"),
        ({"participants": 50_000, "items": 100}, "too many to simulate"),
        ({"participants": 10, "items": 5, "components": Components(0, 0, 0, 0, 0)}, "nothing is left to chance"),
        ({"participants": 10, "items": 5, "scale": (5, 5)}, "must rise"),
    ],
)
def test_what_cannot_be_planned_is_said(numbers, reason):
    with pytest.raises(Unplannable, match=reason):
        plan(**numbers)


@settings(max_examples=25)
@given(
    st.integers(2, 30),
    st.integers(2, 12),
    st.one_of(st.none(), st.integers(1, 12)),
    st.sampled_from(["within", "between"]),
    st.floats(0.01, 5),
)
def test_every_plan_is_plain_json_without_nan(participants, items, items_each, arms, difference):
    try:
        result = plan(participants, items, items_each, arms, difference, studies=20, margin=0.5)
    except Unplannable:
        return
    json.dumps(result, allow_nan=False)
    assert all("nan" not in sentence for sentence in answers(result))


def test_few_items_are_warned_of():
    assert "fewer than 8" in plan(30, 6, items_each=6)["warnings"][0]
    assert plan(30, 12, items_each=6)["warnings"] == []


def test_the_reader_gets_an_answer():
    said = list(answers(plan(100, 24, items_each=8, margin=0.5)))

    assert said[0].startswith("With 100 participants × 24 items you will find a difference of 0.3 with 9")
    assert "the interval will be ± 0.17 wide." in said[0]
    assert "8 ratings each, 800 in all" in said[1]
    assert said[2] == "For 80 % power, 51 participants are enough with 24 items."
    assert "within 0.5 of each other" in said[4]
