"""How many participants and items a comparison of two arms needs.

Ratings are taken to be y = arm + u_participant + v_item + u_participant,arm + v_item,arm + e, all drawn anew with each
study, so that a study speaks about people and items like these. Whole studies are simulated and analysed as the report
does it (the two-way interval of the difference); beside that, and for the grid, stands the closed form:

    Var(b - a) = 2 s_pa^2 / P + 2 s_ia^2 / I + s_e^2 (1 / R_a + 1 / R_b)

with P participants, I items and R ratings in an arm; power is that of a noncentral t with min(P, I) - 1 degrees of
freedom (Westfall, Kenny and Judd 2014). Items are taken to come equally often in both arms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil, floor, inf, sqrt

import numpy as np
from scipy.special import chdtr, nctdtr

from .components import Components
from .intervals import FEW, LEVEL, Result, not_estimable, t_quantile

GOALS = (0.8, 0.9)
MOST_PARTICIPANTS = 100_000
MOST_ITEMS = 1000
MOST_RATINGS = 1_000_000
MOST_STUDIES = 20_000
# Ratings drawn at a time: what fits the processor's cache, more or less.
BATCH = 200_000
SEEN = {
    "both arms": "each item in both arms",
    "one arm": "each item in one of the arms, half of them in either",
    "own arm": "all in the one arm that is theirs",
}


class Unplannable(ValueError):
    """Such a study cannot be; `faults` are all reasons, one sentence each."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))


@dataclass(frozen=True)
class Design:
    """Who rates what. `shown` says where a participant meets an item: "both arms", "one arm" or, between, "own arm"."""

    participants: int
    items: int
    items_each: int
    shown: str

    @property
    def arms(self) -> str:
        return "between" if self.shown == "own arm" else "within"

    @property
    def ratings_each(self) -> int:
        return self.items_each * (2 if self.shown == "both arms" else 1)

    @property
    def n_ratings(self) -> int:
        return self.participants * self.ratings_each

    @property
    def df(self) -> int:
        return min(self.participants, self.items) - 1

    @property
    def possible(self) -> bool:
        """Whether such a study can be at all; its size is no fault where nothing is simulated."""
        return not any("too many" not in fault for fault in self.faults())

    def resized(self, participants: int, items: int) -> Design:
        """The same kind of study with other numbers; who rated all items goes on to."""
        each = items if self.items_each == self.items else min(self.items_each, items)
        return replace(self, participants=participants, items=items, items_each=each)

    def faults(self) -> Iterator[str]:
        if self.participants < 2:
            yield f"{self.participants} participants are too few; two are the least"
        if self.items < 2:
            yield f"{self.items} items are too few; two are the least"
        if self.items_each < 1:
            yield f"each participant must rate at least one item, not {self.items_each}"
        if self.items_each > self.items >= 2:
            yield f"each participant cannot rate {self.items_each} of {self.items} items"
        if self.participants > MOST_PARTICIPANTS:
            yield f"{self.participants} participants are too many to plan for; the most is {MOST_PARTICIPANTS}"
        elif self.n_ratings > MOST_RATINGS:
            yield f"{self.n_ratings} ratings are too many to simulate; the most is {MOST_RATINGS}"
        if self.shown == "one arm" and self.items_each == 1:
            yield "within participants each must rate at least two items, one in either arm"
        people = self.participants // 2 if self.shown == "own arm" else self.participants
        needed = self.items * (2 if self.shown == "one arm" else 1)
        if min(self.participants, self.items) >= 2 and self.items_each >= 1 and people * self.items_each < needed:
            yield (
                f"{self.participants} participants with {self.items_each} items each are too few for every one of "
                f"{self.items} items to be rated in both arms"
            )


def as_design(participants: int, items: int, items_each: int | None, arms: str, both_arms: bool | None) -> Design:
    """`items_each` left out: all items, and, where arms vary within participants, in both arms."""
    if both_arms is None:
        both_arms = items_each is None
    shown = "own arm" if arms == "between" else "both arms" if both_arms else "one arm"
    return Design(participants, items, items if items_each is None else items_each, shown)


