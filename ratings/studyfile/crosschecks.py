"""Rules that look at several parts of a study file at once.

They work on the plain tree rather than on the finished model, so that one wrong value elsewhere does not hide them:
whoever mends a file sees everything in one go. Values of a wrong kind are somebody else's fault and passed over here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ratings.studyfile import defaults
from ratings.studyfile.blinding import names_in, names_of, telling_part
from ratings.studyfile.faults import nearest
from ratings.studyfile.yamltext import Path

FEW_ITEMS = 8
MANY_CRITERIA = 6
LONG_MINUTES = 20
PARTICIPANTS_READ = (
    *("title", "eligibility", "consent", "instructions", "practice", "criteria", "items", "checks", "chat"),
    *("exit_questions", "debrief", "resources"),
)
LEFT_OUT = {
    "instructions": [defaults.STORED_INSTRUCTIONS, defaults.REPLIES_INSTRUCTIONS, defaults.CHAT_INSTRUCTIONS],
    "practice": [defaults.PRACTICE_PROMPT, defaults.PRACTICE_REPLY, defaults.PRACTICE_FEEDBACK],
    "chat": defaults.WITHHELD,
    "debrief": defaults.DEBRIEF,
}
NOT_READ = {"key", "stratum", "split", "version", "ticks", "kind", "accept", "release", "country"}


class Finding(NamedTuple):
    path: Path
    message: str
    hint: str = ""
    warning: bool = False
    at_key: bool = False


class Draft:
    """A plain tree that may be wrong anywhere: every question is answered with what is usable."""

    def __init__(self, data: dict[str, Any]):
        self.data = data

    def get(self, *path: str, of: type) -> Any:
        value: Any = self.data
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        return value if isinstance(value, of) and not (of is int and isinstance(value, bool)) else None

    def blocks(self, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for index, block in enumerate(self.get(name, of=list) or ()):
            if isinstance(block, dict):
                yield index, block

    def keys(self, name: str) -> list[str]:
        return [block["key"] for _, block in self.blocks(name) if isinstance(block.get("key"), str)]

    @property
    def shown_items(self) -> int:
        return sum(block.get("split") != "tune" for _, block in self.blocks("items"))

    @property
    def points(self) -> tuple[int, int] | None:
        low, high = self.get("scale", "min", of=int), self.get("scale", "max", of=int)
        return (low, high) if low is not None and high is not None and low < high else None


def findings(data: dict[str, Any]) -> Iterator[Finding]:
    draft = Draft(data)
    for check in CHECKS:
        yield from check(draft)


def equal_keys(draft: Draft) -> Iterator[Finding]:
    for name in ("arms", "items", "criteria", "exit_questions", "eligibility"):
        first: dict[str, int] = {}
        for index, block in draft.blocks(name):
            key = block.get("key")
            if isinstance(key, str) and first.setdefault(key, index) != index:
                yield Finding((name, index, "key"), f"`{key}` is already the key of {name}[{first[key]}]")


def what_is_shown(draft: Draft) -> Iterator[Finding]:
    mode, replies = draft.get("mode", of=str), "replies" in draft.data
    if replies and mode == "chat":
        yield Finding(("replies",), "a live chat has no replies made beforehand", "mode: stored", at_key=True)
    for name in ("arms", "items"):
        if not replies and name not in draft.data:
            yield Finding((name,), "is missing", "or name a file of replies: `replies: my-replies.csv`")
        elif draft.get(name, of=list) == [] and not replies:
            yield Finding((name,), "the list is empty")
    wanted = "scenario" if mode == "chat" else "prompt"
    spare = "prompt" if mode == "chat" else "scenario"
    if mode not in ("stored", "chat"):
        return
    for index, item in draft.blocks("items"):
        if item.get(spare) is not None:
            hint = f"write `{wanted}`" if item.get(wanted) is None else "remove it"
            yield Finding(("items", index, spare), f"items of a {mode} study have no {spare}", hint, at_key=True)
        elif item.get(wanted) is None and not replies:
            yield Finding(("items", index, wanted), "is missing")


def who_answers(draft: Draft) -> Iterator[Finding]:
    replies = "replies" in draft.data
    for index, arm in draft.blocks("arms"):
        path = ("arms", index)
        if replies:
            for name in ("model", "system", "sampling", "stop"):
                if arm.get(name) is not None:
                    message = "the replies come from a file, so no model answers here"
                    yield Finding((*path, name), message, "remove it, or `replies`", at_key=True)
        elif arm.get("model") is None:
            yield Finding((*path, "model"), "is missing", "or name a file of replies: `replies: my-replies.csv`")
        elif arm.get("system") is None:
            hint = "without one, a model's template may tell participants its name"
            yield Finding((*path, "system"), "is missing", hint)


def arms_are_blind(draft: Draft) -> Iterator[Finding]:
    for index, arm in draft.blocks("arms"):
        key, model = arm.get("key"), arm.get("model")
        if not isinstance(key, str):
            continue
        if told := telling_part(key, model if isinstance(model, str) else None):
            message = f"`{key}` says something about the arm: {told!r}"
            yield Finding(("arms", index, "key"), message, "choose a plain word, such as a tree or a river")
        elif len(key) < 3 or re.search(r"\d", key):
            message = f"`{key}` suggests an order among the arms"
            yield Finding(
                ("arms", index, "key"), message, "a plain word, such as a tree, suggests nothing", warning=True
            )


def texts_are_blind(draft: Draft) -> Iterator[Finding]:
    models = {arm["model"] for _, arm in draft.blocks("arms") if isinstance(arm.get("model"), str)}
    names = sorted({*draft.keys("arms"), *(name for model in models for name in names_of(model))})
    for top in PARTICIPANTS_READ:
        for path, text in texts(draft.data.get(top, LEFT_OUT.get(top)), (top,)):
            if name := names_in(text, names):
                hint = "rename the arm, or say it in other words"
                where = path if top in draft.data else (top,)
                yield Finding(where, f"participants would read {name!r}, the name of an arm or its model", hint)


def texts(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """The texts in a part of the file that participants may read, each with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, child in value.items():
            if key not in NOT_READ:
                yield from texts(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from texts(child, (*path, index))


def criteria_measure_something(draft: Draft) -> Iterator[Finding]:
    criteria = list(draft.blocks("criteria"))
    if len(criteria) > MANY_CRITERIA:
        message = f"{len(criteria)} criteria tire people; answers to the last ones get careless"
        yield Finding(("criteria", MANY_CRITERIA), message, "split the study, or keep six", warning=True)
    for index, criterion in criteria:
        for path, text in texts(criterion, ("criteria", index)):
            if path[2] in ("label", "question", "low", "high") and re.search(r"\b(dis)?agree", text, re.IGNORECASE):
                hint = 'ask for the thing itself: "How ... is this reply?"'
                yield Finding(path, "agreeing with a statement measures politeness too", hint, warning=True)


def design_is_possible(draft: Draft) -> Iterator[Finding]:
    each, arms, items = draft.get("design", "items_each", of=int), draft.keys("arms"), draft.shown_items
    within = draft.get("design", "arms", of=str) in (None, "within")
    if draft.get("design", of=dict) is None:
        return
    if each is not None and 0 < items < each:
        at = ("design", "items_each")
        yield Finding(at, f"{each} items for each participant, but only {items} can be shown", "write more items")
    if within and len(arms) == 1:
        hint = "with one arm write `arms: between`"
        yield Finding(("design", "arms"), "everyone is to see every arm, but there is only one", hint)
    elif within and each is not None and len(arms) > 1 and each < len(arms):
        message = f"everyone is to see every arm: {len(arms)} arms need at least {len(arms)} items, not {each}"
        yield Finding(("design", "items_each"), message)
    elif within and each is not None and len(arms) > 1 and each % len(arms):
        message = f"{each} items cannot be shared equally by {len(arms)} arms"
        hint = f"{each - each % len(arms)} or {each + len(arms) - each % len(arms)} could"
        yield Finding(("design", "items_each"), message, hint, warning=True)
    if 0 < items < FEW_ITEMS:
        message = f"with {items} items the interval treats items as fixed: it speaks about exactly these"
        yield Finding(("items",), message, f"at least {FEW_ITEMS} for a word about items like these", warning=True)


def primary_exists(draft: Draft) -> Iterator[Finding]:
    primary = draft.get("design", "primary", of=dict)
    if primary is None:
        if len(draft.keys("arms")) > 1 and draft.get("design", of=dict) is not None:
            hint = "primary: {criterion: ..., a: ..., b: ...}"
            yield Finding(("design",), "no primary comparison is named before there are data", hint, warning=True)
        return
    for name, known, noun in (
        ("criterion", draft.keys("criteria"), "criterion"),
        ("a", draft.keys("arms"), "arm"),
        ("b", draft.keys("arms"), "arm"),
    ):
        value = primary.get(name)
        if isinstance(value, str) and known and value not in known:
            yield Finding(("design", "primary", name), f"there is no {noun} `{value}`", nearest(value, known))
    if isinstance(primary.get("a"), str) and primary.get("a") == primary.get("b"):
        yield Finding(("design", "primary", "b"), "an arm cannot be compared with itself")
    margin, points = primary.get("margin"), draft.points
    if isinstance(margin, int | float) and points and margin > points[1] - points[0]:
        yield Finding(("design", "primary", "margin"), "the margin is wider than the scale")


def checks_can_be_passed(draft: Draft) -> Iterator[Finding]:
    each, points = draft.get("design", "items_each", of=int), draft.points
    checks = list(draft.blocks("checks"))
    places: set[int] = set()
    allowed = max(1, (each or 0) // 10)
    if each is not None and len(checks) > allowed:
        message = f"{len(checks)} checks for {each} items are more than one in ten"
        yield Finding(("checks", allowed), message, f"keep {allowed}")
    for index, check in checks:
        after, answer = check.get("after"), check.get("answer")
        if type(after) is int and each is not None and after >= max(each, 2):
            yield Finding(("checks", index, "after"), f"must come before the last of {each} items")
        if type(after) is int and after in places:
            yield Finding(("checks", index, "after"), f"there is already a check after item {after}")
        if type(after) is int:
            places.add(after)
        if type(answer) is not int:
            continue
        if points and not points[0] <= answer <= points[1]:
            yield Finding(("checks", index, "answer"), f"{answer} is not on the scale from {points[0]} to {points[1]}")
        for path, text in texts(check.get("text"), ("checks", index, "text")):
            if not re.search(rf"(?<!\d){answer}(?!\d)", text):
                yield Finding(path, f"the text does not say that the answer is {answer}", warning=True)


def people_are_cared_for(draft: Draft) -> Iterator[Finding]:
    minutes = draft.get("minutes", of=int)
    if minutes is not None and minutes > LONG_MINUTES:
        message = f"{minutes} minutes are long; many people leave, and those who stay get careless"
        yield Finding(("minutes",), message, f"{LONG_MINUTES} or fewer", warning=True)
    if draft.get("resources", "campus", of=dict) is None:
        at = ("resources",) if "resources" in draft.data else ()
        hint = "resources: {campus: {name: ..., phone: ...}}"
        yield Finding(at, "no help on campus is listed beside the national lines", hint, warning=True)
    ticks = draft.get("consent", "ticks", of=list)
    if draft.get("mode", of=str) == "chat" and (ticks is None or "sensitive" not in ticks):
        message = "people may write about their health in a chat, and nobody asks them for consent to that"
        yield Finding(("consent",), message, "add the tick `sensitive`", warning=True)


def every_language_has_its_texts(draft: Draft) -> Iterator[Finding]:
    locales = draft.get("locales", of=list) or ["en"]
    if all(isinstance(locale, str) and locale.split("-")[0] == "en" for locale in locales):
        return
    left_out = [name for name in ("eligibility", "instructions", "practice", "debrief") if name not in draft.data]
    for name in left_out:
        yield Finding((), f"`{name}` is left out, so the English one is shown in every language", warning=True)
    if draft.get("mode", of=str) == "chat" and "withheld" not in (draft.get("chat", of=dict) or {}):
        message = "`withheld` is left out, so the English one is shown in every language"
        yield Finding(("chat",) if "chat" in draft.data else (), message, warning=True)


CHECKS: tuple[Callable[[Draft], Iterator[Finding]], ...] = (
    equal_keys,
    what_is_shown,
    who_answers,
    arms_are_blind,
    texts_are_blind,
    criteria_measure_something,
    design_is_possible,
    primary_exists,
    checks_can_be_passed,
    people_are_cared_for,
    every_language_has_its_texts,
)
