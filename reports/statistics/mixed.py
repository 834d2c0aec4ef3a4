"""The crossed mixed model: participants and items both random, fitted by restricted maximum likelihood (`reml`).

Each rating is its arm's mean, plus what the participant adds, plus what the item adds, plus a residual; participants
and items may also differ in what they add to different arms (slopes). The random part is as large as the design
supports (Barr, Levy, Scheepers and Tily 2013) and gets smaller where the fit is singular, in steps that are told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import isfinite, sqrt

import numpy as np

from . import randomeffects, reml
from .clustered import ROUNDING
from .crosseddesign import Aliased, Cells, Covariance, Model
from .intervals import FEW, LEVEL, Result, not_estimable, t_interval, t_quantile, t_test, warned_if_few
from .randomeffects import Kind
from .table import Table

# The equations of the smaller factor are held whole; beyond this many the fit would take minutes and gigabytes.
LARGEST = 2500

NO_RATINGS = "there are no ratings"
EQUAL = "all ratings are equal, so their spread cannot be estimated"
UNIDENTIFIED = "the design does not tell participants, items and chance apart"
NO_RESIDUAL = "nothing is left to chance: arm, participant and item explain every rating"
UNSETTLED = "the fit did not settle"


def fit_arm(table: Table, arm: str) -> Result:
    """The mean of one arm by y = mu + u_participant + v_item + e, lme4's (1 | participant) + (1 | item).

    An interval of mu in rating points, with Satterthwaite's df (Kuznetsova, Brockhoff and Christensen 2017), and `sd`
    {participant, item, residual} in rating points, `log_likelihood` (restricted), `singular`, `n_ratings`,
    `n_participants`, `n_items`, `iterations`.
    """
    data = _Data.of(table, [arm])
    try:
        found = _fit(data, {"participant": "intercepts", "item": "intercepts"})
    except _NoFit as refusal:
        return not_estimable(refusal.reason)
    spreads = found.spreads()
    return found.interval(np.ones(1), data.shift) | {
        "sd": {factor: sd["intercept"] for factor, sd in spreads.items()} | {"residual": found.residual},
        **found.summary(),
    }


def fit_arms(table: Table, items_are: str = "random", structure: str | None = None) -> Result:
    """All arms that have ratings: their means (`emmeans`) and differences (`contrasts`, b minus a for a < b bytewise).

    Fixed effects: the arm, and with `items_are="fixed"` the items too (summing to zero: a mean weighs all items alike).
    Random: (1 + arm | participant) + (1 + arm | item) with correlations, slopes only for a factor of which half, or at
    least eight, were in more than one arm. A covariance of more than four arms has more parameters than a study can
    tell (K (K + 1) / 2 for each factor); there participant:arm and item:arm intercepts stand in for it. A factor whose
    covariance is singular loses its correlations (with two arms the intercept is then half way between them, with more
    the arms have independent effects of one size), then its slopes if they are zero; slopes that are not zero stay.
    `structure` asks for "slopes", "uncorrelated" (slopes) or "intercepts" instead, kept even if singular.

    Each estimate is L beta, its variance v = L C L', its df Satterthwaite's 2 v^2 / (g' A g): A is twice the inverse
    Hessian of the restricted deviance and g the gradient of v, in the variance parameters (Kuznetsova et al. 2017).
    Keys: `structure` (lme4's formula), `random` {factor: kind}, `steps` (sentences), `sd` {participant: {intercept,
    slope, correlation} or alike, item: ..., residual} in rating points, `log_likelihood` (restricted), `singular`,
    `n_ratings`, `n_participants`, `n_items`, `iterations`, `emmeans` {arm: interval}, `contrasts` [{a, b, estimate, se,
    df, low, high, t, p}].
    """
    arms = [arm for arm in table.arms if table.n[table.code(arm)]]
    if len(arms) < 2:
        return not_estimable("only one arm has ratings" if arms else NO_RATINGS)
    data = _Data.of(table, arms)
    kinds, steps = _largest(data, items_are, structure)
    try:
        found = _fit(data, kinds) if structure else _search(data, kinds, steps)
    except _NoFit as refusal:
        return not_estimable(refusal.reason)
    units = np.eye(len(arms), found.fit.point.model.n_fixed)
    return {
        "structure": randomeffects.formula(found.kinds),
        "random": found.kinds,
        "steps": steps,
        "sd": found.spreads() | {"residual": found.residual},
        **found.summary(),
        "emmeans": {arm: found.interval(unit, data.shift) for arm, unit in zip(arms, units, strict=True)},
        "contrasts": [
            {"a": arms[a], "b": arms[b]} | found.contrast(units[b] - units[a])
            for a, b in combinations(range(len(arms)), 2)
        ],
    }


def how_mixed(result: Result, interval: Result) -> str:
    """How one interval of `fit_arm` or `fit_arms` came about; `result` is the whole of what the function returned."""
    if "not_estimable" in interval:
        return f"Not estimable: {interval['not_estimable']}."
    structure = result.get("structure", "rating ~ 1 + (1 | participant) + (1 | item)")
    spread = ", ".join(f"{name} {value:.8g}" for name, value in _flat(result["sd"]))
    singular = " The fit is singular: a variance is estimated as zero." if result["singular"] else ""
    return (
        f"{interval['estimate']:.8g} ± t({(1 + LEVEL) / 2:g}; df = {interval['df']:.8g}) = "
        f"{t_quantile(interval['df']):.8g} × SE {interval['se']:.8g}, that is {interval['low']:.8g} to "
        f"{interval['high']:.8g}; REML fit of {structure} to {result['n_ratings']} ratings of "
        f"{result['n_participants']} participants and {result['n_items']} items, with standard deviations {spread}, "
        f"restricted log-likelihood {result['log_likelihood']:.8g} and Satterthwaite's df.{singular}"
    )


def how_mixed_structure(result: Result) -> str:
    """Which random effects the model of all arms has, and why not more."""
    if "not_estimable" in result:
        return f"Not estimable: {result['not_estimable']}."
    return " ".join([f"Fitted by REML: {result['structure']}.", *(f"{step}." for step in result["steps"])])


def _flat(sd: Result) -> Iterator[tuple[str, float]]:
    for label, value in sd.items():
        if isinstance(value, dict):
            yield from ((f"{label} {part}".replace("_", " "), of_part) for part, of_part in _flat(value))
        elif isinstance(value, float):
            yield label, value


class _NoFit(Exception):
    """Why a model cannot be fitted, and which factors might do with fewer random effects."""

    def __init__(self, reason: str, factors: tuple[str, ...] = ()):
        super().__init__(reason)
        self.reason, self.factors = reason, factors


@dataclass(frozen=True, eq=False)
class _Data:
    """The cells of some arms, participants and items numbered without gaps, ratings counted from `shift`."""

    participant: np.ndarray
    item: np.ndarray
    arm: np.ndarray
    n: np.ndarray
    total: np.ndarray
    squares: float
    shift: float
    spread: float
    n_participants: int
    n_items: int
    arms: tuple[str, ...]

    @classmethod
    def of(cls, table: Table, arms: list[str]) -> _Data:
        parts = [table.cells_of(arm) for arm in arms]
        participant, n_participants = _renumbered(np.concatenate([part.participant for part in parts]))
        item, n_items = _renumbered(np.concatenate([part.item for part in parts]))
        n = np.concatenate([part.n for part in parts])
        total = np.concatenate([part.total for part in parts])
        counts = table.counts[[table.code(arm) for arm in arms]].sum(axis=0)
        levels = table.levels[counts > 0]
        # A whole number, so that sums of whole ratings stay exact.
        shift = round(total.sum() / n.sum()) if len(n) else 0
        return cls(
            participant=participant,
            item=item,
            arm=np.repeat(np.arange(len(arms)), [len(part.n) for part in parts]),
            n=n.astype(float),
            total=(total - shift * n).astype(float),
            squares=float(counts @ (table.levels - shift) ** 2) if len(n) else 0.0,
            shift=float(shift),
            spread=float(levels[-1] - levels[0]) if len(levels) else 0.0,
            n_participants=n_participants,
            n_items=n_items,
            arms=tuple(arms),
        )

    @property
    def n_arms(self) -> int:
        return len(self.arms)

    @property
    def sizes(self) -> Result:
        return {"n_ratings": int(self.n.sum()), "n_participants": self.n_participants, "n_items": self.n_items}

    def refusal(self, items_random: bool) -> str:
        """Why no such model can be fitted to these ratings, or nothing."""
        if not len(self.n):
            return NO_RATINGS
        if self.spread == 0:
            return EQUAL
        if self.n_participants == 1:
            return "one participant alone does not show how participants differ"
        if items_random and self.n_items == 1:
            return "one item alone does not show how items differ"
        if np.bincount(self.participant, self.n).max() == 1:
            return "each participant gave one rating, so participants cannot be told from chance"
        if items_random and np.bincount(self.item, self.n).max() == 1:
            return "each item got one rating, so items cannot be told from chance"
        pairs = len(np.unique(self.participant * self.n_items + self.item))
        if items_random and pairs == self.n_participants == self.n_items:
            return "each participant rated one item of their own, so participants and items cannot be told apart"
        held = min(self.n_participants, self.n_items) if items_random else self.n_items
        if held * self.n_arms > LARGEST:
            return (
                f"the model is not fitted where participants and items both number more than {LARGEST // self.n_arms}"
            )
        return ""

    def in_several_arms(self, factor: str) -> bool:
        """Was half of the participants (or items), or enough of them to see a spread, in more than one arm?"""
        of, number = (self.participant, self.n_participants) if factor == "participant" else (self.item, self.n_items)
        arms = np.bincount(of * self.n_arms + self.arm, minlength=number * self.n_arms).reshape(number, self.n_arms)
        return int(np.count_nonzero(np.count_nonzero(arms, axis=1) > 1)) >= min(number / 2, FEW)

    def cells(self, rows: str) -> Cells:
        sides = (self.participant, self.item), (self.n_participants, self.n_items)
        if rows == "item":
            sides = sides[0][::-1], sides[1][::-1]
        return Cells(*sides[0], self.arm, self.n, self.total, self.squares, *sides[1], self.n_arms)


@dataclass(frozen=True, eq=False)
class _Found:
    data: _Data
    kinds: dict[str, Kind]
    # The factor that is eliminated comes first.
    factors: list[str]
    fit: reml.Fit
    iterations: int

    @property
    def residual(self) -> float:
        return sqrt(self.fit.point.sigma2)

    @property
    def vanished(self) -> dict[str, list[int]]:
        return dict(zip(self.factors, self.fit.vanished(), strict=False))

    @property
    def thetas(self) -> dict[str, np.ndarray]:
        return dict(zip(self.factors, self.fit.point.model.split(self.fit.point.theta), strict=False))

    def spreads(self) -> Result:
        of = self.thetas
        return {
            factor: randomeffects.spread(kind, of[factor], self.residual, self.data.arms)
            for factor, kind in self.kinds.items()
        }

    def summary(self) -> Result:
        return {
            "log_likelihood": self.fit.log_likelihood,
            "singular": any(self.vanished.values()),
            **self.data.sizes,
            "iterations": self.iterations,
        }

    def interval(self, weights: np.ndarray, shift: float = 0.0) -> Result:
        estimate, se, df = self.fit.combination(weights)
        if not isfinite(t_quantile(df) * se):
            return not_estimable("there are too few degrees of freedom for an interval")
        items = {"items": self.data.n_items} if "item" in self.kinds else {}
        return warned_if_few(t_interval(estimate + shift, se, df), participants=self.data.n_participants, **items)

    def contrast(self, weights: np.ndarray) -> Result:
        interval = self.interval(weights)
        if "not_estimable" in interval:
            return interval
        return interval | t_test(interval["estimate"], interval["se"], interval["df"])


def _largest(data: _Data, items_are: str, structure: str | None) -> tuple[dict[str, Kind], list[str]]:
    """The largest random part that the design supports, or the one asked for, and what had to be left out."""
    slopes: dict[str | None, Kind] = {
        None: randomeffects.largest(data.n_arms),
        "slopes": randomeffects.largest(data.n_arms),
        "uncorrelated": randomeffects.without_correlations(data.n_arms),
        "intercepts": "intercepts",
    }
    kinds: dict[str, Kind] = {}
    steps = []
    for factor in ("participant", "item") if items_are == "random" else ("participant",):
        kinds[factor] = slopes[structure]
        if kinds[factor] != "intercepts" and not data.in_several_arms(factor):
            kinds[factor] = "intercepts"
            steps.append(f"Most {factor}s were in one arm only, so {factor}s have no slopes")
    return kinds, steps


def _search(data: _Data, kinds: dict[str, Kind], steps: list[str]) -> _Found:
    """Fits, with fewer random effects as long as the fit is singular, and writes down each step."""
    found = None
    while True:
        try:
            found = _fit(data, kinds, found)
        except _NoFit as refusal:
            why, less = refusal.reason, [factor for factor in refusal.factors if kinds[factor] != "intercepts"]
            if not less:
                raise
        else:
            why = "singular"
            less = [factor for factor, kind in kinds.items() if randomeffects.too_many(kind, found.vanished[factor])]
            if not less:
                return found
        dropped = " and ".join(randomeffects.name(kinds[factor], factor) for factor in less)
        steps.append(f"{randomeffects.formula(kinds)}: {why}, so {dropped} were dropped")
        kinds = kinds | {factor: randomeffects.fewer(kinds[factor], data.n_arms) for factor in less}


def _fit(data: _Data, kinds: dict[str, Kind], larger: _Found | None = None) -> _Found:
    """The fit of one structure, begun at the fit of a larger one; the factor with more levels is eliminated."""
    if reason := data.refusal("item" in kinds):
        raise _NoFit(reason)
    factors = ["item", "participant"] if "item" in kinds and data.n_items > data.n_participants else [*kinds]
    covariances = [randomeffects.covariance(kinds[factor], data.n_arms) for factor in factors]
    rows, columns = covariances[0], covariances[1] if len(covariances) > 1 else None
    start = None
    if larger:
        parts = [(kinds[factor], larger.kinds[factor], larger.thetas[factor]) for factor in factors]
        start = np.concatenate([randomeffects.start(*part, data.n_arms) for part in parts])
    try:
        model = (larger and larger.fit.point.model.reshaped(rows, columns)) or _model(data, factors[0], rows, columns)
        if model.n <= model.n_fixed:
            raise _NoFit(UNIDENTIFIED)
        fit = reml.fit(model, start)
    except Aliased:
        raise _NoFit("the arms cannot be told from the items") from None
    except reml.Unidentified as error:
        raise _NoFit(UNIDENTIFIED, (_least_told(error.shares, model, factors, kinds),)) from None
    except reml.NoResidual:
        raise _NoFit(NO_RESIDUAL, tuple(factors)) from None
    except reml.Unsettled:
        raise _NoFit(UNSETTLED, tuple(factors)) from None
    found = _Found(data, kinds, factors, fit, fit.iterations + (larger.iterations if larger else 0))
    if found.residual <= ROUNDING * data.spread:
        raise _NoFit(NO_RESIDUAL, tuple(factors))
    return found


def _model(data: _Data, eliminated: str, rows: Covariance, columns: Covariance | None) -> Model:
    cells = data.cells(eliminated)
    fixed = np.tile(np.eye(cells.n_arms), (cells.n_columns, 1))
    if columns is None:
        deviations = np.vstack([np.eye(cells.n_columns - 1), -np.ones(cells.n_columns - 1)])
        fixed = np.hstack([fixed, np.repeat(deviations, cells.n_arms, axis=0)])
    return Model(cells, rows, columns, fixed)


def _least_told(shares: np.ndarray, model: Model, factors: list[str], kinds: dict[str, Kind]) -> str:
    """Of the factors with slopes, the one with the largest part in what the design does not tell."""
    sums = {factor: float(part.sum()) for factor, part in zip(factors, model.split(shares), strict=False)}
    return max(factors, key=lambda factor: (kinds[factor] != "intercepts", sums[factor]))


def _renumbered(codes: np.ndarray) -> tuple[np.ndarray, int]:
    present = np.bincount(codes) > 0 if len(codes) else np.zeros(0, bool)
    return (np.cumsum(present) - 1)[codes] if len(codes) else codes, int(np.count_nonzero(present))
