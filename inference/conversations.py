"""Dialogues and their turns: begun, continued, and stored. Nothing else writes turns, save whoever answers them."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from inference import dispatch, room, workers
from inference.canonical import digest
from inference.leases import LeaseState
from inference.live import live
from inference.models import ChatModel, Conversation, Setup, Turn, TurnQuerySet

# What holds for a conversation that says nothing else. A conversation keeps the policy it was opened with.
POLICY: dict[str, Any] = {
    "max_attempts": 3,
    "first_token_s": 60,
    "turn_s": 180,
    "release": "sentence",
    "pace": None,  # words a minute; None: as soon as they are made
    "exchanges": {"min": 3, "max": 8},
    # A message is not taken when so many wait already, or when its reply would begin so much later.
    "most_waiting": 200,
    "longest_wait_s": 120,
    "mask": [],  # names that no reply may tell, beside the model's own
}

# Whoever was sent away for a moment is not told to come back sooner.
SHORTEST_RETRY = 20  # seconds

# A conversation that is too long stays so, however often it is tried.
PAST_HELP = "context_too_long"

# A conversation ends when not even a message of so many tokens has room.
SHORT_MESSAGE = 48

# Nobody waits for a reply that is made in advance, and a busy laptop makes eight of them at once.
MADE_IN_ADVANCE = {"release": "whole", "first_token_s": 1200, "turn_s": 3600}


class CannotSay(Exception):
    """A message that is not taken now. The person keeps what they wrote."""


class ReplyUnderWay(CannotSay):
    """The reply before is still being made."""


class ReplyFailed(CannotSay):
    """The reply before could not be made: the conversation goes no further."""


class ConversationFull(CannotSay):
    """As many messages as the study wants have been answered."""


class TooLong(CannotSay):
    """The message and its reply do not fit what the model can read; one of so many characters would."""

    def __init__(self, characters: int):
        super().__init__(characters)
        self.characters = characters


class OutOfStep(CannotSay):
    """The message was written on a page that is older than the conversation."""


class Busy(CannotSay):
    """So many wait already that one more would wait too long; it may be tried again in so many seconds."""

    def __init__(self, seconds: int):
        super().__init__(seconds)
        self.seconds = seconds


def open_live(
    setup: Setup, seed: int, policy: Mapping[str, Any] | None = None, opening: str | None = None
) -> Conversation:
    """A conversation that a participant writes in. `opening` is what the program says first."""
    with transaction.atomic():
        conversation = Conversation.objects.create(
            kind=Conversation.Kind.LIVE, setup=setup, seed=seed, policy=POLICY | dict(policy or {})
        )
        if opening:
            _done(conversation, 0, Turn.Role.ASSISTANT, opening).save()
    return conversation


@transaction.atomic
def say(conversation: Conversation, text: str, index: int) -> Turn:
    """Store a participant's message and order its reply, which is returned.

    `index` is the place the participant saw as the next one. The same message sent twice is stored once.
    """
    # Two tabs take turns.
    with_model = Conversation.objects.select_related("setup__chat_model")
    conversation = with_model.select_for_update(of=("self",)).get(pk=conversation.pk)
    turns = list(conversation.turns.order_by("index").defer("released"))
    if index + 1 < len(turns) and turns[index].role == Turn.Role.USER and turns[index].text == text:
        return turns[index + 1]
    last = turns[-1] if turns else None
    if last and last.is_open:
        raise ReplyUnderWay
    if last and last.state != LeaseState.DONE:
        raise ReplyFailed
    if index != len(turns):
        raise OutOfStep
    if sum(turn.answers_somebody for turn in turns) >= conversation.policy["exchanges"]["max"]:
        raise ConversationFull
    has_room = _has_room(conversation, [turn.text or "" for turn in turns], text)
    if has_room:
        _refuse_when_busy(conversation)
    reply = _queued(conversation, index + 1)
    if not has_room:
        # The conversation is over, which nobody has to wait in a queue for.
        reply.state, reply.failure, reply.finished_at = LeaseState.FAILED, PAST_HELP, timezone.now()
    Turn.objects.bulk_create([_done(conversation, index, Turn.Role.USER, text), reply])
    if has_room:
        dispatch.wake(conversation.answered_by.chat_model)
    return reply


def _has_room(conversation: Conversation, said: list[str], text: str) -> bool:
    """Whether one more message has room beside what was said. TooLong if a shorter one would."""
    setup = conversation.answered_by
    left = room.left(setup, [*said, text])
    if left is None or left >= 0:
        return True
    tokens = room.tokens_in(setup.chat_model, [text]) or len(text)
    if (free := left + tokens) < SHORT_MESSAGE:
        return False
    raise TooLong(max(10, int(free * len(text) / tokens / 10) * 10))


def _refuse_when_busy(conversation: Conversation) -> None:
    policy, model = POLICY | conversation.policy, conversation.answered_by.chat_model
    people = workers.waited_for(model)
    waiting = people.filter(state=LeaseState.QUEUED).count()
    running = people.being_made().count() if waiting else 0
    seconds = workers.wait_seconds(model.engine_name, waiting, running) if waiting else 0
    if waiting >= policy["most_waiting"] or (seconds or 0) > policy["longest_wait_s"]:
        raise Busy(max(SHORTEST_RETRY, (seconds or 0) - policy["longest_wait_s"]))


def went_out(turns: Iterable[Turn]) -> None:
    """These messages went out with a page: for replies that no stream brought before, that was the first time."""
    # What stands at index 0 was said by nobody's model.
    replies = [turn for turn in turns if turn.index and turn.role == Turn.Role.ASSISTANT]
    if unsent := [turn.pk for turn in replies if turn.state == LeaseState.DONE and turn.first_sent_at is None]:
        Turn.objects.filter(pk__in=unsent, first_sent_at=None).update(first_sent_at=timezone.now())


def may_be_asked_again(reply: Turn) -> bool:
    """Whether one more try is due, and could help."""
    return reply.state == LeaseState.FAILED and not reply.asked_again and reply.failure != PAST_HELP


def ask_again(reply: Turn) -> bool:
    """A participant's one further try at a reply that failed. False when it was used up, or is not needed."""
    live.forget(reply.code)
    due = Turn.objects.filter(pk=reply.pk, asked_again=False).exclude(failure=PAST_HELP)
    return bool(_requeue(due, asked_again=True))


