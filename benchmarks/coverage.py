"""How often the 95 % intervals of a known mean, and of a known difference between two arms, hold it.

    python -m benchmarks.coverage [--studies 4000]

Whole studies are simulated, people and items drawn anew, with ratings from 1 to 10 that crowd at the top. The
truth is known exactly. The promise: of the first 100 studies of each design at least 90 two-way intervals hold it, or
the exit status is 1.
"""

import argparse
import sys
from math import sqrt

import numpy as np
from scipy.special import ndtr

from reports.statistics.clustered import pooled_mean
from reports.statistics.estimation import standard_deviation
from reports.statistics.intervals import estimable, t_quantile
from reports.statistics.table import Table, tables_from_codes

# Where the latent impression turns into the next higher rating; the top is reached early.
THRESHOLDS = np.array([-3.3, -2.9, -2.5, -2.05, -1.6, -1.1, -0.5, 0.2, 0.95])
ARMS = {"a": 0.68, "b": 0.83}
SD = {"participant": 0.76, "item": 0.28, "participant_arm": 0.15, "item_arm": 0.2, "rating": 0.8}

# name: participants, items, items each participant rates, whether each item is rated in both arms
DESIGNS = {
    "100 people, 24 items, 8 each, one arm an item": (100, 24, 8, False),
    "100 people x 10 items x both arms": (100, 10, 10, True),
    "20 people x 10 items x both arms": (20, 10, 10, True),
}


# What is estimated, as weights of the arms' means.
TARGETS = {"difference b - a": {"a": -1, "b": 1}, "mean of a": {"a": 1}}


def true_mean(arm: str) -> float:
    """Exact: over people, items and moments the impression is normal with the summed variance."""
    sd = sqrt(sum(part**2 for part in SD.values()))
    return 1 + float(ndtr((ARMS[arm] - THRESHOLDS) / sd).sum())


def simulate(rng: np.random.Generator, people: int, items: int, each: int, both_arms: bool) -> Table:
    seen = np.argsort(rng.random((people, items)))[:, :each]
    participant = np.repeat(np.arange(people), each)
    item = seen.ravel()
    # Half of each person's items in either arm, in an order of their own; or every item twice.
    arm = np.tile(np.arange(each) % 2, people)
    if both_arms:
        participant, item = np.tile(participant, 2), np.tile(item, 2)
        arm = np.repeat([0, 1], people * each)
    impression = (
        np.array(list(ARMS.values()))[arm]
        + rng.normal(0, SD["participant"], people)[participant]
        + rng.normal(0, SD["item"], items)[item]
        + rng.normal(0, SD["participant_arm"], (people, 2))[participant, arm]
        + rng.normal(0, SD["item_arm"], (items, 2))[item, arm]
        + rng.normal(0, SD["rating"], len(arm))
    )
    rating = 1 + np.searchsorted(THRESHOLDS, impression)
    names = [f"{k:04}" for k in range(max(people, items))]
    criterion = np.zeros(len(arm), dtype=np.int64)
    return tables_from_codes(
        criterion, participant, item, arm, rating, ["c"], names[:people], names[:items], list(ARMS)
    )["c"]


def intervals(table: Table, weights: dict[str, int]) -> dict[str, tuple[float, float]]:
    pooled = pooled_mean(table, weights)
    found = {"two_way": pooled.two_way(), "participant_cr1": pooled.participant_cr1()}
    # An interval that does not exist holds nothing, and counts against us.
    bounds = {name: (i["low"], i["high"]) if estimable(i) else (np.inf, -np.inf) for name, i in found.items()}
    # What is usually printed: all ratings taken for independent.
    variance = sum(standard_deviation(table, arm) ** 2 / table.n[table.code(arm)] for arm in weights)
    half = t_quantile(pooled.n_ratings - len(weights)) * sqrt(variance)
    return {**bounds, "naive": (pooled.estimate - half, pooled.estimate + half)}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--studies", type=int, default=4000, help="simulated studies of each design (at least 100)")
    studies = max(options.parse_args().studies, 100)
    kept = True
    for seed, (name, design) in enumerate(DESIGNS.items()):
        rng = np.random.default_rng((2, seed))
        tables = [simulate(rng, *design) for _ in range(studies)]
        print(f"\n{name}; {studies} studies")
        for target, weights in TARGETS.items():
            truth = sum(weight * true_mean(arm) for arm, weight in weights.items())
            found = [intervals(table, weights) for table in tables]
            print(f"  {f'{target}: {truth:.4f}':<26}{'of first 100':>12}{'coverage':>10}{'± MC error':>12}{'width':>8}")
            for interval in found[0]:
                low, high = np.array([study[interval] for study in found]).T
                held = (low <= truth) & (truth <= high)
                share, first = held.mean(), held[:100].sum()
                error = sqrt(share * (1 - share) / studies)
                print(f"    {interval:<24}{first:>12}{share:>10.3f}{error:>12.3f}{(high - low).mean():>8.3f}")
                kept &= interval != "two_way" or first >= 90
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
