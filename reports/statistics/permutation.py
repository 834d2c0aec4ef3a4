"""The sign-flip test of paired differences: under no difference each participant's could as well be the other way."""

from __future__ import annotations

from math import sqrt

import numpy as np

from .intervals import LEVEL, Result, estimable, not_estimable

DRAWS = 100_000

# Where at most so many participants differ, every pattern of signs is looked at.
EXACT_UPTO = 18

# Participants flipped by one random word of 16 bits; the sums of so many fit into a processor's nearest memory.
WORD = 12
# Of the random streams of one seed.
STREAM = 3

# Means of whole numbers that should be equal differ by less than this in floating point, and others by more.
ROUNDING = 1e-10

NO_PAIRS = "no participant rated both arms"

NAMES = {"sign_flip": "sign-flip test on participants' differences"}

DEFINITIONS = {
    "sign_flip": "Share of patterns of signs of the participants' differences whose sum lies at least as far from zero "
    f"as the observed one: of all patterns where at most {EXACT_UPTO} participants differ, else of random ones as "
    "(hits + 1) / (draws + 1) (Phipson and Smyth 2010). Two-sided.",
}


def sign_flip(differences: np.ndarray, seed: int, draws: int = DRAWS) -> Result:
    """Two-sided test that participants' differences are as likely one way as the other.

    `differences`: one per participant, without NaN; flipping a zero changes nothing. Keys `p, n, n_zero, exact`, then
    `hits, patterns, smallest_p` where exact, else `hits, draws, seed, mcse` (the standard error of p from the draws).
    Never zero. Fisher 1935; Phipson and Smyth 2010.
    """
    n = len(differences)
    if not n:
        return not_estimable(NO_PAIRS)
    sizes = np.abs(np.asarray(differences, dtype=np.float64))
    # Sorted, so that neither names nor which arm is called b change anything.
    sizes = np.sort(sizes[sizes > ROUNDING])
    at_least = abs(float(np.sum(differences))) - n * ROUNDING
    result = {"n": n, "n_zero": n - len(sizes)}
    if len(sizes) <= EXACT_UPTO:
        return _exact(sizes, at_least, result)
    hits = int(np.count_nonzero(np.abs(_random_sums(sizes, seed, draws)) >= at_least))
    p = (hits + 1) / (draws + 1)
    mcse = sqrt(p * (1 - p) / draws)
    return {"p": p, **result, "exact": False, "hits": hits, "draws": draws, "seed": seed, "mcse": mcse}


def how_sign_flip(result: Result) -> str:
    """How p came about, enough to do it again."""
    if not estimable(result):
        return f"Not estimable: {result['not_estimable']}."
    zeros = f" ({result['n_zero']} of them zero)" if result["n_zero"] else ""
    who = f"the differences of {result['n']} participants' means{zeros}"
    if result["exact"]:
        return (
            f"{result['hits']} of all {result['patterns']} patterns of signs of {who} give a sum at least as far from "
            f"zero as the one observed: p = {result['p']:.8g}, exactly."
        )
    return (
        f"{result['hits']} of {result['draws']} random patterns of signs (seed {result['seed']}) of {who} give a sum "
        f"at least as far from zero as the one observed: p = ({result['hits']} + 1) / ({result['draws']} + 1) = "
        f"{result['p']:.6g}, with a Monte-Carlo standard error of {result['mcse']:.2g}."
    )


def _exact(sizes: np.ndarray, at_least: float, result: Result) -> Result:
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums + size, sums - size])
    hits, patterns = int(np.count_nonzero(np.abs(sums) >= at_least)), len(sums)
    smallest = min(2 / patterns, 1.0)
    exact = {"p": hits / patterns, **result, "exact": True, "hits": hits, "patterns": patterns, "smallest_p": smallest}
    if smallest > 1 - LEVEL:
        n = len(sizes)
        exact["warning"] = f"with {n} participant{'' if n == 1 else 's'} who differ no p below {smallest:g} is possible"
    return exact


def _random_sums(sizes: np.ndarray, seed: int, draws: int) -> np.ndarray:
    """One sum per draw. A random word picks the signs of several participants at once, from a list of their sums."""
    rng, sums = np.random.default_rng([seed, STREAM]), np.zeros(draws)
    for start in range(0, len(sizes), WORD):
        listed = np.zeros(1)
        for size in sizes[start : start + WORD]:
            listed = np.concatenate([listed + size, listed - size])
        words = np.frombuffer(rng.bytes(2 * draws), dtype="<u2")
        sums += listed[words & (len(listed) - 1)]
    return sums
