import json
from math import isnan

import pytest

from ratings.frames import pool_of
from reports.report import study_report
from tests.reports.people import exclude, make_study, take_part


def report_of(study, kind="real"):
    return study_report(pool_of(study, kind))


def wave(item, arm, criterion):
    """Ratings that differ by item and arm, the same for everyone."""
    return 3 + int(item[-2:]) % 4 + (arm == "rowan") * 2


def numbers(value):
    if isinstance(value, dict):
        return [n for part in value.values() for n in numbers(part)]
    if isinstance(value, list):
        return [n for part in value for n in numbers(part)]
    return [value] if isinstance(value, float) else []


@pytest.fixture
def rated(study):
    for shift in range(6):
        take_part(study, lambda item, arm, criterion, shift=shift: wave(item, arm, criterion) - shift % 3)
    return study


def test_it_has_the_parts_that_are_contracted(rated):
    report = report_of(rated)

    assert report["schema"] == 1
    assert report["level"] == 0.95
    assert {"warnings", "flow", "sample", "criteria", "quality", "methods", "versions"} <= set(report)
    assert "between_criteria" not in report
    arm = report["criteria"]["empathy_support"]["arms"]["linden"]
    assert {"n_ratings", "n_participants", "n_items", "missing", "mean", "sd", "median", "counts", "intervals"} <= set(
        arm
    )


def test_it_says_who_it_rests_on(rated):
    exclude(take_part(rated), "straight lines")

    paragraph = report_of(rated)["methods"]["paragraph"]

    assert "6 consenting participants" in paragraph
    assert "straight lines: 1" in paragraph


def test_it_warns_of_a_look_before_the_target(rated):
    assert any("6 of 100 planned participants" in warning for warning in report_of(rated)["warnings"])


def test_it_is_silent_about_the_target_once_it_is_reached(owner):
    study = make_study(owner, target=2)
    take_part(study), take_part(study)

    assert not any("planned" in warning for warning in report_of(study)["warnings"])


def test_a_rehearsal_says_so(study):
    take_part(study, kind="pilot")

    assert "pilot participants" in report_of(study, "pilot")["warnings"][0]


def test_kinds_are_reported_apart(study):
    take_part(study, kind="pilot")

    assert report_of(study)["flow"]["arrived"] == 0
    assert report_of(study, "pilot")["flow"]["arrived"] == 1


def test_checks_are_counted(study):
    take_part(study, check=3)
    take_part(study, check=8)

    quality = report_of(study)["quality"]

    assert quality["checks"] == [{"check": "check-1", "answered": 2, "passed": 1}]
    assert quality["participants_failing_a_check"] == 1


def test_small_groups_of_the_sample_are_hidden(study):
    for place in range(9):
        take_part(study, answers={"age_band": "21-24" if place else "60 or older"})

    answers = {cell["key"]: cell["n"] for cell in report_of(study)["sample"]["questions"][0]["answers"]}

    assert "suppressed" in answers["60 or older"]


@pytest.mark.parametrize("people", [0, 1, 2])
@pytest.mark.parametrize("items", [1, 2, 8])
@pytest.mark.parametrize(
    "score", [wave, lambda *_: 7, lambda *_: None, lambda item, arm, _: 5 if arm == "rowan" else None]
)
def test_tiny_studies_give_reasons_and_never_nan(owner, people, items, score):
    study = make_study(owner, items=items)
    for _ in range(people):
        take_part(study, score)

    report = report_of(study)

    assert not any(isnan(n) for n in numbers(report))
    assert json.dumps(report, allow_nan=False)


def test_items_fixed_or_few_put_that_interval_first(owner):
    fixed = make_study(owner, slug="fixed", items_are="fixed")
    few = make_study(owner, slug="few", items=4)
    many = make_study(owner, slug="many")
    for study in (fixed, few, many):
        for shift in range(4):
            take_part(study, lambda item, arm, _, shift=shift: wave(item, arm, _) - shift % 3)

    def headline(study):
        return report_of(study)["criteria"]["empathy_support"]["contrasts"][0]["headline"]

    assert [headline(study) for study in (fixed, few, many)] == ["participant_cr1", "participant_cr1", "two_way"]
    assert any("Fewer than 8 items" in warning for warning in report_of(few)["warnings"])


def test_the_table_of_versions_names_each_fingerprint(study):
    (row,) = report_of(study)["versions"]

    assert row["fingerprint"] == study.current_version.fingerprint
