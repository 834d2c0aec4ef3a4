"""Packed weights: the same sums in another layout."""

import pytest

from inference.engines import packing
from tests.inference.test_huggingface_engine import PROMPTS, ask, end, generated
from tests.inference.tiny import build_adapter

torch = pytest.importorskip("torch")


@pytest.fixture
def small_ones_too(monkeypatch):
    monkeypatch.setattr(packing, "SMALLEST", 0)


@pytest.fixture
def layer():
    torch.manual_seed(1)
    return torch.nn.Linear(96, 80)


@pytest.mark.parametrize("rows", [1, 2, 16, 200])
def test_a_packed_layer_gives_what_the_layer_gives(layer, rows):
    inputs = torch.randn(rows, 3, 96)[:, -1:]  # as logits are asked for: one column of several

    with torch.inference_mode():
        torch.testing.assert_close(packing.PackedLinear(layer)(inputs), layer(inputs), rtol=1e-5, atol=1e-5)


def test_small_layers_and_those_of_adapters_stay_as_they_are():
    model = torch.nn.ModuleDict({"small": torch.nn.Linear(8, 8), "large": torch.nn.Linear(256, 256)})
    model["lora_A"] = torch.nn.ModuleDict({"an_adapter": torch.nn.Linear(256, 256)})

    packing.pack(model)

    packed = {name for name, layer in model.named_modules() if isinstance(layer, packing.PackedLinear)}
    assert packed == {"large"}


def test_replies_from_packed_weights_equal_generate(folder, small_ones_too):
    from inference.engines.huggingface import HuggingFaceEngine

    engine = HuggingFaceEngine(folder, threads=1)
    layers, described = list(engine._model.modules()), engine.describe()
    together = [end(stream) for stream in [engine.submit(ask(text, key=text)) for text in PROMPTS]]
    engine.close()

    assert any(isinstance(layer, packing.PackedLinear) for layer in layers)
    assert described["packed"] is True
    assert [reply.output_ids for reply in together] == [generated(folder, reply.prompt_ids) for reply in together]


def test_an_adapter_speaks_over_packed_weights(folder, tmp_path, small_ones_too, monkeypatch):
    from inference.engines.huggingface import HuggingFaceEngine

    adapter = build_adapter(tmp_path / "a", folder, seed=1)
    replies = []
    for smallest in (0, 2**40):
        monkeypatch.setattr(packing, "SMALLEST", smallest)
        engine = HuggingFaceEngine(folder, {"a": adapter}, threads=1)
        replies.append([end(engine.submit(ask(variant=variant))).output_ids for variant in (None, "a")])
        engine.close()

    packed, plain = replies
    assert packed == plain
    assert packed[0] != packed[1]
