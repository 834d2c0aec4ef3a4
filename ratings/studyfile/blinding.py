"""Words that would tell who is behind an arm."""

from __future__ import annotations

import re
from collections.abc import Iterable

# fmt: off
FAMILIES = (
    "anthropic", "bard", "bloom", "chatgpt", "claude", "copilot", "deepseek", "falcon", "gemini", "gemma", "gpt",
    "grok", "huggingface", "llama", "meta", "mistral", "mixtral", "openai", "phi", "pythia", "qwen", "replika",
    "smollm", "tinyllama", "vicuna", "wysa", "woebot", "zephyr",
)
ROLES = (
    "ai", "arm", "assistant", "base", "baseline", "bot", "chatbot", "control", "counsellor", "counselor", "default",
    "expert", "experimental", "finetuned", "human", "lora", "model", "new", "old", "original", "person", "placebo",
    "therapist", "treatment", "tuned", "vanilla", "volunteer",
)
# fmt: on

_SELF_NAMING = re.compile(
    r"\b(chat-?gpt|gpt-?[345]\w*|openai|anthropic|deepseek|smollm\d?|hugging ?face|qwen\d*|mistral ai)\b"
    r"|\bas an ai language model\b"
    r"|\b(?:i am|i'm|my name is) (claude|gemini|llama|gemma|mistral|copilot|grok)\b",
    re.IGNORECASE,
)


def telling_part(key: str, model: str | None = None) -> str | None:
    """The part of an arm's key that says something about its model or its role, if there is one."""
    parts = [re.sub(r"\d+[a-z]?$", "", part) for part in _parts(key)]
    for word in [*FAMILIES, *ROLES, *_model_words(model)]:
        # Short words count only alone: `flora` and `train` are fine although they hold `lora` and `ai`.
        if word in parts or (len(word) >= 5 and any(word in part for part in parts)):
            return word
    return None


def self_naming(text: str) -> str | None:
    """The words by which a reply tells which model wrote it."""
    found = _SELF_NAMING.search(text)
    return found.group() if found else None


def names_in(text: str, names: Iterable[str]) -> str | None:
    """The first of these arm keys or model names that stands in the text as a word of its own."""
    folded = text.casefold()
    for name in names:
        # A single letter or two are ordinary words; they name nothing to a reader.
        if len(name) < 3 or name.casefold() not in folded:
            continue
        if re.search(rf"(?<!\w){re.escape(name.casefold())}(?!\w)", folded):
            return name
    return None


def names_of(model: str) -> list[str]:
    """What a model may be called by: `smollm2-135m` is also SmolLM2 and SmolLM."""
    family = re.split(r"[^A-Za-z0-9]+", model)[0]
    return list(dict.fromkeys(name for name in (model, family, family.rstrip("0123456789")) if len(name) >= 3))


def _parts(key: str) -> list[str]:
    return [part for part in re.split(r"[^a-z0-9]+", key.casefold()) if part]


def _model_words(model: str | None) -> list[str]:
    words = (re.sub(r"\d+[a-z]?$", "", part) for part in _parts(model or ""))
    return [word for word in words if len(word) >= 3]
