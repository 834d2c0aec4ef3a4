"""Registering a chat model: it is looked at, has to answer, and only then is stored.

Whatever is wrong is found before anything is written, and told all at once.
"""

import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.db import transaction
from safetensors import SafetensorError

from inference import registry
from inference.conversion import DEFAULT_MODEL_KEY, DEFAULT_MODEL_NAME, ConversionError, Progress
from inference.engines.adapters import AdapterError, brings, config_of
from inference.engines.base import Engine, Failure, Final, GenRequest, Sampling, Token
from inference.engines.folders import config_in, faults_in, first_line, parameters_in
from inference.hub import HubError, downloaded
from inference.models import ChatModel
from inference.oldweights import OldWeightsError, converted, old_weights

# Keys stand in study files and become names of adapters inside torch, where a dot means something else.
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
ANSWERS_WITHIN = 300  # seconds; a large model on a slow machine may need minutes, a hung one needs an end
# Names of folders that say nothing about whose model it is.
SAY_NOTHING = {"model", "models", "adapter", "base", "checkpoint", "final", "output", "outputs", "weights", "snapshot"}
Outcome = Literal["registered", "changed", "unchanged"]


class Refused(Exception):
    """The model is not registered; `faults` says why, a message each."""

    def __init__(self, *faults: str):
        self.faults = list(faults)
        super().__init__("\n".join(faults))


@dataclass(frozen=True)
class Asked:
    """What is to be registered, as somebody wrote it."""

    key: str
    path: str = ""
    hub: str = ""
    revision: str = ""
    adapter: str = ""
    server: str = ""
    model: str = ""
    template: str = ""
    names: tuple[str, ...] = ()
    rows: int | None = None
    key_env: str = ""
    extra_body: str = ""


@dataclass(frozen=True)
class Registered:
    model: ChatModel
    outcome: Outcome
    description: dict[str, str] = field(default_factory=dict)


def register(asked: Asked, progress: Progress = lambda line: None) -> Registered:
    """Store the model if it answers; refuse it with every fault that can be seen."""
    model, description = _on_server(asked) if asked.server else _in_folder(asked, progress)
    return Registered(model, _store(model), description)


def _faults_of_request(asked: Asked) -> Iterator[str]:
    if not KEY.fullmatch(asked.key):
        yield f"{asked.key!r} cannot be a key: use letters, digits, '-' and '_', at most 80."
    if asked.key == DEFAULT_MODEL_KEY and (asked.path != DEFAULT_MODEL_KEY or asked.adapter):
        yield f"{DEFAULT_MODEL_KEY} is the default model's key. Choose another one."
    if asked.rows is not None and asked.rows < 1:
        yield f"--rows cannot be {asked.rows}: at least one reply is made at a time."


# A folder


def _in_folder(asked: Asked, progress: Progress) -> tuple[ChatModel, dict[str, str]]:
    given, given_adapter, commit = _looked_at(asked, progress)
    try:
        folder = _as_safetensors(given, progress)
        adapter = _as_safetensors(given_adapter, progress) if given_adapter else None
        extras = brings(folder, adapter) if adapter else []
    except (OldWeightsError, AdapterError, SafetensorError) as problem:
        raise Refused(first_line(problem)) from problem
    kind, called = config_in(folder).get("model_type"), given_adapter.name if given_adapter else None
    is_default = asked.path == DEFAULT_MODEL_KEY
    model = ChatModel(
        key=asked.key,
        engine=ChatModel.Engine.HUGGINGFACE,
        base=DEFAULT_MODEL_NAME if is_default else _place(folder),
        adapter=_place(adapter) if adapter else "",
        stands_alone=bool(extras),
        options=_without_empty(rows=asked.rows, template=asked.template),
        revision=commit,
        names=_names(asked, *_called(asked, given), kind, called),
        hashes=registry.hashes_of(folder, adapter),
    )
    _refuse_another_format(model)
    _refuse_change_of_published(model)
    engine, reply, seconds = _try(lambda: _loaded(model, folder), model.variant)
    from_hub = {"hub": f"{asked.hub}, revision {commit}"} if asked.hub else {}
    return model, _described_folder(model, folder, extras, engine) | from_hub | _sample(reply, seconds)


