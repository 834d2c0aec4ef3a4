"""The engines without a model keep the same promises as the one with it."""

import threading
import time

import pytest

from inference.engines.base import EventStream, Failure, Final, GenRequest, Sampling, Token
from inference.engines.scripted import Script, ScriptedEngine
from inference.engines.stored import StoredEngine, StoredReply


def ask(key="a", text="Hi", **options):
    messages = [{"role": "system", "content": "You listen."}, {"role": "user", "content": text}]
    return GenRequest(key=key, messages=messages, **options)


def test_a_stored_reply_comes_word_by_word_and_then_whole():
    *tokens, final = StoredEngine({"a": "Hello, dear  you.\n"}).submit(ask())

    assert [token.text for token in tokens] == ["Hello,", " dear", "  you.", "\n"]
    assert (final.text, final.finish_reason) == ("Hello, dear  you.\n", "stop")


def test_a_stored_reply_keeps_its_own_pieces_and_ids():
    reply = StoredReply("abc", pieces=("a", "bc"), prompt_ids=(1,), output_ids=(2, 3))
    *tokens, final = StoredEngine(lambda request: reply).submit(ask())

    assert [token.text for token in tokens] == ["a", "bc"]
    assert (final.prompt_ids, final.output_ids) == ((1,), (2, 3))


def test_pieces_that_do_not_join_to_the_text_are_refused():
    with pytest.raises(ValueError, match="join"):
        StoredReply("abc", pieces=("a",))


def test_a_missing_stored_reply_is_refused():
    [failure] = StoredEngine({}).submit(ask())

    assert (failure.kind, failure.retryable) == ("refused", False)


def test_a_stored_reply_is_paced():
    began = time.monotonic()
    list(StoredEngine({"a": "one two three"}, pace=0.02).submit(ask()))

    assert time.monotonic() - began >= 0.06


def test_a_cancelled_reply_ends_with_what_it_has():
    engine = ScriptedEngine([Script("one two three", pace=0.01)])
    events = engine.submit(ask())
    first = next(events)
    engine.cancel("a")
    [final] = events

    assert (first.text, final.text, final.finish_reason) == ("one", "one", "cancelled")


def test_scripts_are_followed_in_order_and_the_last_one_stays():
    engine = ScriptedEngine(["One.", Failure("engine", "Broken."), "Three."])
    ends = [list(engine.submit(ask(str(number))))[-1] for number in range(4)]

    assert [getattr(end, "text", "failed") for end in ends] == ["One.", "failed", "Three.", "Three."]
    assert [request.key for request in engine.requests] == ["0", "1", "2", "3"]


def test_a_script_may_depend_on_the_request():
    engine = ScriptedEngine(lambda request: f"You said {request.messages[-1]['content']}")

    assert list(engine.submit(ask(text="hello")))[-1].text == "You said hello"


def test_a_script_may_fail_in_the_middle():
    engine = ScriptedEngine([Script("one two three", failure=Failure("engine", "Broken."), fail_after=2)])
    events = list(engine.submit(ask()))

    assert [type(event) for event in events] == [Token, Token, Failure]


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_reply_is_a_failure_of_its_own_kind(text):
    assert list(ScriptedEngine([text]).submit(ask()))[-1].kind == "empty"


def test_a_slow_reply_misses_its_deadline():
    engine = ScriptedEngine([Script("one two three", pace=0.05)])

    assert list(engine.submit(ask(deadline=time.monotonic() + 0.07)))[-1].kind == "deadline"


def test_a_hung_engine_lets_its_caller_go_after_the_deadline(monkeypatch):
    monkeypatch.setattr(EventStream, "GRACE", 0.05)
    engine = ScriptedEngine([Script(hang=True)])

    assert [event.kind for event in engine.submit(ask(deadline=time.monotonic()))] == ["deadline"]


def test_closing_frees_who_waits_for_a_hung_engine():
    engine = ScriptedEngine([Script(hang=True)])
    events = engine.submit(ask())
    threading.Timer(0.05, engine.close).start()

    assert next(events).kind == "unavailable"


def test_an_event_stream_gives_up_on_a_silent_engine(monkeypatch):
    monkeypatch.setattr(EventStream, "GRACE", 0.05)
    given_up = threading.Event()
    stream = EventStream(time.monotonic(), given_up.set)

    assert [event.kind for event in stream] == ["deadline"]
    assert given_up.is_set()


def test_the_output_ids_of_a_script_can_be_read_back():
    final = list(ScriptedEngine(["Grüße"]).submit(ask()))[-1]

    assert isinstance(final, Final)
    assert bytes(final.output_ids).decode() == "Grüße"


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "user", "content": "Hi"}],
        [{"role": "system", "content": " "}, {"role": "user", "content": "Hi"}],
        [{"role": "system", "content": "You listen."}],
        [{"role": "system", "content": "You listen."}, {"role": "assistant", "content": "Hi"}],
        [
            {"role": "system", "content": "You listen."},
            {"role": "tool", "content": "x"},
            {"role": "user", "content": "y"},
        ],
    ],
)
def test_a_request_without_a_system_message_or_a_last_word_is_refused(messages):
    with pytest.raises(ValueError, match="message"):
        GenRequest(key="a", messages=messages)


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1},
        {"top_p": 0},
        {"top_p": 1.1},
        {"top_k": -1},
        {"repetition_penalty": 0},
        {"max_new_tokens": 0},
    ],
)
def test_impossible_sampling_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Sampling(**wrong)
