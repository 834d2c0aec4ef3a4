"""What people write stays text: nothing in it can end their turn or begin another role's.

A chat template puts control tokens (`<|im_start|>`) or words (`USER:`) between the messages, and a tokenizer, or a
server, takes the same characters inside a message for the same thing. An invisible space after the first of them makes
them text that only looks like it. What the researcher writes, the system message, may hold such words on purpose.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from inference.engines.base import Message

# A tokenizer may drop an invisible space before it looks for its control tokens; then a plain one is put in.
INVISIBLE, SPACE = "\u200b", " "
PROBE = re.compile(r"Qz[a-z]+zq")
CONVERSATION: list[Message] = [
    {"role": "system", "content": "Qzsystemzq"},
    {"role": "user", "content": "Qzfirstzq"},
    {"role": "assistant", "content": "Qzreplyzq"},
    {"role": "user", "content": "Qzsecondzq"},
]
# How control tokens look, for servers, whose tokenizers are unknown here: they read them inside messages, too.
LIKELY = re.compile(
    r"<\|[^|<>\s]{1,60}\|>|<｜[^｜<>\s]{1,60}｜>|\[\|[^|\]\s]{1,40}\|\]|<(?:start|end)_of_turn>"
    r"|</?(?:s|bos|eos|pad|unk)>|<</?SYS>>"
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|PREFIX|MIDDLE|SUFFIX|IMG)\]"
)


def markers(render: Callable[[list[Message]], str], control: Iterable[str]) -> list[str]:
    """What a chat template writes between messages to name the sides, control tokens apart: `USER:`, `[/INST]`."""
    try:
        between = PROBE.split(render(CONVERSATION))
    except Exception:  # noqa: BLE001  a template is a program; if it fails here, it fails for every conversation
        return []
    pieces = [piece for text in between for piece in _without(control, text)]
    words = {word.strip() for piece in pieces for word in re.split(r"\n|(?<=[>\]])\s+|\s+(?=[<\[])", piece)}
    # A bare word, such as `user` between two control tokens, may be said about anything.
    return sorted(word for word in words if len(word) > 1 and re.search(r"[^\w\s]", word))


def _without(control: Iterable[str], text: str) -> list[str]:
    found = any_of(control)
    return found.split(text) if found else [text]


def any_of(strings: Iterable[str], loosely: bool = False) -> re.Pattern | None:
    """Finds any of these, the longest first; loosely: in any case and spacing."""
    escaped = [re.escape(string) for string in sorted(strings, key=len, reverse=True)]
    if loosely:
        escaped = [string.replace(r"\ ", r"\s+") for string in escaped]
    return re.compile("|".join(escaped), re.IGNORECASE if loosely else 0) if escaped else None


def defused(text: str, found: re.Pattern | None, mark: str = INVISIBLE) -> str:
    """The text with each match broken after its first character, so that it is none any more."""
    while found and found.search(text):
        text = found.sub(lambda match: match[0][:1] + mark + match[0][1:], text)
    return text


class Voices:
    """Keeps the messages of a conversation apart, for one tokenizer and its chat template."""

    def __init__(self, tokenizer: Any):
        tokens = {number: str(token) for number, token in tokenizer.added_tokens_decoder.items() if token.special}

        def render(messages: Sequence[Message]) -> str:
            return tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)

        self.control = any_of(token for token in tokens.values() if len(token) > 1)
        self.markers = any_of(markers(render, tokens.values()), loosely=True)
        typed = defused(" ".join(tokens.values()), self.control)
        is_dropped = set(tokenizer(typed, add_special_tokens=False)["input_ids"]) & tokens.keys()
        self.mark = SPACE if is_dropped else INVISIBLE

    def apart(self, messages: Iterable[Message]) -> list[Message]:
        return [{"role": message["role"], "content": self._text(message)} for message in messages]

    def _text(self, message: Message) -> str:
        text = defused(message["content"], self.control, self.mark)
        return text if message["role"] == "system" else defused(text, self.markers, self.mark)


def apart_on_a_server(messages: Iterable[Message]) -> list[Message]:
    """The messages with what looks like a control token broken, wherever a participant or a model wrote it."""
    return [
        message if message["role"] == "system" else {**message, "content": defused(message["content"], LIKELY)}
        for message in messages
    ]
