"""Resampling participants: the same as copying their ratings, and as a long run of R's reference on real studies."""

import json
import random

import numpy as np
import pytest
from scipy.stats import norm

from reports.statistics import bootstrap
from reports.statistics.bootstrap import (
    ARM_INTERVALS,
    CONTRAST_INTERVALS,
    PARTICIPANTS,
    _blocks,
    bootstrap_arm,
    bootstrap_contrast,
    how_bootstrap,
)
from reports.statistics.comparison import compare
from reports.statistics.estimation import describe_arm
from reports.statistics.intervals import estimable
from reports.statistics.table import Table

from .test_reference import REFERENCE, study

SCALE = (1, 10)


def ratings(people=14, items=11, arms=("a", "b"), seed=1, keep=0.8):
    """Rows (participant, item, arm, rating) of an incomplete study in which people and arms differ."""
    rng = random.Random(seed)
    rows = []
    for p in range(people):
        likes = rng.gauss(6, 1.5)
        for i in range(items):
            for k, arm in enumerate(arms):
                if rng.random() < keep:
                    value = round(likes + 0.7 * k + rng.gauss(0, 1.5))
                    rows.append((f"p{p:02}", f"i{i:02}", arm, min(max(value, 1), 10)))
    return rows


def table(rows):
    return Table.from_columns(*zip(*rows, strict=True))


def copied(rows, weights, of, arm):
    """The ratings of an arm, each copied as often as whoever or whatever it belongs to was drawn."""
    return [row[3] for row in rows if row[2] == arm for _ in range(int(weights[of.index(row[0])]))]


DRAWS = 100


@pytest.fixture(scope="module")
def rows():
    return ratings()


@pytest.fixture(scope="module")
def resamples(rows):
    people = sorted({row[0] for row in rows})
    weights = np.concatenate(list(_blocks(len(people), DRAWS, 5, PARTICIPANTS)))
    assert (weights.sum(axis=1) == len(people)).all()
    return [[copied(rows, drawn, people, arm) for arm in "ab"] for drawn in weights]


@pytest.fixture(scope="module")
def arm(rows):
    return bootstrap_arm(table(rows), "a", SCALE, seed=5, draws=DRAWS)


@pytest.fixture(scope="module")
def contrast(rows):
    return bootstrap_contrast(table(rows), "a", "b", seed=5, draws=DRAWS)


