import pytest
from django.core.cache import cache

from ratings.path import limits


@pytest.fixture(autouse=True)
def nothing_counted():
    cache.clear()
    yield
    cache.clear()


def wrong_tries(rf, **headers):
    for _ in range(limits.WRONG_TRIES):
        limits.count(rf.post("/", **headers), "return")


def test_wrong_tries_are_counted_by_address(rf):
    wrong_tries(rf, REMOTE_ADDR="192.0.2.1")

    assert limits.exhausted(rf.post("/", REMOTE_ADDR="192.0.2.1"), "return")
    assert not limits.exhausted(rf.post("/", REMOTE_ADDR="192.0.2.2"), "return")


def test_behind_a_proxy_one_guesser_does_not_shut_out_everybody(rf, settings):
    settings.OVER_TLS = True
    wrong_tries(rf, HTTP_X_FORWARDED_FOR="192.0.2.1")

    assert limits.exhausted(rf.post("/", HTTP_X_FORWARDED_FOR="192.0.2.1"), "return")
    assert not limits.exhausted(rf.post("/", HTTP_X_FORWARDED_FOR="192.0.2.2"), "return")


def test_behind_a_proxy_only_what_the_proxy_saw_counts(rf, settings):
    settings.OVER_TLS = True
    wrong_tries(rf, HTTP_X_FORWARDED_FOR="192.0.2.1")

    assert limits.exhausted(rf.post("/", HTTP_X_FORWARDED_FOR="192.0.2.9, 192.0.2.1"), "return")


def test_without_a_proxy_nobody_is_believed(rf, settings):
    settings.OVER_TLS = False
    wrong_tries(rf, HTTP_X_FORWARDED_FOR="192.0.2.1")

    assert limits.exhausted(rf.post("/", HTTP_X_FORWARDED_FOR="192.0.2.2"), "return")
