"""Agreement: R's and published values, slow computations pair by pair, and designs with nothing to agree about."""

import json
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.statistics.agreement import GWET, KRIPPENDORFF, agreement, how_agreement
from reports.statistics.intraclass import ICC, icc_from_components, unit_components
from reports.statistics.table import Table

from .test_reference import REFERENCE, near, study

RATED = [
    (name, criterion)
    for name in ("squality", "sim_crossed", "sim_seedshape")
    if REFERENCE.is_dir()
    for criterion in study(name)[0]
]
needs_reference = pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference data is not beside this checkout")

ratings = st.lists(
    st.tuples(st.sampled_from("pqrs"), st.sampled_from("ijk"), st.sampled_from("ab"), st.integers(1, 5)),
    min_size=1,
    max_size=40,
    unique_by=lambda row: row[:3],
)


def table_of(rows):
    return Table.from_columns(*zip(*rows, strict=True))


def crossed(matrix):
    """Rows are items, columns participants; None is missing."""
    return table_of([(f"p{c}", f"i{r}", "a", v) for r, row in enumerate(matrix) for c, v in enumerate(row)])


def agree(rows, scale=(1, 5), seed=1, draws=20, **more):
    return agreement(table_of(rows), scale, seed, draws, **more)


def textbook():
    return json.loads((REFERENCE / "textbook.reference.json").read_text())


@pytest.mark.parametrize(("name", "criterion"), RATED)
class TestAgainstR:
    @pytest.fixture
    def both(self, name, criterion):
        tables, reference = study(name)
        found = agreement(tables[criterion], reference["scale"], 1, 0)
        return found, reference["agreement"][criterion], tables[criterion]

    def test_the_design(self, both):
        found, expected, _ = both
        assert [found["n_units"], found["n_raters"]] == [expected["units"], expected["raters"]]
        assert found["ratings_per_unit"] == near(expected["mean_ratings_per_unit"])

    @pytest.mark.parametrize("metric", ["ordinal", "interval"])
    def test_krippendorff(self, both, metric):
        assert both[0][f"krippendorff_{metric}"]["estimate"] == near(both[1]["krippendorff"][metric]["alpha"])

    @pytest.mark.parametrize("name_of", GWET)
    def test_gwet(self, both, name_of):
        if "gwet" not in both[1]:
            pytest.skip("R was not asked for a hundred categories")
        found, expected = both[0][name_of], both[1]["gwet"][name_of]
        assert [found[key] for key in ("estimate", "observed", "chance")] == near(
            [expected[key] for key in ("ac", "pa", "pe")]
        )

    def test_variance_components_and_their_ratios(self, both):
        expected = both[1]["mixed"]
        components = unit_components(both[2])
        assert [components[key] for key in ("var_unit", "var_rater", "var_residual")] == pytest.approx(
            [expected["var"][key] for key in ("u", "participant_id", "Residual")], rel=1e-5
        )
        found = agreement(both[2], (1, 10), 1, 0, components)
        assert [found[key]["estimate"] for key in ("icc_2_1", "icc_3_1")] == pytest.approx(
            [expected["icc_a1"], expected["icc_c1"]], rel=1e-5
        )
        for key in ("icc_2_1", "icc_2_k", "icc_3_1", "icc_3_k"):
            assert 0 < found[key]["low"] < found[key]["estimate"] < found[key]["high"] < 1

    def test_ratios_of_rs_components(self, both):
        expected = both[1]["mixed"]
        var = expected["var"]
        found = icc_from_components(var["u"], var["participant_id"], var["Residual"], 1)
        assert [found["icc_2_1"]["estimate"], found["icc_3_1"]["estimate"]] == near(
            [expected["icc_a1"], expected["icc_c1"]]
        )


@needs_reference
def test_all_intraclass_correlations_of_shrout_and_fleiss():
    case = textbook()["shrout_fleiss_1979"]
    found = agreement(crossed(case["data"]), (1, 10), 1, 0)
    names = {"ICC1": "icc_1", "ICC1k": "icc_1_k", "ICC2": "icc_2_1", "ICC2k": "icc_2_k", "ICC3": "icc_3_1"}
    for expected in case["icc"]:
        got = found[names.get(expected["type"], "icc_3_k")]
        wanted = [expected[key] for key in ("ICC", "lower bound", "upper bound")]
        assert [got[key] for key in ("estimate", "low", "high")] == near(wanted)


@needs_reference
def test_krippendorffs_example_with_missing_values():
    case = textbook()["krippendorff_2011"]
    found = agreement(crossed(np.array(case["data"], dtype=object).T.tolist()), (1, 5), 1, 0)
    for metric in ("ordinal", "interval"):
        estimate = found[f"krippendorff_{metric}"]["estimate"]
        assert round(estimate, 3) == case["published"][metric]


