import pytest
from django.db import IntegrityError, transaction

from inference import capacity, conversations
from inference.capacity import Pace
from inference.conversations import ConversationFull, OutOfStep, ReplyFailed, ReplyUnderWay
from inference.leases import LeaseState
from inference.models import Conversation, Turn

pytestmark = pytest.mark.django_db


def finish(reply, text="I hear you."):
    Turn.objects.filter(pk=reply.pk).update(state=LeaseState.DONE, text=text, released=text)


def test_a_message_is_stored_with_the_reply_it_waits_for(open_conversation):
    conversation = open_conversation()

    reply = conversations.say(conversation, "Hello", 0)

    message = conversation.turns.get(index=0)
    assert (message.role, message.text, message.released, message.state) == ("user", "Hello", "Hello", "done")
    assert (reply.role, reply.index, reply.state, reply.background) == ("assistant", 1, "queued", False)


def test_a_message_sent_twice_is_stored_once(open_conversation):
    conversation = open_conversation()

    first = conversations.say(conversation, "Hello", 0)
    second = conversations.say(conversation, "Hello", 0)

    assert first == second
    assert conversation.turns.count() == 2


def test_a_message_sent_twice_after_its_reply_is_stored_once(open_conversation):
    conversation = open_conversation()
    reply = conversations.say(conversation, "Hello", 0)
    finish(reply)

    assert conversations.say(conversation, "Hello", 0) == reply
    assert conversation.turns.count() == 2


def test_a_message_during_a_reply_is_refused(open_conversation):
    conversation = open_conversation()
    conversations.say(conversation, "Hello", 0)

    with pytest.raises(ReplyUnderWay):
        conversations.say(conversation, "Are you there?", 2)
    with pytest.raises(ReplyUnderWay):
        conversations.say(conversation, "Other words from another tab", 0)
    assert conversation.turns.count() == 2


def test_a_message_from_an_older_page_is_refused(open_conversation):
    conversation = open_conversation()
    finish(conversations.say(conversation, "Hello", 0))

    with pytest.raises(OutOfStep):
        conversations.say(conversation, "Other words", 0)
    with pytest.raises(OutOfStep):
        conversations.say(conversation, "From the future", 4)


def test_it_ends_after_the_most_exchanges(open_conversation):
    conversation = open_conversation(exchanges={"min": 1, "max": 2})
    finish(conversations.say(conversation, "One", 0))
    finish(conversations.say(conversation, "Two", 2))

    with pytest.raises(ConversationFull):
        conversations.say(conversation, "Three", 4)
    assert conversation.exchanges_done == 2


def test_after_a_failed_reply_it_goes_no_further(open_conversation):
    conversation = open_conversation()
    reply = conversations.say(conversation, "One", 0)
    Turn.objects.filter(pk=reply.pk).update(state=LeaseState.FAILED)

    with pytest.raises(ReplyFailed):
        conversations.say(conversation, "Two", 2)


def test_a_participant_may_ask_again_once(open_conversation):
    reply = conversations.say(open_conversation(), "One", 0)
    Turn.objects.filter(pk=reply.pk).update(state=LeaseState.FAILED, attempts=3, failure="deadline")

    assert conversations.ask_again(reply)
    reply.refresh_from_db()
    assert (reply.state, reply.attempts_allowed, reply.failure) == ("queued", 6, "")

    Turn.objects.filter(pk=reply.pk).update(state=LeaseState.FAILED)
    assert not conversations.ask_again(reply)


def test_an_opening_is_said_first_and_answers_nobody(setup_of_model):
    conversation = conversations.open_live(setup_of_model, seed=1, opening="What is on your mind?")

    reply = conversations.say(conversation, "Exams", 1)
    finish(reply)

    assert [turn.role for turn in conversation.turns.order_by("index")] == ["assistant", "user", "assistant"]
    assert conversation.exchanges_done == 1


def test_the_policy_is_frozen_at_the_start(open_conversation):
    conversation = open_conversation(release="whole", exchanges={"min": 2, "max": 4})

    assert conversation.policy["release"] == "whole"
    assert conversation.policy["exchanges"] == {"min": 2, "max": 4}
    assert (conversation.policy["max_attempts"], conversation.policy["turn_s"]) == (3, 180)


def test_a_stored_reply_is_ordered_once_for_the_same_setup_and_prompt(setup_of_model):
    first = conversations.stored(setup_of_model, "My exam is near.", seed=3)
    second = conversations.stored(setup_of_model, "My exam is near.", seed=99)
    other = conversations.stored(setup_of_model, "My exam is far.", seed=3)

    assert first == second != other
    assert [(turn.role, turn.state, turn.background) for turn in first.turns.order_by("index")] == [
        ("user", "done", False),
        ("assistant", "queued", True),
    ]


def test_a_given_dialogue_is_kept_once_and_shown_as_it_is():
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "I am ChatGPT."}]

    conversation = conversations.given(messages)

    assert conversations.given(messages) == conversation
    assert Conversation.objects.count() == 1
    assert [turn.released for turn in conversation.turns.order_by("index")] == ["Hi", "I am ChatGPT."]


def test_failed_stored_replies_are_tried_again_by_hand(setup_of_model):
    reply = conversations.stored(setup_of_model, "Hello", seed=1).turns.get(index=1)
    Turn.objects.filter(pk=reply.pk).update(state=LeaseState.FAILED, attempts=3)

    assert conversations.retry_failed(Turn.objects.filter(background=True)) == 1
    reply.refresh_from_db()
    assert (reply.state, reply.attempts_allowed) == ("queued", 6)


def test_no_two_turns_share_an_index(open_conversation):
    conversation = open_conversation()
    conversations.say(conversation, "Hello", 0)

    with pytest.raises(IntegrityError), transaction.atomic():
        Turn.objects.create(conversation=conversation, index=1, role=Turn.Role.ASSISTANT)


def test_texts_are_sealed_in_the_database(open_conversation, django_assert_num_queries):
    from django.db import connection

    conversations.say(open_conversation(), "a very private worry", 0)

    with connection.cursor() as cursor:
        cursor.execute("SELECT text, released FROM inference_turn")
        assert "private" not in str(cursor.fetchall())


def test_deleting_leaves_nothing_of_a_conversation(open_conversation):
    kept, gone = open_conversation(), open_conversation()
    for conversation in (kept, gone):
        conversations.say(conversation, "Hello", 0)

    conversations.delete([gone.pk])

    assert list(Conversation.objects.all()) == [kept]
    assert Turn.objects.count() == 2


def test_a_message_whose_reply_would_begin_too_late_is_not_taken(open_conversation, monkeypatch):
    monkeypatch.setattr(capacity, "_paces", {"scripted:test-model": Pace(alone=0.5, per_row=0.0, prompt=0.0, rows=1)})
    for _ in range(2):
        conversations.say(open_conversation(), "Hi", 0)
    late = open_conversation()

    with pytest.raises(conversations.Busy) as refusal:
        conversations.say(late, "Hi", 0)

    assert refusal.value.seconds == 40
    assert not late.turns.exists()
