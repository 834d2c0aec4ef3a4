"""Can a published mean, or standard deviation, come from whole-number ratings of this many people?

GRIM (Brown and Heathers 2017): a mean of N whole numbers is a whole number over N, so most decimals cannot occur.
GRIMMER (Allard 2018): nor can most standard deviations, because the sum of squares is a whole number too, odd or even
with the sum. Everything is exact: numbers stay fractions, and are read as text because "8.50" says more than "8.5".
Whoever published them may have rounded halves up, down or to even, so both ends of the rounding interval count.

A number that fails cannot be right as reported; a number that passes is not thereby right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count, islice, takewhile
from math import ceil, floor, sqrt

from .intervals import Result, estimable, not_estimable

Scale = tuple[int, int]

DECIMAL = re.compile(r"-?[0-9]{1,6}(\.[0-9]+)?", re.ASCII)
MOST_DECIMALS = 6
MOST_RATINGS = 1_000_000
# How many of the smallest numbers of ratings are listed, and how many ratings a person are tried.
LISTED, MOST_EACH = 5, 50
# A mean with few decimals for its many ratings has many sums; beyond these its sd is not looked into.
MOST_SUMS = 10_000

REFERENCES = [
    "Brown and Heathers 2017, The GRIM test, Social Psychological and Personality Science 8(4)",
    "Allard 2018, Analytic-GRIMMER: a new way of testing the possibility of standard deviations",
]


class Unreadable(ValueError):
    """The question cannot be asked; `faults` are all reasons, one sentence each."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))


@dataclass(frozen=True)
class Reported:
    """A number as it was printed: with its decimals, and the closed interval of what rounds to it."""

    text: str
    value: Fraction
    decimals: int

    @classmethod
    def read(cls, text: str) -> Reported:
        """Raises ValueError, with the reason, for anything but digits with a point."""
        text = text.strip()
        if not DECIMAL.fullmatch(text):
            hint = " (decimals come after a point)" if "," in text else ""
            raise ValueError(f"{text!r} is not a number like 8.54 or 8.50{hint}")
        decimals = len(text.partition(".")[2])
        if decimals > MOST_DECIMALS:
            raise ValueError(f"{text!r} has {decimals} decimals; at most {MOST_DECIMALS} can be checked")
        return cls(text, Fraction(text), decimals)

    @property
    def low(self) -> Fraction:
        return self.value - Fraction(1, 2 * 10**self.decimals)

    @property
    def high(self) -> Fraction:
        return self.value + Fraction(1, 2 * 10**self.decimals)


def check_means(
    means: Sequence[str], n: int, items: int = 1, scale: Scale | None = None, sds: Sequence[str] = ()
) -> Result:
    """Whether each mean, and each sd beside it, can come from n people who each gave `items` whole numbers.

    With `items` above 1 the mean is over people's averages of that many items, and an sd is the one between these
    averages (n - 1 below). `smallest_n` counts ratings, that is single whole numbers. Raises `Unreadable`.
    """
    faults = [*_faults(n, items, scale), *_pairing(means, sds)]
    read = [_read(text, faults) for text in means]
    deviations = [_read(text, faults) for text in sds]
    faults += [f"{text!r} is negative; a standard deviation is not" for text in sds if text.strip().startswith("-")]
    if sds and n == 1:
        faults.append("one person's score has no standard deviation; n must be 2 or more")
    if faults:
        raise Unreadable(faults)
    known = [mean for mean in read if mean]
    return {
        "n": n,
        "items": items,
        "n_ratings": n * items,
        "scale": list(scale) if scale else None,
        "means": [check_mean(mean, n * items, scale) for mean in known],
        "together": _together(known, n * items, scale),
        "sds": [check_sd(mean, sd, n, items, scale) for mean, sd in zip(known, deviations, strict=False) if sd],
        "references": REFERENCES,
    }


def check_mean(mean: Reported, n_ratings: int, scale: Scale | None = None) -> Result:
    """GRIM. `passes_by_chance`: the share of all numbers with so many decimals that would pass."""
    smallest = next(numbers_that_fit([mean], scale), None)
    return {
        "mean": mean.text,
        "consistent": fits(mean, n_ratings, scale),
        "nearest": _nearest(mean, n_ratings, scale),
        "smallest_n": smallest or not_estimable(_off_scale(scale)),
        "passes_by_chance": min(1.0, n_ratings / 10**mean.decimals),
    }


def fits(mean: Reported, n_ratings: int, scale: Scale | None = None) -> bool:
    """Whether some whole number over `n_ratings` rounds to the mean, halves either way."""
    return bool(_sums(mean, n_ratings, scale))


def numbers_that_fit(means: Sequence[Reported], scale: Scale | None = None) -> Iterator[int]:
    """The numbers of ratings that all these means can come from, smallest first; none where one is off the scale."""
    # So many ratings fit any number with so many decimals.
    always = 10 ** max(mean.decimals for mean in means)
    if all(fits(mean, always, scale) for mean in means):
        yield from (n for n in count(1) if all(fits(mean, n, scale) for mean in means))


