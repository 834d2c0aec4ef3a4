"""How much a model can read, and how much of it a conversation takes, told without loading the model.

The engine counts exactly and has the last word. What is told here is never too much room, so that a message which
cannot be answered is not queued first.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Any

from inference import registry
from inference.engines.base import Sampling
from inference.engines.folders import config_in
from inference.models import ChatModel, Setup

# Tokens that a chat template puts around a message; most need five or six.
AROUND = 8
# Where no tokenizer is at hand: characters of Latin text that make a token, and of others.
LATIN, OTHER = 3.0, 1.0
# What people type has more tokens than the texts of a study, which are spelled well.
TYPED = 0.8


def context_of(model: ChatModel) -> int | None:
    """How many tokens the model reads and writes in all; None where that is not known here."""
    if model.engine == ChatModel.Engine.OPENAI:
        return model.options.get("context")
    folder = registry.folder_if_there(model)
    return _context_in(config_in(folder)) if folder else None


def _context_in(config: dict[str, Any]) -> int | None:
    parts = (config, config.get("text_config") or {})
    told = (part.get(name) for part in parts for name in ("max_position_embeddings", "n_positions"))
    return next((length for length in told if type(length) is int and length > 0), None)


def left(setup: Setup, said: Sequence[str]) -> int | None:
    """At least so many tokens are left when a reply has followed these messages; negative: there is no room for it.

    None where the context or the tokenizer is not known here.
    """
    model = setup.chat_model
    if (context := context_of(model)) is None:
        return None
    texts = [setup.system, *said]
    room = context - Sampling(**setup.sampling).max_new_tokens - AROUND * (len(texts) + 1)
    # No text has more tokens than bytes, and most chats are far from full.
    if (surely := room - sum(len(text.encode()) for text in texts)) >= 0:
        return surely
    counted = tokens_in(model, texts)
    return None if counted is None else room - counted


def wanted(setup: Setup, exchanges: int, message: float) -> int:
    """Tokens of so many exchanges, if each message has so many tokens and each reply as many as it may."""
    system = tokens_in(setup.chat_model, [setup.system]) or len(setup.system) / LATIN
    reply = Sampling(**setup.sampling).max_new_tokens
    return ceil(system + AROUND + exchanges * (message + reply + 2 * AROUND))


def tokens_in(model: ChatModel, texts: Iterable[str]) -> int | None:
    """How many tokens these texts are for this model; None where its tokenizer is not at hand."""
    file = _tokenizer_file(model)
    if file is None:
        return None
    tokenizer = _tokenizer(file, file.stat().st_mtime_ns)
    return sum(len(encoding.ids) for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False))


def characters_a_token(model: ChatModel, texts: Sequence[str]) -> float:
    """How many characters of what people type make a token, going by texts in their language."""
    length = sum(map(len, texts))
    if length and (tokens := tokens_in(model, texts)):
        return TYPED * length / tokens
    return LATIN if sum(map(str.isascii, "".join(texts))) >= 0.9 * length else OTHER


def _tokenizer_file(model: ChatModel) -> Path | None:
    if (folder := registry.folder_if_there(model)) is None:
        return None
    own = registry.merged_into(model)
    places = [place / "tokenizer.json" for place in (own, folder) if place]
    return next((file for file in places if file.is_file()), None)


@lru_cache(maxsize=8)
def _tokenizer(file: Path, changed: int) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(file))
