"""The crossed mixed model against R's lme4 and lmerTest, against dense matrices, and on designs that cannot have it."""

import json
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.statistics import randomeffects, reml, rowcounts
from reports.statistics.crosseddesign import Cells, Model
from reports.statistics.mixed import fit_arm, fit_arms, how_mixed, how_mixed_structure
from reports.statistics.table import Table

from .test_reference import REFERENCE, cases, study

has_reference = pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference data is not beside this checkout")


def near(value):
    return pytest.approx(value, rel=1e-5, abs=1e-5)


def simulated(participants=40, items=12, arms=2, missing=0.1, seed=7, sd=(1.0, 0.5, 0.4, 0.3, 0.8)):
    """Rows of a crossed study: sd of participants, items, participants by arm, items by arm, and the residual."""
    rng = np.random.default_rng(seed)
    p, i, pa, ia, e = sd
    y = (
        5
        + rng.normal(0, p, (participants, 1, 1))
        + rng.normal(0, i, (1, items, 1))
        + rng.normal(0, pa, (participants, 1, arms))
        + rng.normal(0, ia, (1, items, arms))
        + rng.normal(0, e, (participants, items, arms))
        + 0.5 * np.arange(arms)
    )
    places = np.argwhere(rng.random(y.shape) >= missing)
    return [(f"p{a:04}", f"i{b:03}", f"a{k}", float(y[a, b, k])) for a, b, k in places]


def table(rows):
    return Table.from_columns(*zip(*rows, strict=True))


@has_reference
@pytest.mark.parametrize(("name", "criterion", "place"), cases("summary"))
def test_one_arm_equals_lme4(name, criterion, place):
    tables, reference = study(name)
    expected = reference["summary"][criterion][place]["mixed"]
    got = fit_arm(tables[criterion], place)

    assert [got["estimate"], got["se"]] == pytest.approx([expected["mean"], expected["se"]], rel=1e-5)
    assert got["df"] == pytest.approx(expected["df_satterthwaite"], rel=1e-5)
    assert got["log_likelihood"] == pytest.approx(expected["reml_loglik"], rel=1e-10)
    assert got["singular"] is expected["singular"]
    names = {"participant": "participant_id.(Intercept).", "item": "item_id.(Intercept).", "residual": "Residual"}
    assert got["sd"] == near({ours: expected["sd"][theirs] for ours, theirs in names.items()})


@has_reference
@pytest.mark.parametrize(
    ("name", "criterion"),
    [(n, c) for n in ("mathconverse", "squality", "sim_crossed") for c in study(n)[1]["mixed"]]
    if REFERENCE.is_dir()
    else [],
)
def test_arms_with_intercepts_equal_lme4_and_emmeans(name, criterion):
    tables, reference = study(name)
    expected = reference["mixed"][criterion]["intercepts"]
    got = fit_arms(tables[criterion], structure="intercepts")

    for theirs in expected["emmeans"]:
        ours = got["emmeans"][theirs["arm"]]
        assert [ours["estimate"], ours["se"], ours["df"]] == pytest.approx(
            [theirs["emmean"], theirs["SE"], theirs["df"]], rel=1e-5
        )
        assert [ours["low"], ours["high"]] == near([theirs["lower.CL"], theirs["upper.CL"]])
    assert len(got["contrasts"]) == len(expected["contrasts"])
    for ours, theirs in zip(got["contrasts"], expected["contrasts"], strict=True):
        assert theirs["contrast"].replace("(", "").replace(")", "") == f"{ours['b']} - {ours['a']}"
        assert [ours["estimate"], ours["se"], ours["df"], ours["t"]] == pytest.approx(
            [theirs["estimate"], theirs["SE"], theirs["df"], theirs["t.ratio"]], rel=1e-5
        )
        assert ours["p"] == pytest.approx(theirs["p.value"], rel=1e-4)
    assert got["singular"] is expected["singular"]
    assert got["log_likelihood"] == pytest.approx(expected["reml_loglik"], rel=1e-10)


