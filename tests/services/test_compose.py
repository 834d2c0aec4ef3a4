"""What docker-compose.yml says, run without Docker: each service's own command, environment and health check.

The test replaces values of the environment (addresses, folders, keys) and nothing else.
"""

import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from ruamel.yaml import YAML

from tests.services.conftest import BIN, ROOT, free_port, kill, wait_until

pytestmark = pytest.mark.services

COMPOSE = YAML(typ="safe").load(ROOT / "docker-compose.yml")
SERVICES = COMPOSE["services"]
OURS = {"setup", "web", "streams", "worker-cpu", "worker-gpu", "clock", "proxy"}
VARIABLE = re.compile(r"\$\$|\$\{(\w+)(?::([-?])([^}]*))?\}")


@pytest.fixture(scope="module")
def env_file(tmp_path_factory) -> Path:
    """As the documentation has it made."""
    made = tmp_path_factory.mktemp("compose") / "env"
    keys = subprocess.run([sys.executable, "deploy/keys.py"], cwd=ROOT, check=True, capture_output=True, text=True)
    made.write_text((ROOT / "deploy" / "example.env").read_text() + keys.stdout)
    return made


@pytest.fixture(scope="module")
def written(env_file) -> dict[str, str]:
    lines = [line for line in env_file.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def resolved(text: str, values: dict[str, str]) -> str:
    def value(match: re.Match) -> str:
        name, operator, rest = match.groups()
        if name is None:
            return "$"
        if operator == "?":
            assert values.get(name), f"{name}: {rest}"
        return values.get(name) or (rest if operator == "-" else "") or ""

    return VARIABLE.sub(value, text)


class Service:
    """One service of the file, with values of its environment replaced by the test's."""

    def __init__(self, name: str, written: dict[str, str], folder: Path, **replaced: str):
        self.name, self.folder, self._values = name, folder, written
        said = {key: resolved(str(value), written) for key, value in SERVICES[name].get("environment", {}).items()}
        assert set(replaced) <= set(said) | {"XDG_DATA_HOME", "XDG_CONFIG_HOME"}, "only what the file says is replaced"
        self.environment = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(folder),
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
            **said,
            **replaced,
        }

    def command(self, *more: str) -> list[str]:
        return [resolved(part, self._values) for part in SERVICES[self.name]["command"]] + list(more)

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @contextmanager
    def runs(self, *more: str) -> Iterator[subprocess.Popen]:
        with self.log.open("a") as log:
            process = subprocess.Popen(
                self.command(*more), cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        try:
            yield process
        finally:
            kill(process)

    def is_healthy(self) -> bool:
        kind, *test = [resolved(part, self._values) for part in SERVICES[self.name]["healthcheck"]["test"]]
        command = test if kind == "CMD" else ["sh", "-c", test[0]]
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, timeout=20).returncode == 0

    @contextmanager
    def healthy(self, seconds: float = 60) -> Iterator[subprocess.Popen]:
        assert not self.is_healthy(), "its health check passes before it runs"
        with self.runs() as process:
            wait_until(lambda: self.is_healthy() or process.poll() is not None, seconds, every=0.5)
            assert process.poll() is None, self.log.read_text()[-2000:]
            yield process


@pytest.fixture(scope="module")
def service(installation, written):
    common = {
        "EVALSITE_URL": "https://localhost",
        "EVALSITE_DATABASE_URL": installation.database_url,
        "EVALSITE_REDIS_URL": installation.environment["EVALSITE_REDIS_URL"],
        "EVALSITE_DATA": str(installation.folder),
        "EVALSITE_MODELS": str(installation.folder / "models"),
    }

    def named(name: str, **replaced: str) -> Service:
        said = SERVICES[name]["environment"]
        values = {key: value for key, value in common.items() if key in said}
        return Service(name, written, installation.folder, **(values | replaced))

    return named


# What the file says --------------------------------------------------------------------------------------------------


def test_a_compose_tool_finds_no_fault(env_file):
    if not (program := shutil.which("docker-compose")):
        pytest.skip("docker-compose is not installed (Debian: apt install docker-compose)")
    done = subprocess.run(
        [program, "--env-file", str(env_file), "config", "-q"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_the_example_of_an_env_file_has_every_variable_and_no_other(written):
    asked = {match[1] for match in VARIABLE.finditer((ROOT / "docker-compose.yml").read_text()) if match[1]}

    assert asked == set(written) - {"COMPOSE_PROFILES"}


def test_without_keys_it_says_how_to_make_them():
    text = SERVICES["web"]["environment"]["EVALSITE_SECRET_KEY"]

    with pytest.raises(AssertionError, match=r"deploy/keys\.py"):
        resolved(text, {})


def test_workers_start_by_profile_and_all_else_always():
    by_profile = {name: service.get("profiles") for name, service in SERVICES.items()}

    assert by_profile.pop("worker-cpu") == ["cpu"]
    assert by_profile.pop("worker-gpu") == ["gpu"]
    assert not any(by_profile.values())


def test_both_kinds_of_worker_run_the_same_command_and_check():
    for said in ("command", "healthcheck"):
        assert SERVICES["worker-gpu"][said] == SERVICES["worker-cpu"][said]


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"setup"}))
def test_every_service_that_stays_is_checked_and_started_again(name):
    assert SERVICES[name]["healthcheck"]["test"]
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_service_has_privileges(name):
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    if name in OURS:
        stage = SERVICES[name]["build"]["target"]
        lines = (ROOT / "Dockerfile").read_text().partition(f"AS {stage}\n")[2].partition("\nFROM ")[0].splitlines()
        assert "USER evalsite" in lines
    else:
        assert SERVICES[name]["user"] not in ("", "root")


