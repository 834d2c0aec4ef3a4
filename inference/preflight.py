"""Whether the servers that a study needs are there, asked before people are."""

from collections.abc import Iterable

from inference.models import ChatModel


def faults_of(models: Iterable[ChatModel]) -> list[str]:
    """Why these models cannot be asked now; one message for each that lives on a server and is not offered there."""
    by_server: dict[tuple[str, str], list[ChatModel]] = {}
    for model in models:
        if model.engine == ChatModel.Engine.OPENAI:
            by_server.setdefault((model.base, model.options.get("key_env", "")), []).append(model)
    return [fault for server, served in by_server.items() for fault in _faults_on(*server, served)]


def _faults_on(url: str, key_env: str, models: list[ChatModel]) -> list[str]:
    """A server is asked once for all its models."""
    from inference.engines.openai import ServerError, offered, require_offered

    try:
        there = offered(url, key_env)
    except ServerError as problem:
        return [f"{model.key}: {problem}" for model in models]
    faults = []
    for model in models:
        try:
            require_offered(url, model.served_as, there)
        except ServerError as problem:
            faults.append(f"{model.key}: {problem}")
    return faults