def retry_failed(replies: TurnQuerySet) -> int:
    """Try failed replies again because a researcher or operator wants it; how many."""
    return _requeue(replies)


@transaction.atomic
def stored(setup: Setup, prompt: str, seed: int, mask: Iterable[str] = ()) -> Conversation:
    """The conversation in which this setup answers this prompt: made once, in the background, whoever asks for it."""
    content: dict[str, Any] = {"setup": setup.digest, "prompt": prompt}
    policy = POLICY | MADE_IN_ADVANCE | {"mask": sorted(mask)}
    if policy["mask"]:
        content["mask"] = policy["mask"]
    conversation, is_new = Conversation.objects.get_or_create(
        content_key=digest(content),
        defaults={"kind": Conversation.Kind.STORED, "setup": setup, "seed": seed, "policy": policy},
    )
    if is_new:
        _done(conversation, 0, Turn.Role.USER, prompt).save()
        _queued(conversation, 1, background=True).save()
        dispatch.wake(setup.chat_model)
    return conversation


@transaction.atomic
def given(messages: Iterable[Mapping[str, str]]) -> Conversation:
    """A dialogue that was written elsewhere, shown as it is. The same dialogue is kept once."""
    messages = [{"role": message["role"], "content": message["content"]} for message in messages]
    conversation, is_new = Conversation.objects.get_or_create(
        content_key=digest({"given": messages}), defaults={"kind": Conversation.Kind.GIVEN}
    )
    if is_new:
        Turn.objects.bulk_create(
            _done(conversation, index, message["role"], message["content"]) for index, message in enumerate(messages)
        )
    return conversation


@transaction.atomic
def delete(pks: Iterable[int]) -> None:
    """Remove conversations with all that was said in them. A reply that is being made finds its turn gone."""
    # A worker that is just writing down how a reply went is let finish first: nothing of it shall stay behind.
    turns = Turn.objects.select_for_update().filter(conversation__in=pks)
    codes = list(turns.values_list("code", flat=True))
    Conversation.objects.filter(pk__in=pks).delete()
    for code in codes:
        live.forget(code)


def _done(conversation: Conversation, index: int, role: str, text: str) -> Turn:
    return Turn(
        conversation=conversation,
        index=index,
        role=role,
        text=text,
        released=text,
        state=LeaseState.DONE,
        finished_at=timezone.now(),
    )


def _queued(conversation: Conversation, index: int, background: bool = False) -> Turn:
    return Turn(
        conversation=conversation,
        index=index,
        role=Turn.Role.ASSISTANT,
        background=background,
        attempts_allowed=conversation.policy["max_attempts"],
    )


def _requeue(turns: TurnQuerySet, **fields: Any) -> int:
    failed = turns.filter(state=LeaseState.FAILED)
    models = list(ChatModel.objects.filter(setups__conversations__turns__in=failed).distinct())
    requeued = failed.update(
        state=LeaseState.QUEUED,
        failure="",
        finished_at=None,
        not_before=None,
        requeued_at=timezone.now(),
        attempts_allowed=F("attempts") + POLICY["max_attempts"],
        **fields,
    )
    for model in models:
        dispatch.wake(model)
    return requeued
