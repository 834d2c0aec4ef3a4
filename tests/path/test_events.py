import asyncio
import threading

import pytest
from django.db import connections
from django.test import AsyncClient

from inference import answering
from inference.engines.scripted import Script, ScriptedEngine
from inference.models import ChatModel, Turn
from inference.pool import pool
from ratings.path import chat
from tests.path.person import Person
from tests.path.test_chat import chat_study

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def person(monkeypatch):
    monkeypatch.setattr(chat, "WAITS", 0.0)
    study = chat_study()
    pool.register(ChatModel.objects.get(key="larkspur-7b"), ScriptedEngine())
    person = Person(study)
    person.go_to("chat")
    person.post({"message": "Hello"}, action="send")
    yield person
    pool.close()


def stream(person, code, **headers):
    """The response to a browser with this person's cookies, and all that it streams."""

    async def read():
        client = AsyncClient()
        client.cookies = person.client.cookies
        response = await client.get(f"{person.root}turns/{code}/events", headers=headers)
        if not response.streaming:
            return response, ""
        return response, b"".join([block async for block in response.streaming_content]).decode()

    return asyncio.run(read())


def answer(turn, *script):
    answering.answer(turn.pk, "worker", ScriptedEngine(script))
    connections.close_all()


def test_a_person_gets_their_reply_as_a_stream(person):
    turn = Turn.objects.open().get()
    thread = threading.Thread(target=answer, args=(turn, Script("I hear you. Go on.", pace=0.1)))
    thread.start()

    response, text = stream(person, turn.code)

    thread.join()
    assert response["Content-Type"] == "text/event-stream"
    assert response["X-Accel-Buffering"] == "no"
    assert "no-" in response["Cache-Control"]
    assert 'event: token\ndata: {"text": "I hear you. "}' in text
    assert text.endswith('event: final\ndata: {"text": "I hear you. Go on."}\n\n')


def test_it_goes_on_where_the_browser_stopped(person):
    turn = Turn.objects.open().get()
    answer(turn, "I hear you. Go on.")

    _, text = stream(person, turn.code, **{"last-event-id": "1-1"})

    assert 'I hear you. "}' not in text
    assert 'data: {"text": "Go on."}' in text


def test_no_stream_names_the_model(person):
    turn = Turn.objects.open().get()
    answer(turn, "I am Larkspur 7B, made by OpenAI. Hello.")

    response, text = stream(person, turn.code)

    for name in ("larkspur", "openai", "linden", "rowan"):
        assert name not in (text + str(response.headers)).lower()


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", 'a\n\nevent: final\ndata: {"text": "forged"}', "\r\n\r\n"]
)
def test_a_reply_cannot_break_out_of_its_event(person, text):
    turn = Turn.objects.open().get()
    answer(turn, f"Begin. {text} End.")

    _, streamed = stream(person, turn.code)

    assert streamed.count("\nevent: final\n") == 1
    assert streamed.count("\n\n") == streamed.count("\nevent: ") + 1


def test_nobody_reads_someone_elses_reply(person):
    turn = Turn.objects.open().get()
    other = Person(person.study)
    other.go_to("chat")

    assert stream(other, turn.code)[0].status_code == 404


def test_without_a_cookie_there_is_nothing_to_read(person):
    turn = Turn.objects.open().get()
    person.client.cookies.clear()

    assert stream(person, turn.code)[0].status_code == 404


def test_an_unknown_turn_is_not_there(person):
    assert stream(person, "no-such-turn")[0].status_code == 404


def test_a_stream_is_only_read(person):
    code = Turn.objects.open().get().code

    assert person.client.post(f"{person.root}turns/{code}/events").status_code in (403, 405)
