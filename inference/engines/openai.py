"""Ask a server that speaks OpenAI's API: vLLM, SGLang, TGI, llama.cpp, Ollama.

One event loop in a thread of its own carries all requests, so that cancelling one closes its connection at once.
Nothing is tried again here: the turn's row says when. What a server says in an error is never passed on, because it may
echo the prompt or the key. A server sends no token ids that could be trusted, so a reply has none; only their number.
"""

import asyncio
import os
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from inference.engines.base import (
    Event,
    EventStream,
    Failure,
    FailureKind,
    Final,
    FinishReason,
    GenRequest,
    Timings,
    Token,
)
from inference.engines.reading import Cut
from inference.engines.roles import apart_on_a_server

CONNECT = 5.0  # seconds
SILENCE = 60.0  # until the first byte, and between two
LISTING = 10.0
ENDS: dict[str, FinishReason] = {"stop": "stop", "length": "length"}
# OpenAI's own API refuses more stop strings. All of them are applied here anyway: the server's only save time.
MOST_STOPS = 4


class ServerError(ValueError):
    """A server that cannot be used as it is; the message says why and names no key."""


class ServerAway(ServerError):
    """A server that does not answer now, or is too busy to; later it may."""


def offered(url: str, key_env: str = "") -> dict[str, int | None]:
    """The models this server offers, each with the length of its context in tokens, where the server tells it."""
    import openai

    with openai.OpenAI(base_url=url, api_key=_key(key_env), max_retries=0, timeout=LISTING) as client:
        try:
            found = {model.id: _context_told(model) for model in client.models.list().data}
        except openai.APIStatusError as problem:
            refused = f"{url} refuses to list its models: HTTP {problem.status_code}."
            raise (ServerAway if _is_passing(problem.status_code) else ServerError)(refused) from None
        except openai.APIConnectionError:
            raise ServerAway(f"{url} cannot be reached. Is the server running, and is the address right?") from None
        except (openai.OpenAIError, ValueError, TypeError, AttributeError):
            raise ServerError(f"{url} does not list its models as OpenAI's API does.") from None
    return dict(sorted(found.items()))


def _context_told(model: Any) -> int | None:
    """vLLM and SGLang tell `max_model_len`, llama.cpp the context of one of its slots."""
    told = getattr(model, "max_model_len", None) or (getattr(model, "meta", None) or {}).get("n_ctx")
    return told if type(told) is int and told > 0 else None


def listed_models(url: str, key_env: str = "") -> list[str]:
    """The models this server offers."""
    return list(offered(url, key_env))


def require_model(url: str, name: str, key_env: str = "") -> int | None:
    """Refuse a model that the server does not list; the length of its context, where the server tells it."""
    return require_offered(url, name, offered(url, key_env))


def require_offered(url: str, name: str, there: dict[str, int | None]) -> int | None:
    if name not in there:
        raise ServerError(f"{url} has no model {name!r}. It lists: {', '.join(there) or 'none'}.")
    return there[name]


