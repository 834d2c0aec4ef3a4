"""Weights in the older `.bin` form, made safetensors once, in our own folder of models; their own folder is left alone.

A `.bin` file is a pickle, which can run code when it is read. It is read for its weights only, unless a setting says
that these files are trusted.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from inference.canonical import digest
from inference.conversion import Progress, content_hashes, whole_or_absent
from inference.engines.threads import prepare

INDEX = ".index.json"


class OldWeightsError(ValueError):
    """These weights cannot be converted; the message says why."""


def old_weights(folder: Path) -> list[Path]:
    """The `.bin` files of a model or an adapter that has no safetensors."""
    if any(folder.glob("*.safetensors")):
        return []
    return sorted([*folder.glob("pytorch_model*.bin"), *folder.glob("adapter_model.bin")])


def converted(source: Path, models_dir: Path, trusted: bool = False, progress: Progress = lambda line: None) -> Path:
    """The folder with the same model as safetensors: complete or absent, and named by the content it was made from."""
    models_dir.mkdir(parents=True, exist_ok=True)
    folder = models_dir / f"{source.name}-{_digest(source, models_dir)[:16]}"
    if folder.is_dir():
        return folder
    progress(f"Converting the weights in {source} to safetensors (once)")
    with whole_or_absent(folder) as partial:
        _write(source, partial, trusted)
    return folder


def _digest(source: Path, models_dir: Path) -> str:
    # The source may be a shared folder, so what is known of it is noted among our own.
    return digest(content_hashes(source, models_dir / f".hashes-{digest(str(source))[:16]}.json"))


def _write(source: Path, folder: Path, trusted: bool) -> None:
    for path in old_weights(source):
        _write_file(path, folder / _new_name(path.name), trusted)
    for path in source.iterdir():
        if path.is_file() and path.name.endswith(f".bin{INDEX}"):
            _write_index(path, folder / f"{_new_name(path.name.removesuffix(INDEX))}{INDEX}")
        elif path.is_file() and path.suffix != ".bin" and not path.name.startswith("."):
            shutil.copyfile(path, folder / path.name)


def _new_name(name: str) -> str:
    """pytorch_model-00001-of-00002.bin is model-00001-of-00002.safetensors."""
    return name.removesuffix(".bin").removeprefix("pytorch_") + ".safetensors"


def _write_index(old: Path, new: Path) -> None:
    index = json.loads(old.read_text())
    places = {name: _new_name(file) for name, file in index["weight_map"].items()}
    new.write_text(json.dumps(index | {"weight_map": places}, indent=2))


def _write_file(old: Path, new: Path, trusted: bool) -> None:
    from safetensors.torch import save_file

    save_file(_each_with_memory_of_its_own(_read(old, trusted)), new, metadata={"format": "pt"})


def _read(path: Path, trusted: bool) -> dict[str, Any]:
    torch = prepare()
    try:
        found = torch.load(path, map_location="cpu", weights_only=not trusted)
    except Exception as problem:
        hint = "" if trusted else " If you trust where they come from, set EVALSITE_UNSAFE_WEIGHTS=1."
        raise OldWeightsError(f"{path} holds more than weights, or is broken: {_reason(problem)}.{hint}") from problem
    if not isinstance(found, dict) or not all(torch.is_tensor(value) for value in found.values()):
        raise OldWeightsError(f"{path} holds no plain table of weights.")
    return found


def _reason(problem: Exception) -> str:
    """What it says for itself; torch's advice for programmers is left out."""
    text = str(problem).partition("WeightsUnpickler error:")[2] or str(problem)
    return (text.strip() or type(problem).__name__).splitlines()[0].rstrip(".")


def _each_with_memory_of_its_own(weights: dict[str, Any]) -> dict[str, Any]:
    """Tied weights are one tensor under two names, which safetensors does not take."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in weights.items():
        place = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.detach().clone() if place in seen else tensor.detach()
        apart[name] = apart[name].contiguous()
        seen.add(place)
    return apart
