"""The engines of this process: each model is loaded once, in the background, and measured before it answers."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
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
# An engine whose place another has taken is closed when it has had nothing to do for so long: turns that were just
# given to it may be on their way.
RETIRES_AFTER = 5.0  # seconds


class ModelUnavailable(Exception):
    """The model cannot answer here; the message says why."""


@dataclass
class Slot:
    status: Status = "unused"
    reason: str = ""
    engine: Engine | None = None
    failed_at: float = 0
    # The adapters it was loaded with; None: it is not asked for any.
    adapters: dict[str, Path] | None = None
    # What is loaded to take its place, with the adapters that were registered since.
    successor: "Slot | None" = None

    def knows(self, model: ChatModel) -> bool:
        """Whether it can answer for the model: not if its adapter was registered after it was loaded."""
        if self.status != "ready" or self.adapters is None or not model.adapter or model.stands_alone:
            return True
        return self.adapters.get(model.key) == registry.adapter_of(model)

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
        self._retiring: list[Engine] = []
        self._lock = threading.Lock()
        # One model after the other: half-imported libraries and memory for two at once are both too much.
        self._loading = threading.Lock()

    def engine_for(self, model: ChatModel) -> Engine | None:
        """The engine that answers for this model; None while it is being loaded, which the first call begins.

        An adapter that came after its base is loaded with the base anew, while the engine that runs goes on.
        """
        with self._lock:
            slot = self._slots.setdefault(model.engine_name, Slot())
            if not slot.knows(model):
                slot.successor = slot = slot.successor or Slot()
            if slot.to_be_loaded:
                slot.status, slot.adapters = "loading", registry.adapters_on(model)
                threading.Thread(target=self._fill, args=(slot, model), name=f"load-{model.key}", daemon=True).start()
        if slot.status == "failed":
            raise ModelUnavailable(slot.reason)
        return slot.engine if slot.status == "ready" else None

    def state(self, model: ChatModel) -> Slot:
        """For health pages: status `unused`, `loading`, `ready` or `failed`, with the reason."""
        with self._lock:
            slot = self._slots.get(model.engine_name, Slot())
            return slot if slot.knows(model) else slot.successor or Slot()

    def slots(self) -> dict[str, Slot]:
        """All engines of this process, by their names."""
        with self._lock:
            return dict(self._slots)

    def register(self, model: ChatModel, engine: Engine) -> None:
        """Let this engine answer for the model."""
        with self._lock:
            self._slots[model.engine_name] = Slot("ready", engine=engine)

    def give_up(self, name: str, engine: Engine, reason: str) -> bool:
        """Ask this engine for nothing more; the model is loaded anew when it is tried again.

        False when somebody else did so before; the engine is the first one's to close.
        """
        with self._lock:
            is_asked = (slot := self._slots.get(name)) is not None and slot.engine is engine
            if is_asked:
                self._slots[name] = Slot("failed", reason, failed_at=time.monotonic())
            return is_asked

    def retire(self, engine: Engine) -> None:
        """Close an engine that is asked for nothing more when its last replies are made."""
        with self._lock:
            self._retiring.append(engine)
        threading.Thread(target=self._retire, args=(engine,), name="retire", daemon=True).start()

    def close(self) -> None:
        with self._lock:
            engines = [slot.engine for slot in self._slots.values() if slot.engine] + self._retiring
            self._slots, self._retiring = {}, []
        for engine in engines:
            engine.close()

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
            self._take_over(slot, model.engine_name)
        finally:
            connection.close()

    def _take_over(self, slot: Slot, name: str) -> None:
        """Let a successor answer from now on, and close the engine before it when its last replies are made."""
        with self._lock:
            before = self._slots.get(name)
            if before is None or before is slot:
                return
            self._slots[name] = slot
        if before.engine:
            self.retire(before.engine)

    def _retire(self, engine: Engine) -> None:
        idle_since = time.monotonic()
        while time.monotonic() - idle_since < RETIRES_AFTER:
            time.sleep(RETIRES_AFTER / 50)
            if engine.stalled_for():
                idle_since = time.monotonic()
        with self._lock:
            if engine not in self._retiring:
                return  # closed with all the others
            self._retiring.remove(engine)
        engine.close()


pool = Pool()
