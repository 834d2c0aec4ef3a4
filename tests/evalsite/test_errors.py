"""The pages for what went wrong."""

import pytest
from django.db import OperationalError
from django.test import Client

from ratings.path import help as help_page


@pytest.fixture
def client():
    return Client(raise_request_exception=False)


@pytest.fixture
def database_away(monkeypatch):
    def fail(*arguments):
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(help_page.resources, "countries", fail)


def test_while_the_database_is_away_a_page_comes_back_by_itself(client, database_away):
    page = client.get("/help/")

    assert (page.status_code, page.headers["Retry-After"]) == (503, "5")
    assert '<meta http-equiv="refresh" content="5">' in page.text


def test_a_form_that_could_not_be_stored_is_not_sent_again_by_itself(client, database_away, rf):
    from evalsite.errors import server_error

    try:
        raise OperationalError
    except OperationalError:
        page = server_error(rf.post("/s/study/rate/1/"))

    assert page.status_code == 503
    assert "refresh" not in page.text
    assert "it counts once" in page.text


def test_another_fault_is_ours(client, monkeypatch):
    monkeypatch.setattr(help_page.resources, "countries", lambda *arguments: 1 / 0)

    assert client.get("/help/").status_code == 500
