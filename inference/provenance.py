"""What is known of a reply, told as plain values: how each try at it went, and what made it.

Token ids are texts. They are told of the try that became the reply, whose text is told beside them, and of no other.
"""

from typing import Any
from urllib.parse import urlsplit

from inference.models import Attempt, Turn

DONE = "done"
# Of an attempt's record, what is told as it was written.
_AS_RECORDED = (
    "host",
    "model",
    "revision",
    "setup",
    "sampling",
    "stops",
    "queued_s",
    "seconds",
    "prompt_tokens",
    "tokens",
    "cached_tokens",
    "batch_size",
    "batch_mean",
    "releases",
    "server",
)


def of_reply(turn: Turn, prompt_is_told: bool) -> dict[str, Any]:
    """How a finished reply came about; `prompt_is_told`: all that was said before it is told as well."""
    return {
        "created_at": turn.created_at,
        "first_sent_at": turn.first_sent_at,
        "finish_reason": turn.finish_reason,
        "attempts": [_of_try(attempt, attempt.outcome == DONE, prompt_is_told) for attempt in turn.tries.all()],
    }


def of_failure(turn: Turn) -> dict[str, Any]:
    """How it came about that a reply was not made, or not shown. Nothing that was written for it is told."""
    return {
        "created_at": turn.created_at,
        "failure": turn.failure or turn.state,
        "attempts": [_of_try(attempt, False, False) for attempt in turn.tries.all()],
    }


def _of_try(attempt: Attempt, text_is_told: bool, prompt_is_told: bool) -> dict[str, Any]:
    recorded = attempt.provenance
    return {
        "number": attempt.number,
        "outcome": attempt.outcome,
        "worker": attempt.worker,
        # 63 bits: as a number, a program that counts in floating point would round it.
        "seed": str(attempt.seed),
        "claimed_at": attempt.claimed_at,
        "first_token_at": attempt.first_token_at,
        "finished_at": attempt.finished_at,
        **{name: recorded.get(name) for name in _AS_RECORDED},
        "engine": _engine(recorded),
        "prompt_ids": attempt.prompt_ids if text_is_told and prompt_is_told else None,
        "output_ids": attempt.output_ids if text_is_told else None,
    }


def _engine(recorded: dict[str, Any]) -> dict[str, Any] | None:
    """The engine with the adapter that spoke; nothing where the worker was lost before it could say."""
    engine = recorded.get("engine")
    if not engine:
        return None
    told = {name: value for name, value in engine.items() if name != "url"}
    # Of a server, which one it is: how to reach it is nobody's business, and a path may hold what opens it.
    if url := engine.get("url"):
        told["server"] = urlsplit(url).hostname
    return {**told, "adapter": recorded.get("adapter")}
