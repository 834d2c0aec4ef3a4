"""How the criteria go together: within participants, between participants, and as one scale.

Ratings under two criteria are joined cell by cell (participant x item x arm; several ratings of a cell by their mean).
Over pooled rows a correlation mixes two questions: whether a reply that a participant rates higher on one criterion
also gets more on the other (within), and whether participants who rate high on one rate high on the other (between).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import atanh, sqrt, tanh

import numpy as np
from scipy.special import fdtri, stdtr
from scipy.stats import rankdata

from .clustered import ROUNDING
from .intervals import LEVEL, Result, estimable, not_estimable, t_quantile, warned_if_few
from .raters import cell_values, distinct
from .resampling import chunks, percentile_intervals, resampling_weights
from .table import Table

# Two constructs whose true correlation is 0.85 or more are usually taken for one (Brown 2015, Confirmatory Factor
# Analysis for Applied Research). Single ratings are noisy, which pulls a correlation down: 0.80 seen, with a
# reliability of 0.94 each, is 0.85 in truth.
HALO = 0.80

NO_CRITERION = "there is no criterion"
ONE_CRITERION = "there is only one criterion"
NO_ROWS = "no reply was rated under both criteria by the same participant"
NO_ROWS_OF_ALL = "no reply was rated under all criteria by the same participant"
POOLED = "rows of one participant are not independent, and within and between participants are mixed: no interval"


def between_criteria(tables: Mapping[str, Table], seed: int, draws: int = 2000) -> Result:
    """Every pair of criteria, and all of them as one scale. The tables are of one study and share their labels.

    `pairs`: for x before y in the tables' order, over the `n_rows` cells rated under both by `n_participants`:

    - `within`: repeated-measures correlation (Bakdash and Marusich 2017), the correlation of deviations from each
      participant's own means, df = rows - participants - 1; `estimate, df, t, p`, `low, high` by Fisher's z with
      1 / sqrt(df - 1), and `se_participants, low_participants, high_participants` from resampled participants.
    - `between`: Pearson's r of the participants' means, each participant counted once; `estimate, df, t, p`, `low,
      high` by Fisher's z with 1 / sqrt(participants - 3), and the resampled interval.
    - `between_spearman`: of the ranks of these means (rounded to ten decimals), interval with
      sqrt((1 + r^2 / 2) / (participants - 3)) (Bonett and Wright 2000).
    - `pooled_rows`: `pearson, spearman` over all rows, to compare with other reports, with a `note` and no interval.
    - `halo_warning`, only where the correlation within is `halo_threshold` or higher.

    `internal_consistency`: see `internal_consistency`. `seed, draws`: of the resampling.
    """
    _same_labels(tables)
    pairs = []
    for x, y in combinations(tables, 2):
        rows = Rows.of([tables[x], tables[y]])
        pairs.append(_pair(x, y, rows, seed, draws))
    if len(tables) != 2:
        rows = Rows.of(list(tables.values()))
    return {
        "criteria": list(tables),
        "seed": seed,
        "draws": draws,
        "halo_threshold": HALO,
        "pairs": pairs,
        "internal_consistency": internal_consistency(rows, seed, draws),
    }


def internal_consistency(rows: Rows, seed: int, draws: int = 2000) -> Result:
    """How well the sum of the criteria measures one thing, over `rows`, the cells rated under all of them.

    `_rows` is over the `n_rows` cells, as most papers do; `_means` over the means of the `n_participants`, who are
    independent.

    - `cronbach_alpha_rows`: k / (k - 1) (1 - sum of variances / variance of the sum), with the resampled participants'
      interval, and `feldt_low, feldt_high` (Feldt 1965), which takes rows for independent.
    - `cronbach_alpha_means`: `estimate, df, low, high` (Feldt) and the resampled interval.
    - `spearman_brown_rows, spearman_brown_means`: 2 r / (1 + r), for exactly two criteria, where it is to be preferred
      (Eisinga, te Grotenhuis and Pelzer 2013); the interval of means by Fisher's z of r.

    `headline` names which of the two to show.
    """
    k = len(rows.given)
    names = ("cronbach_alpha_rows", "cronbach_alpha_means", "spearman_brown_rows", "spearman_brown_means")
    sizes: Result = {"n_criteria": k, "n_rows": rows.n, "n_participants": rows.n_participants}
    if k < 2:
        return sizes | dict.fromkeys(("headline", *names), not_estimable(ONE_CRITERION if k else NO_CRITERION))
    sizes |= {"headline": "spearman_brown" if k == 2 else "cronbach_alpha"}
    if not rows.n:
        return sizes | dict.fromkeys(names, not_estimable(NO_ROWS_OF_ALL))
    means = rows.means
    found = {
        "cronbach_alpha_rows": _cronbach(rows.values, rows.spreads, ("feldt_low", "feldt_high")),
        "cronbach_alpha_means": _cronbach(means, rows.spreads, ("low", "high")),
    }
    if k == 2:
        found |= {
            "spearman_brown_rows": _spearman_brown(_r(rows.values, rows.spreads)),
            "spearman_brown_means": _spearman_brown(_pearson(means, rows.spreads)),
        }
    else:
        found |= dict.fromkeys(names[2:], not_estimable("Spearman and Brown's coefficient is for exactly two criteria"))
    for name, interval in _resampled_scale(rows, seed, draws).items():
        if estimable(found[name]):
            found[name] = warned_if_few(found[name] | interval, participants=rows.n_participants)
    return sizes | found


def how_pair(of: Result, pair: Result, name: str) -> str:
    """How `within`, `between` or `between_spearman` of one of the `pairs` of `of` came about."""
    found = pair[name]
    if not estimable(found):
        return f"Not estimable: {found['not_estimable']}."
    rows = f"{pair['n_rows']} replies rated under both criteria by {pair['n_participants']} participants"
    if name == "within":
        what = f"r of the deviations from each participant's own means, {rows}"
        df, se = f"{pair['n_rows']} - {pair['n_participants']} - 1 = {found['df']}", f"1 / √({found['df']} - 1)"
    else:
        ranks = "the ranks of " if name == "between_spearman" else ""
        what = f"r of {ranks}the participants' means, {rows}"
        n = pair["n_participants"]
        df = f"{n} - 2"
        se = f"√((1 + r² / 2) / ({n} - 3))" if ranks else f"1 / √({n} - 3)"
    if not isinstance(found["low"], float):
        test = f"df = {df}; no interval: {found['low']['not_estimable']}"
    else:
        test = (
            f"t = {found['t']:.8g}, df = {df}, p = {found['p']:.4g}; "
            f"atanh(r) ± {t_quantile(np.inf):.8g} × {se} gives {found['low']:.8g} to {found['high']:.8g}"
        )
    return f"{found['estimate']:.8g} is {what}; {test}.{_how_resampled(of, found)}"


def how_internal_consistency(of: Result, name: str) -> str:
    """How the coefficient `name` came about; `of` is the whole result of `between_criteria`."""
    scale = of["internal_consistency"]
    found = scale[name]
    if not estimable(found):
        return f"Not estimable: {found['not_estimable']}."
    k, rows, people = scale["n_criteria"], scale["n_rows"], scale["n_participants"]
    over = f"{rows} replies" if name.endswith("rows") else f"the means of {people} participants"
    if name.startswith("spearman_brown"):
        said = f"2 r / (1 + r) = {found['estimate']:.8g} with r = {found['r']:.8g} over {over}"
        if isinstance(found.get("low"), float):
            said += (
                f"; {found['low']:.8g} to {found['high']:.8g} are the same of Fisher's limits, "
                f"atanh(r) ± {t_quantile(np.inf):.8g} / √({people} - 3)"
            )
    else:
        said = (
            f"k / (k - 1) × (1 - sum of variances / variance of the sum) = {found['estimate']:.8g} "
            f"with k = {k} criteria over {over}"
        )
        low, high = ("feldt_low", "feldt_high") if name.endswith("rows") else ("low", "high")
        if isinstance(found[low], float):
            above, below = found["df"]
            said += f"; Feldt's interval {found[low]:.8g} to {found[high]:.8g} from F({above}, {below})"
            said += ", which takes the rows for independent" if name.endswith("rows") else ""
    return f"{said}.{_how_resampled(of, found)}"


@dataclass(frozen=True, eq=False)
class Rows:
    """The cells rated under every one of some criteria: criterion x row, and whose row it is."""

    given: list[np.ndarray]
    participant: np.ndarray
    n_participants: int
    # Criterion: largest minus smallest value, by which rounding errors are told from differences.
    spreads: np.ndarray

    @classmethod
    def of(cls, tables: Sequence[Table]) -> Rows:
        if not tables:
            return cls([], np.array([], dtype=np.int64), 0, np.array([]))
        keys = [
            (table.cells.arm * len(table.participants) + table.cells.participant) * len(table.items) + table.cells.item
            for table in tables
        ]
        cell = distinct(np.concatenate(keys))[1]
        shared = np.bincount(cell) == len(tables)
        # A table's cells are in order and occur once, so what is kept of each table is in the same order.
        kept = [shared[part] for part in np.split(cell, np.cumsum([len(key) for key in keys])[:-1])]
        values = [cell_values(table)[held] for table, held in zip(tables, kept, strict=True)]
        people, participant = distinct(tables[0].cells.participant[kept[0]])
        spreads = [float(np.ptp(given)) if len(given) else 0.0 for given in values]
        return cls(values, participant, len(people), np.array(spreads))

    @property
    def n(self) -> int:
        return len(self.participant)

    @cached_property
    def values(self) -> np.ndarray:
        """Criterion x row, counted from the criterion's mean."""
        return np.array([given - given.mean() for given in self.given])

    @cached_property
    def sizes(self) -> np.ndarray:
        return np.bincount(self.participant, minlength=self.n_participants)

    @cached_property
    def means(self) -> np.ndarray:
        """Criterion x participant."""
        return np.array([self.by_participant(row) for row in self.values]) / self.sizes

    def by_participant(self, row: np.ndarray) -> np.ndarray:
        return np.bincount(self.participant, row, minlength=self.n_participants)


