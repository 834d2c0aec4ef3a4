"""Finished replies made again, each alone, with what was recorded of them: do they come out the same?

What is stored stays the record. Who else was in the batch changes the rounding, and with it a very close choice: so
little in float32 on a CPU that replies are repeated token by token, more in bfloat16, on a GPU or on a server.
"""

import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import takewhile
from typing import Any, Literal

from inference.answering import Work
from inference.engines.base import Engine, Final
from inference.models import Attempt, ChatModel, Turn
from inference.pool import load

Outcome = Literal["same", "differs", "hashes differ", "prompt differs", "cannot be re-run"]
# For one reply that is made again alone.
PATIENCE = 600.0  # seconds


@dataclass(frozen=True)
class Check:
    """What became of one reply. Never its text."""

    conversation: str
    index: int
    arm: str
    recorded_on: str
    outcome: Outcome
    reason: str = ""
    compared: Literal["tokens", "characters", ""] = ""
    recorded: int = 0  # how many of these there are
    same_until: int = 0  # how many of them come before the first difference


def sample(turns: Iterable[int], size: int, seed: int) -> list[int]:
    """Turns chosen by chance, in their order; the same seed chooses the same."""
    known = sorted(turns)
    return sorted(random.Random(seed).sample(known, min(size, len(known))))


def verify(arms: Mapping[int, str], load: Callable[[ChatModel], Engine] = load) -> Iterator[Check]:
    """Make these replies again (turn to arm); one engine at a time is in memory."""
    done = Attempt.objects.filter(turn__in=arms, outcome="done").select_related("turn__conversation__setup__chat_model")
    by_engine = defaultdict(list)
    for attempt in done.order_by("turn_id"):
        by_engine[attempt.turn.conversation.answered_by.chat_model.engine_name].append(attempt)
    for attempts in by_engine.values():
        try:
            engine = load(attempts[0].turn.conversation.answered_by.chat_model)
        except Exception as problem:  # noqa: BLE001  whatever keeps it from loading is what the reader has to know
            for attempt in attempts:
                yield _check(attempt, arms, "cannot be re-run", f"{type(problem).__name__} while the model was loaded")
            continue
        try:
            for attempt in attempts:
                yield again(attempt, arms, engine)
        finally:
            engine.close()


def again(attempt: Attempt, arms: Mapping[int, str], engine: Engine) -> Check:
    """One reply made again by this engine, where it is still the one that was recorded."""
    turn = attempt.turn
    if differing := _other_hashes(attempt, engine):
        return _check(attempt, arms, "hashes differ", ", ".join(differing))
    request = replace(
        Work(turn, attempt.number, "verification", engine).request(),
        seed=attempt.seed,
        deadline=time.monotonic() + PATIENCE,
        conversation="",  # nothing kept from an earlier turn
    )
    final = list(engine.submit(request))[-1]
    if not isinstance(final, Final):
        return _check(attempt, arms, "cannot be re-run", final.kind if hasattr(final, "kind") else "no reply")
    if list(final.prompt_ids) != attempt.prompt_ids:
        return _check(attempt, arms, "prompt differs", "the template, the tokenizer or the conversation changed")
    # A server may not tell its tokens.
    if attempt.output_ids and final.output_ids:
        return _compare(attempt, arms, "tokens", attempt.output_ids, final.output_ids)
    return _compare(attempt, arms, "characters", turn.text or "", final.text)


def summary(checks: Sequence[Check]) -> dict[str, Any]:
    """How many were repeated, in all, for each arm and for each kind of machine."""
    return {
        "outcomes": dict(Counter(check.outcome for check in checks)),
        **_agreement(checks),
        "by_arm": _grouped(checks, lambda check: check.arm),
        "by_device": _grouped(checks, lambda check: check.recorded_on),
        "hashes_agree": not any(check.outcome == "hashes differ" for check in checks),
        "turns": [asdict(check) for check in checks],
    }


def _agreement(checks: Sequence[Check]) -> dict[str, Any]:
    compared = [check for check in checks if check.compared]
    recorded, same = sum(check.recorded for check in compared), sum(check.outcome == "same" for check in compared)
    return {
        "compared": len(compared),
        "same": same,
        "agreement": same / len(compared) if compared else None,
        "share_before_first_difference": sum(c.same_until for c in compared) / recorded if recorded else None,
    }


def _grouped(checks: Sequence[Check], key: Callable[[Check], str]) -> dict[str, Any]:
    groups = defaultdict(list)
    for check in checks:
        groups[key(check)].append(check)
    return {name: _agreement(group) for name, group in sorted(groups.items())}


def _other_hashes(attempt: Attempt, engine: Engine) -> list[str]:
    """Which parts of the model are not those that were recorded."""
    recorded, now = attempt.provenance.get("engine") or {}, engine.describe()
    variant = attempt.turn.conversation.answered_by.chat_model.variant
    adapter = now.get("adapters", {}).get(variant) or {}
    differing = [f"weights: {name}" for name in _differing(recorded.get("weights"), now.get("weights"))]
    was = attempt.provenance.get("adapter") or {}
    differing += [f"adapter: {name}" for name in _differing(was.get("files"), adapter.get("files"))]
    if was.get("scale") != adapter.get("scale"):
        differing.append("adapter: scale")
    for part in ("template", "tokenizer"):
        if recorded.get(f"{part}_sha256") != now.get(f"{part}_sha256"):
            differing.append(part)
    return differing


def _differing(one: Mapping[str, str] | None, other: Mapping[str, str] | None) -> list[str]:
    one, other = one or {}, other or {}
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _compare(attempt: Attempt, arms: Mapping[int, str], what: Any, recorded: Sequence, now: Sequence) -> Check:
    common = takewhile(lambda pair: pair[0] == pair[1], zip(recorded, now, strict=False))
    until = sum(1 for _ in common)
    is_same = until == len(recorded) == len(now)
    reason = "" if is_same else f"differs at {what.removesuffix('s')} {until + 1} of {len(recorded)}"
    counted = {"compared": what, "recorded": len(recorded), "same_until": until}
    return replace(_check(attempt, arms, "same" if is_same else "differs", reason), **counted)


def _check(attempt: Attempt, arms: Mapping[int, str], outcome: Outcome, reason: str = "") -> Check:
    turn, engine = attempt.turn, attempt.provenance.get("engine") or {}
    where = " ".join(str(engine[name]) for name in ("device", "dtype") if name in engine) or engine.get("engine", "")
    return Check(turn.conversation.code, turn.index, arms[turn.pk], where, outcome, reason)


def replies_that_can_be_checked(conversations: Mapping[int, str]) -> dict[int, str]:
    """Replies that a model made in these conversations, with the arm of each."""
    turns = Turn.objects.replies().filter(conversation__in=conversations, state="done", tries__outcome="done")
    return {pk: conversations[conversation] for pk, conversation in turns.values_list("pk", "conversation")}
