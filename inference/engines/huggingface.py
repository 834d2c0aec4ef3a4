"""A model of the transformers library, run here.

One thread owns the model. Replies are computed together: new ones join between two steps, finished ones leave. Each
keeps its own adapter, sampling, dice, stop strings, limit and deadline, so that nobody's reply depends on who else is
being answered.
"""

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.conversion import content_hashes
from inference.engines.adapters import shapes
from inference.engines.base import (
    Event,
    EventStream,
    Failure,
    FailureKind,
    Final,
    FinishReason,
    GenRequest,
    Message,
    Timings,
    Token,
)
from inference.engines.formats import FORMATS
from inference.engines.reading import Reader
from inference.engines.roles import Voices
from inference.engines.threads import prepare

if TYPE_CHECKING:
    import torch

    from inference.engines.batch import Entry

logger = logging.getLogger(__name__)

# Tokens of prompts read in one go: it bounds memory, and how long the others stand still. One prompt always goes.
PROMPT_TOKENS = {"cpu": 512, "cuda": 8192}
# Memory for what was read of conversations, until their next turns.
PREFIX_BYTES = {"cpu": 512 * 2**20, "cuda": 4 * 2**30}
PATIENCE = 10.0  # seconds for the step under way, when the engine is closed


class ModelError(ValueError):
    """This folder cannot be served; the message says why."""


@dataclass(eq=False)
class Row:
    """One reply under way."""

    request: GenRequest
    stream: EventStream
    reader: Reader
    generator: "torch.Generator"
    submitted: float = field(default_factory=time.monotonic)
    cancelled: bool = False
    prompt_ids: list[int] = field(default_factory=list)
    output_ids: list[int] = field(default_factory=list)
    cached: int = 0  # tokens of the prompt that were known from an earlier turn
    said_all: bool = False
    started: float = 0.0
    first_token: float = 0.0
    pieces: int = 0
    batch_size: int = 0
    rows_seen: int = 0  # summed over its steps

    def say(self, text: str) -> None:
        if text:
            self.stream.put(Token(text, self.pieces))
            self.pieces += 1

    def fail(self, kind: FailureKind, message: str) -> None:
        prompt_ids, output_ids = tuple(self.prompt_ids), tuple(self.output_ids)
        self.stream.put(Failure(kind, message, prompt_ids=prompt_ids, output_ids=output_ids))

    def finish(self, reason: FinishReason) -> None:
        self.say(self.reader.finish())
        text = self.reader.text
        if reason != "cancelled" and not text.strip():
            self.fail("empty", "The model said nothing.")
            return
        self.said_all = reason != "cancelled"
        total = time.monotonic() - self.submitted
        self.stream.put(
            Final(
                text=text,
                finish_reason=reason,
                prompt_ids=tuple(self.prompt_ids),
                output_ids=tuple(self.output_ids),
                timings=Timings(self.started or total, self.first_token or total, total),
                batch_size=max(1, self.batch_size),
                batch_mean=self.rows_seen / max(1, len(self.output_ids)),
                cached_tokens=self.cached,
            )
        )


