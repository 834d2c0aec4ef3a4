from io import StringIO

import pytest
from django.core.management import call_command

from inference import conversations, registry
from inference.conversion import DEFAULT_MODEL_KEY
from inference.leases import LeaseState
from inference.models import ChatModel, Turn
from inference.pool import ModelUnavailable, load

pytestmark = pytest.mark.django_db


@pytest.fixture
def weights(tmp_path, settings):
    settings.MODELS_DIR = tmp_path
    folder = tmp_path / "small-model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_the_default_model_is_known_before_it_is_converted():
    model = registry.find(DEFAULT_MODEL_KEY)

    assert registry.find(DEFAULT_MODEL_KEY) == model
    assert (model.engine, model.hashes) == ("huggingface", {})
    assert "SmolLM2-135M-Instruct" in model.names


def test_models_are_found_by_their_key(chat_model):
    assert registry.find("test-model") == chat_model
    assert registry.find("unheard-of") is None
    assert registry.known_keys() == [DEFAULT_MODEL_KEY, "test-model"]


def test_the_default_model_has_its_hashes_once_it_is_converted(weights, monkeypatch):
    told = []
    monkeypatch.setattr(registry, "convert", lambda folder, progress: progress("Converting") or weights)

    model = registry.ensure_default_model(told.append)

    model.refresh_from_db()
    assert list(model.hashes) == ["model.safetensors"]
    assert told == ["Converting"]


def test_weights_lie_among_our_models_or_wherever_the_row_says(weights):
    inside = ChatModel.objects.create(key="inside", base="small-model")
    outside = ChatModel.objects.create(key="outside", base=str(weights))

    assert registry.weights_of(inside) == registry.weights_of(outside) == weights
    assert inside.hashes == outside.hashes != {}


def test_an_engine_serves_all_adapters_on_its_base():
    base = ChatModel.objects.create(key="base", base="small-model")
    ChatModel.objects.create(key="tuned", base="small-model", adapter="/adapters/one")
    ChatModel.objects.create(key="other", base="another-model", adapter="/adapters/two")

    assert {key: str(path) for key, path in registry.adapters_on(base).items()} == {"tuned": "/adapters/one"}


def test_a_model_that_stands_alone_shares_no_engine():
    base = ChatModel.objects.create(key="base", base="small-model")
    alone = ChatModel.objects.create(key="alone", base="small-model", adapter="/adapters/one", stands_alone=True)

    assert registry.adapters_on(base) == registry.adapters_on(alone) == {}
    assert (registry.merged_into(base), str(registry.merged_into(alone))) == (None, "/adapters/one")
    assert alone.engine_name == f"{base.engine_name}+alone"


def test_the_hashes_of_a_tuned_model_name_its_adapters_files_too(weights):
    adapter = weights.parent / "tuned"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"more")
    model = ChatModel.objects.create(key="tuned", base="small-model", adapter="tuned")

    registry.weights_of(model)

    assert list(model.hashes) == ["model.safetensors", "adapter/adapter_model.safetensors"]


def test_a_script_is_not_loaded_by_itself(chat_model):
    with pytest.raises(ModelUnavailable, match="registered first"):
        load(chat_model)


def test_the_command_asks_again_for_failed_replies_in_advance(setup_of_model, open_conversation):
    stored = conversations.stored(setup_of_model, "Hello", seed=1).turns.get(index=1)
    live = conversations.say(open_conversation(), "Hello", 0)
    Turn.objects.filter(pk__in=[stored.pk, live.pk]).update(state=LeaseState.FAILED)
    said = StringIO()

    call_command("retry_replies", stdout=said)

    stored.refresh_from_db()
    live.refresh_from_db()
    assert (stored.state, live.state) == ("queued", "failed")
    assert said.getvalue() == "1 reply is asked for again.\n"
