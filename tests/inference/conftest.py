import os
from pathlib import Path

import pytest

from inference import conversations
from inference.conversion import convert
from inference.engines.threads import prepare
from inference.models import ChatModel, Setup
from tests.inference.tiny import build_adapter, build_model


@pytest.fixture(scope="session")
def torch():
    return prepare(threads=1)


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory) -> Path:
    """Where converted models are kept between runs, if EVALSITE_TEST_MODELS says where."""
    return Path(os.environ.get("EVALSITE_TEST_MODELS") or tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def default_model(models_dir) -> Path:
    return convert(models_dir)


@pytest.fixture(scope="module")
def folder(torch, tmp_path_factory) -> Path:
    """A tiny model."""
    return build_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module")
def adapters(folder, tmp_path_factory) -> dict[str, Path]:
    """Two adapters on it that differ."""
    return {name: build_adapter(tmp_path_factory.mktemp(name), folder, seed) for seed, name in enumerate(["a", "b"], 1)}


@pytest.fixture
def chat_model(db):
    return ChatModel.objects.create(key="test-model", engine=ChatModel.Engine.SCRIPTED, names=["Larkspur"])


@pytest.fixture
def setup_of_model(chat_model):
    return Setup.objects.of(chat_model, "You listen.", {"temperature": 0.7, "max_new_tokens": 40}, [])


@pytest.fixture
def open_conversation(setup_of_model):
    def open_one(**policy):
        return conversations.open_live(setup_of_model, seed=7, policy=policy)

    return open_one
