"""Compute the headline numbers of this data package again, and compare them with its report.

    python analysis/recompute.py [FOLDER]

FOLDER is the unpacked package; left out, the folder above this file. Reads ratings_long.csv and report.json, nothing
else, and needs numpy, scipy and pandas. Prints every number as computed here, as reported, and their difference.
Exit status: 0 all agree, 1 one differs by more than a billionth.

What is computed, for every criterion:
  mean of an arm        all its ratings, each counted once ("pooled")
  naive_t               Student's interval as if all ratings were independent: shown to be distrusted
  participant_cr1       variance clustered on participants (Liang and Zeger 1986)
  two_way               clustered on participants and on items (Cameron, Gelbach and Miller 2011)
  difference            pooled mean of b minus pooled mean of a, with the same two intervals
  paired                Student's interval and t test on the differences of participants' means
"""

import json
import sys
from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

TOLERANCE = 1e-9
# A standard error below this share of the ratings' range is a rounding error: there is nothing to estimate it from.
ROUNDING = 1e-11


def main(folder: Path) -> int:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    if not report.get("criteria"):
        print("The report holds no results, as is the rule before a study's planned number; nothing to compare.")
        return 0
    ratings = pd.read_csv(folder / "ratings_long.csv", dtype=str, keep_default_na=False)
    ratings = ratings[ratings["rating"] != ""].astype({"rating": float})

    level = report["level"]
    print("number,ours,theirs,difference")
    differing = 0
    for criterion, reported in report["criteria"].items():
        of_criterion = ratings[ratings["criterion"] == criterion]
        for arm, theirs in reported["arms"].items():
            ours = describe_arm(of_criterion[of_criterion["arm"] == arm], level)
            differing += compare(f"{criterion} {arm}", ours, theirs)
        for theirs in reported["contrasts"]:
            a, b = theirs["a"], theirs["b"]
            ours = compare_arms(of_criterion[of_criterion["arm"] == a], of_criterion[of_criterion["arm"] == b], level)
            differing += compare(f"{criterion} {b} - {a}", ours, theirs)
    print(f"{differing} numbers differ." if differing else "All numbers agree.")
    return 1 if differing else 0


# The statistics. Whatever cannot be estimated is None. ----------------------------------------------------------------


def describe_arm(rows: pd.DataFrame, level: float) -> dict:
    influence = influences(rows, 1)
    mean = rows["rating"].mean()
    return {
        "n_ratings": len(rows),
        "n_participants": rows["participant_id"].nunique(),
        "n_items": rows["item_id"].nunique(),
        "mean": mean if len(rows) else None,
        "intervals": {
            "naive_t": naive_t(rows["rating"], level),
            "participant_cr1": participant_cr1(mean, [influence], level),
            "two_way": two_way(mean, [influence], level),
        },
    }


def compare_arms(a: pd.DataFrame, b: pd.DataFrame, level: float) -> dict:
    both = [influences(a, -1), influences(b, 1)]
    difference = b["rating"].mean() - a["rating"].mean()
    interval, test = paired(a, b, level)
    return {
        "difference": difference if len(a) and len(b) else None,
        "intervals": {
            "paired": interval,
            "participant_cr1": participant_cr1(difference, both, level),
            "two_way": two_way(difference, both, level),
        },
        "tests": {"paired_t": test},
    }


def naive_t(ratings: pd.Series, level: float) -> dict | None:
    n = len(ratings)
    if n < 2 or ratings.nunique() == 1:
        return None
    return t_interval(ratings.mean(), ratings.std(ddof=1) / sqrt(n), n - 1, level)


def influences(rows: pd.DataFrame, sign: int) -> pd.DataFrame:
    """How far each rating pulls the mean of its arm, and with `sign` the difference: (rating - mean) / n."""
    return rows.assign(influence=sign * (rows["rating"] - rows["rating"].mean()) / len(rows))


