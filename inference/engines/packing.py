"""Weights laid out for the processor, once: a step of a few rows on a CPU then takes about half as long.

By default each step of a small batch hands the matrices over as they lie in the file. oneDNN computes faster from
blocks of its own layout, and its sums for a row depend less on how many rows are computed together.
"""

from typing import Any

import torch

# Calling oneDNN costs some microseconds, which smaller matrices do not win back.
SMALLEST = 2**16
# The layout is chosen for a number of rows; this one serves single rows and long prompts alike.
ROWS = 16


class PackedLinear(torch.nn.Module):
    """A linear layer for reading only: it can be neither trained nor saved."""

    def __init__(self, layer: torch.nn.Linear):
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self._bias = layer.bias
        self._packed = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), ROWS)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._linear_pointwise(inputs, self._packed, self._bias, "none", [], "")


@torch.no_grad()
def pack(model: Any) -> None:
    """Do so with all large layers. LoRA layers keep their own small matrices, which change from row to row."""
    for name, layer in list(model.named_modules()):
        is_lora = any(part.startswith("lora_") for part in name.split("."))
        if type(layer) is torch.nn.Linear and layer.weight.numel() >= SMALLEST and not is_lora:
            model.set_submodule(name, PackedLinear(layer))


def is_packed(model: Any) -> bool:
    return any(isinstance(layer, PackedLinear) for layer in model.modules())


def can_pack(model: Any) -> bool:
    x86 = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    return x86 and torch.backends.mkldnn.is_available() and model.device.type == "cpu" and model.dtype == torch.float32
