"""The engines of this process: each model is loaded once, in the background, and measured before it answers."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from django.db import connection

from inference import capacity, registry
from inference.capacity import REPLY_WITHIN
from inference.engines.base import Engine
from inference.models import ChatModel

log = logging.getLogger(__name__)

Status = Literal["unused", "loading", "ready", "failed"]
# A model that could not be loaded is tried again: a disk may be full, or a download cut off, for a while.
TRIED_AGAIN_AFTER = 60  # seconds


class ModelUnavailable(Exception):
    """The model cannot answer here; the message says why."""


@dataclass
class Slot:
    status: Status = "unused"
    reason: str = ""
    engine: Engine | None = None
    failed_at: float = 0

    @property
    def to_be_loaded(self) -> bool:
        long_ago = time.monotonic() - self.failed_at > TRIED_AGAIN_AFTER
        return self.status == "unused" or self.status == "failed" and long_ago


def load(model: ChatModel) -> Engine:
    if model.engine == ChatModel.Engine.SCRIPTED:
        raise ModelUnavailable(f"{model.key} follows a script, which has to be registered first.")
    if model.engine == ChatModel.Engine.OPENAI:
        from inference.engines.openai import OpenAIEngine

        server = OpenAIEngine(model.base, **model.options)
        try:
            server.require(model.served_as)
        except ValueError:
            server.close()
            raise
        return server
    from inference.engines.huggingface import HuggingFaceEngine

    return HuggingFaceEngine(
        registry.weights_of(model),
        registry.adapters_on(model),
        merged=registry.merged_into(model),
        max_batch=model.options.get("rows"),
        template=model.options.get("template"),
    )


class Pool:
    def __init__(self, load: Callable[[ChatModel], Engine] = load):
        self._load = load
        self._slots: dict[str, Slot] = {}
        self._lock = threading.Lock()
        # One model after the other: half-imported libraries and memory for two at once are both too much.
        self._loading = threading.Lock()

    def engine_for(self, model: ChatModel) -> Engine | None:
        """The engine that answers for this model; None while it is being loaded, which the first call begins."""
        with self._lock:
            slot = self._slots.setdefault(model.engine_name, Slot())
            if slot.to_be_loaded:
                slot.status = "loading"
                threading.Thread(target=self._fill, args=(slot, model), name=f"load-{model.key}", daemon=True).start()
        if slot.status == "failed":
            raise ModelUnavailable(slot.reason)
        return slot.engine if slot.status == "ready" else None

    def state(self, model: ChatModel) -> Slot:
        """For health pages: status `unused`, `loading`, `ready` or `failed`, with the reason."""
        with self._lock:
            return self._slots.get(model.engine_name, Slot())

    def slots(self) -> dict[str, Slot]:
        """All engines of this process, by their names."""
        with self._lock:
            return dict(self._slots)

    def register(self, model: ChatModel, engine: Engine) -> None:
        """Let this engine answer for the model."""
        with self._lock:
            self._slots[model.engine_name] = Slot("ready", engine=engine)

    def give_up(self, name: str, engine: Engine, reason: str) -> None:
        """Ask this engine for nothing more; the model is loaded anew when it is tried again."""
        with self._lock:
            if (slot := self._slots.get(name)) and slot.engine is engine:
                self._slots[name] = Slot("failed", reason, failed_at=time.monotonic())

    def close(self) -> None:
        with self._lock:
            slots, self._slots = list(self._slots.values()), {}
        for slot in slots:
            if slot.engine:
                slot.engine.close()

    def _fill(self, slot: Slot, model: ChatModel) -> None:
        try:
            with self._loading:
                # It answers once it is measured; whoever watches for engines that hang sees it from now on.
                slot.engine = engine = self._load(model)
                pace = capacity.measure(model.engine_name, engine)
            log.info("%s is ready: %s replies at once within %.0f s.", model, pace.replies_in_time(), REPLY_WITHIN)
        except Exception as problem:
            log.exception("%s could not be loaded.", model.key)
            slot.failed_at = time.monotonic()
            slot.engine, slot.reason = None, str(problem) or type(problem).__name__
            slot.status = "failed"
        else:
            slot.status, slot.reason = "ready", ""
        finally:
            connection.close()


pool = Pool()
