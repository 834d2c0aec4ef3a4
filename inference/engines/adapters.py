"""Adapters: which of them share their base with others, and which change more than LoRA layers can.

Rows with different adapters are computed together as long as each only adds its LoRA product. An adapter that brings
tokens, layers or a prompt format of its own is merged into a base of its own instead.
"""

import json
from pathlib import Path
from typing import Any

WEIGHTS = "adapter_model.safetensors"


class AdapterError(ValueError):
    """This adapter cannot be used; the message says why."""


def config_of(adapter: Path) -> dict[str, Any]:
    try:
        return json.loads((adapter / "adapter_config.json").read_text())
    except FileNotFoundError:
        raise AdapterError(f"There is no adapter_config.json in {adapter}: it is not an adapter's folder.") from None
    except ValueError:
        raise AdapterError(f"adapter_config.json in {adapter} is not JSON.") from None


def brings(base: Path, adapter: Path) -> list[str]:
    """What it brings beside LoRA layers: the reasons why it cannot share its base. Usually there are none."""
    config = config_of(adapter)
    kind = config.get("peft_type")
    reasons = {
        f"{kind} instead of LoRA": kind != "LORA",
        "DoRA": config.get("use_dora"),
        "layers trained as a whole (modules_to_save)": config.get("modules_to_save"),
        "trained tokens (trainable_token_indices)": config.get("trainable_token_indices"),
        "trained single parameters (target_parameters)": config.get("target_parameters"),
        "weights of the base itself": kind == "LORA" and _has_other_weights(adapter),
        **_in_its_tokenizer(base, adapter),
    }
    return [reason for reason, holds in reasons.items() if holds]


def _has_other_weights(adapter: Path) -> bool:
    return any("lora_" not in name and "token_adapter" not in name for name in shapes(adapter))


def shapes(adapter: Path) -> dict[str, list[int]]:
    """Its weights' names and sizes, from the file's header."""
    from safetensors import safe_open

    if not (adapter / WEIGHTS).is_file():
        raise AdapterError(f"There is no {WEIGHTS} in {adapter}.")
    with safe_open(adapter / WEIGHTS, framework="pt") as weights:
        return {name: weights.get_slice(name).get_shape() for name in weights.keys()}  # noqa: SIM118  no mapping


def has_tokenizer(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json", "tokenizer.model"))


def _in_its_tokenizer(base: Path, adapter: Path) -> dict[str, bool]:
    """Trainers often save an unchanged tokenizer beside the adapter, which counts for nothing."""
    if not (has_tokenizer(adapter) and has_tokenizer(base)):
        return {}
    from transformers import AutoTokenizer

    own, bases = (AutoTokenizer.from_pretrained(folder, local_files_only=True) for folder in (adapter, base))
    own_format = own.chat_template and own.chat_template != bases.chat_template
    return {"new tokens": own.get_vocab() != bases.get_vocab(), "a prompt format of its own": bool(own_format)}


def tokenizer_of(base: Path, adapter: Path | None = None) -> Any:
    """The adapter's tokenizer if it brings one, in the base's prompt format unless it has its own."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    if adapter is None or not has_tokenizer(adapter):
        return tokenizer
    own = AutoTokenizer.from_pretrained(adapter, local_files_only=True)
    own.chat_template = own.chat_template or tokenizer.chat_template
    return own


def merged(model: Any, tokenizer: Any, adapter: Path) -> Any:
    """The model changed for good by the adapter, with room for its tokens."""
    from peft import PeftModel

    if (rows := _rows_of_embedding(model, tokenizer, adapter)) != model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(rows, mean_resizing=False)
    tuned = PeftModel.from_pretrained(model, str(adapter))
    if not hasattr(tuned.base_model, "merge_and_unload"):
        raise AdapterError(f"The adapter in {adapter} ({config_of(adapter)['peft_type']}) cannot be merged.")
    return tuned.merge_and_unload()


def _rows_of_embedding(model: Any, tokenizer: Any, adapter: Path) -> int:
    """As many as it was trained with, which may be more than there are tokens: many bases are padded."""
    saved = [shape[0] for name, shape in shapes(adapter).items() if name.endswith("embed_tokens.weight")]
    return saved[0] if saved else max(len(tokenizer), model.get_input_embeddings().weight.shape[0])
