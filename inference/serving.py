"""A process that only answers: with the models that EVALSITE_ANSWERS names, loaded when it starts."""

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from inference import dispatch, registry
from inference.models import ChatModel
from inference.pool import pool
from inference.watchdog import ProcessWatchdog

ALL = "all"


def models() -> list[ChatModel]:
    """What this process answers with; nothing, where it is not asked to."""
    named = [key.strip() for key in settings.ANSWERS.split(",") if key.strip()]
    keys = registry.known_keys() if named == [ALL] else named
    found = [registry.find(key) for key in keys]
    if missing := [key for key, model in zip(keys, found, strict=True) if model is None]:
        known = ", ".join(registry.known_keys())
        raise ImproperlyConfigured(f"EVALSITE_ANSWERS names {', '.join(missing)}, unknown here. Known are: {known}.")
    return [model for model in found if model]


def engines() -> set[str]:
    return {model.engine_name for model in models()}


def start() -> None:
    """Answer turns of these models from now on, and load them at once."""
    answering = models()
    if answering:
        dispatch.start({model.key for model in answering})
        ProcessWatchdog().start()
    for model in answering:
        pool.engine_for(model)