def check_sd(mean: Reported, sd: Reported, n: int, items: int = 1, scale: Scale | None = None) -> Result:
    """GRIMMER: whether n scores, each an average of `items` whole numbers, can have both this mean and this sd.

    `lowest` and `highest` bound the sd that goes with the mean; `highest` needs a scale. `fails`, where it does, names
    the test that the best of the possible sums fails: mean, range, squares (no whole sum of squares), parity.
    """
    scores = _sums(mean, n * items, scale)
    result: Result = {"mean": mean.text, "sd": sd.text, "consistent": False}
    if not scores:
        return result | {"fails": "mean"}
    if len(scores) > MOST_SUMS:
        return result | {"consistent": not_estimable(f"{mean.text} has too few decimals for {n * items} ratings")}
    bounds = [(total, *_squares_possible(total, n, items, scale)) for total in scores]
    ends = {
        "lowest": min(_sd(least, total, n, items) for total, least, _ in bounds),
        "highest": max(_sd(most, total, n, items) for total, _, most in bounds if most is not None)
        if scale
        else not_estimable("without the scale an sd can be as large as one likes"),
    }
    furthest = max((_furthest(sd, total, least, most, n, items) for total, least, most in bounds), key=FAILS.index)
    if furthest == "":
        return result | {"consistent": True} | ends
    return result | {"fails": furthest} | ends


# In the order in which a sum meets the tests; the last means that it passes.
FAILS = ["range", "squares", "parity", ""]


def _furthest(sd: Reported, total: int, least: int, most: int | None, n: int, items: int) -> str:
    """The test at which this sum of the ratings fails."""
    low, high = (end**2 * items**2 * (n - 1) + Fraction(total**2, n) for end in (max(sd.low, Fraction(0)), sd.high))
    if high < least or (most is not None and low > most):
        return "range"
    first = max(ceil(low), least)
    last = floor(high) if most is None else min(floor(high), most)
    if first > last:
        return "squares"
    # A whole number and its square are odd together, and so are their sums.
    return "" if first < last or (first - total) % 2 == 0 else "parity"


def _squares_possible(total: int, n: int, items: int, scale: Scale | None) -> tuple[int, int | None]:
    """The least and the greatest sum of squares of n whole numbers with this sum: all alike, or as far apart as can."""
    each, rest = divmod(total, n)
    least = n * each**2 + rest * (2 * each + 1)
    if scale is None:
        return least, None
    low, high = items * scale[0], items * scale[1]
    at_top, rest = divmod(total - n * low, high - low)
    between = (low + rest) ** 2 + (n - at_top - 1) * low**2 if at_top < n else 0
    return least, at_top * high**2 + between


def _sd(squares: int, total: int, n: int, items: int) -> float:
    return sqrt((squares - Fraction(total**2, n)) / (n - 1)) / items


def _sums(mean: Reported, n_ratings: int, scale: Scale | None) -> range:
    """The whole numbers that, over `n_ratings`, round to the mean and can be reached on the scale."""
    first, last = _ceil(mean.low, n_ratings), _floor(mean.high, n_ratings)
    if scale:
        first, last = max(first, n_ratings * scale[0]), min(last, n_ratings * scale[1])
    return range(first, last + 1)