def test_only_the_proxy_can_be_reached_from_outside():
    assert [name for name, service in SERVICES.items() if service.get("ports")] == ["proxy"]


def test_the_image_gets_all_that_runs_and_no_keys():
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    apps = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}

    assert apps | {"manage.py", "templates", "studies", "deploy/Caddyfile"} <= let_through
    assert not [name for name in let_through if "env" in name or "var" in name]


# Each command --------------------------------------------------------------------------------------------------------


def test_setup_prepares_tables_and_styles_and_ends(service):
    setup = service("setup")
    with setup.runs() as process:
        assert process.wait(120) == 0, setup.log.read_text()

    assert (setup.folder / "static").is_dir()


def test_pages(service):
    port = str(free_port())
    with service("web", GRANIAN_HOST="127.0.0.1", GRANIAN_PORT=port).healthy():
        answer = httpx.get(f"http://127.0.0.1:{port}/accounts/login/", headers={"X-Forwarded-Proto": "https"})
        assert answer.status_code == 200


def test_streams(service):
    port = str(free_port())
    with service("streams", UVICORN_HOST="127.0.0.1", UVICORN_PORT=port).healthy():
        path = "/s/none/turns/none/events"
        answer = httpx.get(f"http://127.0.0.1:{port}{path}", headers={"X-Forwarded-Proto": "https"})
        assert answer.status_code == 404


def test_a_worker_is_healthy_once_its_models_can_answer_and_not_when_it_stands_still(service, installation, tmp_path):
    worker = service("worker-cpu", EVALSITE_ANSWERS="tiny", EVALSITE_HEARTBEAT=str(tmp_path / "alive"))
    with worker.healthy():
        assert installation.ask("SELECT status FROM inference_worker WHERE heard_at > now() - interval '10 s'") == [
            ("ready",)
        ]
    long_ago = (tmp_path / "alive").stat().st_mtime - 60
    os.utime(tmp_path / "alive", (long_ago, long_ago))
    assert not worker.is_healthy()


def test_the_clock_is_healthy_once_it_did_its_work(service, tmp_path):
    with service("clock", EVALSITE_HEARTBEAT=str(tmp_path / "alive")).healthy():
        pass


def test_redis_answers_its_check_and_keeps_nothing(written, tmp_path):
    port, (program, *check) = str(free_port()), SERVICES["redis"]["healthcheck"]["test"][1:]

    def asked(*words: str) -> str:
        command = [program, "-p", port, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()

    with Service("redis", written, tmp_path).runs("--port", port, "--dir", str(tmp_path)):
        wait_until(lambda: asked(*check) == "PONG")
        assert asked("config", "get", "save") == "save"


# The proxy -----------------------------------------------------------------------------------------------------------


class Behind(BaseHTTPRequestHandler):
    """Stands for pages or streams: tells who it is and what it was asked; a stream goes on only when it may."""

    def do_GET(self) -> None:
        self.server.heard.append(dict(self.headers))
        self.send_response(200)
        if self.server.name == "streams":
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.wfile.write(b"data: first\n\n")
            self.server.may_go_on.wait(20)
            self.wfile.write(b"data: second\n\n")
        else:
            self.end_headers()
            self.wfile.write(self.server.name.encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments) -> None:
        pass


@contextmanager
def behind(name: str) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Behind)
    server.name, server.heard, server.may_go_on = name, [], threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.may_go_on.set()
        server.shutdown()
        server.server_close()


def address_of(server: ThreadingHTTPServer) -> str:
    return f"127.0.0.1:{server.server_address[1]}"


class Proxy:
    def __init__(self, service: Service, authority: Path, pages, streams):
        self.service, self.authority, self.pages, self.streams = service, authority, pages, streams
        self.port = int(service.environment["PROXY_HTTPS_PORT"])
        self.client = httpx.Client(
            base_url=f"https://localhost:{self.port}", verify=ssl.create_default_context(cafile=str(authority))
        )