def slow_alpha(rows, metric):
    """By the coincidence matrix, pair by pair."""
    units = {}
    for _, item, arm, value in rows:
        units.setdefault((item, arm), []).append(value)
    values = sorted({value for unit in units.values() if len(unit) > 1 for value in unit})
    if len(values) < 2:
        return None
    coincidences = np.zeros((len(values), len(values)))
    for unit in units.values():
        for a, b in permutations(range(len(unit)), 2):
            coincidences[values.index(unit[a]), values.index(unit[b])] += 1 / (len(unit) - 1)
    n = coincidences.sum(axis=0)
    if metric == "interval":
        far = np.subtract.outer(values, values) ** 2.0
    else:
        far = np.zeros_like(coincidences)
        for a, b in combinations(range(len(values)), 2):
            far[a, b] = far[b, a] = (n[a : b + 1].sum() - (n[a] + n[b]) / 2) ** 2
    return 1 - (n.sum() - 1) * (coincidences * far).sum() / (np.outer(n, n) * far).sum()


@given(ratings)
@pytest.mark.parametrize("metric", ["ordinal", "interval"])
def test_alpha_equals_the_coincidence_matrix(metric, rows):
    found = agree(rows, draws=0)[f"krippendorff_{metric}"]
    expected = slow_alpha(rows, metric)
    if expected is None:
        assert "not_estimable" in found
    else:
        assert found["estimate"] == pytest.approx(expected, abs=1e-12)


def weight(name, a, b, q):
    far = abs(a - b)
    return {
        "ac1": float(a == b),
        "ac2_linear": 1 - far / (q - 1),
        "ac2_quadratic": 1 - (far / (q - 1)) ** 2,
        "ac2_ordinal": 1 - far * (far + 1) / (q * (q - 1)),
    }[name]


def slow_ac(rows, name, low, high):
    """Gwet's estimate and standard error, unit by unit, as irrCAC documents it."""
    units = {}
    for _, item, arm, value in rows:
        units.setdefault((item, arm), []).append(value)
    units, q = list(units.values()), high - low + 1
    points = range(low, high + 1)
    total = sum(weight(name, a, b, q) for a in points for b in points) / (q * (q - 1))
    pi = {k: np.mean([unit.count(k) / len(unit) for unit in units]) for k in points}
    chance = total * sum(p * (1 - p) for p in pi.values())
    paired = [unit for unit in units if len(unit) > 1]
    observed = {id(unit): np.mean([weight(name, *pair, q) for pair in permutations(unit, 2)]) for unit in paired}
    estimate = (np.mean(list(observed.values())) - chance) / (1 - chance)
    influences = []
    for unit in units:
        own = total * sum(unit.count(k) / len(unit) * (1 - pi[k]) for k in points)
        ac = len(units) / len(paired) * (observed[id(unit)] - chance) / (1 - chance) if len(unit) > 1 else 0
        influences.append(ac - 2 * (1 - estimate) * (own - chance) / (1 - chance) - estimate)
    n = len(units)
    return estimate, (sum(i * i for i in influences) / (n * (n - 1))) ** 0.5 if n > 1 else 0


@given(ratings)
@pytest.mark.parametrize("name", GWET)
def test_gwet_equals_a_computation_pair_by_pair(name, rows):
    found = agree(rows, scale=(0, 6), draws=0)
    if not found["n_units_paired"]:
        assert "not_estimable" in found[name]
        return
    estimate, se = slow_ac(rows, name, 0, 6)
    assert found[name]["estimate"] == pytest.approx(estimate, abs=1e-12)
    if se > 1e-9:
        assert found[name]["se"] == pytest.approx(se, rel=1e-9)
    else:
        assert "not_estimable" in found[name]["se"]


def crowd(participants=12, items=9, seed=3):
    rng = np.random.default_rng(seed)
    good, kind = rng.normal(0, 1, items), rng.normal(0, 0.7, participants)
    return [
        (f"p{p:02d}", f"i{i}", "a", int(np.clip(round(3 + good[i] + kind[p] + rng.normal(0, 0.7)), 1, 5)))
        for p in range(participants)
        for i in range(items)
    ]


