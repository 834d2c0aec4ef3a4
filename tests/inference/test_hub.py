"""Models from a hub, here one of our own that speaks the hub's protocol."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from inference.hub import HubError, downloaded
from inference.models import ChatModel
from tests.inference.test_register_model import refused, register

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path, files = self.path.partition("?")[0], self.server.files
        self.server.asked.append(path)
        if path in ("/api/models/grove/larch", *(f"/api/models/grove/larch/revision/{r}" for r in ("main", COMMIT))):
            siblings = [{"rfilename": name} for name in files]
            self._say(200, json.dumps({"id": "grove/larch", "sha": COMMIT, "siblings": siblings}).encode())
        elif path.startswith(f"/api/models/grove/larch/tree/{COMMIT}"):
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in files.items()
            ]
            self._say(200, json.dumps(tree).encode())
        elif path == f"/grove/larch/resolve/{COMMIT}/{self.server.missing}":
            self._say(404, b"{}", {"X-Error-Code": "EntryNotFound"})
        elif (start := f"/grove/larch/resolve/{COMMIT}/") and path.startswith(start):
            content = files[path.removeprefix(start)]
            self._say(200, content, {"ETag": f'"{hashlib.sha256(content).hexdigest()}"'})
        elif path.startswith("/api/models/grove/larch/"):
            self._say(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        else:
            self._say(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def _say(self, status, content, headers=()):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), "X-Repo-Commit": COMMIT, **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


@pytest.fixture
def hub(folder, monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads = True
    server.asked, server.missing = [], None
    server.files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name[0] != "."}
    server.files |= {"modeling_larch.py": b"print()", "onnx/model.safetensors": b"no", "pytorch_model.bin": b"old"}
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    yield server
    server.shutdown()
    server.server_close()


def test_a_model_is_fetched_as_one_revision_without_code_and_without_what_is_not_served(hub, tmp_path, folder):
    place, commit = downloaded("grove/larch", tmp_path)

    assert (place.name, commit) == (f"larch-{COMMIT[:16]}", COMMIT)
    assert {path.name for path in place.iterdir()} == {path.name for path in folder.iterdir() if path.name[0] != "."}
    assert (place / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_it_is_fetched_once(hub, tmp_path):
    downloaded("grove/larch", tmp_path)
    hub.asked.clear()
    downloaded("grove/larch", tmp_path, revision=COMMIT)

    assert hub.asked == [f"/api/models/grove/larch/revision/{COMMIT}"]


@pytest.mark.parametrize(
    ("name", "revision", "part"),
    [
        ("grove/yew", "", "no model grove/yew"),
        ("grove/larch", "v9", "no revision v9"),
        ("../larch", "", "is no model's name"),
    ],
)
def test_what_the_hub_does_not_have_is_named(hub, tmp_path, name, revision, part):
    with pytest.raises(HubError, match=part):
        downloaded(name, tmp_path, revision)


def test_a_hub_that_is_away_is_named(hub, tmp_path):
    hub.shutdown()
    hub.server_close()

    with pytest.raises(HubError, match="cannot be downloaded"):
        downloaded("grove/larch", tmp_path)


def test_a_download_that_breaks_off_leaves_nothing(hub, tmp_path):
    hub.missing = "model.safetensors"

    with pytest.raises(HubError, match="HTTP 404"):
        downloaded("grove/larch", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.django_db
def test_a_model_is_registered_from_a_hub(hub, tmp_path, settings):
    settings.MODELS_DIR = tmp_path / "models"
    said = register("willow", "--hub", "grove/larch")

    model = ChatModel.objects.get(key="willow")
    assert (model.base, model.revision) == (f"larch-{COMMIT[:16]}", COMMIT)
    assert {"willow", "larch", "grove/larch", "llama"} <= set(model.names)
    assert f"grove/larch, revision {COMMIT}" in said
    assert "no model grove/yew" in refused("aspen", "--hub", "grove/yew")[0]