@pytest.fixture(scope="module")
def proxy(written, tmp_path_factory):
    if not shutil.which("caddy"):
        pytest.skip("caddy is not installed (Debian: apt install caddy)")
    folder = tmp_path_factory.mktemp("proxy")
    with behind("pages") as pages, behind("streams") as streams:
        service = Service(
            "proxy",
            written,
            folder,
            EVALSITE_URL="https://localhost",
            PROXY_HTTP_PORT=str(free_port()),
            PROXY_HTTPS_PORT=str(free_port()),
            PROXY_ALIVE=f"127.0.0.1:{free_port()}",
            PAGES=address_of(pages),
            STREAMS=address_of(streams),
            XDG_DATA_HOME=str(folder),
            XDG_CONFIG_HOME=str(folder),
        )
        authority = folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        with service.healthy():
            wait_until(lambda: authority.exists() and secured(service))
            made = Proxy(service, authority, pages, streams)
            yield made
            made.client.close()


def secured(service: Service) -> bool:
    """Whether there is a certificate yet."""
    try:
        handshake(int(service.environment["PROXY_HTTPS_PORT"]), ssl._create_unverified_context())
    except OSError:
        return False
    return True


def handshake(port: int, context: ssl.SSLContext) -> str | None:
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        return secure.selected_alpn_protocol()


def test_pages_and_streams_are_split_by_path(proxy):
    for path in ("/", "/s/talk/", "/s/talk/turns/abc/", "/x/s/talk/turns/abc/events", "/s/talk/turns/abc/events/"):
        assert proxy.client.get(path).text == "pages"
    proxy.streams.may_go_on.set()
    assert "second" in proxy.client.get("/s/talk/turns/abc/events").text


def test_the_first_event_arrives_while_the_stream_is_open(proxy):
    proxy.streams.may_go_on.clear()
    with proxy.client.stream("GET", "/s/talk/turns/abc/events") as response:
        pieces = response.iter_text()
        # The second is only sent once the first is here.
        assert next(pieces) == "data: first\n\n"
        proxy.streams.may_go_on.set()
        assert "".join(pieces) == "data: second\n\n"


def test_browsers_are_served_by_http_2(proxy):
    assert handshake(proxy.port, ssl.create_default_context(cafile=str(proxy.authority))) == "h2"


def test_who_comes_without_tls_is_sent_to_it(proxy):
    port = proxy.service.environment["PROXY_HTTP_PORT"]
    answer = httpx.get(f"http://localhost:{port}/s/talk/")

    assert answer.status_code == 308
    assert answer.headers["Location"] == "https://localhost/s/talk/"


def test_what_a_browser_claims_about_the_way_it_came_is_not_believed(proxy):
    claims = {"X-Forwarded-Proto": "http", "X_Forwarded_Proto": "http", "X-Forwarded-For": "192.0.2.1"}
    proxy.client.get("/", headers=claims)
    heard = {name.lower(): value for name, value in proxy.pages.heard[-1].items()}

    assert heard["x-forwarded-proto"] == "https"
    assert heard["x-forwarded-for"] in ("127.0.0.1", "::1")
    assert "x_forwarded_proto" not in heard


def test_a_file_of_replies_may_be_large_but_not_endless(proxy):
    assert proxy.client.post("/studies/", content=b"x" * 51_000_000, timeout=30).status_code == 200
    with suppress(httpx.TransportError):  # it may hang up in the middle
        assert proxy.client.post("/studies/", content=b"x" * 61_000_000, timeout=30).status_code >= 400


@contextmanager
def another(proxy: Proxy, written: dict[str, str], folder: Path, pages: str) -> Iterator[tuple[Service, httpx.Client]]:
    """A proxy with the same certificates before other pages."""
    ports = {name: str(free_port()) for name in ("PROXY_HTTP_PORT", "PROXY_HTTPS_PORT")}
    service = Service("proxy", written, folder)
    service.environment = proxy.service.environment | ports | {"PROXY_ALIVE": f"127.0.0.1:{free_port()}"}
    service.environment["PAGES"] = pages
    trusted = ssl.create_default_context(cafile=str(proxy.authority))
    with service.healthy():
        wait_until(lambda: secured(service))
        with httpx.Client(base_url=f"https://localhost:{ports['PROXY_HTTPS_PORT']}", verify=trusted) as client:
            yield service, client


def test_our_pages_are_reached_through_it(proxy, service, written, tmp_path):
    port = str(free_port())
    with (
        service("web", GRANIAN_HOST="127.0.0.1", GRANIAN_PORT=port).healthy(),
        another(proxy, written, tmp_path, f"127.0.0.1:{port}") as (_, client),
    ):
        answer = client.get("/accounts/login/")

    assert answer.status_code == 200
    assert answer.headers["Strict-Transport-Security"]
    assert answer.cookies["__Host-csrf"]


def test_nobodys_address_is_logged_not_even_with_a_fault(proxy, written, tmp_path):
    with another(proxy, written, tmp_path, f"127.0.0.1:{free_port()}") as (service, client):
        assert client.get("/s/SECRET/", headers={"User-Agent": "BROWSER"}).status_code == 502
        log = wait_until(lambda: (text := service.log.read_text()) and "http.log.error" in text and text)

    fault = next(line for line in log.splitlines() if "http.log.error" in line)
    assert "connection refused" in fault
    for told in ("remote_ip", "remote_addr", "SECRET", "BROWSER"):
        assert told not in log