def _pair(x: str, y: str, rows: Rows, seed: int, draws: int) -> Result:
    pair: Result = {"x": x, "y": y, "n_rows": rows.n, "n_participants": rows.n_participants}
    if not rows.n:
        return pair | dict.fromkeys(("within", "between", "between_spearman", "pooled_rows"), not_estimable(NO_ROWS))
    means = rows.means
    within_x, within_y = rows.values - means[:, rows.participant]
    # Each participant's sums of squares and products within, and their means with squares and products.
    within = np.array([rows.by_participant(a * b) for a, b in _products(within_x, within_y)])
    between = np.array([*means, *(a * b for a, b in _products(*means))])
    found = {
        "within": _within(within, rows),
        "between": _pearson(means, rows.spreads),
        "between_spearman": _ranked(means),
    }
    for name, interval in _resampled_pair(within, between, rows.spreads, seed, draws).items():
        if estimable(found[name]):
            found[name] |= interval
    found = {name: warned_if_few(of, participants=rows.n_participants) for name, of in found.items()}
    pair |= found | {"pooled_rows": _pooled(rows)}
    r = pair["within"].get("estimate", 0.0)
    if r >= HALO:
        pair["halo_warning"] = (
            f"within participants {x} and {y} correlate by {r:.2f} ({HALO:.2f} or more): these ratings can hardly tell "
            "the two criteria apart"
        )
    return pair