def _ceil(number: Fraction, times: int) -> int:
    return -(-number.numerator * times // number.denominator)


def _floor(number: Fraction, times: int) -> int:
    return number.numerator * times // number.denominator


def _nearest(mean: Reported, n_ratings: int, scale: Scale | None) -> list[str]:
    """The possible means around the one reported, with its decimals."""
    sums = {_floor(mean.value, n_ratings), _ceil(mean.value, n_ratings)}
    if scale:
        sums = {min(max(total, n_ratings * scale[0]), n_ratings * scale[1]) for total in sums}
    return [_decimal(Fraction(total, n_ratings), mean.decimals) for total in sorted(sums)]


def _decimal(number: Fraction, decimals: int) -> str:
    """Rounded, halves up; exact where a float would not be."""
    digits = floor(number * 10**decimals + Fraction(1, 2))
    whole, rest = divmod(abs(digits), 10**decimals)
    return f"{'-' * (digits < 0)}{whole}" + (f".{rest:0{decimals}}" if decimals else "")


def _together(means: Sequence[Reported], n_ratings: int, scale: Scale | None) -> Result:
    """What all means need at once: the smallest numbers, and how many ratings each person may have given."""
    smallest = list(islice(numbers_that_fit(means, scale), LISTED))
    most = MOST_EACH * n_ratings
    return {
        "consistent": all(fits(mean, n_ratings, scale) for mean in means),
        "smallest_n": smallest[0] if smallest else not_estimable(_off_scale(scale)),
        "next_n": smallest[1:],
        "multiples": {
            "of": n_ratings,
            "up_to": most,
            "n": [
                n
                for n in takewhile(lambda n: n <= most, count(n_ratings, n_ratings))
                if all(fits(mean, n, scale) for mean in means)
            ],
        },
    }


def _off_scale(scale: Scale | None) -> str:
    return f"no ratings from {scale[0]} to {scale[1]} have such a mean" if scale else "no number of ratings fits"


def _read(text: str, faults: list[str]) -> Reported | None:
    try:
        return Reported.read(text)
    except ValueError as error:
        faults.append(str(error))
        return None


def _faults(n: int, items: int, scale: Scale | None) -> Iterator[str]:
    if n < 1:
        yield f"n is {n}; it must be 1 or more"
    if items < 1:
        yield f"items is {items}; it must be 1 or more"
    if n * items > MOST_RATINGS:
        yield f"{n} x {items} ratings are too many to check; the most is {MOST_RATINGS}"
    if scale and scale[0] >= scale[1]:
        yield f"the scale {scale[0]} to {scale[1]} must rise"


def _pairing(means: Sequence[str], sds: Sequence[str]) -> Iterator[str]:
    if not means:
        yield "there is no mean to check"
    if sds and len(sds) != len(means):
        yield f"there are {len(means)} means and {len(sds)} standard deviations; give one for each mean, in their order"


def sentences(result: Result) -> Iterator[str]:
    """What the check found, a sentence for each mean, for all together, and for each sd."""
    n, items, n_ratings = result["n"], result["items"], result["n_ratings"]
    ratings = f"{n_ratings:,} whole-number ratings" + (f" ({n:,} people x {items:,} items)" if items > 1 else "")
    for mean in result["means"]:
        yield _mean_sentence(mean, ratings)
    if len(result["means"]) > 1:
        yield _together_sentence(result["together"])
    if not result["together"]["consistent"]:
        yield from _multiples_sentence(result["together"]["multiples"], n, items, len(result["means"]))
    for sd in result["sds"]:
        yield _sd_sentence(sd, n, items)


def _mean_sentence(mean: Result, ratings: str) -> str:
    if mean["consistent"]:
        chance = mean["passes_by_chance"]
        caution = (
            "with so few decimals every mean is, so this says nothing"
            if chance == 1
            else f"so would be about {100 * chance:.2g} % of means that were made up"
        )
        return f"{mean['mean']} is a possible mean of {ratings}; {caution}."
    if not estimable(mean["smallest_n"]):
        return f"{mean['mean']} is impossible: {mean['smallest_n']['not_estimable']}."
    return (
        f"{mean['mean']} is no possible mean of {ratings}: the nearest are {' and '.join(mean['nearest'])}. "
        f"It needs at least {mean['smallest_n']:,} ratings."
    )


def _together_sentence(together: Result) -> str:
    if not estimable(together["smallest_n"]):
        return "No number of ratings fits all of them."
    more = ", ".join(f"{n:,}" for n in together["next_n"])
    return f"All of them together need at least {together['smallest_n']:,} ratings (then {more}, ...)."


def _multiples_sentence(multiples: Result, n: int, items: int, means: int) -> Iterator[str]:
    what = "the mean" if means == 1 else "the means"
    whose = f"{n:,} {'person' if n == 1 else 'people'}"
    if multiples["n"]:
        listed = ", ".join(f"{found:,} ({found // n:,} each)" for found in multiples["n"][:12])
        more = ", ..." if len(multiples["n"]) > 12 else ""
        yield f"If each of the {whose} gave equally many ratings, {what} can come from {listed}{more}."
    else:
        most = f"up to {MOST_EACH * items:,} each"
        yield f"{what.capitalize()} cannot come from equally many ratings of each of the {whose}, {most}."


def _sd_sentence(sd: Result, n: int, items: int) -> str:
    scores = f"{n:,} whole numbers" if items == 1 else f"{n:,} averages of {items:,} whole numbers"
    pair = f"an sd of {sd['sd']} beside a mean of {sd['mean']}"
    if not estimable(sd["consistent"]):
        return f"The sd of {sd['sd']} cannot be checked: {sd['consistent']['not_estimable']}."
    if sd["consistent"]:
        return f"{pair[0].upper()}{pair[1:]} is possible with {scores}."
    if sd["fails"] == "mean":
        return f"The sd of {sd['sd']} cannot be checked: its mean of {sd['mean']} is itself impossible."
    if sd["fails"] == "range":
        ends = f"at least {sd['lowest']:.4g}"
        if estimable(sd["highest"]):
            ends = f"between {sd['lowest']:.4g} and {sd['highest']:.4g}"
        return f"{pair[0].upper()}{pair[1:]} is impossible with {scores}: it would be {ends}."
    why = {
        "squares": "no whole-number sum of squares gives it",
        "parity": "the sums of squares that give it are odd where they must be even, or even where they must be odd",
    }[sd["fails"]]
    return f"{pair[0].upper()}{pair[1:]} is impossible with {scores}: {why}."