class HuggingFaceEngine:
    """Serves a local folder of safetensors, and LoRA adapters on it by name; or with one adapter `merged` into it."""

    def __init__(
        self,
        folder: Path,
        adapters: Mapping[str, Path] | None = None,
        max_batch: int | None = None,
        device: str | None = None,
        dtype: str | None = None,
        threads: int | None = None,
        prefix_bytes: int | None = None,
        template: str | None = None,
        merged: Path | None = None,
    ):
        torch = prepare(threads)
        from inference.engines.batch import Batch
        from inference.engines.prefixes import Prefixes

        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        kind = self._device.partition(":")[0]
        self._prefixes = Prefixes(PREFIX_BYTES.get(kind, 0) if prefix_bytes is None else prefix_bytes)
        self._max_batch = max_batch or (8 if self._device == "cpu" else 64)
        self._limit = self._max_batch  # lowered when memory runs out
        self._prompt_tokens = PROMPT_TOKENS.get(kind, 2048)
        self._adapters = dict(adapters or {})
        self._model, self._tokenizer = load(
            Path(folder),
            self._adapters,
            self._device,
            dtype or ("float32" if self._device == "cpu" else "bfloat16"),
            template,
            merged,
        )
        self._stops = FORMATS[template].stops if template else ()
        self._batch = Batch(self._model, adapters=bool(self._adapters))
        self._context = self._model.config.get_text_config().max_position_embeddings
        self._ends = end_tokens(self._model, self._tokenizer)
        self._voices = Voices(self._tokenizer)
        self._description = self._describe(Path(folder), merged, template)
        self._waiting: list[Row] = []
        self._rows: list[Row] = []
        self._wake = threading.Condition()
        self._closed = False
        self._step_began: float | None = None  # None: nothing to do
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    def submit(self, request: GenRequest) -> Iterator[Event]:
        row = self._row(request)
        with self._wake:
            if self._closed:
                row.fail("unavailable", "The engine is closed.")
            elif request.variant and request.variant not in self._adapters:
                row.fail("refused", f"This engine has no adapter {request.variant!r}.")
            else:
                self._waiting.append(row)
                self._wake.notify()
        return row.stream

    def cancel(self, key: str) -> None:
        with self._wake:
            for row in self._waiting + self._rows:
                if row.request.key == key:
                    row.cancelled = True
            self._wake.notify()

    def capacity(self) -> int:
        return self._max_batch

    def stalled_for(self) -> float:
        began = self._step_began
        return 0.0 if began is None else time.monotonic() - began

    def describe(self) -> dict[str, Any]:
        return dict(self._description)

    def close(self) -> None:
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            # It hangs, and nobody shall wait for it.
            for row in self._rows + self._waiting:
                row.fail("unavailable", "The engine was closed.")

    def _row(self, request: GenRequest) -> Row:
        import torch

        def give_up() -> None:
            row.cancelled = True

        row = Row(
            request,
            stream=EventStream(request.deadline, give_up),
            reader=Reader(self._decode, (*request.stop, *self._stops)),
            generator=torch.Generator().manual_seed(request.seed % 2**64),
        )
        return row

    def _describe(self, folder: Path, merged: Path | None, preset: str | None) -> dict[str, Any]:
        import torch

        from inference.engines.packing import is_packed

        template = self._tokenizer.chat_template
        # What is merged speaks where no adapter is asked for.
        in_base: dict[str | None, Any] = {None: {"files": content_hashes(merged)}} if merged else {}
        return {
            "engine": "huggingface",
            "model": folder.name,
            "weights": content_hashes(folder),
            "adapters": in_base
            | {
                name: {"files": content_hashes(path), "scale": adapter_scale(self._model, name)}
                for name, path in self._adapters.items()
            },
            "tokenizer_sha256": tokenizer_hash(self._tokenizer),
            "template": preset,  # None: the tokenizer's own
            "template_sha256": hashlib.sha256(template.encode()).hexdigest(),
            "context": self._context,
            "device": torch.cuda.get_device_name() if self._device.startswith("cuda") else self._device,
            "dtype": str(self._model.dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
            "packed": is_packed(self._model),
            "max_batch": self._max_batch,
            "versions": {name: version(name) for name in ("torch", "transformers", "tokenizers", "peft")},
        }

    # From here on everything runs in the engine's own thread.

    def _work(self) -> None:
        while self._wait_for_work():
            self._sort_out_waiting()
            self._attempt(self._join, self._admit())
            self._attempt(self._step, self._rows)
        for row in self._rows + self._waiting:
            row.fail("unavailable", "The engine was closed.")
        del self._model, self._batch

    def _wait_for_work(self) -> bool:
        with self._wake:
            self._step_began = None
            self._wake.wait_for(lambda: self._closed or self._waiting or self._rows)
            self._step_began = time.monotonic()
            return not self._closed

    def _sort_out_waiting(self) -> None:
        """Answer those who need no model: cancelled, too late, or more than it can read."""
        with self._wake:
            waiting = list(self._waiting)
        for row in waiting:
            if not (self._ended_early(row) or self._unreadable(row)):
                continue
            with self._wake:
                self._waiting.remove(row)

    def _ended_early(self, row: Row) -> bool:
        if row.cancelled:
            row.finish("cancelled")
        elif row.request.deadline is not None and time.monotonic() > row.request.deadline:
            row.fail("deadline", f"The deadline passed after {len(row.output_ids)} tokens.")
        else:
            return False
        return True

    def _unreadable(self, row: Row) -> bool:
        """Render and count the prompt, once."""
        if row.prompt_ids:
            return False
        try:
            row.prompt_ids = self._encode(row.request.messages)
        except Exception as error:  # noqa: BLE001  a template is a program: whatever it raises concerns this row alone
            row.fail("engine", f"The chat template failed: {type(error).__name__}.")
            return True
        needed = len(row.prompt_ids) + row.request.sampling.max_new_tokens
        if needed > self._context:
            row.fail("context_too_long", f"{needed} tokens are needed, the model has room for {self._context}.")
            return True
        return False

    def _encode(self, messages: Sequence[Message]) -> list[int]:
        apart = self._voices.apart(messages)
        text = self._tokenizer.apply_chat_template(apart, add_generation_prompt=True, tokenize=False)
        return self._tokenizer(text, add_special_tokens=False)["input_ids"]

    def _decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def _admit(self) -> list[Row]:
        """Those who may join now, first come first served, as many as rows and memory allow."""
        chosen: list[Row] = []
        width = 0
        with self._wake:
            # Who came since the waiting were sorted out is not read yet.
            ready = [row for row in self._waiting if row.prompt_ids]
            for row in ready[: max(0, self._limit - len(self._rows))]:
                width = max(width, len(row.prompt_ids) + len(row.output_ids))
                if chosen and width * (len(chosen) + 1) > self._prompt_tokens:
                    break
                chosen.append(row)
        return chosen

    def _attempt(self, work: Callable[[list[Row]], None], rows: list[Row]) -> None:
        """A fault ends the replies it concerns, not the thread. When memory is short, fewer are tried together."""
        if not rows:
            return
        try:
            work(rows)
        except Exception as error:
            if out_of_memory(error):
                self._shrink(rows)
                return
            logger.exception("A step of %s replies failed", len(rows))
            self._drop(rows)
            for row in rows:
                row.fail("engine", f"{type(error).__name__} in the model.")

    def _shrink(self, rows: list[Row]) -> None:
        """Forget what was kept; put everybody back, to be read anew and continued half as many at a time."""
        everybody = self._rows + [row for row in rows if row not in self._rows]
        if self._prefixes.clear():
            logger.warning("Out of memory with %s replies; what was kept of conversations is gone", len(everybody))
        elif len(everybody) > 1:
            self._limit = len(everybody) // 2
            logger.warning("Out of memory with %s replies; going on with %s at a time", len(everybody), self._limit)
        else:
            self._drop(everybody)
            everybody[0].fail("out_of_memory", "Even this reply alone does not fit into memory.")
            return
        with self._wake:
            self._drop(everybody)
            self._waiting = everybody + self._waiting

    def _drop(self, rows: list[Row]) -> None:
        with self._wake:
            self._waiting = [row for row in self._waiting if row not in rows]
        staying = [index for index, row in enumerate(self._rows) if row not in rows]
        self._batch.keep(staying)
        self._rows = [self._rows[index] for index in staying]

    def _join(self, newcomers: list[Row]) -> None:
        for row in newcomers:
            row.started = row.started or time.monotonic() - row.submitted
            row.batch_size = row.batch_size or len(self._rows) + len(newcomers)
        logits = self._batch.join([self._entry(row) for row in newcomers])
        before = len(self._rows)
        # In one move: who cancels meanwhile must find each reply in one place or the other.
        with self._wake:
            self._waiting = [row for row in self._waiting if row not in newcomers]
            self._rows = self._rows + newcomers
        self._advance(newcomers, logits, before)

    def _entry(self, row: Row) -> "Entry":
        from inference.engines.batch import Entry

        tokens, conversation, adapter = row.prompt_ids + row.output_ids, row.request.conversation, row.request.variant
        prefix = self._prefixes.find(conversation, adapter, tokens) if conversation else None
        row.cached = min(len(prefix or ()), len(row.prompt_ids))
        return Entry(tokens, adapter, prefix)

    def _step(self, rows: list[Row]) -> None:
        self._advance(rows, self._batch.step([row.output_ids[-1] for row in rows]))

    def _advance(self, rows: list[Row], logits: "torch.Tensor", before: int = 0) -> None:
        """Choose each row's next token and let those go that are done."""
        from inference.engines.choosing import choose

        tokens = choose(
            logits,
            [row.request.sampling for row in rows],
            [row.prompt_ids + row.output_ids for row in rows],
            [row.generator for row in rows],
        )
        going = [row for row, token in zip(rows, tokens, strict=True) if not self._take(row, token)]
        for index, row in enumerate(rows):
            if row.said_all and row.request.conversation:
                prefix = self._batch.prefix_of(before + index, row.prompt_ids + row.output_ids)
                self._prefixes.keep(row.request.conversation, row.request.variant, prefix)
        kept = list(range(before)) + [before + index for index, row in enumerate(rows) if row in going]
        self._batch.keep(kept)
        self._rows = self._rows[:before] + going

    def _take(self, row: Row, token: int) -> bool:
        """Give the row its token; has it ended?"""
        row.first_token = row.first_token or time.monotonic() - row.submitted
        row.rows_seen += len(self._rows)
        row.output_ids.append(token)
        if token in self._ends:
            row.finish("stop")
            return True
        row.say(row.reader.push(token))
        if row.reader.stopped:
            row.finish("stop")
        elif len(row.output_ids) >= row.request.sampling.max_new_tokens:
            row.finish("length")
        else:
            return self._ended_early(row)
        return True


def load(
    folder: Path,
    adapters: Mapping[str, Path],
    device: str,
    dtype: str,
    template: str | None = None,
    merged: Path | None = None,
) -> tuple[Any, Any]:
    """Model and tokenizer from local safetensors; never from the network, never running a repository's own code."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging as transformers_logging

    from inference.engines import adapters as tuned
    from inference.engines.packing import can_pack, pack

    if template and template not in FORMATS:
        raise ModelError(f"There is no prompt format {template!r}. There are: {', '.join(FORMATS)}.")
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"There are no safetensors in {folder}.")
    transformers_logging.disable_progress_bar()
    tokenizer = tuned.tokenizer_of(folder, merged)
    if template:
        tokenizer.chat_template = FORMATS[template].template
    if not tokenizer.chat_template:
        known = ", ".join(FORMATS)
        raise ModelError(f"The tokenizer in {folder} has no chat template. Name a prompt format: {known}.")
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype=getattr(torch, dtype), local_files_only=True, use_safetensors=True, output_loading_info=True
    )
    model, told = loaded
    if missing := sorted(told["missing_keys"]):
        # Transformers would draw them at random, and only warn.
        raise ModelError(f"{len(missing)} weights are missing in {folder}, {missing[0]} among them.")
    if merged:
        model = tuned.merged(model, tokenizer, merged)
    for name, path in adapters.items():
        model = with_adapter(model, name, Path(path))
    model = model.to(device).eval()
    if can_pack(model):
        pack(model)
    return model, tokenizer


def with_adapter(model: Any, name: str, path: Path) -> Any:
    from peft import PeftConfig, PeftModel

    if not (path / "adapter_model.safetensors").is_file():
        raise ModelError(f"There is no adapter_model.safetensors in {path}.")
    config = PeftConfig.from_pretrained(str(path))
    if config.modules_to_save or getattr(config, "trainable_token_indices", None) or getattr(config, "use_dora", False):
        raise ModelError(f"The adapter in {path} changes more than LoRA layers; merge it into its base first.")
    try:
        if isinstance(model, PeftModel):
            model.load_adapter(str(path), adapter_name=name)
        else:
            model = PeftModel.from_pretrained(model, str(path), adapter_name=name)
    except RuntimeError as problem:
        if "size mismatch" not in str(problem):
            raise
        raise ModelError(f"The adapter in {path} was made for another base: its layers have other sizes.") from problem
    placed, saved = placed_matrices(model, name), len(shapes(path))
    if placed != saved:
        # Peft would leave out what does not fit and draw at random what is missing, and only warn.
        raise ModelError(f"The adapter in {path} was made for another base: it has {saved} matrices, {placed} fit.")
    return model


def placed_matrices(model: Any, name: str) -> int:
    """How many places for LoRA matrices this adapter has in the model."""
    paths = (pairwise(path.split(".")) for path, _ in model.named_parameters())
    return sum(any(part.startswith("lora_") and then == name for part, then in path) for path in paths)


def adapter_scale(model: Any, name: str) -> float | list[float]:
    """What a LoRA adapter's change is multiplied by; several numbers where its layers differ in it."""
    layers = (getattr(module, "scaling", None) for module in model.modules())
    scales = sorted({float(layer[name]) for layer in layers if isinstance(layer, dict) and name in layer})
    return scales[0] if len(scales) == 1 else scales


def tokenizer_hash(tokenizer: Any) -> str:
    """SHA-256 over everything that makes tokens out of text, whatever files it came in."""
    if backend := getattr(tokenizer, "backend_tokenizer", None):
        return hashlib.sha256(backend.to_str().encode()).hexdigest()
    vocabulary = sorted(tokenizer.get_vocab().items())
    return hashlib.sha256(json.dumps(vocabulary).encode()).hexdigest()


def end_tokens(model: Any, tokenizer: Any) -> set[int]:
    ends = model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    return {end for end in [*ends, tokenizer.eos_token_id] if end is not None}


def out_of_memory(error: Exception) -> bool:
    import torch

    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
