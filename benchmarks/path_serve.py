"""The process that answers, with a door at which its engine is asked directly, past everything else.

    python -m benchmarks.path_serve quickstart MODEL PORT DOOR      pages, streams and the engine in one process
    python -m benchmarks.path_serve worker MODEL - DOOR             a worker that Celery wakes

MODEL is the small model's key, or `paced`: an engine that computes nothing and gives a token at fixed times. Replies
have no early end, so all are of one length. A line with a number of replies that comes in at DOOR is answered with a
line of what they took.
"""

import json
import socketserver
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django

from benchmarks.engine import WORRIES
from benchmarks.path_prepare import PACED, SPREAD, SYSTEM, TOKENS
from inference.engines.base import Engine, Final, GenRequest, Sampling

# The paced engine's: as a model of a few milliseconds a token on a GPU.
FIRST_AFTER, PACE = 0.2, 0.02  # seconds


def engine_of(model: Any) -> Engine:
    if model.key == PACED:
        from inference.engines.scripted import Script, ScriptedEngine

        words = " ".join(f"word{number}" for number in range(TOKENS))
        return ScriptedEngine([Script(words, delay=FIRST_AFTER - PACE, pace=PACE)], capacity=128)
    from inference import registry
    from inference.engines.huggingface import HuggingFaceEngine

    engine = HuggingFaceEngine(registry.weights_of(model), max_batch=16, threads=1)
    engine._ends = set()
    return engine


def alone(engine: Engine, replies: int) -> dict:
    """The same requests as a participant's, made by nobody but the engine."""

    def one(number: int) -> tuple[float, float, int]:
        messages = [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": WORRIES[number % len(WORRIES)]},
        ]
        time.sleep(SPREAD * number / replies)
        asked = time.perf_counter()
        request = GenRequest(f"alone-{number}", messages, Sampling(temperature=0, max_new_tokens=TOKENS))
        stream = engine.submit(request)
        next(stream)
        first = time.perf_counter() - asked
        *_, end = stream
        assert isinstance(end, Final), end
        return first, time.perf_counter() - began, TOKENS

    began, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(replies) as threads:
        firsts, ends, tokens = zip(*threads.map(one, range(replies)), strict=True)
    return {"first": firsts, "seconds": max(ends), "tokens": sum(tokens), "cpu": time.process_time() - cpu}


def open_door(engine: Engine, port: int) -> None:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                found = alone(engine, int(line))
                self.wfile.write(json.dumps(found).encode() + b"\n")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main() -> None:
    form, key, port, door = sys.argv[1:]
    django.setup()
    from django.db import connection

    from inference import capacity, dispatch, registry
    from inference.pool import pool

    model = registry.find(key)
    assert model is not None, f"There is no model {key}."
    engine = engine_of(model)
    if key != PACED:
        capacity.measure(model.engine_name, engine)
    pool.register(model, engine)
    connection.close()
    open_door(engine, int(door))
    if form == "worker":
        from evalsite.celery import app

        app.worker_main(["worker", "-P", "threads", "-c", "2", "-l", "WARNING", "-n", "answers@%h"])
        return
    from evalsite import mixtures, server

    mixtures.one_process = True
    dispatch.start()
    with server.listen("127.0.0.1", int(port)) as listener:
        server.serve(listener, started=lambda: None)


if __name__ == "__main__":
    main()
