"""The server of the one-process installation: pages on a pool of WSGI threads, streams of replies on the event loop.

Synchronous pages served through ASGI cost about twice as much as through WSGI, so only the streams, which really wait,
are served by ASGI. A server with processes of its own for each splits by the same path.
"""

import asyncio
import contextlib
import errno
import re
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from a2wsgi import WSGIMiddleware

from evalsite import mixtures
from evalsite.datafolder import Unusable

STREAMS = re.compile(r"/s/[^/]+/turns/[^/]+/events")
# Measured on two cores: more serve no more pages, and one that waits for a reply must not hold up the others.
PAGE_THREADS = 16
# People read for a while before they send a page; a connection that ends meanwhile may take their answer with it.
KEPT_OPEN = 75  # seconds
# How long requests may take to end once we were asked to stop.
PATIENCE = 3.0  # seconds

Scope = dict[str, Any]


class ByPath:
    """Streams go to one application, everything else to the other."""

    def __init__(self, pages: Callable, streams: Callable):
        self.pages, self.streams = pages, streams
        self.ending = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Callable, send: Callable) -> None:
        # A name with an underscore would pass for one with a dash, as X_Forwarded_Proto for what only a proxy may say.
        scope["headers"] = [(name, value) for name, value in scope["headers"] if b"_" not in name]
        if STREAMS.fullmatch(scope["path"]):
            await self._stream(scope, receive, send)
        else:
            await self.pages(scope, receive, send)

    async def _stream(self, scope: Scope, receive: Callable, send: Callable) -> None:
        """Serve a stream that ends when the server does; the browser comes back and goes on where it was."""
        begun = ended = False

        async def receive_or_end() -> dict:
            waits = [asyncio.ensure_future(receive()), asyncio.ensure_future(self.ending.wait())]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                return waits[0].result() if waits[0].done() else {"type": "http.disconnect"}
            finally:
                for wait in waits:
                    wait.cancel()

        async def watched(message: dict) -> None:
            nonlocal begun, ended
            begun = True
            ended = message["type"] == "http.response.body" and not message.get("more_body")
            await send(message)

        await self.streams(scope, receive_or_end, watched)
        if begun and not ended:
            await send({"type": "http.response.body"})


class Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, application: ByPath, started: Callable[[], None]):
        super().__init__(config)
        self._application, self._tell = application, started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._application.ending.set()
        await super().shutdown(sockets)


def application() -> ByPath:
    mixtures.one_process = True
    # Late: both set Django up, which the command that calls this has long done with its own settings.
    from evalsite.asgi import application as streams
    from evalsite.wsgi import application as pages

    wsgi: Any = pages  # a2wsgi describes the environment of WSGI more narrowly than Django does
    return ByPath(WSGIMiddleware(wsgi, workers=PAGE_THREADS), streams)


def listen(host: str, port: int) -> socket.socket:
    """Take the port now, so that a taken one is told before anything else is done."""
    listener = socket.socket(socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections inherit it: else the end of each answer on a kept one waits 40 ms for the browser's word.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((host, port))
    except OSError as fault:
        listener.close()
        reason = (
            "is taken by another program" if fault.errno == errno.EADDRINUSE else f"cannot be used ({fault.strerror})"
        )
        raise Unusable(f"Port {port} {reason}. Choose another: make run PORT={port + 1}") from None
    return listener


def serve(listener: socket.socket, started: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM."""
    app = application()
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=KEPT_OPEN,
        timeout_graceful_shutdown=int(PATIENCE),
    )
    with contextlib.suppress(KeyboardInterrupt):
        Server(config, app, started).run(sockets=[listener])