def _looked_at(asked: Asked, progress: Progress) -> tuple[Path, Path | None, str]:
    """The folders of the model and of its adapter, if nothing speaks against them, and the hub's revision."""
    faults = list(_faults_of_request(asked))
    if asked.model or asked.key_env or asked.extra_body:
        faults.append("--model, --key-env and --extra-body are for a --server.")
    adapter = Path(asked.adapter).expanduser().resolve() if asked.adapter else None
    try:
        folder, commit = _base(asked, progress)
        faults += faults_in(folder, adapter, asked.template or None)
    except (ConversionError, HubError) as problem:
        faults.append(str(problem))
    if faults:
        raise Refused(*faults)
    return folder, adapter, commit


def _base(asked: Asked, progress: Progress) -> tuple[Path, str]:
    if asked.hub:
        return downloaded(asked.hub, settings.MODELS_DIR, asked.revision, progress)
    base = DEFAULT_MODEL_NAME if asked.path == DEFAULT_MODEL_KEY else str(Path(asked.path).expanduser().resolve())
    return registry.folder_of(base, progress), ""


def _called(asked: Asked, folder: Path) -> list[str]:
    if asked.hub:
        return [asked.hub, asked.hub.rpartition("/")[2]]
    return [DEFAULT_MODEL_NAME if asked.path == DEFAULT_MODEL_KEY else folder.name]


def _as_safetensors(folder: Path, progress: Progress) -> Path:
    if not old_weights(folder):
        return folder
    return converted(folder, settings.MODELS_DIR, settings.UNSAFE_WEIGHTS, progress)


def _place(folder: Path) -> str:
    """What lies among our own models goes by its name, so that they can move together."""
    return folder.name if folder.parent.resolve() == settings.MODELS_DIR.resolve() else str(folder)


def _loaded(model: ChatModel, folder: Path) -> Engine:
    from inference.engines.huggingface import HuggingFaceEngine

    adapter, merged = registry.adapter_of(model), registry.merged_into(model)
    beside = {model.key: adapter} if adapter and not merged else {}
    return HuggingFaceEngine(
        folder,
        beside,
        max_batch=model.options.get("rows"),
        template=model.options.get("template"),
        merged=merged,
        prefix_bytes=0,
    )


def _described_folder(model: ChatModel, folder: Path, extras: list[str], engine: dict[str, Any]) -> dict[str, str]:
    config = config_in(folder)
    architecture = ", ".join(config.get("architectures") or [])
    template = engine["template"]
    packed = "packed for this processor" if engine["packed"] else "as in the file"
    described = {
        "engine": model.engine,
        "where": str(folder),
        "architecture": f"{architecture} ({config.get('model_type')})".strip(),
        "parameters": f"{parameters_in(folder):,}",
        "context": f"{engine['context']} tokens",
        "dtype": f"{engine['dtype']} on {engine['device']}",
        "layout": packed,
        "prompt format": f"{template} (preset)" if template else "the tokenizer's chat template",
        "weights": _short({name: sha for name, sha in model.hashes.items() if name.endswith(".safetensors")}),
    }
    if adapter := registry.adapter_of(model):
        described["adapter"] = _described_adapter(adapter)
        described["base"] = (
            f"stands alone: it brings {', '.join(extras)}" if extras else "shares its base with other adapters"
        )
    return described


def _described_adapter(adapter: Path) -> str:
    config = config_of(adapter)
    targets = config.get("target_modules") or []
    # Each layer may be named by its whole path; which kinds of layers there are says enough.
    kinds = {str(target).rpartition(".")[2] for target in targets} if not isinstance(targets, str) else {targets}
    return (
        f"{adapter}, {config.get('peft_type')}, rank {config.get('r', '?')}, on {', '.join(sorted(kinds)) or 'nothing'}"
    )


