"""What the command refuses, and in which words."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core.management import CommandError, call_command

from accounts.models import User
from ratings.models import Invitation
from tests.reports.people import make_study
from tests.simulate.conftest import simulate


@pytest.fixture
def study(db):
    return make_study(User.objects.create_user("ada"))


@pytest.fixture
def nowhere() -> str:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return f"http://localhost:{free.getsockname()[1]}"


class Elsewhere(BaseHTTPRequestHandler):
    """A healthy Evalsite that has never heard of our study."""

    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def elsewhere():
    with ThreadingHTTPServer(("localhost", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


def test_a_study_that_does_not_exist_is_named(db):
    with pytest.raises(CommandError, match="There is no study called 'nope'"):
        simulate("http://localhost", "nope")


def test_where_no_server_answers_it_says_how_to_start_one(study, nowhere):
    with pytest.raises(CommandError, match=f"No server answers at {nowhere[7:]}. Start it with `make run`"):
        simulate(nowhere, "small")
    assert not Invitation.objects.exists()


def test_a_server_with_another_database_is_recognised(study, elsewhere):
    with pytest.raises(CommandError, match="does not know our invitations: it uses another database"):
        simulate(elsewhere, "small")


def test_a_paused_study_takes_nobody(study, nowhere):
    study.state = "paused"
    study.save()

    with pytest.raises(CommandError, match="small takes no participants: it is paused"):
        simulate(nowhere, "small")


@pytest.mark.parametrize(
    ("option", "fault"),
    [
        (["--participants", "0"], "'0' is no number from 1 to 10000"),
        (["--participants", "many"], "'many' is no number"),
        (["--participants", "2", "--url", "here"], "'here' is no address"),
        (["--participants", "2", "--url", "http://here:port"], "'http://here:port' is no address"),
        (["--participants", "2", "--mix", "lazy=1"], "'lazy' is no character: choose from careful, fast"),
        (["--participants", "2", "--mix", "fast"], "write fast=0.5"),
        (["--participants", "2", "--mix", "fast=0"], "at least one above 0"),
        (["--participants", "2", "--effect", "much"], "invalid float value"),
    ],
)
def test_a_wrong_option_is_explained(option, fault):
    with pytest.raises(CommandError, match=fault):
        call_command("simulate", "small", "--seed", "1", *option)
