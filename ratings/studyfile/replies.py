"""Replies made elsewhere: CSV (`item_id, arm, prompt, reply`) or JSON lines (the same keys, or `messages`)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticCustomError

from ratings.studyfile.blinding import names_in, self_naming, telling_part
from ratings.studyfile.faults import Fault, nearest
from ratings.studyfile.schema import ARM_KEY, ITEM_KEY, LONGEST_TEXT
from ratings.studyfile.yamltext import control_character, name_of, place_of

LARGEST_FILE = 50_000_000  # bytes
MOST_FAULTS = 200
COLUMNS = ("item_id", "arm", "prompt", "reply")


@dataclass(frozen=True)
class Message:
    role: str
    content: str


@dataclass(frozen=True)
class StoredReply:
    """What one arm says to one item: the dialogue that is shown, its last message the reply."""

    item: str
    arm: str
    messages: tuple[Message, ...]
    line: int

    @property
    def prompt(self) -> str:
        return next(message.content for message in self.messages if message.role == "user")

    @property
    def reply(self) -> str:
        return self.messages[-1].content


def read_replies(
    source: bytes,
    name: str,
    *,
    arms: Collection[str] | None = None,
    items: Mapping[str, str | None] | None = None,
) -> tuple[list[StoredReply], list[Fault]]:
    """The replies and everything wrong with them, in the order of lines.

    `arms` and `items` (key -> prompt, if the study file writes it) are what the study file lists; None leaves it to
    this file.
    """
    reader = _Reader(name, arms, items)
    replies = reader.read(source)
    return replies, sorted(reader.faults, key=lambda fault: fault.line)


class _Stop(Exception):
    """Nothing further can be read."""


class _Reader:
    def __init__(self, name: str, arms: Collection[str] | None, items: Mapping[str, str | None] | None):
        self.name = name
        self.arms = arms
        self.items = items
        self.faults: list[Fault] = []
        self.first_of: dict[str, StoredReply] = {}
        self.seen: dict[tuple[str, str], int] = {}
        self.new_keys: set[tuple[str, str]] = set()

    def read(self, source: bytes) -> list[StoredReply]:
        replies: list[StoredReply] = []
        try:
            text = self._decode(source)
            rows = self._json_lines(text) if text.lstrip()[:1] in "{[" and text.strip() else self._csv(text)
            for line, row in rows:
                if reply := self._reply(line, row):
                    replies.append(reply)
            if not replies and not self.faults:
                self._fault(1, "file", "the file holds no replies")
            self._find_gaps()
            self._find_names(replies)
        except _Stop:
            pass
        return replies

    def _fault(self, line: int, path: str, message: str, hint: str = "", *, warning: bool = False) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(self.name, line, 1, path, message, hint, "warning" if warning else "error"))
        elif not warning:
            self.faults.append(Fault(self.name, line, 1, "file", "there are more faults from here on"))
            raise _Stop

    # From bytes to rows.

    def _decode(self, source: bytes) -> str:
        if len(source) > LARGEST_FILE:
            self._fault(1, "file", f"the file is larger than {LARGEST_FILE // 1_000_000} MB")
            raise _Stop
        try:
            text = source.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = source.count(b"\n", 0, error.start) + 1
            self._fault(line, "file", "this is not UTF-8 text", "save it as UTF-8; in a spreadsheet: CSV UTF-8")
            raise _Stop from None
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def _csv(self, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
        if found := control_character(text):
            self._fault(place_of(text, found.start()).line, "file", f"the line holds {name_of(found)}", "delete it")
            raise _Stop
        if not text.strip():
            return
        header = text.lstrip("\n").split("\n", 1)[0]
        delimiter = max(",;\t", key=header.count)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        names: list[str] = []
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                self._fault(line, "file", *_csv_problem(str(error)))
                raise _Stop from None
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = [cell.strip() for cell in cells]
                self._check_columns(line, names)
            elif len(cells) != len(names):
                self._fault(
                    line,
                    "file",
                    f"{len(cells)} cells, but the header names {len(names)}",
                    f"a text with `{delimiter}`, a line break or a quote in it needs to stand in quotes",
                )
            else:
                yield line, dict(zip(names, cells, strict=True))

    def _check_columns(self, line: int, names: list[str]) -> None:
        spare = [name for name in names if name not in COLUMNS]
        missing = [column for column in COLUMNS if column not in names]
        for column in missing:
            hint = nearest(column, [name for name in spare if name])
            self._fault(
                line, column, "the column is missing", _rename(hint, column) or f"columns: {', '.join(COLUMNS)}"
            )
        for name in sorted({name for name in names if names.count(name) > 1 and name in COLUMNS}):
            self._fault(line, name, "the column is there twice")
        if self.faults:
            raise _Stop
        for name in spare:
            self._fault(line, name or "file", "the column is not used", warning=True)

    def _json_lines(self, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for line, written in enumerate(text.split("\n"), start=1):
            if not written.strip():
                continue
            try:
                row = json.loads(written)
            except (ValueError, RecursionError) as error:
                where = f" at character {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
                self._fault(line, "file", f"this line is not JSON{where}", "one complete {...} for each reply")
                continue
            if isinstance(row, dict):
                yield line, row
            else:
                self._fault(line, "file", "this line is not a JSON object", "one complete {...} for each reply")

    # From rows to replies.

    def _reply(self, line: int, row: dict[str, Any]) -> StoredReply | None:
        before = len(self.faults)
        item = self._key(line, row, "item_id", self.items)
        arm = self._key(line, row, "arm", self.arms)
        if "messages" in row:
            messages = self._messages(line, row["messages"])
        else:
            prompt, reply = self._text(line, row, "prompt"), self._text(line, row, "reply")
            messages = (Message("user", prompt), Message("assistant", reply))
        if item and arm and (first := self.seen.setdefault((item, arm), line)) != line:
            self._fault(line, "item_id", f"`{item}` has a reply of `{arm}` already in line {first}", "keep one of them")
        if len(self.faults) > before:
            return None
        stored = StoredReply(item, arm, messages, line)
        self._check_prompt(stored)
        if named := self_naming(stored.reply):
            self._fault(line, "reply", f"the reply tells who wrote it: {named!r}", "ratings are blind", warning=True)
        return stored

    def _key(self, line: int, row: dict[str, Any], column: str, known: Collection[str] | None) -> str:
        key = self._text(line, row, column)
        if not key or (column, key) in self.new_keys:
            return key
        if known is None:
            self.new_keys.add((column, key))
            self._check_key(line, column, key)
        elif key not in known:
            noun = "item" if column == "item_id" else "arm"
            self._fault(line, column, f"the study file lists no {noun} `{key[:60]}`", nearest(key, known))
        return key

    def _check_key(self, line: int, column: str, key: str) -> None:
        """What the study file would be told about a key that it listed itself."""
        try:
            (ARM_KEY if column == "arm" else ITEM_KEY).check(key)
        except PydanticCustomError as error:
            said = error.context or {}
            self._fault(line, column, said["message"], said["hint"])
        if column == "arm" and (told := telling_part(key)):
            message = f"`{key}` says something about the arm: {told!r}"
            self._fault(line, column, message, "choose a plain word, such as a tree or a river")

    def _text(self, line: int, row: Mapping[str, Any], column: str) -> str:
        """The text of a cell, or nothing after a fault."""
        value = row.get(column)
        if column not in row:
            self._fault(line, column, "is missing", _rename(nearest(column, map(str, row)), column))
        elif isinstance(value, int) and not isinstance(value, bool) and column in ("item_id", "arm"):
            return str(value)
        elif not isinstance(value, str):
            self._fault(line, column, "should be a text")
        elif not value.strip():
            self._fault(line, column, "is empty")
        elif len(value) > LONGEST_TEXT:
            self._fault(line, column, f"has {len(value):,} characters, more than {LONGEST_TEXT:,}")
        elif found := control_character(value):
            self._fault(line, column, f"holds {name_of(found)}", "delete it")
        else:
            return value.strip()
        return ""

    def _messages(self, line: int, value: Any) -> tuple[Message, ...]:
        if not isinstance(value, list) or not all(isinstance(message, dict) for message in value):
            self._fault(line, "messages", "should be a list of {role, content}")
            return ()
        messages = []
        for number, message in enumerate(value):
            role = message.get("role")
            if role not in ("user", "assistant"):
                hint = "participants would read it: leave it out" if role == "system" else ""
                self._fault(line, f"messages[{number}].role", "should be user or assistant", hint)
            messages.append(Message(str(role), self._text(line, message, "content")))
        if not any(message.role == "user" for message in messages):
            self._fault(line, "messages", "nobody asks anything: a message of the user is needed")
        if not messages or messages[-1].role != "assistant":
            self._fault(line, "messages", "the last message should be the assistant's: it is the one rated")
        return tuple(messages)

    def _check_prompt(self, stored: StoredReply) -> None:
        first = self.first_of.setdefault(stored.item, stored)
        written = (self.items or {}).get(stored.item)
        if stored.prompt != first.prompt:
            self._fault(
                stored.line,
                "prompt",
                f"`{stored.item}` has another prompt than in line {first.line}",
                "all arms answer the same message",
            )
        elif first is stored and written is not None and stored.prompt != written:
            self._fault(stored.line, "prompt", f"`{stored.item}` has another prompt than in the study file")

    def _find_gaps(self) -> None:
        arms = list(self.arms) if self.arms is not None else list(dict.fromkeys(arm for _, arm in self.seen))
        items = list(self.items) if self.items is not None else list(dict.fromkeys(item for item, _ in self.seen))
        lines: dict[str, int] = {}
        for (item, _), line in self.seen.items():
            lines.setdefault(item, line)
        # An arm that nobody knows is most likely a known one misspelt: one fault for it is enough.
        misspelt = {item for item, arm in self.seen if arm not in arms}
        for item in items:
            for arm in arms:
                if (item, arm) not in self.seen and item not in misspelt:
                    self._fault(lines.get(item, 1), "arm", f"`{item}` has no reply of `{arm}`")

    def _find_names(self, replies: list[StoredReply]) -> None:
        """No participant may read the name of an arm, not even by chance."""
        arms = sorted({reply.arm for reply in replies})
        for reply in replies:
            for message in reply.messages:
                if name := names_in(message.content, arms):
                    path = "prompt" if message.role == "user" else "reply"
                    hint = f"call the arm `{name}` something else"
                    self._fault(reply.line, path, f"participants would read {name!r}, the name of an arm", hint)


def _rename(hint: str, column: str) -> str:
    """Turn "did you mean `itemid`?" round: here the name found is the wrong one."""
    return f"{hint.removeprefix('did you mean ').rstrip('?')} should be `{column}`" if "did you" in hint else ""


def _csv_problem(error: str) -> tuple[str, str]:
    if "unexpected end of data" in error:
        return "a quote opened here is never closed", 'a quote inside a text is written twice: ""'
    if "field larger" in error:
        return "a cell is far too large", f"a text may have {LONGEST_TEXT:,} characters"
    return f"this line is not CSV: {error}", 'a quote inside a text is written twice: ""'
