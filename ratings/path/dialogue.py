"""What a participant sees of a conversation: its messages as released, and never whose they are."""

from dataclasses import dataclass
from functools import lru_cache

from django.template.loader import render_to_string
from django.utils.html import linebreaks
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language

from inference.leases import LeaseState
from inference.models import Conversation, Turn
from ratings.templatetags.replies import safe_markdown


class NotYetMade(Exception):
    """A reply that is to be shown is still being made."""


@dataclass(frozen=True)
class Message:
    is_reply: bool
    html: SafeString
    words: int


@dataclass(frozen=True)
class Dialogue:
    messages: tuple[Message, ...]

    @property
    def words(self) -> int:
        return sum(message.words for message in self.messages)


def dialogue_of(conversation: Conversation | None) -> Dialogue:
    """The messages of a conversation. Those that never change again are kept in memory, as the HTML they become.

    A live chat is shown as far as it came: its last reply may have failed.
    """
    if conversation is None:
        raise NotYetMade
    if conversation.kind == Conversation.Kind.LIVE:
        said = conversation.turns.filter(state=LeaseState.DONE).order_by("index")
        return Dialogue(tuple(map(message_of, said)))
    return _published(conversation.code)


def html_of(conversation: Conversation | None) -> SafeString:
    if conversation is None:
        raise NotYetMade
    if conversation.kind == Conversation.Kind.LIVE:
        return _html(dialogue_of(conversation), mode="chat")
    return _published_html(conversation.code, get_language())


def _html(dialogue: Dialogue, mode: str) -> SafeString:
    return render_to_string("ratings/_dialogue.html", {"dialogue": dialogue, "definition": {"mode": mode}})


@lru_cache(maxsize=2048)
def _published_html(code: str, language: str) -> SafeString:
    return _html(_published(code), mode="stored")


@lru_cache(maxsize=2048)
def _published(code: str) -> Dialogue:
    turns = list(Turn.objects.filter(conversation__code=code).order_by("index"))
    if not turns or any(turn.state != LeaseState.DONE for turn in turns):
        raise NotYetMade
    return Dialogue(tuple(map(message_of, turns)))


def message_of(turn: Turn) -> Message:
    if turn.role == Turn.Role.ASSISTANT:
        text, html = turn.released or "", safe_markdown(turn.released)
    else:
        text = turn.text or ""
        html = mark_safe(linebreaks(text, autoescape=True))
    return Message(turn.role == Turn.Role.ASSISTANT, html, len(text.split()))
