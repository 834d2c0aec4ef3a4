"""Whether the servers that a study needs are there, asked before people are."""

from collections.abc import Iterable

from inference.models import ChatModel


def faults_of(models: Iterable[ChatModel]) -> list[str]:
    """Why these models cannot be asked now; one message for each that lives on a server and is not offered there."""
    from inference.engines.openai import ServerError, require_model

    faults = []
    for model in models:
        if model.engine != ChatModel.Engine.OPENAI:
            continue
        try:
            require_model(model.base, model.served_as, model.options.get("key_env", ""))
        except ServerError as problem:
            faults.append(f"{model.key}: {problem}")
    return faults