def _products(x: np.ndarray, y: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    return (x, x), (y, y), (x, y)


def _within(sums: np.ndarray, rows: Rows) -> Result:
    squares_x, squares_y, products = sums.sum(axis=1)
    df = rows.n - rows.n_participants - 1
    if df < 1:
        return not_estimable("participants rated too few replies to see how the criteria go together within them")
    if _flat(squares_x, squares_y, rows.spreads, rows.n):
        return not_estimable("under one of the criteria no participant gave replies different ratings")
    return _correlation(float(products / sqrt(squares_x * squares_y)), df, df + 2)


def _pearson(both: np.ndarray, spreads: np.ndarray) -> Result:
    if both.shape[1] < 3:
        return not_estimable("fewer than three participants do not show how participants differ")
    r = _r(both, spreads)
    return _correlation(r["estimate"], both.shape[1] - 2, both.shape[1]) if estimable(r) else r


def _ranked(both: np.ndarray) -> Result:
    # Equal means that rounding has made unequal must tie.
    ranks = rankdata(np.round(both, 10), axis=1)
    found = _pearson(ranks, np.ptp(ranks, axis=1))
    if not estimable(found):
        return found
    r, n = found["estimate"], both.shape[1]
    return _correlation(r, n - 2, n, 1 + r**2 / 2)


def _r(both: np.ndarray, spreads: np.ndarray) -> Result:
    x, y = both - both.mean(axis=1, keepdims=True)
    squares_x, squares_y = float(x @ x), float(y @ y)
    if _flat(squares_x, squares_y, spreads, len(x)):
        return not_estimable("under one of the criteria the values do not differ at all")
    return {"estimate": float(x @ y) / sqrt(squares_x * squares_y)}


def _flat(squares_x: float, squares_y: float, spreads: np.ndarray, n: int) -> bool:
    return any(
        squares <= n * (ROUNDING * spread) ** 2 for squares, spread in zip((squares_x, squares_y), spreads, strict=True)
    )


def _correlation(r: float, df: int, n: int, inflation: float = 1.0) -> Result:
    """r with its test and Fisher's interval: atanh(r) +- z sqrt(inflation / (n - 3))."""
    r = max(-1.0, min(1.0, r))
    left = 1 - r * r
    if left <= ROUNDING:
        nothing = not_estimable("the values lie on one line")
        return {"estimate": r, "df": df, "t": nothing, "p": nothing, "low": nothing, "high": nothing}
    t = r * sqrt(df / left)
    test = {"estimate": r, "df": df, "t": t, "p": float(2 * stdtr(df, -abs(t)))}
    if n < 4:
        return test | dict.fromkeys(("low", "high"), not_estimable("Fisher's interval needs more degrees of freedom"))
    half = t_quantile(np.inf) * sqrt(inflation / (n - 3))
    return test | {"low": tanh(atanh(r) - half), "high": tanh(atanh(r) + half)}


def _pooled(rows: Rows) -> Result:
    ranks = []
    for given in rows.given:
        levels, level = distinct(given)
        n = np.bincount(level, minlength=len(levels))
        ranks.append((np.cumsum(n) - (n - 1) / 2)[level])
    pearson, spearman = _r(rows.values, rows.spreads), _r(np.array(ranks), rows.spreads)
    return {"pearson": pearson.get("estimate", pearson), "spearman": spearman.get("estimate", spearman), "note": POOLED}


def _resampled_pair(
    within: np.ndarray, between: np.ndarray, spreads: np.ndarray, seed: int, draws: int
) -> dict[str, Result]:
    size = within.shape[1]
    sums = np.vstack([within, between]).T
    found = []
    rng = np.random.default_rng([seed, 1])
    for portion in chunks(draws, size):
        drawn = resampling_weights(rng, size, portion) @ sums
        xx, yy, xy, x, y, xx_b, yy_b, xy_b = drawn.T
        found.append(
            {
                "within": _ratio(xy, xx, yy, spreads),
                "between": _ratio(xy_b - x * y / size, xx_b - x * x / size, yy_b - y * y / size, spreads),
            }
        )
    return percentile_intervals(found, ("within", "between"), "participants")


def _ratio(products: np.ndarray, squares_x: np.ndarray, squares_y: np.ndarray, spreads: np.ndarray) -> np.ndarray:
    usable = (squares_x > (1e-7 * spreads[0]) ** 2) & (squares_y > (1e-7 * spreads[1]) ** 2)
    scale = np.sqrt(np.where(usable, squares_x * squares_y, 1.0))
    return np.where(usable, np.clip(products / scale, -1, 1), np.nan)


def _cronbach(values: np.ndarray, spreads: np.ndarray, bounds: tuple[str, str]) -> Result:
    """Alpha of criterion x case with the limits 1 - (1 - alpha) F(n - 1, (n - 1)(k - 1)) (Feldt 1965)."""
    k, n = values.shape
    if n < 2:
        return not_estimable("one value alone has no spread")
    total = values.sum(axis=0)
    parts = float(np.square(values - values.mean(axis=1, keepdims=True)).sum())
    whole = float(np.square(total - total.mean()).sum())
    negligible = n * (ROUNDING * float(spreads.max())) ** 2
    if parts <= negligible:
        return not_estimable("the values do not differ at all")
    if whole <= negligible:
        return not_estimable("the sum of the criteria does not differ at all")
    alpha = k / (k - 1) * (1 - parts / whole)
    df = [n - 1, (n - 1) * (k - 1)]
    if 1 - alpha <= ROUNDING:
        limits = [not_estimable("the criteria agree wholly, so there is no interval")] * 2
    else:
        limits = [1 - (1 - alpha) * float(fdtri(df[0], df[1], share)) for share in ((1 + LEVEL) / 2, (1 - LEVEL) / 2)]
    return {"estimate": alpha, "df": df} | dict(zip(bounds, limits, strict=True))


def _spearman_brown(r: Result) -> Result:
    if not estimable(r):
        return r
    if 1 + r["estimate"] <= ROUNDING:
        return not_estimable("the two criteria run exactly against each other")
    limits = {
        name: 2 * r[name] / (1 + r[name]) if isinstance(r[name], float) else r[name]
        for name in ("low", "high")
        if name in r
    }
    return {"estimate": 2 * r["estimate"] / (1 + r["estimate"]), "r": r["estimate"]} | limits


def _resampled_scale(rows: Rows, seed: int, draws: int) -> dict[str, Result]:
    """Alpha and Spearman-Brown, over rows and over means, in each resample of participants."""
    k, size = len(rows.values), rows.n_participants
    of_rows = [*rows.values, rows.values.sum(axis=0)]
    of_means = [*rows.means, rows.means.sum(axis=0)]
    columns = [rows.sizes, *(rows.by_participant(row**power) for power in (1, 2) for row in of_rows)]
    columns += [np.ones(size), *(mean**power for power in (1, 2) for mean in of_means)]
    sums = np.array(columns, dtype=float).T
    names = ["cronbach_alpha_rows", "cronbach_alpha_means"]
    names += ["spearman_brown_rows", "spearman_brown_means"] if k == 2 else []
    found = []
    rng = np.random.default_rng([seed, 1])
    floor = (1e-7 * rows.spreads.max()) ** 2
    for portion in chunks(draws, size):
        drawn = (resampling_weights(rng, size, portion) @ sums).T
        values = {}
        for kind, part in zip(("rows", "means"), np.split(drawn, 2), strict=True):
            n, first, second = part[0], part[1 : k + 2], part[k + 2 :]
            squares = second - first**2 / n
            parts, whole = squares[:-1].sum(axis=0), squares[-1]
            usable = (whole > floor) & (squares[:-1] > floor).all(axis=0)
            whole = np.where(usable, whole, 1.0)
            values[f"cronbach_alpha_{kind}"] = np.where(usable, k / (k - 1) * (1 - parts / whole), np.nan)
            if k == 2:
                r = _ratio((squares[2] - parts) / 2, squares[0], squares[1], rows.spreads)
                usable = r > -1 + ROUNDING
                values[f"spearman_brown_{kind}"] = np.where(usable, 2 * r / np.where(usable, 1 + r, 1.0), np.nan)
        found.append(values)
    return percentile_intervals(found, names, "participants")


def _same_labels(tables: Mapping[str, Table]) -> None:
    labels = {(table.arms, table.participants, table.items) for table in tables.values()}
    if len(labels) > 1:
        raise ValueError("The tables of the criteria do not share their labels.")


def _how_resampled(of: Result, found: Result) -> str:
    low = found.get("low_participants")
    if low is None:
        return ""
    if not isinstance(low, float):
        return f" No interval by resampling participants: {low['not_estimable']}."
    return (
        f" Resampling participants {of['draws']} times (seed {of['seed']}), 95 % of the values lie between "
        f"{low:.8g} and {found['high_participants']:.8g}."
    )
