import asyncio
import socket

import httpx
import pytest

from evalsite import server
from evalsite.datafolder import Unusable
from evalsite.server import ByPath


def answering(text: str):
    async def app(scope, receive, send):
        names = b",".join(name for name, _ in scope["headers"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"seen", names)]})
        await send({"type": "http.response.body", "body": text.encode()})

    return app


def get(app, path: str, **kwargs) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.get(path, **kwargs)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("path", "served_by"),
    [
        ("/s/support-chat/turns/abc123/events", "streams"),
        ("/s/support-chat/turns/abc123/events?x=1", "streams"),
        ("/s/support-chat/", "pages"),
        ("/s/support-chat/turns/abc123/", "pages"),
        ("/s/a/b/turns/abc123/events", "pages"),
        ("/studies/", "pages"),
        ("/healthz", "pages"),
        ("/static/x.css", "pages"),
    ],
)
def test_only_streams_of_replies_are_served_by_asgi(path, served_by):
    assert get(ByPath(answering("pages"), answering("streams")), path).text == served_by


def test_headers_that_would_pass_for_a_proxys_are_dropped():
    response = get(ByPath(answering("pages"), answering("streams")), "/", headers={"X_Forwarded_Proto": "https"})

    assert "forwarded" not in response.headers["seen"]


def test_a_stream_ends_cleanly_when_the_server_does():
    async def endless(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"so far", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass

    async def run() -> list[dict]:
        app = ByPath(answering("pages"), endless)
        sent: list[dict] = []

        async def send(message):
            sent.append(message)

        async def receive():
            await asyncio.sleep(60)

        scope = {"type": "http", "path": "/s/x/turns/y/events", "headers": []}
        stream = asyncio.ensure_future(app(scope, receive, send))
        await asyncio.sleep(0.01)
        app.ending.set()
        await asyncio.wait_for(stream, 5)
        return sent

    *_, last = asyncio.run(run())

    assert last == {"type": "http.response.body"}


def test_a_finished_stream_is_not_finished_twice():
    sent = []

    async def run():
        async def send(message):
            sent.append(message["type"])

        scope = {"type": "http", "path": "/s/x/turns/y/events", "headers": []}
        await ByPath(answering("pages"), answering("streams"))(scope, None, send)

    asyncio.run(run())

    assert sent == ["http.response.start", "http.response.body"]


def test_pages_are_served_by_django():
    assert get(server.application(), "/healthz").json() == {"status": "ok"}


def test_a_taken_port_is_told_with_another():
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(Unusable, match="is taken by another program"):
        server.listen("127.0.0.1", other.getsockname()[1])


def test_an_address_that_is_not_ours_is_told():
    with pytest.raises(Unusable, match="cannot be used"):
        server.listen("192.0.2.1", 0)


def test_the_end_of_an_answer_does_not_wait_for_the_browser():
    with server.listen("127.0.0.1", 0) as listener:
        listener.listen()
        with socket.create_connection(listener.getsockname()):
            connection, _ = listener.accept()
            with connection:
                assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
