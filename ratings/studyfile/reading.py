"""From the bytes of a study file to its definition, or to everything that is wrong with it."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from types import GenericAlias
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ratings.studyfile import crosschecks
from ratings.studyfile.faults import Fault, StudyFileErrors, dotted, nearest
from ratings.studyfile.replies import StoredReply, read_replies
from ratings.studyfile.schema import StudyFile, canonical_json, fingerprint, not_text
from ratings.studyfile.yamltext import Node, Path, Place, Unreadable, parse

MOST_FAULTS = 500

LoadReply = Callable[[str], bytes | None]


@dataclass(frozen=True)
class Loaded:
    """A study file that can be published: what it means, the bytes it came from, and what deserves a second look."""

    definition: StudyFile
    source: bytes
    replies: list[StoredReply] = field(default_factory=list)
    reply_files: dict[str, bytes] = field(default_factory=dict)
    warnings: list[Fault] = field(default_factory=list)
    root: Node = field(default_factory=lambda: Node(Place(1, 1)), repr=False)

    def place_of(self, *path: str | int) -> Place:
        """The line and column of what stands at `path` in the file, for a fault that only the database can know."""
        return self.root.find(path)

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.definition, self.reply_files)

    @cached_property
    def canonical_json(self) -> str:
        return canonical_json(self.definition)


def read(source: pathlib.Path | str | bytes, name: str | None = None, load_reply: LoadReply | None = None) -> Loaded:
    """Read a study file from a path or from bytes; raise `StudyFileErrors` with all of its faults.

    `name` stands in the faults. `load_reply` gives the bytes of the file named by `replies`, or None if there is none;
    a path finds it beside the study file.
    """
    if isinstance(source, bytes):
        name = name or "study.yaml"
        folder = name[: -len(pathlib.PurePath(name).name)]
        return _Reading(name, folder, load_reply or (lambda _: None)).read(source)
    path = pathlib.Path(source)
    name = name or str(path)
    folder = name[: -len(path.name)] if name.endswith(path.name) else ""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StudyFileErrors([Fault(name, 1, 1, "file", _cannot_open(error))]) from None
    return _Reading(name, folder, load_reply or (lambda reply: _beside(path, reply))).read(content)


def _cannot_open(error: OSError) -> str:
    return "there is no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"


def _beside(path: pathlib.Path, reply: str) -> bytes | None:
    try:
        return path.with_name(reply).read_bytes()
    except OSError:
        return None


class _Reading:
    """One pass over one file: collects faults until there is nothing more to say."""

    def __init__(self, name: str, folder: str, load_reply: LoadReply):
        self.name = name
        self.folder = folder
        self.load_reply = load_reply
        self.faults: list[Fault] = []
        self.root = Node(Place(1, 1))
        self.replies: list[StoredReply] = []
        self.reply_files: dict[str, bytes] = {}

    def read(self, source: bytes) -> Loaded:
        try:
            self.root, problems = parse(source)
        except Unreadable as unreadable:
            problems = [unreadable.problem]
            self._problems(problems)
            raise self._errors() from None
        self._problems(problems)
        data = self.root.plain()
        if not isinstance(data, dict):
            self._fault((), "a study file is a block of keys, one a line", "begin with `format: 1`")
            raise self._errors()
        data = {
            key: value for key, value in data.items() if value is not None or key not in ("replies", "arms", "items")
        }
        complete = self._take_from_replies(data)
        self._cross_check(data, complete)
        self._add_prompts(data)
        definition = self._validate(data, complete)
        if definition is None or any(fault.severity == "error" for fault in self.faults):
            raise self._errors()
        return Loaded(definition, source, self.replies, self.reply_files, self._sorted("warning"), self.root)

    # Faults.

    def _problems(self, problems: Iterable[Any]) -> None:
        for place, path, message, hint in problems:
            self.faults.append(Fault(self.name, place.line, place.column, dotted(path), message, hint))

    def _fault(
        self,
        path: Path,
        message: str,
        hint: str = "",
        *,
        severity: Literal["error", "warning"] = "error",
        at_key: bool = False,
    ) -> None:
        place = self._place(path, at_key)
        self.faults.append(Fault(self.name, place.line, place.column, dotted(path), message, hint, severity))

    def _place(self, path: Path, at_key: bool) -> Place:
        # What was taken from the reply file has no place of its own in the study file.
        return self.root.find(("replies",) if self._is_taken(path) else path, key=at_key)

    def _sorted(self, severity: str) -> list[Fault]:
        chosen = dict.fromkeys(fault for fault in self.faults if fault.severity == severity)
        # The study file's own faults come first, then those of its replies.
        return sorted(chosen, key=lambda fault: (fault.file != self.name, fault.line, fault.column))[:MOST_FAULTS]

    def _errors(self) -> StudyFileErrors:
        return StudyFileErrors(self._sorted("error"), self._sorted("warning"))

    # Steps.

    def _take_from_replies(self, data: dict[str, Any]) -> bool:
        """Read the reply file; arms and items that the study file leaves out are those found there. False if there
        are faults in it, so that arms and items cannot be relied on."""
        name = data.get("replies")
        if name is None:
            return True
        try:
            # The pattern of a file name is the schema's business; here it only must not lead elsewhere.
            content = self.load_reply(name) if isinstance(name, str) and pathlib.PurePath(name).name == name else None
        except (OSError, ValueError, LookupError):
            content = None
        if content is None:
            if isinstance(name, str):
                hint = "put it into the same folder, or upload both together"
                self._fault(("replies",), f"there is no file {name[:120]!r} beside the study file", hint)
            return False
        self.reply_files[name] = content
        draft = crosschecks.Draft(data)
        prompts = {
            item["key"]: item["prompt"] if isinstance(item.get("prompt"), str) else None
            for _, item in draft.blocks("items")
            if isinstance(item.get("key"), str)
        }
        arms = draft.keys("arms") if "arms" in data else None
        self.replies, faults = read_replies(
            content, self.folder + name, arms=arms, items=prompts if "items" in data else None
        )
        self.faults += faults
        for name, keys in (
            ("arms", [reply.arm for reply in self.replies]),
            ("items", [reply.item for reply in self.replies]),
        ):
            if name not in data:
                data[name] = [{"key": key} for key in dict.fromkeys(keys)]
        return all(fault.severity == "warning" for fault in faults)

    def _add_prompts(self, data: dict[str, Any]) -> None:
        found = {reply.item: reply.prompt for reply in reversed(self.replies)}
        for _, item in crosschecks.Draft(data).blocks("items"):
            if item.get("prompt") is None and isinstance(key := item.get("key"), str) and key in found:
                item["prompt"] = found[key]

    def _validate(self, data: dict[str, Any], complete: bool) -> StudyFile | None:
        locales = data.get("locales", ["en"])
        known = [locale for locale in locales if isinstance(locale, str)] if isinstance(locales, list) else []
        try:
            return StudyFile.model_validate(data, context={"locales": known})
        except ValidationError as error:
            for details in error.errors(include_url=False)[:MOST_FAULTS]:
                at_key = details["type"] == "extra_forbidden" or "[key]" in details["loc"]
                if complete or not self._is_taken(details["loc"]):
                    self._fault(*_explain(details), at_key=at_key)
            return None

    def _cross_check(self, data: dict[str, Any], complete: bool) -> None:
        # While the reply file has faults of its own, nothing more is said about what was taken from it.
        rests_on_replies = self._is_taken(("arms",)) or self._is_taken(("items",))
        for path, message, hint, warning, at_key in crosschecks.findings(data):
            unsure = self._is_taken(path) or (rests_on_replies and path[:1] == ("design",))
            if complete or not unsure:
                self._fault(path, message, hint, severity="warning" if warning else "error", at_key=at_key)

    def _is_taken(self, path: Path) -> bool:
        """Whether this comes from the reply file, since the study file leaves it out."""
        return path[:1] in (("arms",), ("items",)) and path[0] not in self.root.value


# The words of the schema's faults.


def _explain(error: ErrorDetails) -> tuple[Path, str, str]:
    path: Path = tuple(step for step in error["loc"] if step != "[key]")
    context = error.get("ctx", {})
    value = error["input"]
    match error["type"]:
        case "study":
            return path, context["message"], context["hint"]
        case "missing":
            return path, "is missing", ""
        case "extra_forbidden":
            return path, "unknown key", _known_key(path)
        case "literal_error":
            return path, f"{_written(value)} is not one of the values possible here", _known_value(context, value)
        case "string_type":
            failed = not_text(value).context or {}
            return path, failed["message"], failed["hint"]
        case "int_type" | "int_from_float":
            return path, f"a whole number is needed here, not {_written(value)}", ""
        case "float_type":
            return path, f"a number is needed here, not {_written(value)}", ""
        case "bool_type":
            return path, f"true or false is needed here, not {_written(value)}", ""
        case "tuple_type" | "list_type":
            return path, f"a list is needed here, not {_written(value)}", "one entry a line, each with a `-` before it"
        case "model_type" | "model_attributes_type" | "dict_type":
            return path, f"a block of keys is needed here, not {_written(value)}", ""
        case "string_pattern_mismatch":
            return path, f"{_written(value)} is not possible here", "two capital letters, such as US"
        case "too_long":
            return path, f"the list has {context['actual_length']} entries, more than {context['max_length']}", ""
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            return path, f"{_written(value)} is out of range: {error['msg'].removeprefix('Input ')}", ""
        case _:
            return path, error["msg"], ""


def _written(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return repr(value if len(value) <= 40 else value[:40] + "...")
        case int() | float():
            return str(value)
        case list() | tuple():
            return "a list"
        case _:
            return "a block of keys"


def _known_value(context: dict[str, Any], value: Any) -> str:
    # pydantic gives the choices as one sentence: 'stored' or 'chat'.
    choices = [part.strip("' ") for part in str(context["expected"]).replace(" or ", ", ").split(", ")]
    return nearest(value if isinstance(value, str) else "", choices)


def _known_key(path: Path) -> str:
    part: Any = StudyFile
    for step in path[:-1]:
        if isinstance(step, str):
            part = _part_of(part.model_fields[step].annotation)
    name = str(path[-1])
    if " " in name:
        return 'a text with a comma in it needs "quotes" between { }'
    if part is StudyFile:
        for top, info in StudyFile.model_fields.items():
            if name in getattr(_part_of(info.annotation), "model_fields", ()):
                return f"it belongs under `{top}`"
    elif name in StudyFile.model_fields:
        return "it belongs to the top of the file"
    return nearest(name, part.model_fields)


def _part_of(annotation: Any) -> Any:
    """The block a field holds, also inside a tuple or beside None."""
    if isinstance(annotation, type) and not isinstance(annotation, GenericAlias) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) is not None:
        return next((part for part in map(_part_of, get_args(annotation)) if part is not None), None)
    return None
