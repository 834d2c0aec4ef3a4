import json
import random

import pytest

from reports.statistics.analysis import Analysis
from reports.statistics.summary import summarise
from reports.statistics.table import tables_from_columns


def study(participants=10, items=9, arms="ab", criteria=("empathy",), rating=None, missing=0.0, seed=1, **labels):
    rng = random.Random(seed)
    rows = [
        (f"p{p:03}", f"i{i}", arm, criterion, None if rng.random() < missing else rating or rng.randint(1, 10))
        for p in range(participants)
        for i in range(items)
        for arm in arms
        for criterion in criteria
    ]
    return tables_from_columns(*zip(*rows, strict=True), **labels)


def test_it_has_the_contracted_names():
    report = summarise(study(criteria=("empathy", "fluency")), Analysis((1, 10)))

    assert set(report) == {"level", "warnings", "criteria", "methods"}
    assert list(report["criteria"]) == ["empathy", "fluency"]
    arm = report["criteria"]["fluency"]["arms"]["b"]
    assert set(arm) >= {
        "n_ratings", "n_participants", "n_items", "missing", "mean", "sd", "median", "q1", "q3", "counts",
        "share_at_max", "design_effect", "effective_n", "intervals", "headline",
    }  # fmt: skip
    assert set(arm["intervals"]) == {"naive_t", "participant_cr1", "two_way"}
    for interval in arm["intervals"].values():
        assert set(interval) >= {"estimate", "se", "df", "low", "high"}
    (contrast,) = report["criteria"]["fluency"]["contrasts"]
    assert set(contrast) >= {"a", "b", "design", "difference", "intervals", "tests", "effect_sizes", "headline"}
    assert set(contrast["intervals"]) == {"paired", "welch", "participant_cr1", "two_way"}
    assert set(contrast["tests"]) == {"paired_t", "welch_t"}
    assert set(contrast["effect_sizes"]) == {"d_z", "g_z", "d_av", "g_av", "cliffs_delta", "prob_superiority"}


@pytest.mark.parametrize(
    "tables",
    [
        {},
        study(participants=1, items=1, arms="a"),
        study(participants=1),
        study(items=1),
        study(participants=2, items=2),
        study(rating=7),
        study(missing=1.0),
        study(missing=0.3),
        study(arms="a"),
    ],
)
@pytest.mark.parametrize("items_are", ["random", "fixed"])
def test_every_study_however_small_gives_plain_json(tables, items_are):
    report = summarise(tables, Analysis((1, 10), items_are))

    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_the_order_of_criteria_is_the_callers():
    tables = study(criteria=("a", "b"))

    assert list(summarise({"b": tables["b"], "a": tables["a"]}, Analysis((1, 10)))["criteria"]) == ["b", "a"]


class TestWarnings:
    def test_a_sound_study_has_none(self):
        assert summarise(study(), Analysis((1, 10)))["warnings"] == []

    def test_few_items(self):
        (warning,) = summarise(study(items=5), Analysis((1, 10)))["warnings"]

        assert "Fewer than 8 items" in warning
        assert "items fixed is shown first" in warning

    def test_few_items_do_not_matter_when_they_are_the_ones_meant(self):
        assert summarise(study(items=5), Analysis((1, 10), "fixed"))["warnings"] == []

    def test_few_participants(self):
        (warning,) = summarise(study(participants=4), Analysis((1, 10)))["warnings"]

        assert "Fewer than 8 participants" in warning

    def test_where_it_holds_is_named_when_not_everywhere(self):
        tables = study(arms="a") | {"late": study(arms="a", items=3)["empathy"]}
        warnings = summarise(tables, Analysis((1, 10)))["warnings"]

        assert len(warnings) == 1
        assert warnings[0].endswith("(late: a)")

    def test_an_arm_without_ratings(self):
        tables = tables_from_columns("pq", "ij", "aa", "cc", [1, 2], arms=["a", "b"])

        assert "There are no ratings. (c: b)" in summarise(tables, Analysis((1, 10)))["warnings"]


class TestMethods:
    def paragraph(self, tables, items_are="random"):
        return summarise(tables, Analysis((1, 10), items_are))["methods"]["paragraph"]

    def test_it_names_what_was_run_and_with_what(self):
        methods = summarise(study(missing=0.1), Analysis((1, 10)))["methods"]

        assert set(methods["software"]) == {"python", "numpy", "scipy"}
        assert methods["software"]["scipy"] in methods["paragraph"]
        assert "two_way" in methods["definitions"]
        assert "participants and items both random" in methods["estimand"]
        assert "clustered on both participants and items" in methods["paragraph"]
        assert "paired t test" in methods["paragraph"]
        assert "missing ratings of 180 were left out" in methods["paragraph"]

    def test_it_claims_nothing_that_was_not_run(self):
        paragraph = self.paragraph(study(arms="a"))

        for claim in ("compar", "Welch", "paired", "missing", "adjusted", "floored"):
            assert claim not in paragraph

    def test_with_items_fixed_it_does_not_speak_of_items_like_these(self):
        paragraph = self.paragraph(study(), "fixed")

        assert "treat the items as fixed" in paragraph
        assert "clustered on both" not in paragraph

    def test_several_comparisons_are_said_to_be_unadjusted(self):
        assert "3 comparisons are not adjusted" in self.paragraph(study(arms="abc"))

    def test_a_study_without_an_estimable_interval_claims_none(self):
        assert "interval" not in self.paragraph(study(participants=1))