class TestAgainstCopies:
    """A hundred resamples made of copied ratings give the same numbers as weights do."""

    @pytest.mark.parametrize(
        ("key", "statistic"),
        [
            ("participant_bootstrap_percentile", np.mean),
            ("median", np.median),
            ("top_box", lambda values: np.mean(np.array(values) == 10)),
            ("top_2_box", lambda values: np.mean(np.array(values) >= 9)),
        ],
    )
    def test_an_arm(self, arm, resamples, rows, key, statistic):
        drawn = [statistic(a) for a, _ in resamples]
        found = arm[key]

        assert found["estimate"] == pytest.approx(statistic([row[3] for row in rows if row[2] == "a"]))
        assert [found["low"], found["high"]] == pytest.approx(np.quantile(drawn, [0.025, 0.975]))
        assert found["se"] == pytest.approx(np.std(drawn, ddof=1))

    def test_the_difference(self, contrast, resamples):
        drawn = [np.mean(b) - np.mean(a) for a, b in resamples]
        found = contrast["participant_bootstrap_percentile"]

        assert [found["low"], found["high"]] == pytest.approx(np.quantile(drawn, [0.025, 0.975]))

    def test_cliffs_delta_and_the_probability_of_superiority(self, contrast, resamples):
        signs = [np.sign(np.subtract.outer(b, a)) for a, b in resamples]
        for key, drawn in (
            ("cliffs_delta", [sign.mean() for sign in signs]),
            ("prob_superiority", [(sign > 0).mean() + (sign == 0).mean() / 2 for sign in signs]),
        ):
            assert [contrast[key]["low"], contrast[key]["high"]] == pytest.approx(np.quantile(drawn, [0.025, 0.975]))

    def test_standardised_differences(self, contrast, rows):
        people = sorted({row[0] for row in rows})
        means = [
            np.array([np.mean([row[3] for row in rows if row[0] == p and row[2] == arm]) for p in people])
            for arm in "ab"
        ]
        weights = np.concatenate(list(_blocks(len(people), DRAWS, 5, PARTICIPANTS)))
        d_z, d_av = [], []
        for drawn in weights:
            a, b = (np.repeat(mean, drawn.astype(int)) for mean in means)
            d_z.append((b - a).mean() / (b - a).std(ddof=1))
            d_av.append((b - a).mean() / np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2))

        assert [contrast["d_z"][key] for key in ("low", "high")] == pytest.approx(np.quantile(d_z, [0.025, 0.975]))
        assert [contrast["d_av"][key] for key in ("low", "high")] == pytest.approx(np.quantile(d_av, [0.025, 0.975]))

    def test_bca_as_written_by_efron(self, arm, resamples, rows):
        drawn = np.array([np.mean(a) for a, _ in resamples])
        found, everyone = arm["participant_bootstrap_bca"], [row[3] for row in rows if row[2] == "a"]
        people = sorted({row[0] for row in rows})
        left = np.array([np.mean([row[3] for row in rows if row[2] == "a" and row[0] != p]) for p in people])
        z0 = norm.ppf((np.sum(drawn < np.mean(everyone)) + np.sum(drawn <= np.mean(everyone))) / 2 / len(drawn))
        away = left.mean() - left
        a = (away**3).sum() / 6 / (away**2).sum() ** 1.5
        z = z0 + norm.ppf([0.025, 0.975])
        at = norm.cdf(z0 + z / (1 - a * z))

        assert [found["z0"], found["acceleration"]] == pytest.approx([z0, a])
        assert [found["low"], found["high"]] == pytest.approx(np.quantile(drawn, at))

    def test_two_ways(self, arm, rows):
        people, items = sorted({row[0] for row in rows}), sorted({row[1] for row in rows})
        by_people, by_items = (
            np.concatenate(list(_blocks(len(units), DRAWS, 5, stream)))
            for units, stream in ((people, PARTICIPANTS), (items, bootstrap.ITEMS))
        )
        drawn = []
        for p, i in zip(by_people.astype(int), by_items.astype(int), strict=True):
            weights = [p[people.index(row[0])] * i[items.index(row[1])] for row in rows if row[2] == "a"]
            drawn.append(np.average([row[3] for row in rows if row[2] == "a"], weights=weights))
        found = arm["two_way_bootstrap"]

        assert [found["low"], found["high"]] == pytest.approx(np.quantile(drawn, [0.025, 0.975]))
        assert found["items"] == 11

    def test_the_estimates_are_those_of_the_report(self, arm, contrast, rows):
        described, compared = describe_arm(table(rows), "a", SCALE), compare(table(rows), "a", "b")

        assert arm["participant_bootstrap_bca"]["estimate"] == described["mean"]
        assert arm["median"]["estimate"] == described["median"]
        assert arm["top_box"]["estimate"] == pytest.approx(described["share_at_max"])
        assert contrast["participant_bootstrap_bca"]["estimate"] == compared["difference"]
        for key, value in compared["effect_sizes"].items():
            assert contrast[key]["estimate"] == pytest.approx(value), key


def reference(name):
    if not REFERENCE.is_dir():
        return []
    found = json.loads((REFERENCE / f"{name}.mc.json").read_text())["results"]
    return [pytest.param(name, expected, id=f"{name}-{expected['criterion']}-{expected['what']}") for expected in found]


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference data is not beside this checkout")
@pytest.mark.parametrize(("name", "expected"), [*reference("mathconverse"), *reference("sim_crossed")])
def test_the_reference_intervals(name, expected):
    """Within 4 Monte-Carlo standard errors of either side, from as many draws as the reference took."""
    tables, about = study(name)
    arms = expected["what"].split(" - ")
    of = tables[expected["criterion"]]
    if len(arms) == 1:
        got = bootstrap_arm(of, arms[0], about["scale"], seed=11, draws=40_000)
    else:
        got = bootstrap_contrast(of, arms[1], arms[0], seed=11, draws=40_000)
    percentile, bca = got["participant_bootstrap_percentile"], got["participant_bootstrap_bca"]

    assert percentile["estimate"] == pytest.approx(expected["estimate"], rel=1e-12)
    assert bca["acceleration"] == pytest.approx(expected["acceleration"], rel=1e-9)
    # The standard error of z0 is sqrt(1/4 / 40,000) over the normal density at 0, on either side.
    assert bca["z0"] == pytest.approx(expected["z0"], abs=4 * 2**0.5 * 0.5 / 200 / norm.pdf(0))
    assert percentile["se"] == pytest.approx(expected["participant_bootstrap_se"], rel=4 * 2**0.5 / 80_000**0.5)
    checked = [(percentile, expected["percentile"]), (bca, expected["bca"])]
    if len(arms) == 1:
        checked.append((got["two_way_bootstrap"], expected["pigeonhole_percentile"]))
        assert got["two_way_bootstrap"]["se"] == pytest.approx(expected["pigeonhole_se"], rel=4 * 2**0.5 / 80_000**0.5)
    for interval, ends in checked:
        tolerance = 4 * (expected["endpoint_mcse"] + interval["endpoint_mcse"])
        assert [interval["low"], interval["high"]] == pytest.approx(ends, abs=tolerance)


