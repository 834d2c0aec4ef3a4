"""What can be told of a model's folder without loading it, and every reason why it could not be served."""

import json
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from inference.engines.adapters import AdapterError, config_of, has_tokenizer, tokenizer_of
from inference.engines.formats import FORMATS
from inference.oldweights import old_weights


def config_in(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def faults_in(folder: Path, adapter: Path | None = None, template: str | None = None) -> list[str]:
    """All that is wrong with it, so that it can be mended in one go."""
    if template and template not in FORMATS:
        unknown = [f"There is no prompt format {template!r}. There are: {', '.join(FORMATS)}."]
    else:
        unknown = []
    found = [*unknown, *_faults_in_base(folder)]
    if adapter:
        found += _faults_in_adapter(adapter)
    return found or list(_faults_in_tokenizer(folder, adapter, template))


def _faults_in_base(folder: Path) -> Iterator[str]:
    if not folder.is_dir():
        yield f"There is no folder {folder}."
    elif not (folder / "config.json").is_file():
        is_adapter = (folder / "adapter_config.json").is_file()
        hint = " It is an adapter: name its base by --path, and this folder by --adapter." if is_adapter else ""
        yield f"There is no config.json in {folder}: it is not a model's folder.{hint}"
    else:
        yield from _faults_in_config(folder)
        if not (any(folder.glob("*.safetensors")) or old_weights(folder)):
            yield f"There are no weights in {folder} that can be served: it needs *.safetensors or pytorch_model*.bin."
        if not has_tokenizer(folder):
            yield f"There is no tokenizer in {folder}: it needs tokenizer.json, or tokenizer_config.json and its files."


def _faults_in_config(folder: Path) -> Iterator[str]:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL

    config = config_in(folder)
    kind = config.get("model_type")
    if kind in CAUSAL:
        return
    if "auto_map" in config:
        yield f"The model in {folder} ({kind}) comes with code of its own. Such code is never run here."
    elif not kind:
        yield f"config.json in {folder} names no model_type, so there is no telling what model it is."
    else:
        yield f"The model in {folder} ({kind}) is none that transformers can let speak."


def _faults_in_adapter(adapter: Path) -> Iterator[str]:
    if not adapter.is_dir():
        yield f"There is no folder {adapter}."
        return
    try:
        config_of(adapter)
    except AdapterError as problem:
        yield str(problem)
    if not ((adapter / "adapter_model.safetensors").is_file() or old_weights(adapter)):
        yield f"There is no adapter_model.safetensors in {adapter}."


def _faults_in_tokenizer(folder: Path, adapter: Path | None, template: str | None) -> Iterator[str]:
    try:
        tokenizer = tokenizer_of(folder, adapter)
    except Exception as problem:  # noqa: BLE001  whatever a broken file makes transformers raise
        yield f"The tokenizer cannot be read: {first_line(problem)}"
        return
    if not template and not tokenizer.chat_template:
        known = ", ".join(FORMATS)
        yield f"The tokenizer in {folder} has no chat template. Name a prompt format with --template: {known}."


def parameters_in(folder: Path) -> int:
    """How many numbers its weights have, read from the files' headers."""
    from safetensors import safe_open

    count = 0
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as weights:
            count += sum(prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    return count


def first_line(problem: BaseException) -> str:
    return (str(problem).strip() or type(problem).__name__).splitlines()[0]
