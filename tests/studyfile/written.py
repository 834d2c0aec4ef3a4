"""A small valid study file to bend, and what reading it says."""

from ratings.studyfile import Loaded, StudyFileErrors, read

STUDY = """\
format: 1
slug: tea-or-coffee
title: Which reply helps?
mode: stored
contact: team@example.org
minutes: 10
target: 20
consent:
  version: "1"
  summary: In short.
  text: At length.
scale: {min: 1, max: 10}
criteria:
  - key: warmth
    label: Warmth
    question: How warm is this reply?
    definition: It is kind.
    low: Not at all
    high: Extremely
arms:
  - {key: linden, model: smollm2-135m, system: You listen.}
  - {key: rowan, model: smollm2-135m, system: You answer.}
items:
  - {key: one, prompt: First worry.}
  - {key: two, prompt: Second worry.}
  - {key: three, prompt: Third worry.}
  - {key: four, prompt: Fourth worry.}
design:
  items_each: 2
  primary: {criterion: warmth, a: linden, b: rowan}
"""

REPLIES = """\
item_id,arm,prompt,reply
one,aspen,First worry.,A reply.
one,birch,First worry.,Another reply.
two,aspen,Second worry.,A third reply.
two,birch,Second worry.,A fourth reply.
"""


def changed(*replacements: tuple[str, str]) -> str:
    """The study with pieces of its text replaced; a piece that is not there is a mistake of the test."""
    text = STUDY
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def with_replies(extra: str = "") -> str:
    """The study with its models and items taken out and a reply file named instead."""
    head, rest = STUDY.split("arms:\n  - ")
    return head + "replies: own.csv\n" + extra + "design:\n  items_each: 2\n"


def load(text: str | bytes, reply_file: str | bytes | None = None) -> Loaded:
    source = text.encode() if isinstance(text, str) else text
    content = reply_file.encode() if isinstance(reply_file, str) else reply_file
    return read(source, "s.yaml", lambda _: content)


def faults(text: str | bytes, reply_file: str | bytes | None = None) -> list[str]:
    """The faults as people see them, or nothing if the file is fine."""
    try:
        load(text, reply_file)
    except StudyFileErrors as errors:
        return [str(fault) for fault in errors.faults]
    return []


def warnings(text: str, reply_file: str | None = None) -> list[str]:
    return [str(fault) for fault in load(text, reply_file).warnings]