class OpenAIEngine:
    def __init__(self, url: str, key_env: str = "", extra_body: dict[str, Any] | None = None, rows: int = 16):
        import openai

        self._openai = openai
        self.url, self.rows, self._extra = url, rows, extra_body or {}
        timeout = openai.Timeout(SILENCE, connect=CONNECT)
        self._client = openai.AsyncOpenAI(base_url=url, api_key=_key(key_env), max_retries=0, timeout=timeout)
        self._key_env = key_env
        self._counts = True  # until the server refuses `stream_options`
        self.asked_for: dict[str, str] = {}  # its models, each with why it cannot be used, or ""
        self._default: str | None = None
        self._tasks: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="openai", daemon=True)
        self._thread.start()

    def require(self, *names: str) -> None:
        """Ask the server for its models, and note why each of these that it does not list cannot be used.

        The first that it lists answers requests without a variant; ServerError if it lists none of them.
        """
        there = offered(self.url, self._key_env)
        for name in names:
            try:
                require_offered(self.url, name, there)
            except ServerError as problem:
                self.asked_for[name] = str(problem)
            else:
                self.asked_for[name] = ""
                self._default = self._default or name
        if all(self.asked_for[name] for name in names):
            raise ServerError(self.asked_for[names[0]])

    def submit(self, request: GenRequest) -> Iterator[Event]:
        stream = EventStream(request.deadline, lambda: self.cancel(request.key))
        with self._lock:
            if self._closed:
                stream.put(Failure("unavailable", "The engine is closed."))
                return stream
            self._tasks[request.key] = asyncio.run_coroutine_threadsafe(self._answer(request, stream), self._loop)
        return stream

    def cancel(self, key: str) -> None:
        with self._lock:
            task = self._tasks.get(key)
        if task:
            task.cancel()

    def capacity(self) -> int:
        return self.rows

    def stalled_for(self) -> float:
        return 0.0

    def describe(self) -> dict[str, Any]:
        return {"engine": "openai", "url": self.url, "openai": self._openai.__version__}

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)

    async def _shut(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._client.close()

    async def _answer(self, request: GenRequest, stream: EventStream) -> None:
        reply = _Reply(request.variant or self._default or "", request.stop)
        try:
            left = None if request.deadline is None else request.deadline - time.monotonic()
            async with asyncio.timeout(left):
                await self._read(request, reply, stream)
            stream.put(reply.final() if reply.ended else Failure("unavailable", "The reply was cut off."))
        except asyncio.CancelledError:
            if self._closed:
                stream.put(Failure("unavailable", "The engine is closing."))
            else:
                self._say(reply.rest(), reply, stream)
                stream.put(reply.final("cancelled"))
        except TimeoutError:
            stream.put(Failure("deadline", "The server did not answer by the deadline."))
        except Exception as problem:  # noqa: BLE001  # whatever it is, the caller waits for an end
            stream.put(self._failure(problem))
        finally:
            with self._lock:
                self._tasks.pop(request.key, None)

    async def _read(self, request: GenRequest, reply: "_Reply", stream: EventStream) -> None:
        async with await self._open(request, reply.asked) as chunks:
            async for chunk in chunks:
                self._say(reply.take(chunk), reply, stream)
                if reply.is_stopped:
                    return  # which closes the connection: the server need not go on
        self._say(reply.rest(), reply, stream)

    @staticmethod
    def _say(text: str, reply: "_Reply", stream: EventStream) -> None:
        if text:
            stream.put(Token(text, reply.pieces))
            reply.pieces += 1

    async def _open(self, request: GenRequest, model: str) -> Any:
        asked = _body(request, model, self._extra)
        if self._counts:
            try:
                return await self._client.chat.completions.create(**asked, stream_options={"include_usage": True})
            except self._openai.BadRequestError as problem:
                if "stream_options" not in _said(problem):
                    raise
                self._counts = False
        return await self._client.chat.completions.create(**asked)

    def _failure(self, problem: Exception) -> Failure:
        api = self._openai
        if isinstance(problem, WrongModel):
            return Failure("refused", str(problem))
        if isinstance(problem, api.APIStatusError):
            return _status_failure(problem.status_code, problem.response.headers.get("retry-after"), _said(problem))
        if isinstance(problem, api.APITimeoutError):
            return Failure("unavailable", "The server kept silent for too long.")
        if isinstance(problem, api.APIConnectionError) or type(problem).__module__.startswith(("httpx", "httpcore")):
            return Failure("unavailable", "The connection to the server failed.")
        return Failure("engine", f"The server sent what could not be read ({type(problem).__name__}).")


class WrongModel(Exception):
    """Another model answered than the one asked for: such a reply belongs to no arm."""


class _Reply:
    """One reply as it comes in."""

    def __init__(self, asked: str, stop: Sequence[str] = ()):
        self.asked, self.ended, self.pieces = asked, "", 0
        self._cut = Cut(stop)
        self._details: dict[str, Any] = {}
        self._began, self._first = time.monotonic(), 0.0

    @property
    def is_stopped(self) -> bool:
        """Whether a stop string has come, which servers should have kept to themselves."""
        return self._cut.stopped

    def rest(self) -> str:
        """What was held back, because it might have been the beginning of a stop string."""
        return self._cut.finish()

    def take(self, chunk: Any) -> str:
        """Note what a chunk says; what may be shown now. Reasoning and other fields are no part of the reply."""
        if chunk.model and not _same_model(self.asked, chunk.model):
            raise WrongModel(f"{self.asked!r} was asked for, and {chunk.model!r} answered.")
        told = {"model": chunk.model, "fingerprint": getattr(chunk, "system_fingerprint", None), "id": chunk.id}
        self._details |= {name: value for name, value in told.items() if value}
        if usage := getattr(chunk, "usage", None):
            self._details["usage"] = usage.model_dump(include={"prompt_tokens", "completion_tokens", "total_tokens"})
        if not chunk.choices:
            return ""
        choice = chunk.choices[0]
        self.ended = choice.finish_reason or self.ended
        text = choice.delta.content or "" if choice.delta else ""
        if text:
            self._first = self._first or time.monotonic()
        shown = self._cut.push(text)
        if self._cut.stopped:
            self.ended = "stop"
        return shown

    def final(self, reason: FinishReason | None = None) -> Final:
        now = time.monotonic()
        first = (self._first or now) - self._began
        timings = Timings(0.0, first, now - self._began)
        return Final(self._cut.text, reason or ENDS.get(self.ended, "stop"), (), (), timings, details=self._details)


def _body(request: GenRequest, model: str, extra: dict[str, Any]) -> dict[str, Any]:
    sampling = request.sampling
    more = dict(extra)
    if sampling.top_k:
        more["top_k"] = sampling.top_k
    if sampling.repetition_penalty != 1.0:
        more["repetition_penalty"] = sampling.repetition_penalty
    body: dict[str, Any] = {
        "model": model,
        "messages": apart_on_a_server(request.messages),
        "temperature": sampling.temperature,
        "max_tokens": sampling.max_new_tokens,
        # Servers take 32 bits, ours has 63.
        "seed": request.seed % 2**31,
        "stream": True,
        "extra_body": more,
    }
    if sampling.top_p != 1.0:
        body["top_p"] = sampling.top_p
    if request.stop:
        body["stop"] = list(request.stop[:MOST_STOPS])
    return body


def _status_failure(status: int, retry_after: str | None, said: str) -> Failure:
    kind: FailureKind = "refused"
    if _is_passing(status):
        kind = "unavailable"
    elif status == 400 and "context" in said:
        kind = "context_too_long"
    return Failure(kind, f"The server answered HTTP {status}.", retry_after=_seconds(retry_after))


def _is_passing(status: int) -> bool:
    return status in (408, 409, 425, 429) or status >= 500


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After is a number of seconds or a date."""
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _said(problem: Any) -> str:
    """What the server says is looked at here and goes no further."""
    return f"{problem.message} {problem.body}".lower()


def _same_model(asked: str, answered: str) -> bool:
    """Servers tell a model's path or its bare name; that is the same model."""
    return asked == answered or asked.rsplit("/", 1)[-1] == answered.replace("\\", "/").rsplit("/", 1)[-1]


def _key(key_env: str) -> str:
    if not key_env:
        return "none"  # the package wants some key; servers without one do not look at it
    if not (key := os.environ.get(key_env)):
        raise ServerError(f"The environment variable {key_env}, which should hold the server's key, is not set.")
    return key