@has_reference
@pytest.mark.parametrize("criterion", ["Empathy and Support", "Fluency and Response Quality"])
def test_correlated_slopes_equal_lme4(criterion):
    tables, reference = study("sim_crossed")
    expected = reference["mixed"][criterion]["slopes"]
    got = fit_arms(tables[criterion], structure="slopes")

    for ours, theirs in ((got["emmeans"]["arm_A"], "(Intercept)"), (got["contrasts"][0], "armarm_B")):
        assert [ours["estimate"], ours["se"], ours["df"]] == pytest.approx(
            [expected[key][theirs] for key in ("coef", "se", "df")], rel=1e-5
        )
    assert got["contrasts"][0]["p"] == pytest.approx(expected["p"]["armarm_B"], rel=1e-4)
    assert got["log_likelihood"] == pytest.approx(expected["reml_loglik"], rel=1e-10)
    assert got["singular"] is True
    for factor, key in (("participant", "participant_id"), ("item", "item_id")):
        sd = expected["sd"]
        assert got["sd"][factor]["intercept"] == pytest.approx(sd[f"{key}.(Intercept)."], rel=1e-5)
        assert got["sd"][factor]["slope"] == pytest.approx(sd[f"{key}.armarm_B."], rel=1e-4)
        assert got["sd"][factor]["correlation"] == pytest.approx(sd[f"{key}.(Intercept).armarm_B"], rel=1e-4)


