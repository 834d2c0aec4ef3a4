"""What is wrong with a study file or its replies, said so that a person can mend it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal


@dataclass(frozen=True)
class Fault:
    """One thing to mend, and where: lines and columns are counted from 1, as editors do."""

    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}:{self.column} {self.path}: {self.message}"
        text = f"{text} ({self.hint})" if self.hint else text
        return text.replace("\n", " ")


class StudyFileErrors(Exception):
    """Everything that keeps a study file from being used, all at once and in the order of its lines."""

    def __init__(self, faults: Iterable[Fault], warnings: Iterable[Fault] = ()):
        self.faults = list(faults)
        self.warnings = list(warnings)
        super().__init__("\n".join(str(fault) for fault in self.faults))


def dotted(path: Iterable[str | int]) -> str:
    """`("criteria", 1, "label")` as people write it: `criteria[1].label`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            word = step if re.fullmatch(r"[\w-]{1,60}", step) else json.dumps(step[:40], ensure_ascii=False)
            text += f".{word}" if text else word
    return text or "file"


def nearest(word: str, words: Iterable[str]) -> str:
    """The hint for a word that is none of these, as a sentence."""
    choices = list(words)
    close = get_close_matches(word.casefold(), [choice.casefold() for choice in choices], n=1, cutoff=0.6)
    for choice in choices:
        if close and choice.casefold() == close[0]:
            return f"did you mean `{choice}`?"
    return f"known: {', '.join(choices)}" if 0 < len(choices) <= 12 else ""