def _refuse_another_format(model: ChatModel) -> None:
    """One engine writes prompts in one format, for the base and all its adapters."""
    template = model.options.get("template")
    sharing = ChatModel.objects.filter(engine=model.engine, base=model.base, stands_alone=False).exclude(key=model.key)
    if model.stands_alone:
        return
    if others := [other.key for other in sharing if other.options.get("template") != template]:
        raise Refused(
            f"These weights are already served in another prompt format, to {', '.join(sorted(others))}. "
            "One base has one format: register a copy of the folder."
        )


# A server


def _on_server(asked: Asked) -> tuple[ChatModel, dict[str, str]]:
    from inference.engines.openai import OpenAIEngine, ServerError, require_model

    faults = list(_faults_of_request(asked))
    if asked.adapter:
        faults.append("--adapter is for a folder. A server's adapter is a model name of its own: give it as --model.")
    if asked.template:
        faults.append("--template is for a folder. A server writes its prompts itself.")
    context: int | None = None
    url, wrong_url = _normal_url(asked.server)
    extra_body, wrong_body = _extra_body(asked.extra_body)
    faults += [fault for fault in (wrong_url, wrong_body) if fault]
    if asked.key_env and not os.environ.get(asked.key_env):
        faults.append(f"The environment variable {asked.key_env}, which should hold the server's key, is not set.")
    elif not wrong_url:
        try:
            context = require_model(url, asked.model, asked.key_env)
        except ServerError as problem:
            hint = "" if urlsplit(url).path.strip("/") else " Most servers want /v1 at the end of the address."
            faults.append(f"{problem}{hint}")
    if faults:
        raise Refused(*faults)

    options = _without_empty(rows=asked.rows, key_env=asked.key_env, extra_body=extra_body)
    model = ChatModel(
        key=asked.key,
        engine=ChatModel.Engine.OPENAI,
        base=url,
        served_as=asked.model,
        options=options | _without_empty(context=context),
        names=_names(asked, asked.model, asked.model.rstrip("/").rsplit("/", 1)[-1]),
    )
    _refuse_other_options(model)
    _refuse_change_of_published(model)
    _, reply, seconds = _try(lambda: OpenAIEngine(url, **options), model.variant)
    described = {"engine": model.engine, "where": url, "served as": asked.model}
    if context:
        described["context"] = f"{context} tokens"
    if asked.key_env:
        described["key"] = f"in the environment variable {asked.key_env}"
    return model, described | _sample(reply, seconds)


def _normal_url(given: str) -> tuple[str, str]:
    """The address as it is stored, and what is wrong with it."""
    try:
        url = urlsplit(given.strip())
        host, port = url.hostname, url.port
    except ValueError:
        return "", "--server is not an address such as http://127.0.0.1:8000/v1."
    if url.scheme not in ("http", "https") or not host:
        return "", "--server has to be an http:// or https:// address, such as http://127.0.0.1:8000/v1."
    if url.username or url.password:
        return "", "--server must not hold a name or password: name the variable that holds the key by --key-env."
    if url.query or url.fragment:
        return "", "--server must end with its path: neither ?... nor #... belongs there."
    host = f"[{host}]" if ":" in host else host
    return urlunsplit((url.scheme, host + (f":{port}" if port else ""), url.path.rstrip("/"), "", "")), ""


def _extra_body(given: str) -> tuple[dict[str, Any], str]:
    try:
        body = json.loads(given or "{}")
    except ValueError as problem:
        return {}, f"--extra-body is not JSON: {problem}."
    if not isinstance(body, dict):
        return {}, '--extra-body has to be a JSON object, such as {"top_k": 40}.'
    return body, ""


