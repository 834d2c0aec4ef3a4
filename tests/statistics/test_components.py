"""How much people, items and the rest vary: the analysis of variance by hand, truth on average, what is not told."""

from math import sqrt

import numpy as np
import pytest

from reports.statistics.components import SOURCES, Components, estimate_components
from reports.statistics.table import Table

TRUTH = Components()


def table(participant, item, arm, rating):
    return Table.from_columns(
        [f"p{k:03}" for k in participant], [f"i{k:03}" for k in item], ["ab"[k] for k in arm], rating
    )


def crossed(people, items, arms=2):
    return [axis.ravel() for axis in np.meshgrid(range(people), range(items), range(arms), indexing="ij")]


def one_arm_an_item(rng, people, items, each):
    item = np.argsort(rng.random((people, items)))[:, :each].ravel()
    return np.repeat(np.arange(people), each), item, np.tile(np.arange(each) % 2, people)


def draw(rng, participant, item, arm, sd=TRUTH):
    people, items = participant.max() + 1, item.max() + 1
    return (
        0.5 * arm
        + rng.normal(0, sd.participant, people)[participant]
        + rng.normal(0, sd.item, items)[item]
        + rng.normal(0, sd.participant_arm, (people, 2))[participant, arm]
        + rng.normal(0, sd.item_arm, (items, 2))[item, arm]
        + rng.normal(0, sd.residual, len(arm))
    )


def test_one_complete_arm_is_the_analysis_of_variance():
    ratings = np.array([[7, 9, 8, 6], [5, 8, 6, 4], [9, 9, 7, 7]], dtype=float)
    people, items = ratings.shape
    by_person, by_item, grand = ratings.mean(axis=1), ratings.mean(axis=0), ratings.mean()
    between_people = items * ((by_person - grand) ** 2).sum() / (people - 1)
    between_items = people * ((by_item - grand) ** 2).sum() / (items - 1)
    rest = ratings - by_person[:, None] - by_item + grand
    residual = (rest**2).sum() / ((people - 1) * (items - 1))

    found = estimate_components(table(*crossed(people, items, 1), ratings.ravel()))

    assert found["residual"] == pytest.approx(sqrt(residual))
    assert found["participant"] == pytest.approx(sqrt((between_people - residual) / items))
    assert found["item"] == pytest.approx(sqrt((between_items - residual) / people))


def test_two_complete_arms_are_the_analysis_of_variance():
    people, items = 6, 4
    rows = crossed(people, items)
    rng = np.random.default_rng(2)
    sd = Components(1.2, 0.8, 0.7, 0.7, 1.0)
    ratings = np.round(6 + draw(rng, *rows, sd))
    cells = ratings.reshape(people, items, 2)
    by_person_arm, by_item_arm, by_arm = cells.mean(axis=1), cells.mean(axis=0), cells.mean(axis=(0, 1))
    by_person, by_item, grand = cells.mean(axis=(1, 2)), cells.mean(axis=(0, 2)), cells.mean()
    rest = cells - by_person_arm[:, None, :] - by_item_arm[None] + by_arm
    ms_rest = (rest**2).sum() / (2 * (people - 1) * (items - 1))
    ms_person_arm = items * ((by_person_arm - by_person[:, None] - by_arm + grand) ** 2).sum() / (people - 1)
    ms_item_arm = people * ((by_item_arm - by_item[:, None] - by_arm + grand) ** 2).sum() / (items - 1)
    ms_person = 2 * items * ((by_person - grand) ** 2).sum() / (people - 1)
    ms_item = 2 * people * ((by_item - grand) ** 2).sum() / (items - 1)
    expected = {
        "participant": (ms_person - ms_person_arm) / (2 * items),
        "item": (ms_item - ms_item_arm) / (2 * people),
        "participant_arm": (ms_person_arm - ms_rest) / items,
        "item_arm": (ms_item_arm - ms_rest) / people,
        "residual": ms_rest,
    }

    found = estimate_components(table(*rows, ratings))

    assert {source: found[source] ** 2 for source in SOURCES} == pytest.approx(
        {source: max(variance, 0) for source, variance in expected.items()}, rel=1e-9
    )


