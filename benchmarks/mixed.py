"""The crossed mixed model: our own against statsmodels and, where Rscript is installed, R's lme4.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.mixed [--sizes 100x50 500x100 5000x100] [--statsmodels 30x12]

Simulated studies of two arms, 3 % missing, 1-10 with a ceiling. `intercepts` is (1 | participant) + (1 | item);
`slopes` is (1 + arm | participant) + (1 + arm | item) with correlations; `search` is what the report runs: the largest
structure first, then as many smaller ones as a singular fit asks for. Best of three. statsmodels fits the intercepts at
one smaller size (at 10,000 ratings it takes about a minute), R at every size up to 100,000; each prints how many times
slower it is than ours on the same ratings, and by how much the difference of the arms and its standard error differ.
One thread, because on a busy machine OpenBLAS's threads wait for each other longer than they work.
"""

import argparse
import csv
import json
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from reports.statistics.mixed import fit_arm, fit_arms
from reports.statistics.table import Table, tables_from_codes

LME4 = """
library(lme4)
d <- read.csv(commandArgs(TRUE)[1], stringsAsFactors = TRUE)
fit <- function(f) {
  s <- system.time(m <- lmer(f, d, control = lmerControl(calc.derivs = FALSE)))[["elapsed"]]
  e <- coef(summary(m))[2, 1:2]
  sprintf('{"seconds": %.6f, "estimate": %.15g, "se": %.15g}', s, e[1], e[2])
}
intercepts <- fit(rating ~ arm + (1 | participant) + (1 | item))
slopes <- fit(rating ~ arm + (1 + arm | participant) + (1 + arm | item))
cat('{"intercepts":', intercepts, ', "slopes":', slopes, '}')
"""


def simulated(participants: int, items: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Codes (ratings x participant, item, arm) and ratings."""
    rng = np.random.default_rng(seed)
    shape = (participants, items, 2)
    y = 8.5 + rng.normal(0, 0.8, shape) + rng.normal(0, 0.76, (participants, 1, 1)) + rng.normal(0, 0.28, (1, items, 1))
    y += rng.normal(0, 0.15, (participants, 1, 2)) + rng.normal(0, 0.1, (1, items, 2)) + 0.1 * np.arange(2)
    codes = np.argwhere(rng.random(shape) >= 0.03)
    return codes, np.clip(np.rint(y[tuple(codes.T)]), 1, 10)


def table_of(codes: np.ndarray, ratings: np.ndarray) -> Table:
    labels = [[f"{letter}{n:06}" for n in range(codes[:, k].max() + 1)] for k, letter in enumerate("pia")]
    none = np.zeros(len(codes), dtype=np.int64)
    return tables_from_codes(none, *codes.T, ratings, ["rating"], *labels)["rating"]


def best(work, repeats: int = 3) -> tuple[float, dict]:
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - began)
    return min(seconds), result


def compare(name: str, ours: tuple[float, dict], seconds: float, estimate: float, se: float) -> None:
    difference = ours[1]["contrasts"][0]
    print(
        f"  {name:28} {seconds:9.3f} s   {seconds / ours[0]:8.1f} x ours"
        f"   estimate off by {abs(estimate - difference['estimate']):.1e}, SE by {abs(se / difference['se'] - 1):.1e}"
    )


def against_lme4(codes: np.ndarray, ratings: np.ndarray, intercepts, slopes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data, script = Path(folder) / "ratings.csv", Path(folder) / "fit.R"
        script.write_text(LME4)
        with data.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["participant", "item", "arm", "rating"])
            pairs = zip(codes.tolist(), ratings, strict=True)
            rows.writerows([f"p{p}", f"i{i}", f"a{k}", rating] for (p, i, k), rating in pairs)
        run = subprocess.run(["Rscript", script, data], capture_output=True, text=True, check=False)
    if run.returncode:
        print(f"  R has no lme4 here: {run.stderr.strip().splitlines()[-1:]}")
        return
    theirs = json.loads(run.stdout)
    compare("lme4 intercepts", intercepts, *theirs["intercepts"].values())
    compare("lme4 slopes", slopes, *theirs["slopes"].values())


def against_statsmodels(participants: int, items: int) -> None:
    try:
        import pandas as pd
        from statsmodels.regression.mixed_linear_model import MixedLM
    except ImportError:
        print("statsmodels is not installed")
        return
    codes, ratings = simulated(participants, items)
    ours = best(lambda: fit_arms(table_of(codes, ratings), structure="intercepts"))
    print(f"{len(ratings):,} ratings ({participants} x {items} x 2)")
    print(f"  {'own intercepts':28} {ours[0]:9.3f} s")
    data = pd.DataFrame(codes, columns=["participant", "item", "arm"]).assign(rating=ratings, one=1)
    # Crossed effects only with a single group; with groups=participant the items would count as nested.
    formulas = {"participant": "0 + C(participant)", "item": "0 + C(item)"}
    began = time.perf_counter()
    model = MixedLM.from_formula("rating ~ arm", data, groups="one", vc_formula=formulas, re_formula="0")
    fitted = model.fit(reml=True)
    compare("statsmodels intercepts", ours, time.perf_counter() - began, fitted.fe_params["arm"], fitted.bse_fe["arm"])


def size(text: str) -> tuple[int, int]:
    participants, items = text.split("x")
    return int(participants), int(items)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=size, default=[(100, 50), (500, 100), (5000, 100)])
    parser.add_argument("--statsmodels", type=size, default=(30, 12), help="participants x items")
    options = parser.parse_args()

    for participants, items in options.sizes:
        codes, ratings = simulated(participants, items)
        table = table_of(codes, ratings)
        print(f"{len(ratings):,} ratings ({participants} x {items} x 2)")
        arm = best(lambda table=table: fit_arm(table, table.arms[0]))
        intercepts, slopes = (best(lambda s=s, t=table: fit_arms(t, structure=s)) for s in ("intercepts", "slopes"))
        search = best(lambda table=table: fit_arms(table))
        for name, (seconds, result) in {
            "own one arm": arm,
            "own intercepts": intercepts,
            "own slopes": slopes,
            "own search": search,
        }.items():
            print(f"  {name:28} {seconds:9.3f} s   {result['iterations']} steps   {result.get('structure', '')}")
        if shutil.which("Rscript") and len(ratings) <= 100_000:
            against_lme4(codes, ratings, intercepts, slopes)
    against_statsmodels(*options.statsmodels)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
