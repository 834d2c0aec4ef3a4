import pytest
from django.core.exceptions import ImproperlyConfigured

from evalsite.addresses import port, public_url, seconds


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, 8000),
        ({"PORT": ""}, 8000),
        ({"PORT": "8055"}, 8055),
        ({"EVALSITE_URL": "http://192.168.1.5:9000"}, 9000),
        ({"EVALSITE_URL": "http://192.168.1.5"}, 8000),
        ({"EVALSITE_URL": "https://study.example.org:8443"}, 8000),
        ({"EVALSITE_URL": "http://192.168.1.5:9000", "PORT": "8055"}, 8055),
    ],
)
def test_the_port_is_the_one_asked_for_or_that_of_a_plain_address(environ, expected):
    assert port(environ) == expected


@pytest.mark.parametrize("value", ["x", "0", "65536", "-1", "80.0", "８０"])
def test_a_port_that_is_none_is_refused_in_words(value):
    with pytest.raises(ImproperlyConfigured, match="is no port"):
        port({"PORT": value})


def test_an_address_loses_its_closing_slash():
    assert public_url({"EVALSITE_URL": "https://study.example.org/"}) == "https://study.example.org"


def test_without_an_address_only_this_computer_is_served():
    assert public_url({}) == ""


@pytest.mark.parametrize("value", ["study.example.org", "localhost:8000", "ftp://x", "http://", "http://x:port"])
def test_an_address_that_is_none_is_refused(value):
    with pytest.raises(ImproperlyConfigured, match="is no address"):
        public_url({"EVALSITE_URL": value})


@pytest.mark.parametrize("value", ["https://x.org/evalsite", "https://x.org/?a=1", "https://me@x.org"])
def test_an_address_has_a_name_of_its_own(value):
    with pytest.raises(ImproperlyConfigured, match="more than a name"):
        public_url({"EVALSITE_URL": value})


def test_seconds_are_read_or_the_default_holds():
    assert seconds({"X": "2.5"}, "X", default=15) == 2.5
    assert seconds({"X": ""}, "X", default=15) == 15


@pytest.mark.parametrize("value", ["soon", "0", "-1", "inf", "nan"])
def test_a_number_of_seconds_that_is_none_is_refused_in_words(value):
    with pytest.raises(ImproperlyConfigured, match="is no number of seconds"):
        seconds({"X": value}, "X", default=15)