@pytest.mark.parametrize("layout", ["crossed", "one arm an item"])
def test_they_are_right_on_average(layout):
    """60 studies of 80 people; sums of squares, so that small components set to zero do not bias the large ones."""
    rng, found = np.random.default_rng(4), []
    for _ in range(60):
        rows = crossed(80, 12) if layout == "crossed" else one_arm_an_item(rng, 80, 12, 8)
        found.append(estimate_components(table(*rows, draw(rng, *rows))))

    for source, tolerance in {"participant": 0.03, "item": 0.04, "residual": 0.02}.items():
        mean = np.sqrt(np.mean([study[source] ** 2 for study in found]))
        assert mean == pytest.approx(getattr(TRUTH, source), abs=tolerance)
    # Small beside the rest; an estimate below zero counts as zero and lifts their mean a little.
    for source in ("participant_arm", "item_arm"):
        mean = np.sqrt(np.mean([study[source] ** 2 for study in found]))
        assert mean == pytest.approx(getattr(TRUTH, source), abs=0.06)


def test_the_arms_means_do_not_matter():
    rng = np.random.default_rng(5)
    rows = crossed(12, 6)
    ratings = draw(rng, *rows)
    before, after = estimate_components(table(*rows, ratings)), estimate_components(table(*rows, ratings + 3 * rows[2]))

    assert [after[source] for source in SOURCES] == pytest.approx([before[source] for source in SOURCES], abs=1e-9)


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(6)
    rows = one_arm_an_item(rng, 20, 8, 4)
    ratings, order = np.round(draw(rng, *rows) + 5), rng.permutation(80)

    assert estimate_components(table(*(row[order] for row in rows), ratings[order])) == estimate_components(
        table(*rows, ratings)
    )


def test_arms_between_participants_leave_their_deviation_in_the_participants():
    rng = np.random.default_rng(7)
    participant, item, _ = crossed(40, 8, 1)
    arm = participant % 2

    found = estimate_components(table(participant, item, arm, draw(rng, participant, item, arm)))

    assert found["participant_arm"] == {"not_estimable": "no participant rated more than one arm"}
    assert found["participant"] > 0.4
    assert isinstance(found["item_arm"], float)


def test_items_of_their_own_in_each_arm_leave_their_deviation_in_the_items():
    rng = np.random.default_rng(8)
    participant, item, _ = crossed(30, 8, 1)
    arm = item % 2

    found = estimate_components(table(participant, item, arm, draw(rng, participant, item, arm)))

    assert found["item_arm"] == {"not_estimable": "no item was rated in two arms"}


def test_a_component_below_zero_is_zero_and_named():
    found = estimate_components(table(*crossed(2, 2, 1), [1, 5, 5, 1]))

    assert found["participant"] == found["item"] == 0
    assert found["below_zero"] == ["participant", "item"]


@pytest.mark.parametrize(
    ("participant", "item", "arm", "rating"),
    [
        ([], [], [], []),
        ([0], [0], [0], [7]),
        ([0, 0], [0, 1], [0, 1], [7, 8]),
        ([0, 1], [0, 0], [0, 0], [7, 8]),
        # Each participant rates one item of their own.
        ([0, 1, 2], [0, 1, 2], [0, 0, 0], [3, 5, 8]),
        ([0, 1, 2, 3], [0, 0, 1, 1], [0, 0, 0, 0], [3, 5, 8, 2]),
    ],
)
def test_what_cannot_be_told_apart_has_a_reason(participant, item, arm, rating):
    assert "not_estimable" in estimate_components(table(participant, item, arm, rating))


def test_several_ratings_of_one_cell_count():
    rows = [np.tile(row, 2) for row in crossed(6, 4)]
    rng = np.random.default_rng(9)

    assert estimate_components(table(*rows, draw(rng, *rows)))["n_ratings"] == 96


def test_equal_ratings_vary_nowhere():
    found = estimate_components(table(*crossed(4, 4), [7.0] * 32))

    assert [found[source] for source in SOURCES] == [0.0] * 5