class Dense:
    """The same model by whole matrices, one row for each rating; y is any response."""

    def __init__(self, cells, rows, columns, fixed, y):
        self.factors = [factor for factor in (rows, columns) if factor]
        arms = np.eye(cells.n_arms)[cells.arm]
        levels = [np.eye(cells.n_rows)[cells.row], np.eye(cells.n_columns)[cells.column]]
        # Z of one factor: a level's features, level by level.
        self.z = [
            np.einsum("nl,nr->nlr", level, arms @ factor.features).reshape(len(y), -1)
            for level, factor in zip(levels, self.factors, strict=False)
        ]
        self.x, self.y = fixed[cells.column * cells.n_arms + cells.arm], y

    def variance(self, theta):
        v, at = np.eye(len(self.y)), 0
        for factor, z in zip(self.factors, self.z, strict=True):
            sigma = factor.sigma(theta[at : (at := at + len(factor.basis))])
            v += z @ np.kron(np.eye(z.shape[1] // len(sigma)), sigma) @ z.T
        return v

    def deviance(self, theta, log_sigma2=None):
        v = self.variance(theta)
        w = np.linalg.inv(v)
        free = len(self.y) - self.x.shape[1]
        xwx = self.x.T @ w @ self.x
        residual = self.y - self.x @ np.linalg.solve(xwx, self.x.T @ w @ self.y)
        rss = residual @ w @ residual
        logdet = np.linalg.slogdet(v)[1] + np.linalg.slogdet(xwx)[1]
        if log_sigma2 is None:
            log_sigma2 = np.log(rss / free)
        return logdet + free * (log_sigma2 + np.log(2 * np.pi)) + rss / np.exp(log_sigma2)

    def spread_of(self, weights, theta, log_sigma2):
        w = np.linalg.inv(self.variance(theta))
        return np.exp(log_sigma2) * weights @ np.linalg.inv(self.x.T @ w @ self.x) @ weights


KINDS = [
    (2, "correlated", "correlated"),
    (2, "uncorrelated", "intercepts"),
    (2, "intercepts", "correlated"),
    (3, "by_arm", "by_arm"),
    (3, "correlated", "by_arm"),
    (1, "intercepts", "intercepts"),
    (2, "correlated", None),
]


def small_model(n_arms, row_kind, column_kind, seed=3):
    rng = np.random.default_rng(seed)
    n_rows, n_columns = 7, 4
    cell = np.array(list(product(range(n_rows), range(n_columns), range(n_arms))))
    cell = cell[rng.random(len(cell)) > 0.2]
    cell = np.vstack([cell, cell[:5]])  # some cells twice
    y = rng.normal(0, 1, len(cell)) + rng.normal(0, 1, n_rows)[cell[:, 0]] + rng.normal(0, 1, n_columns)[cell[:, 1]]
    cells = Cells(*cell.T, np.ones(len(y)), y, float(y @ y), n_rows, n_columns, n_arms)
    rows = randomeffects.covariance(row_kind, n_arms)
    columns = randomeffects.covariance(column_kind, n_arms) if column_kind else None
    fixed = np.tile(np.eye(n_arms), (n_columns, 1))
    if columns is None:
        deviations = np.vstack([np.eye(n_columns - 1), -np.ones(n_columns - 1)])
        fixed = np.hstack([fixed, np.repeat(deviations, n_arms, axis=0)])
    return Model(cells, rows, columns, fixed), Dense(cells, rows, columns, fixed, y)


@pytest.fixture(params=["dense", "sparse", "gaps"])
def storage(request, monkeypatch):
    """All three ways in which counts can be held."""
    if request.param != "dense":
        monkeypatch.setattr(rowcounts, "DENSE_SIZE", 0)
        monkeypatch.setattr(rowcounts, "DENSE_SHARE", 1.0 if request.param == "sparse" else 0.75)
        monkeypatch.setattr(rowcounts, "LARGEST_PRODUCT", 20)


@pytest.mark.parametrize(("n_arms", "row_kind", "column_kind"), KINDS)
def test_deviance_gradient_and_hessian_equal_those_of_whole_matrices(storage, n_arms, row_kind, column_kind):
    model, dense = small_model(n_arms, row_kind, column_kind)
    theta = np.random.default_rng(1).uniform(0.2, 0.9, len(model.start))
    point, step = reml.Point(model, theta), 1e-4
    units = np.eye(len(theta)) * step

    assert point.deviance == pytest.approx(dense.deviance(theta), rel=1e-12)
    slopes = [(dense.deviance(theta + u) - dense.deviance(theta - u)) / (2 * step) for u in units]
    assert point.gradient == pytest.approx(slopes, rel=1e-5, abs=1e-5)
    curves = [
        (reml.Point(model, theta + u).gradient - reml.Point(model, theta - u).gradient) / (2 * step) for u in units
    ]
    assert point.hessian == pytest.approx(np.array(curves), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(("n_arms", "row_kind", "column_kind"), KINDS)
def test_satterthwaite_equals_its_definition_on_whole_matrices(n_arms, row_kind, column_kind):
    model, dense = small_model(n_arms, row_kind, column_kind)
    point = reml.Point(model, np.random.default_rng(2).uniform(0.2, 0.9, len(model.start)))
    weights = np.random.default_rng(3).normal(size=model.n_fixed)
    where, step = np.append(point.theta, np.log(point.sigma2)), 1e-3
    units = np.eye(len(where)) * step

    def deviance(at):
        return dense.deviance(at[:-1], at[-1])

    variance, slopes = point.variance(weights)
    assert variance == pytest.approx(dense.spread_of(weights, where[:-1], where[-1]), rel=1e-10)
    for slope, u in zip(slopes, units, strict=True):
        up, down = (dense.spread_of(weights, at[:-1], at[-1]) for at in (where + u, where - u))
        assert slope == pytest.approx((up - down) / (2 * step), rel=1e-4, abs=1e-6)
    hessian = [
        [
            (deviance(where + u + v) - deviance(where + u - v) - deviance(where - u + v) + deviance(where - u - v))
            for v in units
        ]
        for u in units
    ]
    assert point.full_hessian() == pytest.approx(np.array(hessian) / (4 * step**2), rel=1e-4, abs=1e-3)


def test_a_complete_balanced_design_equals_the_closed_anova_form():
    rows = simulated(arms=1, missing=0, participants=15, items=8)
    y = np.array([row[3] for row in rows]).reshape(15, 8)
    p, i = y.shape
    grand = y.mean()
    ms_p = i * ((y.mean(1) - grand) ** 2).sum() / (p - 1)
    ms_i = p * ((y.mean(0) - grand) ** 2).sum() / (i - 1)
    ms_e = ((y - y.mean(1, keepdims=True) - y.mean(0) + grand) ** 2).sum() / ((p - 1) * (i - 1))
    spread = ms_p + ms_i - ms_e
    df = spread**2 / (ms_p**2 / (p - 1) + ms_i**2 / (i - 1) + ms_e**2 / ((p - 1) * (i - 1)))
    got = fit_arm(table(rows), "a0")

    assert [got["estimate"], got["se"], got["df"]] == pytest.approx([grand, (spread / (p * i)) ** 0.5, df], rel=1e-8)
    expected = {"participant": ((ms_p - ms_e) / i) ** 0.5, "item": ((ms_i - ms_e) / p) ** 0.5, "residual": ms_e**0.5}
    assert got["sd"] == pytest.approx(expected, rel=1e-8)


def test_known_variance_components_are_recovered():
    sd = (1.0, 0.6, 0.5, 0.4, 0.8)
    rows = simulated(participants=400, items=120, seed=5, sd=sd, missing=0.5)
    got = fit_arms(table(rows), structure="slopes")

    # In an arm the variances of intercept and arm effect add; a difference of arms has twice the arms' variance.
    assert got["sd"]["participant"]["intercept"] == pytest.approx((sd[0] ** 2 + sd[2] ** 2) ** 0.5, rel=0.12)
    assert got["sd"]["item"]["intercept"] == pytest.approx((sd[1] ** 2 + sd[3] ** 2) ** 0.5, rel=0.2)
    assert got["sd"]["participant"]["slope"] == pytest.approx(2**0.5 * sd[2], rel=0.12)
    assert got["sd"]["item"]["slope"] == pytest.approx(2**0.5 * sd[3], rel=0.2)
    assert got["sd"]["residual"] == pytest.approx(sd[4], rel=0.02)


class TestStructure:
    def test_with_clear_slopes_everything_stays(self):
        got = fit_arms(table(simulated(participants=60, items=30)))

        assert got["structure"] == "rating ~ arm + (1 + arm | participant) + (1 + arm | item)"
        assert (got["steps"], got["singular"]) == ([], False)

    def test_a_singular_fit_loses_correlations_then_slopes_that_are_zero_and_says_so(self):
        got = fit_arms(table(simulated(sd=(1, 0.5, 0, 0.4, 1), seed=5)))

        assert got["random"]["participant"] == "intercepts"
        assert got["random"]["item"] != "intercepts"
        assert "singular, so the correlations of the participants' effects" in got["steps"][0]
        assert "the participants' slopes were dropped" in got["steps"][-1]
        assert got["contrasts"][0]["df"] < 30

    def test_participants_who_saw_one_arm_each_have_no_slopes(self):
        rows = [row for row in simulated(missing=0) if int(row[0][1:]) % 2 == int(row[2][1:])]
        got = fit_arms(table(rows))

        assert got["random"]["participant"] == "intercepts"
        assert got["steps"][0] == "Most participants were in one arm only, so participants have no slopes"
        assert got["contrasts"][0]["se"] > 0.2

    def test_one_rating_in_each_arm_cannot_tell_slopes_from_chance(self):
        rng = np.random.default_rng(2)
        rows = [(f"p{p}", f"i{p % 9}", arm, rng.normal() + p % 4 + (p % 9) / 3) for p in range(60) for arm in "ab"]
        got = fit_arms(table(rows))

        assert got["random"]["participant"] == "intercepts"
        assert "the design does not tell" in got["steps"][0]

    def test_more_than_four_arms_have_effects_of_one_size(self):
        got = fit_arms(table(simulated(arms=5, missing=0.2)))

        assert got["random"] == {"participant": "by_arm", "item": "by_arm"}
        assert len(got["contrasts"]) == 10

    def test_three_arms_have_a_standard_deviation_each(self):
        got = fit_arms(table(simulated(arms=3, participants=80, items=40)))

        assert set(got["sd"]["participant"]["arms"]) == {"a0", "a1", "a2"}
        assert len(got["sd"]["participant"]["correlations"]) == 3

    def test_fixed_items_narrow_the_mean_and_may_be_one(self):
        rows = simulated()
        random, fixed = (fit_arms(table(rows), items_are=kind) for kind in ("random", "fixed"))
        one = fit_arms(table([row for row in simulated(items=2, missing=0) * 2 if row[1] == "i000"]), items_are="fixed")

        assert "item" not in fixed["sd"]
        assert fixed["emmeans"]["a0"]["se"] < random["emmeans"]["a0"]["se"]
        assert one["n_items"] == 1
        assert one["contrasts"][0]["se"] > 0

    def test_swapping_the_arms_turns_the_contrast_round(self):
        rows = simulated(sd=(1, 0.5, 0, 0.4, 1), seed=5)
        swapped = [(p, i, {"a0": "a1", "a1": "a0"}[arm], y) for p, i, arm, y in rows]
        one, other = (fit_arms(table(r))["contrasts"][0] for r in (rows, swapped))

        assert [other["estimate"], other["se"], other["df"]] == pytest.approx(
            [-one["estimate"], one["se"], one["df"]], rel=1e-6
        )


REFUSED = {
    "one participant alone": [("p", f"i{i}", "a", i % 3) for i in range(9)],
    "one item alone": [(f"p{p}", "i", "a", p % 3) for p in range(9)],
    "all ratings are equal": [(f"p{p}", f"i{i}", "a", 5) for p in range(4) for i in range(4)],
    "each participant gave one rating": [(f"p{p}", f"i{p % 3}", "a", p % 5) for p in range(12)],
    "each item got one rating": [(f"p{p % 3}", f"i{p}", "a", p % 5) for p in range(12)],
    "one item of their own": [(f"p{p}", f"i{p}", "a", (p * r) % 5) for p in range(5) for r in range(3)],
    "nothing is left to chance": [(f"p{p}", f"i{i}", "a", p + i) for p in range(4) for i in range(4)],
}


@pytest.mark.parametrize("reason", REFUSED)
def test_an_arm_that_cannot_have_the_model_is_refused_with_the_reason(reason):
    assert reason in fit_arm(table(REFUSED[reason]), "a")["not_estimable"]


def test_arms_without_ratings_are_left_out_and_one_arm_alone_is_refused():
    rows = simulated()
    unrated = Table.from_columns(*zip(*rows, strict=True), arms=["z"])

    assert set(fit_arms(unrated)["emmeans"]) == {"a0", "a1"}
    assert fit_arm(unrated, "z") == {"not_estimable": "there are no ratings"}
    assert fit_arms(table([row for row in rows if row[2] == "a0"])) == {"not_estimable": "only one arm has ratings"}


def test_one_rating_per_participant_is_refused_between_arms():
    rows = [(f"p{p}", f"i{p % 4}", "ab"[p % 2], p % 7) for p in range(40)]

    assert "each participant gave one rating" in fit_arms(table(rows))["not_estimable"]


def test_items_that_belong_to_arms_cannot_be_fixed():
    rows = [(p, i, "a0" if i < "i006" else "a1", y) for p, i, _, y in simulated()]

    assert fit_arms(table(rows), "fixed") == {"not_estimable": "the arms cannot be told from the items"}


def test_few_participants_are_warned_of():
    assert "only 4 participants" in fit_arm(table(simulated(participants=4)), "a0")["warning"]


def test_repeated_ratings_of_a_cell_are_data():
    rows = simulated()
    got = fit_arm(table(rows + [(p, i, arm, y + 0.3) for p, i, arm, y in rows]), "a0")

    assert got["n_ratings"] == 2 * fit_arm(table(rows), "a0")["n_ratings"]


@pytest.mark.parametrize("shift", [-20, 1000])
def test_a_shifted_scale_shifts_the_means_and_nothing_else(shift):
    rows = [(p, i, arm, round(y)) for p, i, arm, y in simulated()]
    one, other = fit_arms(table(rows)), fit_arms(table([(*row[:3], row[3] + shift) for row in rows]))

    assert other["emmeans"]["a0"]["estimate"] == pytest.approx(one["emmeans"]["a0"]["estimate"] + shift)
    assert other["contrasts"] == one["contrasts"]


def test_a_sentence_lets_a_reader_redo_the_interval():
    got = fit_arms(table(simulated()))
    one = fit_arm(table(simulated()), "a0")

    assert "REML fit of rating ~ arm + (1 + arm" in how_mixed(got, got["contrasts"][0])
    assert f"SE {one['se']:.8g}" in how_mixed(one, one)
    assert how_mixed_structure(got).startswith("Fitted by REML: rating ~ arm")


tiny = st.lists(
    st.tuples(
        st.sampled_from(["p1", "p2", "p3", "p4"]),
        st.sampled_from(["i1", "i2", "i3"]),
        st.sampled_from(["a", "b", "c"]),
        st.integers(1, 10),
    ),
    min_size=1,
    max_size=30,
)


@given(tiny, st.randoms(use_true_random=False), st.sampled_from(["random", "fixed"]))
@settings(max_examples=25)
def test_any_few_ratings_give_numbers_or_a_reason_whatever_their_order(rows, rng, items_are):
    got = fit_arms(table(rows), items_are)

    json.dumps(got, allow_nan=False)
    assert got == fit_arms(table(rng.sample(rows, len(rows))), items_are)
    if "not_estimable" not in got:
        assert all(c["low"] < c["estimate"] < c["high"] for c in got["contrasts"] if "se" in c)
