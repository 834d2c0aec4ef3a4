"""Weights in the older .bin form become safetensors, and the files they came from stay as they are."""

import json
import os
import shutil

import pytest

from inference.models import ChatModel
from inference.oldweights import OldWeightsError, converted
from tests.inference.test_register_model import refused, register


def as_bin(folder, where, shards=1, name="pytorch_model"):
    """The same folder as it was saved some years ago."""
    import torch
    from safetensors.torch import load_file

    shutil.copytree(folder, where, ignore=shutil.ignore_patterns("*.safetensors"))
    (source,) = folder.glob("*.safetensors")
    weights = load_file(source)
    if shards == 1:
        torch.save(weights, where / f"{name}.bin")
        return where
    places = {}
    for number in range(shards):
        file = f"{name}-{number + 1:05}-of-{shards:05}.bin"
        part = dict(list(weights.items())[number::shards])
        torch.save(part, where / file)
        places |= dict.fromkeys(part, file)
    (where / f"{name}.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return where


def weights_in(folder):
    from safetensors.torch import load_file

    return {name: value for path in folder.glob("*.safetensors") for name, value in load_file(path).items()}


@pytest.mark.parametrize("shards", [1, 2])
def test_the_weights_are_the_same(folder, tmp_path, shards):
    old = as_bin(folder, tmp_path / "koala", shards)
    before = sorted((path.name, path.stat().st_mtime_ns) for path in old.iterdir())
    new = converted(old, tmp_path / "models")

    same, was = weights_in(new), weights_in(folder)
    assert same.keys() == was.keys()
    assert all(bool((same[name] == was[name]).all()) for name in was)
    assert sorted((path.name, path.stat().st_mtime_ns) for path in old.iterdir()) == before
    assert not list(new.glob("*.bin*"))


def test_it_is_done_once(folder, tmp_path):
    old, told = as_bin(folder, tmp_path / "koala"), []
    first = converted(old, tmp_path / "models", progress=told.append)

    assert converted(old, tmp_path / "models", progress=told.append) == first
    assert len(told) == 1


def test_tied_weights_are_stored_under_both_their_names(torch, tmp_path):
    old = tmp_path / "tied"
    old.mkdir()
    shared = torch.arange(6.0).reshape(2, 3)
    torch.save({"embed": shared, "head": shared, "turned": shared.T}, old / "pytorch_model.bin")

    found = weights_in(converted(old, tmp_path / "models"))
    assert found["embed"].tolist() == found["head"].tolist() == found["turned"].T.tolist() == shared.tolist()


class Sneaky:
    """What a pickle can do: it runs a command when it is read."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_what_holds_more_than_weights_is_refused_and_does_nothing(torch, tmp_path):
    old = tmp_path / "sneaky"
    old.mkdir()
    torch.save({"weights": torch.ones(2), "more": Sneaky(tmp_path / "mark")}, old / "pytorch_model.bin")

    with pytest.raises(OldWeightsError, match="holds more than weights.*EVALSITE_UNSAFE_WEIGHTS"):
        converted(old, tmp_path / "models")
    assert not (tmp_path / "mark").exists()
    assert [path.name for path in (tmp_path / "models").iterdir() if path.is_dir()] == []


def test_files_that_are_trusted_are_read_whole(torch, tmp_path):
    old = tmp_path / "trusted"
    old.mkdir()
    weights = {"weights": torch.nn.Parameter(torch.ones(2)), "device": torch.ones(1)}
    torch.save(weights, old / "pytorch_model.bin")

    assert weights_in(converted(old, tmp_path / "models", trusted=True)).keys() == weights.keys()


@pytest.mark.parametrize("content", [[1, 2], {"weights": {"deeper": 1}}])
def test_what_is_no_table_of_weights_is_refused(torch, tmp_path, content):
    old = tmp_path / "other"
    old.mkdir()
    torch.save(content, old / "pytorch_model.bin")

    with pytest.raises(OldWeightsError, match="no plain table"):
        converted(old, tmp_path / "models")


@pytest.mark.django_db
def test_an_old_model_and_its_old_adapter_are_registered(folder, adapters, tmp_path, settings):
    settings.MODELS_DIR = tmp_path / "models"
    old = as_bin(folder, tmp_path / "koala")
    old_adapter = as_bin(adapters["a"], tmp_path / "counsel", name="adapter_model")

    said = register("willow", "--path", old, "--adapter", old_adapter)

    model = ChatModel.objects.get(key="willow")
    assert model.base.startswith("koala-")
    assert model.adapter.startswith("counsel-")
    assert {"koala", "counsel", "llama"} <= set(model.names)
    assert {"model.safetensors", "adapter/adapter_model.safetensors"} <= set(model.hashes)
    assert "rank 4" in said
    assert register("willow", "--path", old, "--adapter", old_adapter).startswith("willow is unchanged.")


@pytest.mark.django_db
def test_a_setting_says_whether_old_files_are_trusted(folder, tmp_path, settings, torch):
    settings.MODELS_DIR = tmp_path / "models"
    old = as_bin(folder, tmp_path / "koala")
    weights = torch.load(old / "pytorch_model.bin")
    torch.save({**weights, "more": Sneaky(tmp_path / "mark")}, old / "pytorch_model.bin")

    (fault,) = refused("willow", "--path", old)
    assert "holds more than weights" in fault
    settings.UNSAFE_WEIGHTS = True
    (fault,) = refused("willow", "--path", old)
    assert "no plain table" in fault