def clustered_variance(rows: pd.DataFrame, clusters: list[str]) -> float:
    """Add up the influences in each cluster, square, sum, and correct for the number of clusters: G / (G - 1)."""
    sums = rows.groupby(clusters)["influence"].sum().to_numpy()
    return (sums**2).sum() * len(sums) / (len(sums) - 1) if len(sums) > 1 else 0.0


def participant_cr1(estimate: float, arms: list[pd.DataFrame], level: float) -> dict | None:
    rows = pd.concat(arms)
    if fewest(arms, "participant_id") < 2:
        return None
    se = sqrt(clustered_variance(rows, ["participant_id"]))
    if vanishes(se, rows):
        return None
    return t_interval(estimate, se, rows["participant_id"].nunique() - 1, level)


def two_way(estimate: float, arms: list[pd.DataFrame], level: float) -> dict | None:
    rows = pd.concat(arms)
    if min(fewest(arms, "participant_id"), fewest(arms, "item_id")) < 2:
        return None
    participants = clustered_variance(rows, ["participant_id"])
    items = clustered_variance(rows, ["item_id"])
    pairs = clustered_variance(rows, ["participant_id", "item_id"])
    # Each component has its own G / (G - 1). Where their sum is not positive, the larger one-way variance stands in.
    variance, floor = participants + items - pairs, max(participants, items)
    se = sqrt(variance if variance > 1e-12 * floor else floor)
    if vanishes(se, rows):
        return None
    return t_interval(estimate, se, min(rows["participant_id"].nunique(), rows["item_id"].nunique()) - 1, level)


def paired(a: pd.DataFrame, b: pd.DataFrame, level: float) -> tuple[dict | None, dict | None]:
    """On participants' means, if at least half of all participants rated both arms."""
    means_a, means_b = (rows.groupby("participant_id")["rating"].mean() for rows in (a, b))
    differences = (means_b - means_a).dropna()
    n = len(differences)
    if n < 2 or 2 * n < len(means_a.index.union(means_b.index)):
        return None, None
    mean, se = differences.mean(), differences.std(ddof=1) / sqrt(n)
    if vanishes(se, pd.concat([a, b])):
        return None, None
    t = mean / se
    return t_interval(mean, se, n - 1, level), {"t": t, "df": n - 1, "p": 2 * stats.t.sf(abs(t), n - 1)}


def t_interval(estimate: float, se: float, df: int, level: float) -> dict:
    half = stats.t.ppf((1 + level) / 2, df) * se
    return {"estimate": estimate, "se": se, "df": df, "low": estimate - half, "high": estimate + half}


def fewest(arms: list[pd.DataFrame], unit: str) -> int:
    return min(rows[unit].nunique() for rows in arms)


def vanishes(se: float, rows: pd.DataFrame) -> bool:
    return bool(se <= ROUNDING * np.ptp(rows["rating"]))


# The comparison. ------------------------------------------------------------------------------------------------------


def compare(label: str, ours: dict | None, theirs: dict, se: float = 0.0) -> int:
    """Print our numbers beside the reported ones, and return how many differ."""
    if ours is None:
        return show(label, None, None if "not_estimable" in theirs else theirs)
    if "not_estimable" in theirs:
        return show(label, ours, None)
    return sum(
        compare(f"{label} {name}", value, theirs[name])
        if isinstance(value, dict) or isinstance(theirs[name], dict)
        else show(f"{label} {name}", value, theirs[name], ours.get("se", 0.0))
        for name, value in ours.items()
    )


def show(label: str, ours: object, theirs: object, se: float = 0.0) -> int:
    """Print one line; 1 if it differs. A mean close to 0 is measured against its standard error."""
    if isinstance(ours, int | float) and isinstance(theirs, int | float):
        difference = abs(ours - theirs)
        differs = difference > TOLERANCE * max(abs(theirs), se)
        print(f"{label},{ours:.15g},{theirs:.15g},{difference:.1e}{',DIFFERS' if differs else ''}")
    else:
        differs = ours is not theirs
        said = ["not estimable" if value is None else "estimable" for value in (ours, theirs)]
        print(f"{label},{','.join(said)},{',DIFFERS' if differs else ''}")
    return int(differs)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent))
