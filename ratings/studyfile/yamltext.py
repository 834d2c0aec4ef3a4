"""YAML with the place of every value, and nothing that could run, grow or hide.

ruamel.yaml splits the text into events; the tree is built here, because a study file needs less than YAML offers (no
tags, one document, keys that are words) and more than a loader keeps: the line and column of each key and value, the
second of two equal keys, and the size that aliases would expand to.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

LARGEST_FILE = 2_000_000  # bytes
LARGEST_TREE = 6_000_000  # characters, after aliases are expanded; a value costs some by itself
COST_OF_A_VALUE = 8
DEEPEST = 24
MOST_KEYS = 200
MOST_VALUES = 60_000  # thousands of items; reading more would keep a page waiting

Path = tuple[str | int, ...]

_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = {"", "~", "null", "Null", "NULL"}
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


class Place(NamedTuple):
    line: int
    column: int


class Problem(NamedTuple):
    """A fault of the text itself, before anything is known of studies."""

    place: Place
    path: Path
    message: str
    hint: str = ""


class Unreadable(Exception):
    """The text cannot be read past this problem."""

    def __init__(self, place: Place, message: str, hint: str = "", path: Path = ()):
        self.problem = Problem(place, path, message, hint)
        super().__init__(message)


@dataclass
class Node:
    """A value with its place. `size` counts the characters it would take with every alias written out."""

    place: Place
    value: Any = None
    keys: dict[str, Place] = field(default_factory=dict)
    size: int = COST_OF_A_VALUE

    def plain(self) -> Any:
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def find(self, path: Path, *, key: bool = False) -> Place:
        """Where the value (or its key) stands; of something that is not there, where it should have been."""
        node = self
        for depth, step in enumerate(path):
            last = depth == len(path) - 1
            if isinstance(node.value, dict) and step in node.value:
                if last and key:
                    return node.keys[str(step)]
                node = node.value[step]
            elif isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
            else:
                break
        return node.place


def decode(source: bytes) -> str:
    """The text of the bytes, or one clear reason why there is none."""
    if len(source) > LARGEST_FILE:
        raise Unreadable(
            Place(1, 1),
            f"the file is {len(source) / 1e6:.1f} MB, more than the {LARGEST_FILE / 1e6:.0f} MB a study file may be",
            "long lists of replies belong in a file of their own: `replies: my-replies.csv`",
        )
    try:
        text = source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = source[: error.start].decode("utf-8", "replace")
        raise Unreadable(place_of(before, len(before)), "this is not UTF-8 text", "save the file as UTF-8") from None
    if found := control_character(text):
        raise Unreadable(place_of(text, found.start()), f"the file holds {name_of(found)}", "delete it")
    return text


def control_character(text: str) -> re.Match[str] | None:
    """The first character that databases, browsers or terminals choke on."""
    return _CONTROL.search(text)


def name_of(found: re.Match[str]) -> str:
    code = ord(found.group())
    return "a NUL character" if code == 0 else f"the invisible character U+{code:04X}"


def place_of(text: str, index: int) -> Place:
    line = text.count("\n", 0, index) + 1
    return Place(line, index - (text.rfind("\n", 0, index) + 1) + 1)


def parse(source: bytes) -> tuple[Node, list[Problem]]:
    """The tree of a study file and the problems that did not stop the reading."""
    text = decode(source)
    builder = _Builder(YAML(typ="safe", pure=True).parse(text))
    try:
        return builder.document(), builder.problems
    except MarkedYAMLError as error:
        # A quote that is never closed is best mended where it was opened, not where the file ends.
        opened = "quoted scalar" in (error.context or "") and error.context_mark
        mark = opened or error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
        raise Unreadable(place, *_syntax(error, text, place)) from None
    except YAMLError as error:
        raise Unreadable(Place(1, 1), f"this is not YAML: {str(error).splitlines()[0]}") from None
    except (ValueError, OverflowError, AttributeError, IndexError):
        # Escapes such as "\UFFFFFFFF" and odd directives make the parser itself stumble.
        raise Unreadable(builder.place, "this is not YAML") from None


def _syntax(error: MarkedYAMLError, text: str, place: Place) -> tuple[str, str]:
    lines = text.split("\n")
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    indent = line[: len(line) - len(line.lstrip())]
    problem = (error.problem or error.context or "it cannot be read").strip()
    if "\t" in indent or r"'\t'" in problem:
        return "a tab stands where YAML wants spaces", "indent with spaces"
    if "mapping values are not allowed" in problem:
        return (
            "a colon followed by a space stands inside unquoted text, or the line is indented too far",
            'put a text with a colon in "quotes"',
        )
    if "expected <block end>" in problem:
        return "this line does not fit the lines above it", "check the indentation, and quotes inside quotes"
    if "quoted scalar" in (error.context or ""):
        return "a quoted text is not closed", 'end it with the quote it began with; write \\" for a quote inside'
    if (error.context or "").startswith("while parsing a flow") and error.context_mark:
        line_opened = error.context_mark.line + 1
        return f"the [ or {{ opened in line {line_opened} does not end well", 'close it, and put its texts in "quotes"'
    return f"this is not YAML: {problem}", ""


class _Builder:
    """Builds the tree from the events, refusing what a study file has no use for."""

    def __init__(self, events: Iterator[Any]):
        self.events = events
        self.problems: list[Problem] = []
        self.anchors: dict[str, Node | None] = {}
        self.place = Place(1, 1)
        self.values = 0

    def document(self) -> Node:
        root: Node | None = None
        for event in self.events:
            match type(event).__name__:
                case "StreamStartEvent" | "DocumentEndEvent" | "StreamEndEvent":
                    continue
                case "DocumentStartEvent" if root is not None:
                    raise Unreadable(self._at(event), "a second document begins here", "one study a file: remove `---`")
                case "DocumentStartEvent":
                    root = self.node(next(self.events), ())
        if root is None or root.value is None:
            raise Unreadable(Place(1, 1), "the file is empty", "begin with `format: 1`")
        return root

    def node(self, event: Any, path: Path) -> Node:
        place = self._at(event)
        kind = type(event).__name__
        if len(path) > DEEPEST:
            raise Unreadable(place, f"values are nested more than {DEEPEST} deep", path=path[:3])
        self.values += 1
        if self.values > MOST_VALUES:
            raise Unreadable(
                place, f"the file has more than {MOST_VALUES:,} values", "put the prompts into a reply file"
            )
        if kind == "AliasEvent":
            return self._alias(event, place, path)
        if getattr(event, "tag", None) not in (None, "!"):
            self._problem(place, path, "tags are not used in study files", f"remove `{event.tag}`")
        anchor = event.anchor
        if anchor:
            self.anchors[anchor] = None
        node = Node(place)
        if kind == "ScalarEvent":
            self._scalar(event, node, path)
        elif kind == "SequenceStartEvent":
            self._sequence(node, path)
        else:
            self._mapping(node, path)
        if anchor:
            self.anchors[anchor] = node
        return node

    def _alias(self, event: Any, place: Place, path: Path) -> Node:
        if event.anchor not in self.anchors:
            raise Unreadable(place, f"the alias *{event.anchor} names nothing", "mark a value above with &", path)
        node = self.anchors[event.anchor]
        if node is None:
            raise Unreadable(place, f"the alias *{event.anchor} stands inside itself", path=path)
        return node

    def _scalar(self, event: Any, node: Node, path: Path) -> None:
        text = event.value
        if found := control_character(text):
            self._problem(node.place, path, f"the text holds {name_of(found)}", "delete it")
        node.value = _resolve(text) if event.style in (None, "") and event.implicit[0] else text
        node.size += len(text)

    def _sequence(self, node: Node, path: Path) -> None:
        node.value = []
        while type(event := next(self.events)).__name__ != "SequenceEndEvent":
            child = self.node(event, (*path, len(node.value)))
            node.value.append(child)
            self._grow(node, child)

    def _mapping(self, node: Node, path: Path) -> None:
        node.value = {}
        while type(event := next(self.events)).__name__ != "MappingEndEvent":
            place = self._at(event)
            key = self._key(event, path)
            child = self.node(next(self.events), (*path, key))
            if child.value is None and child.place.line > place.line:
                child.place = place  # the parser puts a value that is not there where the next one begins
            if key in node.value:
                first = node.keys[key].line
                self._problem(place, (*path, key), f"the key is there twice, first in line {first}", "keep one of them")
                continue
            if len(node.value) == MOST_KEYS:
                raise Unreadable(place, f"more than {MOST_KEYS} keys in one block", path=path)
            node.value[key] = child
            node.keys[key] = place
            self._grow(node, child)

    def _key(self, event: Any, path: Path) -> str:
        if type(event).__name__ != "ScalarEvent":
            raise Unreadable(self._at(event), "a key must be a word, not a list or a block", path=path)
        if event.anchor:
            self.anchors[event.anchor] = Node(self._at(event), event.value)
        if control_character(event.value):
            raise Unreadable(self._at(event), "a key holds an invisible character", "delete it", path)
        return event.value

    def _grow(self, node: Node, child: Node) -> None:
        node.size += child.size
        if node.size > LARGEST_TREE:
            raise Unreadable(
                self.place, "aliases make this file grow beyond all use", "write the values out, or use fewer aliases"
            )

    def _problem(self, place: Place, path: Path, message: str, hint: str = "") -> None:
        self.problems.append(Problem(place, path, message, hint))

    def _at(self, event: Any) -> Place:
        self.place = Place(event.start_mark.line + 1, event.start_mark.column + 1)
        return self.place


def _resolve(text: str) -> Any:
    """The value of an unquoted scalar by YAML 1.2: `no` and `on` stay words, and so does every number a study cannot
    mean (infinite, not a number, hundreds of digits)."""
    if text in _NULLS:
        return None
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text
