"""Which means and sds whole numbers can have: published cases, and every small sample counted out."""

import json
from fractions import Fraction
from itertools import combinations_with_replacement, islice
from math import isqrt, sqrt
from pathlib import Path

import pytest

from reports.statistics.grim import (
    Reported,
    Unreadable,
    check_mean,
    check_means,
    check_sd,
    fits,
    numbers_that_fit,
    sentences,
)

REFERENCE = Path(__file__).parents[2].parent / "shared" / "reference-data" / "textbook.reference.json"


def read(text):
    return Reported.read(text)


def published():
    return json.loads(REFERENCE.read_text())["grim"] if REFERENCE.is_file() else {"cases": [], "smallest_n": {}}


def found(mean, sd, n, items=1, scale=None):
    return check_sd(read(mean), read(sd), n, items, scale)


def as_printed(number: Fraction, decimals: int) -> set[str]:
    """What a number may be printed as: rounded to the nearest, halves either way."""
    scaled = number * 10**decimals
    below = scaled.numerator // scaled.denominator
    whole = {below, below + 1} if scaled - below == Fraction(1, 2) else {below + (scaled - below > Fraction(1, 2))}
    return {f"{digits // 10**decimals}.{digits % 10**decimals:0{decimals}}" for digits in whole}


def root_as_printed(square: Fraction, decimals: int) -> str:
    """The root, rounded; exact, for a rational root is printed by `as_printed` and no other lies on a half."""
    scaled = square * 4 * 10 ** (2 * decimals)
    digits = (isqrt(scaled.numerator // scaled.denominator) + 1) // 2
    return f"{digits // 10**decimals}.{digits % 10**decimals:0{decimals}}"


@pytest.mark.parametrize("case", published()["cases"], ids=lambda case: f"{case['mean']}-{case['n_ints']}")
def test_published_cases(case):
    assert fits(read(case["mean"]), case["n_ints"]) == case["consistent"]


@pytest.mark.skipif(not REFERENCE.is_file(), reason="the reference data is not beside this checkout")
def test_published_smallest_numbers():
    means = ["8.5374", "8.5666"]
    result = check_means(means, 100)

    ours = dict(zip(means, (mean["smallest_n"] for mean in result["means"]), strict=True))
    assert ours | {"both": result["together"]["smallest_n"]} == published()["smallest_n"]


def test_the_seed_papers_means_need_many_more_than_a_hundred_ratings():
    result = check_means(["8.5374", "8.5666"], 100)

    assert [mean["consistent"] for mean in result["means"]] == [False, False]
    assert [mean["smallest_n"] for mean in result["means"]] == [147, 293]
    assert result["together"]["smallest_n"] == 856
    assert result["together"]["next_n"][:2] == [923, 1029]
    assert result["together"]["multiples"] == {"of": 100, "up_to": 5000, "n": [3500, 3800, 4700, 5000]}


def test_neither_fits_a_thousand():
    assert not fits(read("8.5374"), 1000)
    assert not fits(read("8.5666"), 1000)


def test_the_smallest_numbers_are_those_that_trying_each_would_find():
    mean = read("5.37")
    by_trying = [
        n for n in range(1, 101) if any(abs(Fraction(s, n) - mean.value) <= Fraction(1, 200) for s in range(700))
    ]

    assert list(islice(numbers_that_fit([mean]), len(by_trying))) == by_trying


def test_trailing_zeros_count():
    assert fits(read("8.5"), 11)
    assert not fits(read("8.50"), 11)


def test_halves_may_be_rounded_either_way():
    # 0.125
    assert fits(read("0.12"), 8)
    assert fits(read("0.13"), 8)


def test_items_multiply_the_ratings():
    assert check_means(["3.45"], 10, items=2)["means"][0]["consistent"]
    assert not check_means(["3.45"], 10)["means"][0]["consistent"]


def test_a_mean_off_the_scale_is_impossible_with_any_number():
    mean = check_mean(read("10.20"), 100, (1, 10))

    assert not mean["consistent"]
    assert mean["smallest_n"] == {"not_estimable": "no ratings from 1 to 10 have such a mean"}


def test_the_ends_of_the_scale_are_possible():
    assert check_mean(read("10.00"), 3, (1, 10))["consistent"]
    assert check_mean(read("1.0"), 3, (1, 10))["consistent"]


def test_the_nearest_means_keep_their_decimals():
    assert check_mean(read("8.5374"), 100)["nearest"] == ["8.5300", "8.5400"]


def test_negative_means_are_read():
    mean = check_mean(read("-1.37"), 30)

    assert mean["consistent"]
    assert check_mean(read("-1.35"), 30)["nearest"] == ["-1.37", "-1.33"]


def test_how_often_chance_passes():
    assert check_mean(read("8.5374"), 100)["passes_by_chance"] == 0.01
    assert check_mean(read("8.5"), 100)["passes_by_chance"] == 1


@pytest.mark.parametrize(("n", "items", "scale"), [(2, 1, (1, 5)), (5, 1, (1, 5)), (7, 1, (0, 3)), (3, 2, (1, 4))])
def test_no_sample_that_exists_is_called_impossible(n, items, scale):
    """Every sample there is: the mean and sd that it has pass, as printed with two decimals."""
    points = range(items * scale[0], items * scale[1] + 1)
    for sample in combinations_with_replacement(points, n):
        total, squares = sum(sample), sum(y * y for y in sample)
        variance = (squares - Fraction(total**2, n)) / (n - 1) / items**2
        sd = root_as_printed(variance, 2)
        for mean in as_printed(Fraction(total, n * items), 2):
            assert found(mean, sd, n, items)["consistent"], (sample, mean, sd)
            assert found(mean, sd, n, items, scale)["consistent"], (sample, mean, sd)


def test_few_of_the_impossible_pairs_pass():
    """Five people on 1 to 5: of all sds with two decimals beside a mean of 3.40, only those of a sample pass."""
    samples = [s for s in combinations_with_replacement(range(1, 6), 5) if sum(s) == 17]
    real = {root_as_printed((sum(y * y for y in s) - Fraction(17**2, 5)) / 4, 2) for s in samples}
    passing = {sd for k in range(300) if found("3.40", sd := f"{k / 100:.2f}", 5, scale=(1, 5))["consistent"]}

    assert real <= passing
    # Near the widest spread the three tests let a pair through that no sample has.
    assert len(passing - real) <= 2


@pytest.mark.parametrize(
    ("mean", "sd", "n", "fails"),
    [
        ("7.3", "2.51", 12, "parity"),
        ("3.44", "2.47", 18, "parity"),
        # Sums of squares 2, 4, 6: sds .71, 1.00 or 1.22 with n = 5 and mean 2; .80 lies between.
        ("2.00", "0.80", 5, "squares"),
        ("5.19", "1.60", 28, "mean"),
    ],
)
def test_the_test_that_fails_is_named(mean, sd, n, fails):
    result = found(mean, sd, n)

    assert not result["consistent"]
    assert result["fails"] == fails


def test_an_sd_wider_than_the_scale_allows_is_impossible():
    # Half at 1 and half at 10: sd 4.5 x sqrt(10 / 9).
    result = found("5.50", "4.90", 10, scale=(1, 10))

    assert result["fails"] == "range"
    assert result["highest"] == pytest.approx(4.5 * sqrt(10 / 9))
    assert found("5.50", "4.74", 10, scale=(1, 10))["consistent"]


def test_an_sd_of_zero_needs_a_whole_mean():
    assert found("4.00", "0.00", 10)["consistent"]
    assert found("4.10", "0.00", 10)["fails"] == "range"
    assert found("4.10", "0.00", 10)["lowest"] == pytest.approx(sqrt(0.1))


def test_a_coarse_mean_of_very_many_ratings_leaves_the_sd_open():
    result = found("8", "1.5", 100_000)

    assert result["consistent"] == {"not_estimable": "8 has too few decimals for 100000 ratings"}


def test_every_fault_is_told():
    with pytest.raises(Unreadable) as refused:
        check_means(["8,54", "8.1234567"], 0, items=0, scale=(5, 5), sds=["-1.0"])

    assert len(refused.value.faults) == 7
    assert "decimals come after a point" in str(refused.value)


def test_too_many_ratings_are_refused():
    with pytest.raises(Unreadable, match="too many"):
        check_means(["8.54"], 10_000, items=1000)


def test_one_sentence_for_each_finding():
    said = list(sentences(check_means(["8.5374", "8.5666"], 100, sds=["1.4700", "1.5"], scale=(1, 10))))

    assert len(said) == 6
    assert said[0] == (
        "8.5374 is no possible mean of 100 whole-number ratings: the nearest are 8.5300 and 8.5400. "
        "It needs at least 147 ratings."
    )
    assert "at least 856 ratings (then 923, 1,029" in said[2]
    assert "3,500 (35 each), 3,800 (38 each)" in said[3]
    assert "itself impossible" in said[4]


def test_a_mean_that_says_nothing_is_said_to():
    (said,) = sentences(check_means(["8.5"], 100))

    assert said.endswith("with so few decimals every mean is, so this says nothing.")