def variance(design: Design, sd: Components) -> float:
    """The closed form: variance of the difference of the arms' means, in squared points."""
    people, items, each = design.participants, design.items, design.items_each
    of_items = 2 * sd.item_arm**2 / items
    if design.shown == "own arm":
        # Half of the people, and the odd one, in either arm.
        share = 1 / (people // 2) + 1 / (people - people // 2)
        return (sd.participant**2 + sd.participant_arm**2 + sd.residual**2 / each) * share + of_items
    if design.shown == "both arms":
        return 2 * sd.participant_arm**2 / people + of_items + 2 * sd.residual**2 / (people * each)
    # With an odd number of items everyone rates one more in one arm: then people's level does not cancel wholly.
    odd = each % 2
    of_people = 2 * (1 + odd / each**2) * sd.participant_arm**2 / people + odd * 4 * sd.participant**2 / (
        people * each**2
    )
    return of_people + of_items + 4 * sd.residual**2 / (people * each)


def closed_form(design: Design, sd: Components, difference: float) -> tuple[float, float]:
    """Power to find the difference, and half the width of the interval, in points."""
    se = sqrt(variance(design, sd))
    t = t_quantile(design.df)
    if se == 0:
        return (1.0 if difference else 0.0), 0.0
    return _power(design.df, t, abs(difference) / se), t * se


def _power(df: int, t: float, shift: float) -> float:
    """That |T| exceeds t, with T noncentral; far out, where its computation underflows, only its denominator varies."""
    if shift > 30:
        return float(chdtr(df, df * (shift / t) ** 2))
    return min(1.0, 2 - float(nctdtr(df, shift, t)) - float(nctdtr(df, -shift, t)))


@dataclass(frozen=True)
class Layout:
    """One row a rating, ordered by participant, so that those of one participant, and of one pair, stand together."""

    participant: np.ndarray
    item: np.ndarray
    arm: np.ndarray


def lay_out(design: Design) -> Layout:
    """Who rates which item in which arm: items and arms in turn, so that each comes as often as any other (+-1)."""
    people, items, each = design.participants, design.items, design.items_each
    participant = np.repeat(np.arange(people), each)
    place = np.tile(np.arange(each), people)
    if design.shown == "own arm":
        item = (participant // 2 * each + place) % items
        arm = participant % 2
    else:
        slot = participant * each + place
        item = slot % items
        # In each round through an even number of items an item changes its arm; an odd number does so by itself.
        arm = (slot + (slot // items if items % 2 == 0 else 0)) % 2
    if design.shown == "both arms":
        participant, item = np.repeat(participant, 2), np.repeat(item, 2)
        arm = np.tile([0, 1], people * each)
    return Layout(participant, item, arm)


def simulate(
    design: Design,
    sd: Components,
    difference: float,
    studies: int,
    seed: int,
    rounded: tuple[float, tuple[int, int]] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate and standard error of the difference b - a in each of so many studies, by the two-way sandwich.

    As `clustered.pooled_mean(...).two_way()` computes them, for many studies at once. `rounded`, a mean and the ends of
    the scale, rounds every rating to a point of the scale; without it ratings are unrounded.
    """
    layout = lay_out(design)
    rows = len(layout.arm)
    rng = np.random.default_rng([seed, 0])
    found = [
        _studies(rng, min(size, studies - start), design, layout, sd, difference, rounded)
        for size in (max(1, BATCH // rows),)
        for start in range(0, studies, size)
    ]
    estimates, errors = zip(*found, strict=True)
    return np.concatenate(estimates), np.concatenate(errors)


def _studies(rng, studies, design, layout, sd, difference, rounded) -> tuple[np.ndarray, np.ndarray]:
    people, items = design.participants, design.items
    participant, item, arm = layout.participant, layout.item, layout.arm
    of_people = rng.normal(0, sd.participant_arm, (studies, people, 2))
    of_people += rng.normal(0, sd.participant, (studies, people, 1))
    of_items = rng.normal(0, sd.item_arm, (studies, items, 2))
    of_items += rng.normal(0, sd.item, (studies, items, 1))
    of_items += np.array([-0.5, 0.5]) * difference
    ratings = rng.normal(0, sd.residual, (studies, len(arm)))
    ratings += of_people.reshape(studies, -1).take(2 * participant + arm, axis=1)
    ratings += of_items.reshape(studies, -1).take(2 * item + arm, axis=1)
    if rounded:
        mean, (low, high) = rounded
        ratings = np.clip(np.rint(ratings + mean), low, high)
    return _two_way(ratings, layout)


def _two_way(ratings: np.ndarray, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Study x rating in the layout's order; Cameron, Gelbach and Miller 2011, each component with its G / (G - 1)."""
    participant, item, arm = layout.participant, layout.item, layout.arm
    n = np.bincount(arm)
    means = ratings @ (np.arange(2) == arm[:, None]) / n
    influence = (ratings - means.take(arm, axis=1)) * np.where(arm == 1, 1 / n[1], -1 / n[0])
    pair = participant * (int(item.max()) + 1) + item
    by_item = np.argsort(item, kind="stable")
    of_people = _clustered(influence, participant)
    of_items = _clustered(influence.take(by_item, axis=1), item[by_item])
    variance = of_people + of_items - _clustered(influence, pair)
    one_way = np.maximum(of_people, of_items)
    return means[:, 1] - means[:, 0], np.sqrt(np.where(variance <= 1e-12 * one_way, one_way, variance))


def _clustered(influence: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """The sandwich variance of each study; rows of one cluster stand together."""
    starts = np.flatnonzero(np.diff(cluster, prepend=-1))
    sums = np.add.reduceat(influence, starts, axis=1)
    return np.einsum("ij,ij->i", sums, sums) * len(starts) / (len(starts) - 1)


def plan(
    participants: int,
    items: int,
    items_each: int | None = None,
    arms: str = "within",
    difference: float = 0.3,
    components: Components | None = None,
    *,
    both_arms: bool | None = None,
    margin: float | None = None,
    mean: float | None = None,
    scale: tuple[int, int] = (1, 10),
    studies: int = 500,
    seed: int = 1,
) -> Result:
    """Power and width of a planned study, a grid around it, and the participants needed; raises `Unplannable`.

    `difference`, `margin` and the components are in points of the scale. `mean` makes the simulated ratings whole
    points around it, with the scale's ends as floor and ceiling. `power` and `half_width` are simulated (`seed`,
    `studies`), with their Monte-Carlo errors; those with `_closed_form`, the grid and `smallest_participants` are not.
    """
    sd = components or Components()
    design = as_design(participants, items, items_each, arms, both_arms)
    if faults := [*design.faults(), *_faults(sd, difference, margin, mean, scale, studies)]:
        raise Unplannable(faults)
    rounded = (mean, scale) if mean is not None else None
    estimates, errors = simulate(design, sd, difference, studies, seed, rounded)
    half = t_quantile(design.df) * errors
    power_closed, half_closed = closed_form(design, sd, difference)
    return {
        "participants": participants,
        "items": items,
        "items_each": design.items_each,
        "arms": arms,
        "each_item_in": design.shown,
        "ratings_each": design.ratings_each,
        "n_ratings": design.n_ratings,
        "components": sd.as_json(),
        "difference": difference,
        "level": LEVEL,
        **_share("power", np.abs(estimates) > half),
        "power_closed_form": power_closed,
        "half_width": float(half.mean()),
        "half_width_mc_error": float(half.std(ddof=1)) / sqrt(studies) if studies > 1 else 0.0,
        "half_width_closed_form": half_closed,
        "equivalence": _equivalence(design, sd, margin, studies, seed, rounded),
        "rounded": _rounded(rounded, estimates),
        "grid": grid(design, sd, difference),
        "smallest_participants": {f"{goal:g}": smallest_participants(design, sd, difference, goal) for goal in GOALS},
        "smallest_items": {f"{goal:g}": smallest_items(design, sd, difference, goal) for goal in GOALS},
        "warnings": list(_warnings(design, mean, scale)),
        "seed": seed,
        "studies": studies,
    }


def _share(name: str, hits: np.ndarray) -> Result:
    share = float(hits.mean())
    return {name: share, f"{name}_mc_error": sqrt(share * (1 - share) / len(hits))}


def _equivalence(design, sd, margin, studies, seed, rounded) -> Result | None:
    """How often two arms that do not differ are shown to lie within the margin: the 90 % interval inside it."""
    if margin is None:
        return None
    estimates, errors = simulate(design, sd, 0.0, studies, seed + 1, rounded)
    outside = np.abs(estimates) + t_quantile(design.df, 2 * LEVEL - 1) * errors
    return {"margin": margin, "difference": 0.0, **_share("power", outside < margin)}


def _rounded(rounded: tuple[float, tuple[int, int]] | None, estimates: np.ndarray) -> Result | None:
    """With a ceiling the ratings show less of a difference than the impressions behind them."""
    if rounded is None:
        return None
    mean, scale = rounded
    return {"mean": mean, "scale": list(scale), "difference_shown": float(estimates.mean())}


def grid(design: Design, sd: Components, difference: float) -> list[Result]:
    """Closed-form power and half width, for a quarter to four times the participants, half to four times the items."""
    participants = {max(4, round(design.participants * times)) for times in (0.25, 0.5, 1, 2, 4)}
    items = {max(2, round(design.items * times)) for times in (0.5, 1, 2, 4)}
    return [
        {"participants": p, "items": i, **_cell(design.resized(p, i), sd, difference)}
        for i in sorted(items)
        for p in sorted(participants)
        if p <= MOST_PARTICIPANTS
    ]


def _cell(design: Design, sd: Components, difference: float) -> Result:
    # Its size is no fault, for nothing is simulated here.
    faults = [fault for fault in design.faults() if "too many" not in fault]
    if faults:
        nothing = not_estimable(faults[0])
        return {"items_each": design.items_each, "power": nothing, "half_width": nothing}
    power, half = closed_form(design, sd, difference)
    return {"items_each": design.items_each, "power": power, "half_width": half}


def smallest_participants(design: Design, sd: Components, difference: float, goal: float) -> int | Result:
    """The fewest participants with whom the closed form reaches the power, everything else as planned."""

    def reaches(people: int) -> bool:
        wanted = design.resized(people, design.items)
        return wanted.possible and closed_form(wanted, sd, difference)[0] >= goal

    high = 4
    while not reaches(high):
        if high >= MOST_PARTICIPANTS:
            most = closed_form(design.resized(MOST_PARTICIPANTS, design.items), sd, difference)[0]
            return not_estimable(f"with {design.items} items power stays at {_percent(most)} however many take part")
        high = min(2 * high, MOST_PARTICIPANTS)
    low = 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


def smallest_items(design: Design, sd: Components, difference: float, goal: float) -> int | Result:
    """The fewest items with which this number of participants reaches the power, everything else as planned."""
    for items in range(2, MOST_ITEMS + 1):
        wanted = design.resized(design.participants, items)
        if wanted.possible and closed_form(wanted, sd, difference)[0] >= goal:
            return items
    return not_estimable(f"no number of items up to {MOST_ITEMS:,} is enough for {design.participants} participants")


def _faults(sd: Components, difference, margin, mean, scale, studies) -> Iterator[str]:
    for name, value in sd.as_json().items():
        if not 0 <= value < inf:
            yield f"the standard deviation {name} is {value:g}; it must be 0 or more"
    if not any(sd.as_json().values()):
        yield "all standard deviations are 0, so nothing is left to chance"
    if not 0 < abs(difference) < inf:
        yield f"the difference is {difference:g}; it must not be 0"
    if margin is not None and not 0 < margin < inf:
        yield f"the margin is {margin:g}; it must be above 0"
    if scale[0] >= scale[1]:
        yield f"the scale {scale[0]} to {scale[1]} must rise"
    elif mean is not None and not scale[0] <= mean <= scale[1]:
        yield f"the mean {mean:g} is outside the scale {scale[0]} to {scale[1]}"
    if not 1 <= studies <= MOST_STUDIES:
        yield f"{studies} studies cannot be simulated; give 1 to {MOST_STUDIES}"


def _warnings(design: Design, mean: float | None, scale: tuple[int, int]) -> Iterator[str]:
    if design.items < FEW:
        yield (
            f"{design.items} items: with fewer than {FEW} the report shows the interval that speaks about these very "
            "items only, and this plan is for items like these."
        )
    if design.participants < FEW:
        yield f"{design.participants} participants: intervals from fewer than {FEW} are unreliable."
    if design.shown == "both arms":
        yield (
            "This plan lets everyone rate an item in both arms. Studies of Evalsite show it in one: plan those with "
            f"items_each, for instance {design.items}."
        )


def answers(plan: Result) -> Iterator[str]:
    """The plan for a reader: what the study will find, how wide its interval will be, how many people it needs."""
    people, items, each = plan["participants"], plan["items"], plan["items_each"]
    yield (
        f"With {people:,} participants × {items:,} items you will find a difference of {plan['difference']:g} with "
        f"{_simulated(plan, plan['studies'])}; the interval will be ± {plan['half_width']:.2f} wide."
    )
    rates = f"all {items:,} items" if each == items else f"{each:,} of the {items:,} items"
    yield (
        f"Each participant rates {rates}, {SEEN[plan['each_item_in']]}: {plan['ratings_each']:,} ratings each, "
        f"{plan['n_ratings']:,} in all."
    )
    for goal, n in plan["smallest_participants"].items():
        yield _needed(_percent(float(goal)), n, plan["smallest_items"][goal], people, items)
    if equal := plan["equivalence"]:
        yield (
            f"If the arms do not differ, you will show that they lie within {equal['margin']:g} of each other (the "
            f"90 % interval inside that margin) with {_simulated(equal, plan['studies'])}."
        )
    if rounded := plan["rounded"]:
        low, high = rounded["scale"]
        yield (
            f"Ratings were simulated as whole points from {low} to {high} around {rounded['mean']:g}. There a "
            f"difference of {plan['difference']:g} in impressions shows as one of {rounded['difference_shown']:.2f}. "
            "The numbers needed and the grid know nothing of the scale's ends."
        )


def _simulated(of: Result, studies: int) -> str:
    power, error = of["power"], 100 * of["power_mc_error"]
    if not error:
        return f"{_percent(power)} power ({'all' if power else 'none'} of {studies:,} simulated studies)"
    return f"{_percent(power)} power (± {error:.1f}, Monte-Carlo error of {studies:,} simulated studies)"


def _needed(goal: str, n: int | Result, more_items: int | Result, people: int, items: int) -> str:
    if isinstance(n, int):
        return f"For {goal} power, {n:,} participants are enough with {items:,} items."
    said = f"{goal} power cannot be reached so: {n['not_estimable']}"
    if isinstance(more_items, int):
        return f"{said}. {more_items:,} items are enough for {people:,} participants."
    return f"{said}."


def _percent(share: float) -> str:
    """Rounded, but never to a certainty that it is not."""
    if 0.99 < share < 1:
        return f"{min(99.9, floor(1000 * share) / 10):g} %"
    return f"{ceil(100 * share - 0.5):d} %"