def test_intervals_hold_the_estimate_and_seeds_repeat():
    one, again, other = (agree(crowd(), seed=seed, draws=300) for seed in (1, 1, 2))
    assert one == again
    for name in KRIPPENDORFF:
        assert one[name]["low_units"] < one[name]["estimate"] < one[name]["high_units"]
        assert one[name]["low_raters"] < one[name]["estimate"] < one[name]["high_raters"]
        assert one[name]["low_units"] != other[name]["low_units"]
        assert one[name]["estimate"] == other[name]["estimate"]
    for name in GWET:
        assert one[name]["low"] < one[name]["estimate"] < one[name]["high"]
        assert one[name]["low_raters"] < one[name]["estimate"] < one[name]["high_raters"]


def test_a_participant_drawn_twice_does_not_agree_with_the_own_copy():
    """Pure noise: copies that counted as agreement would lift the resampled alphas to about 1 / participants."""
    rng = np.random.default_rng(0)
    noise = [(f"p{p}", f"i{i:02d}", "a", int(rng.integers(1, 6))) for p in range(10) for i in range(60)]
    found = agree(noise, draws=400)["krippendorff_interval"]
    middle = (found["low_raters"] + found["high_raters"]) / 2
    assert abs(middle - found["estimate"]) < 0.03


def test_the_bootstrap_over_raters_finds_the_spread_of_new_panels():
    estimates, errors = [], []
    for seed in range(60):
        found = agree(crowd(20, 12, seed), seed=seed, draws=100)["ac2_linear"]
        estimates.append(found["estimate"])
        errors.append(found["se_raters"])
    assert 0.6 < np.mean(errors) / np.std(estimates) < 1.4


@given(ratings, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows, rng):
    assert agree(rows) == agree(rng.sample(rows, len(rows)))


@given(ratings, st.permutations("pqrs"), st.permutations("ijk"))
def test_names_do_not_matter(rows, people, items):
    renamed = [(people["pqrs".index(p)], items["ijk".index(i)], arm, v) for p, i, arm, v in rows]
    one, other = agree(rows, draws=0), agree(renamed, draws=0)
    for name in (*KRIPPENDORFF, *GWET, *ICC):
        assert one[name].get("estimate", -9) == pytest.approx(other[name].get("estimate", -9), abs=1e-9)


@given(ratings)
def test_a_shifted_scale_changes_nothing(rows):
    one, other = agree(rows, draws=0), agree([(*row[:3], row[3] + 90) for row in rows], (91, 95), draws=0)
    for name in (*KRIPPENDORFF, *GWET, *ICC):
        assert one[name].get("estimate", -9) == pytest.approx(other[name].get("estimate", -9), abs=1e-9)


anything = st.lists(
    st.tuples(st.sampled_from("pqr"), st.sampled_from("ij"), st.sampled_from("ab"), st.integers(1, 3)), max_size=14
)


@given(anything)
def test_every_tiny_design_gives_plain_json_and_sentences(rows):
    table = table_of(rows) if rows else Table.from_columns([], [], [], [])
    components = unit_components(table)
    found = agreement(table, (1, 3), 1, 20, components)
    json.dumps(found, allow_nan=False)
    for name in (*KRIPPENDORFF, *GWET, *ICC):
        assert how_agreement(found, name).endswith(".")


def test_an_arm_without_ratings_changes_nothing():
    columns = list(zip(*crowd(), strict=True))
    with_empty = Table.from_columns(*columns, arms=["a", "b"])
    assert agreement(with_empty, (1, 5), 1, 20) == agree(crowd())


def test_one_rating_of_each_reply_leaves_nothing_to_agree_about():
    found = agree([("p", "i", "a", 3), ("q", "j", "a", 4), ("r", "k", "b", 5)])
    assert {found[name]["not_estimable"] for name in (*KRIPPENDORFF, *GWET, *ICC)} == {
        "no item of an arm was rated by more than one participant"
    }


def test_each_participant_in_one_arm_only():
    rows = [
        (p, i, arm, v)
        for arm, people in (("a", "pq"), ("b", "rs"))
        for p in people
        for i, v in zip("ijk", (1, 3, 5), strict=True)
    ]
    found = agree(rows)
    assert found["n_units"] == 6
    assert found["krippendorff_ordinal"]["estimate"] == 1


def test_equal_ratings_agree_by_gwet_but_have_no_alpha():
    found = agree([(p, i, "a", 5) for p in "pqr" for i in "ijk"])
    assert found["krippendorff_ordinal"] == found["krippendorff_interval"]
    assert "all ratings are equal" in found["krippendorff_ordinal"]["not_estimable"]
    assert found["ac1"]["estimate"] == 1
    assert "not_estimable" in found["ac1"]["low"]
    assert "not_estimable" in found["icc_2_1"]