def _refuse_other_options(model: ChatModel) -> None:
    """All models of one server are asked by one engine, with the same key and the same further fields."""
    sharing = ChatModel.objects.filter(engine=model.engine, base=model.base).exclude(key=model.key)
    if others := [
        other.key
        for other in sharing
        if any(other.options.get(name) != model.options.get(name) for name in ("key_env", "extra_body"))
    ]:
        raise Refused(
            f"This server is already asked with another --key-env or --extra-body, for {', '.join(sorted(others))}. "
            "All models of one address share them."
        )


# Both


def _names(asked: Asked, *found: str | None) -> list[str]:
    """What would give it away if it said so."""
    names = [asked.key, *(name for name in found if name), *asked.names]
    return list(dict.fromkeys(name for name in names if name.lower() not in SAY_NOTHING))


def _without_empty(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value}


def _try(load: Any, variant: str | None) -> tuple[dict[str, Any], Final, float]:
    """Load the model and have it answer once: its engine's description, the reply, and its seconds."""
    try:
        engine: Engine = load()
    except Exception as problem:  # noqa: BLE001  weights, libraries and memory fail in many ways; each is told
        raise Refused(f"The model cannot be loaded: {first_line(problem)}") from problem
    try:
        began = time.monotonic()
        reply = _reply(engine, variant)
        seconds = time.monotonic() - began
        described = engine.describe()
    finally:
        engine.close()
    if isinstance(reply, Failure):
        raise Refused(f"The model is there and does not answer: {reply.message}")
    if not reply.text.strip():
        raise Refused("The model is there and answers nothing.")
    return described, reply, seconds


def _reply(engine: Engine, variant: str | None) -> Final | Failure:
    request = GenRequest(
        key="registration",
        messages=[
            {"role": "system", "content": "You are a warm and attentive listener."},
            {"role": "user", "content": "Hello, how are you today?"},
        ],
        sampling=Sampling(temperature=0, max_new_tokens=24),
        variant=variant,
        deadline=time.monotonic() + ANSWERS_WITHIN,
    )
    return next(event for event in engine.submit(request) if not isinstance(event, Token))


def _sample(reply: Final, seconds: float) -> dict[str, str]:
    return {"sample": f"{reply.tokens} tokens in {seconds:.1f} s: {' '.join(reply.text.split())!r}"}


def _short(hashes: dict[str, str]) -> str:
    return ", ".join(f"{name} {digest[:12]}" for name, digest in hashes.items())


def _content(model: ChatModel) -> dict[str, Any]:
    """What decides what it says: not how fast, nor with whose key."""
    apart = {name: value for name, value in model.options.items() if name not in ("rows", "key_env", "context")}
    return {
        "engine": model.engine,
        "base": model.base,
        "adapter": model.adapter,
        "served_as": model.served_as,
        "options": apart,
        "hashes": model.hashes,
    }


def _changed(was: ChatModel, model: ChatModel) -> list[str]:
    # A model that was never loaded has no hashes yet.
    before, now = _content(was), _content(model)
    return [name for name in now if before[name] != now[name] and not (name == "hashes" and not was.hashes)]


def _refuse_change_of_published(model: ChatModel) -> None:
    was = ChatModel.objects.filter(key=model.key).first()
    if not was or not (changed := _changed(was, model)):
        return
    if was.setups.filter(arms__version__published_at__isnull=False).exists():
        raise Refused(
            f"{model.key} speaks in a published study and would no longer be the same ({', '.join(changed)}). "
            "Register it under another key."
        )


STORED = ("engine", "base", "revision", "adapter", "stands_alone", "served_as", "options", "names", "hashes")


@transaction.atomic
def _store(model: ChatModel) -> Outcome:
    was = ChatModel.objects.select_for_update().filter(key=model.key).first()
    if was is None:
        model.save()
        return "registered"
    # A study may have been published while the model was tried.
    _refuse_change_of_published(model)
    model.pk, model.registered_at, model.lineage = was.pk, was.registered_at, was.lineage
    if all(getattr(was, name) == getattr(model, name) for name in STORED):
        return "unchanged"
    model.save(force_update=True, update_fields=STORED)
    return "changed"
