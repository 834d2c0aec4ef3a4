"""The engines of this process: each model is loaded once, in the background, and measured before it answers."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from django.db import connection

from inference import capacity, registry
from inference.capacity import REPLY_WITHIN
from inference.engines.base import Engine
from inference.engines.openai import OpenAIEngine, ServerAway, ServerError
from inference.models import ChatModel

log = logging.getLogger(__name__)

Status = Literal["unused", "loading", "ready", "failed"]
# A model that could not be loaded is tried again: a disk may be full, or a download cut off, for a while.
TRIED_AGAIN_AFTER = 60  # seconds
# So is a server that was away, while people wait for it.
LOOKED_FOR_AFTER = 10  # seconds
# An engine whose place another has taken is closed when it has had nothing to do for so long: turns that were just
# given to it may be on their way.
RETIRES_AFTER = 5.0  # seconds


class ModelUnavailable(Exception):
    """The model cannot answer here; the message says why. One that `is_away` may come back by itself."""

    def __init__(self, reason: str, is_away: bool = False):
        super().__init__(reason)
        self.is_away = is_away


@dataclass
class Slot:
    status: Status = "unused"
    reason: str = ""
    engine: Engine | None = None
    failed_at: float = 0
    is_away: bool = False  # its server could not be reached, or was too busy
    # The adapters it was loaded with; None: it is not asked for any.
    adapters: dict[str, Path] | None = None
    # What is loaded to take its place, with the adapters that were registered since.
    successor: "Slot | None" = None
    # A server's models, each by the name it has there: one that is refused says nothing against the others.
    offers: "dict[str, Slot]" = field(default_factory=dict)

    def knows(self, model: ChatModel) -> bool:
        """Whether it can answer for the model: not if its adapter was registered after it was loaded."""
        if self.status != "ready" or self.adapters is None or not model.adapter or model.stands_alone:
            return True
        return self.adapters.get(model.key) == registry.adapter_of(model)

    @property
    def to_be_loaded(self) -> bool:
        patience = LOOKED_FOR_AFTER if self.is_away else TRIED_AGAIN_AFTER
        long_ago = time.monotonic() - self.failed_at > patience
        return self.status == "unused" or self.status == "failed" and long_ago

    def of(self, model: ChatModel) -> "Slot":
        """How the model itself is: on a server that answers, each has a state of its own."""
        if self.status != "ready" or model.engine != ChatModel.Engine.OPENAI:
            return self
        return self.offers.setdefault(model.served_as, Slot())

    def fail(self, reason: str, is_away: bool = False) -> None:
        self.status, self.reason, self.is_away, self.failed_at = "failed", reason, is_away, time.monotonic()


def load(model: ChatModel) -> Engine:
    if model.engine == ChatModel.Engine.SCRIPTED:
        raise ModelUnavailable(f"{model.key} follows a script, which has to be registered first.")
    if model.engine == ChatModel.Engine.OPENAI:
        return _server(model)
    from inference.engines.huggingface import HuggingFaceEngine

    return HuggingFaceEngine(
        registry.weights_of(model),
        registry.adapters_on(model),
        merged=registry.merged_into(model),
        max_batch=model.options.get("rows"),
        template=model.options.get("template"),
    )


def _server(model: ChatModel) -> OpenAIEngine:
    asked_with = {name: value for name, value in model.options.items() if name != "context"}
    server = OpenAIEngine(model.base, **asked_with)
    try:
        # If only the others are there, it serves them.
        server.require(model.served_as, *_beside(model))
    except ServerError:
        server.close()
        raise
    return server


def _offers_of(engine: Engine) -> dict[str, Slot]:
    """What a server said of all models that it was asked for."""
    if not isinstance(engine, OpenAIEngine):
        return {}
    offers = {name: Slot("ready") for name in engine.asked_for}
    for name, reason in engine.asked_for.items():
        if reason:
            offers[name].fail(reason)
    return offers


def _beside(model: ChatModel) -> list[str]:
    """What the server calls the other models that are registered with it."""
    others = ChatModel.objects.filter(engine=model.engine, base=model.base).exclude(served_as=model.served_as)
    return sorted(set(others.values_list("served_as", flat=True)))


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
                self._in_background(self._fill, slot, model)
            engine, its = slot.engine, slot.of(model)
            if its is not slot and its.to_be_loaded:
                its.status = "loading"
                self._in_background(self._ask_for, engine, its, model)
        if its.status == "failed":
            raise ModelUnavailable(its.reason, its.is_away)
        return engine if its.status == "ready" else None

    def state(self, model: ChatModel) -> Slot:
        """For health pages: status `unused`, `loading`, `ready` or `failed`, with the reason."""
        with self._lock:
            slot = self._slots.get(model.engine_name, Slot())
            return slot.of(model) if slot.knows(model) else slot.successor or Slot()

    def slots(self) -> dict[str, Slot]:
        """All engines of this process, by their names."""
        with self._lock:
            return dict(self._slots)

    def refused(self) -> dict[str, Slot]:
        """The models that servers of this process do not offer, or have refused to ask, by `ChatModel.offer_name`."""
        with self._lock:
            return {
                f"{name} {served_as}": offer
                for name, slot in self._slots.items()
                for served_as, offer in slot.offers.items()
                if offer.status == "failed"
            }

    def register(self, model: ChatModel, engine: Engine) -> None:
        """Let this engine answer for the model."""
        with self._lock:
            slot = self._slots[model.engine_name] = Slot("ready", engine=engine)
            slot.of(model).status = "ready"

    def refuse(self, model: ChatModel, engine: Engine, reason: str) -> None:
        """Ask the server of this engine no more for this model, for a while; the others go on."""
        with self._lock:
            slot = self._slots.get(model.engine_name)
            if slot and slot.engine is engine:
                slot.of(model).fail(reason)

    def give_up(self, name: str, engine: Engine, reason: str) -> bool:
        """Ask this engine for nothing more; the model is loaded anew when it is tried again.

        False when somebody else did so before; the engine is the first one's to close.
        """
        with self._lock:
            is_asked = (slot := self._slots.get(name)) is not None and slot.engine is engine
            if is_asked:
                self._slots[name] = given_up = Slot()
                given_up.fail(reason)
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

    def _in_background(self, work: Callable[..., None], *arguments: Any) -> None:
        threading.Thread(target=work, args=arguments, name=work.__name__.strip("_"), daemon=True).start()

    def _fill(self, slot: Slot, model: ChatModel) -> None:
        try:
            with self._loading:
                # It answers once it is measured; whoever watches for engines that hang sees it from now on.
                slot.engine = engine = self._load(model)
                slot.offers = _offers_of(engine)
                pace = capacity.measure(model.engine_name, engine)
            log.info("%s is ready: %s replies at once within %.0f s.", model, pace.replies_in_time(), REPLY_WITHIN)
        except ServerAway as problem:
            log.warning("%s could not be loaded: %s", model.key, problem)
            slot.fail(str(problem), is_away=True)
        except Exception as problem:
            log.exception("%s could not be loaded.", model.key)
            slot.engine = None
            slot.fail(str(problem) or type(problem).__name__)
        else:
            slot.status, slot.reason = "ready", ""
            self._take_over(slot, model.engine_name)
        finally:
            connection.close()

    def _ask_for(self, server: OpenAIEngine, offer: Slot, model: ChatModel) -> None:
        """Look whether the server offers this model of its."""
        try:
            server.require(model.served_as)
        except ServerError as problem:
            log.warning("%s: %s", model.key, problem)
            offer.fail(str(problem), is_away=isinstance(problem, ServerAway))
        except Exception as problem:
            log.exception("%s: its server could not be asked for it.", model.key)
            offer.fail(type(problem).__name__)
        else:
            offer.status, offer.reason = "ready", ""
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