def test_whole_agreement_is_one_without_an_interval_of_no_width():
    found = agree([(p, i, "a", v) for p in "pqrs" for i, v in zip("ijk", (1, 3, 4), strict=True)])
    for name in (*KRIPPENDORFF, "icc_1", "icc_2_1", "icc_3_k"):
        assert found[name]["estimate"] == pytest.approx(1)
    assert "not_estimable" in found["krippendorff_interval"]["low_units"]
    assert "not_estimable" in found["icc_3_1"]["low"]


def test_several_ratings_of_a_reply_by_one_participant_are_averaged():
    single = [("p", "i", "a", 3), ("q", "i", "a", 4), ("p", "j", "a", 2), ("q", "j", "a", 2)]
    twice = [("p", "i", "a", 1), ("p", "i", "a", 5), *single[1:]]
    one, other = agree(single, draws=0), agree(twice, draws=0)
    assert other["n_repeated"] == 1
    assert one["krippendorff_interval"] == other["krippendorff_interval"]
    assert "means of several ratings" in how_agreement(other, "ac1")
    assert "means of several ratings" not in how_agreement(one, "ac1")


def test_means_between_two_points_are_rounded_up_for_categories_only():
    rows = [("p", "i", "a", 3), ("p", "i", "a", 4), ("q", "i", "a", 4), ("p", "j", "a", 2), ("q", "j", "a", 2)]
    found = agree(rows, draws=0)
    assert found["ac1"]["observed"] == 1
    assert found["krippendorff_interval"]["estimate"] < 1


@pytest.mark.parametrize(("scale", "reason"), [((1, 4), "points of the declared scale"), ((5, 5), "one point")])
def test_ratings_off_the_scale_have_no_categories(scale, reason):
    found = agree([("p", "i", "a", 5), ("q", "i", "a", 4), ("p", "j", "a", 2), ("q", "j", "a", 2)], scale)
    assert reason in found["ac1"]["not_estimable"]
    assert "estimate" in found["krippendorff_ordinal"]


def test_a_wider_declared_scale_changes_chance_agreement():
    narrow, wide = (agree(crowd(), scale, draws=0)["ac1"]["chance"] for scale in ((1, 5), (1, 10)))
    assert narrow > wide


def test_two_participants_are_too_few_to_resample():
    found = agree(
        [
            (p, i, "a", v)
            for p, values in (("p", (1, 3, 5)), ("q", (2, 3, 4)))
            for i, v in zip("ijk", values, strict=True)
        ]
    )
    assert "not_estimable" in found["ac1"]["low_raters"]
    assert "2 participants" in found["ac1"]["warning"]


def test_incomplete_data_without_components_say_what_they_need():
    rows = crowd()[1:]
    assert "mixed model" in agree(rows)["icc_2_1"]["not_estimable"]
    assert agree(rows)["icc_1"]["approximate"]
    assert agree(rows, components={"not_estimable": "no fit"})["icc_3_k"]["not_estimable"] == "no fit"


def test_components_of_complete_data_give_the_anova_values():
    rows = crowd()
    from_model = icc_from_components(**unit_components(table_of(rows)), k=12)
    from_squares = agree(rows, draws=0)
    for name in ("icc_2_1", "icc_2_k", "icc_3_1", "icc_3_k"):
        assert from_model[name]["estimate"] == pytest.approx(from_squares[name]["estimate"], rel=1e-6)


def test_ratios_of_components():
    found = icc_from_components(4.0, 1.0, 3.0, 4)
    assert [found[name]["estimate"] for name in ("icc_2_1", "icc_2_k", "icc_3_1", "icc_3_k")] == pytest.approx(
        [0.5, 0.8, 4 / 7, 4 / 4.75]
    )
    assert "not_estimable" in found["icc_2_1"]["low"]


def test_the_delta_interval_of_a_ratio():
    found = icc_from_components(1.0, 0.0, 1.0, 1, np.diag([0.04, 0.0, 0.0]))["icc_3_1"]
    # d icc / d unit = residual / total^2 = 1/4, so se = 0.05, and on the logit 0.2.
    assert found["se"] == pytest.approx(0.05)
    assert found["high"] == pytest.approx(1 / (1 + np.exp(-1.959963985 * 0.2)))


def test_the_sentence_has_what_one_needs_to_redo_it():
    found = agree(crowd(), draws=200)
    said = how_agreement(found, "krippendorff_ordinal")
    for part in ("108 ratings", "9 items", "12 participants", "200 times", "seed 1", "mid-ranks"):
        assert part in said
    assert "F(8, " in how_agreement(found, "icc_2_1")
    assert "df = 8" in how_agreement(found, "ac2_quadratic")