def assert_near(one, other):
    """Equal but for rounding, at every depth."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_near(one[key], other[key])
    elif isinstance(one, str):
        assert one == other
    else:
        assert one == pytest.approx(other, rel=1e-9, abs=1e-9)


class TestTheDraws:
    def test_a_seed_gives_the_same_numbers_and_another_seed_others(self):
        of = table(ratings())
        one = bootstrap_arm(of, "a", SCALE, seed=1, draws=200)

        assert bootstrap_arm(of, "a", SCALE, seed=1, draws=200) == one
        assert (
            bootstrap_arm(of, "a", SCALE, seed=2, draws=200)["participant_bootstrap_percentile"]
            != (one["participant_bootstrap_percentile"])
        )
        assert (one["median"]["seed"], one["median"]["draws"]) == (1, 200)

    def test_the_order_of_rows_does_not_matter(self):
        rows = ratings()
        shuffled = random.Random(2).sample(rows, len(rows))

        assert bootstrap_contrast(table(rows), "a", "b", 3, 100) == bootstrap_contrast(
            table(shuffled), "a", "b", 3, 100
        )

    def test_swapping_the_arms_turns_the_intervals_round(self):
        of = table(ratings())
        one, other = bootstrap_contrast(of, "a", "b", 3, 300), bootstrap_contrast(of, "b", "a", 3, 300)

        for key in CONTRAST_INTERVALS:
            middle = 1 if key == "prob_superiority" else 0
            assert one[key]["low"] == pytest.approx(middle - other[key]["high"], abs=1e-9), key

    def test_small_blocks_change_nothing(self, monkeypatch):
        of = table(ratings())
        one = bootstrap_arm(of, "a", SCALE, seed=4, draws=150), bootstrap_contrast(of, "a", "b", seed=4, draws=150)
        monkeypatch.setattr(bootstrap, "BLOCK", 100)
        monkeypatch.setattr(bootstrap, "KEPT", 0)

        assert_near(bootstrap_arm(of, "a", SCALE, 4, 150), one[0])
        assert_near(bootstrap_contrast(of, "a", "b", 4, 150), one[1])

    def test_sparse_matrices_change_nothing(self, monkeypatch):
        # Every participant has items of their own, so that nearly all places are empty.
        rows = [(p, f"{p} {i}", arm, value) for p, i, arm, value in ratings(people=24)]
        one = bootstrap_arm(table(rows), "b", SCALE, seed=4, draws=150)
        monkeypatch.setattr(bootstrap, "SPARSE", 1 << 60)
        assert bootstrap_arm(table(rows), "b", SCALE, 4, 150) == one
        monkeypatch.setattr(bootstrap, "BLOCK", 2000)
        monkeypatch.setattr(bootstrap, "SPARSE", 1)

        assert bootstrap_arm(table(rows), "b", SCALE, 4, 150) == one

    def test_a_doubled_study_has_the_same_intervals(self):
        rows = ratings()

        one, other = (bootstrap_arm(table(of), "a", SCALE, 3, 200) for of in (rows, rows * 2))
        for key in ("participant_bootstrap_bca", "two_way_bootstrap", "top_box"):
            assert_near(one[key], other[key])


class TestRefusals:
    def refused(self, rows, arms=("a",)):
        of = Table.from_columns(*zip(*rows, strict=True), arms=("a", "b"))
        found = bootstrap_arm(of, "a", SCALE, 1, 100) if len(arms) == 1 else bootstrap_contrast(of, *arms, 1, 100)
        assert json.dumps(found, allow_nan=False)
        assert set(found) == set(ARM_INTERVALS if len(arms) == 1 else CONTRAST_INTERVALS)
        return {key: value.get("not_estimable") for key, value in found.items()}

    def test_fewer_than_ten_participants(self):
        reasons = self.refused(ratings(people=9))
        assert set(reasons.values()) == {"resampling needs at least 10 participants, and there are 9"}
        assert set(self.refused(ratings(people=9), "ab").values()) == set(reasons.values())

    def test_fewer_than_twenty_are_warned_of(self):
        few = bootstrap_arm(table(ratings(people=19)), "a", SCALE, 1, 100)["participant_bootstrap_bca"]
        enough = bootstrap_arm(table(ratings(people=20)), "a", SCALE, 1, 100)["participant_bootstrap_bca"]

        assert few["warning"] == "only 19 participants: resampling fewer than 20 is unreliable"
        assert "warning" not in enough

    def test_fewer_than_ten_items_are_not_resampled(self):
        reasons = self.refused(ratings(people=20, items=9))
        assert reasons["two_way_bootstrap"] == "resampling items needs at least 10 of them, and there are 9"
        assert reasons["participant_bootstrap_percentile"] is None

    def test_an_arm_without_ratings(self):
        only_b = [row for row in ratings() if row[2] == "b"]
        assert set(self.refused(only_b).values()) == {"there are no ratings"}
        assert set(self.refused(only_b, "ab").values()) == {"one of the arms has no ratings"}

    def test_equal_ratings(self):
        equal = [(*row[:3], 7) for row in ratings()]
        for arms in ("a", "ab"):
            assert set(self.refused(equal, arms).values()) == {
                "all ratings are equal, so their spread cannot be estimated"
            }

    def test_participants_who_do_not_differ(self):
        rows = [(f"p{p:02}", f"i{i:02}", arm, 3 + i) for p in range(12) for i in range(5) for arm in "ab"]
        reasons = self.refused(rows)
        assert reasons["participant_bootstrap_percentile"].startswith("the clusters do not differ")
        assert self.refused(rows, "ab")["d_z"].startswith("the participants do not differ")

    def test_a_top_point_that_nobody_gave(self):
        rows = [(*row[:3], min(row[3], 8)) for row in ratings()]
        reasons = self.refused(rows)
        assert (
            reasons["top_box"]
            == reasons["top_2_box"]
            == "none of the ratings are there, so every resample says the same"
        )
        assert reasons["median"] is None

    def test_arms_rated_by_different_people_have_no_paired_sizes(self):
        rows = [(f"{arm} {p}", i, arm, value) for p, i, arm, value in ratings()]
        reasons = self.refused(rows, "ab")
        assert (
            reasons["d_z"] == reasons["g_z"] == "the arms were rated by different participants, so there are no pairs"
        )
        assert reasons["d_av"] is reasons["cliffs_delta"] is None

    def test_a_standard_deviation_that_often_vanishes(self):
        """All but one participant differ by exactly one point; in a third of the resamples that one is missing."""
        rows = [(f"p{p:02}", "i", arm, 5 + (arm == "b") * (2 if p == 0 else 1)) for p in range(15) for arm in "ab"]
        reason = self.refused(rows, "ab")["d_z"]
        assert reason.endswith("of 100 resamples have no value")

    def test_one_rating_each(self):
        rng = random.Random(5)
        rows = [(f"p{p}", f"i{p}", "a" if p % 2 else "b", rng.randint(1, 10)) for p in range(60)]
        assert self.refused(rows)["two_way_bootstrap"] is None
        assert self.refused(rows, "ab")["participant_bootstrap_bca"] is None


class TestHow:
    def test_it_names_all_that_is_needed_to_draw_again(self):
        said = how_bootstrap(bootstrap_arm(table(ratings(people=20)), "a", SCALE, 77, 123)["two_way_bootstrap"])
        for part in ("123 resamples", "20 participants", "11 items", "seed 77", "2.5 %", "97.5 %"):
            assert part in said

    def test_bca_names_its_corrections(self):
        found = bootstrap_arm(table(ratings()), "a", SCALE, 7, 100)["participant_bootstrap_bca"]
        assert f"z0 = {found['z0']:.6g}" in how_bootstrap(found)

    def test_a_refusal(self):
        assert how_bootstrap({"not_estimable": "why not"}) == "Not estimable: why not."


@pytest.mark.parametrize("key", ARM_INTERVALS)
def test_every_interval_holds_its_estimate(key):
    interval = bootstrap_arm(table(ratings(people=30)), "b", SCALE, 1)[key]
    assert estimable(interval)
    assert interval["low"] <= interval["estimate"] <= interval["high"]
