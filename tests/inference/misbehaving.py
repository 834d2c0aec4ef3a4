"""A server of OpenAI's API that does what each request's script says, well or badly."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def chunk(text=None, end=None, model="larch", **more):
    delta = {} if text is None else {"content": text}
    body = {"id": "r1", "object": "chat.completion.chunk", "created": 1, "model": model, **more}
    return body | {"choices": [{"index": 0, "delta": delta, "finish_reason": end}]}


USAGE = chunk() | {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}}
WELL = [chunk(""), chunk("I am "), chunk("here."), chunk(end="stop"), USAGE, "[DONE]"]


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked, self.keys, self.models = [], [], [], ["larch"]
        self.released = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args):
        pass

    def do_GET(self):
        models = [{"id": name, "object": "model", "created": 1, "owned_by": "us"} for name in self.server.models]
        self._error(200, {}, {"object": "list", "data": models})

    def do_POST(self):
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.keys.append(self.headers["Authorization"])
        answer = self.server.answers.pop(0) if self.server.answers else WELL
        if isinstance(answer, tuple):
            self._error(*answer)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for part in answer:
            if isinstance(part, float):
                self.server.released.wait(part)
                continue
            self.wfile.write(f"data: {part if isinstance(part, str) else json.dumps(part)}\n\n".encode())
            self.wfile.flush()

    def _error(self, status, headers, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (
            {"Content-Type": "application/json", "Content-Length": str(len(content))} | headers
        ).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
