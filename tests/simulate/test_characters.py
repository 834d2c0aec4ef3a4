from collections import Counter

import pytest

from ratings.simulate.characters import DEFAULT_MIX, crowd, read_mix


def names(count, mix, seed=1):
    return [character.name for character in crowd(count, mix, seed)]


def test_a_hundred_come_in_the_shares_asked_for():
    assert Counter(names(100, DEFAULT_MIX)) == {"careful": 70, "fast": 10, "straight": 10, "dropout": 10}


@pytest.mark.parametrize("count", [1, 2, 3, 7, 19, 101])
def test_as_many_come_as_were_asked(count):
    assert len(crowd(count, DEFAULT_MIX, seed=1)) == count


def test_the_order_is_the_seeds():
    assert names(30, DEFAULT_MIX, 4) == names(30, DEFAULT_MIX, 4) != names(30, DEFAULT_MIX, 5)


def test_shares_need_not_add_up_to_one():
    assert Counter(names(10, read_mix("careful=3, fast=1"))) == {"careful": 8, "fast": 2}


@pytest.mark.parametrize("text", ["", "fast", "fast=", "fast=x", "fast=-1", "fast=nan", "fast=inf", "slow=1"])
def test_a_wrong_mix_is_refused(text):
    with pytest.raises(ValueError, match="character|share|Shares"):
        read_mix(text)
