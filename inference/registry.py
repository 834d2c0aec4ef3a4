"""Which chat models there are, and where their weights lie."""

from pathlib import Path

from django.conf import settings

from inference.conversion import DEFAULT_MODEL_KEY, DEFAULT_MODEL_NAME, Progress, content_hashes, convert
from inference.models import ChatModel


def find(key: str) -> ChatModel | None:
    """The chat model of this key; the default one is known from the start, before its weights are made ready."""
    if key == DEFAULT_MODEL_KEY:
        return default_model()
    return ChatModel.objects.filter(key=key).first()


def known_keys() -> list[str]:
    return sorted({DEFAULT_MODEL_KEY, *ChatModel.objects.values_list("key", flat=True)})


def default_model() -> ChatModel:
    model, _ = ChatModel.objects.get_or_create(
        key=DEFAULT_MODEL_KEY, defaults={"base": DEFAULT_MODEL_NAME, "names": [DEFAULT_MODEL_NAME, DEFAULT_MODEL_KEY]}
    )
    return model


def ensure_default_model(progress: Progress = lambda line: None) -> ChatModel:
    """The default model with its weights in place, converted first if they are not there yet, and their hashes."""
    model = default_model()
    weights_of(model, progress)
    return model


def weights_of(model: ChatModel, progress: Progress = lambda line: None) -> Path:
    """The folder of a model's weights. The hashes of its files, and of its adapter's, are written to its row."""
    folder = folder_of(model.base, progress)
    hashes = hashes_of(folder, adapter_of(model))
    if model.hashes != hashes:
        model.hashes = hashes
        model.save(update_fields=["hashes"])
    return folder


def folder_of(base: str, progress: Progress = lambda line: None) -> Path:
    """Where these weights lie: among our models, or where an absolute path says."""
    return convert(settings.MODELS_DIR, progress) if base == DEFAULT_MODEL_NAME else settings.MODELS_DIR / base


def folder_if_there(model: ChatModel) -> Path | None:
    """Where a model's weights lie on this machine, if they do; nothing is made ready for that."""
    if model.engine != ChatModel.Engine.HUGGINGFACE:
        return None
    if model.base == DEFAULT_MODEL_NAME:
        return max(settings.MODELS_DIR.glob(f"{DEFAULT_MODEL_KEY}-*/"), default=None)
    folder = settings.MODELS_DIR / model.base
    return folder if folder.is_dir() else None


def adapter_of(model: ChatModel) -> Path | None:
    return settings.MODELS_DIR / model.adapter if model.adapter else None


def hashes_of(folder: Path, adapter: Path | None = None) -> dict[str, str]:
    """SHA-256 of every file that makes the model what it is."""
    tuned = content_hashes(adapter) if adapter else {}
    return content_hashes(folder) | {f"adapter/{name}": digest for name, digest in tuned.items()}


def adapters_on(model: ChatModel) -> dict[str, Path]:
    """The adapters that this model's engine serves beside the bare base, by the key of their chat model."""
    if model.stands_alone:
        return {}
    tuned = ChatModel.objects.filter(engine=model.engine, base=model.base, stands_alone=False).exclude(adapter="")
    return {key: settings.MODELS_DIR / folder for key, folder in tuned.values_list("key", "adapter")}


def merged_into(model: ChatModel) -> Path | None:
    """The adapter without which this model's engine has no base to serve."""
    return adapter_of(model) if model.stands_alone else None
