"""What is logged, and how: for operators, never a word that people or models wrote.

Messages of exceptions may carry values: a database names the row that it refuses, Python the text that is no number.
So of an exception its type and its place in the code are logged, and its message only where that cannot hold a text.
That holds whoever logs it: libraries that write messages of exceptions into their lines, and what nobody has caught.
"""

import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from django.core.exceptions import ImproperlyConfigured

# What our own lines say beside their message; nothing else of a record is passed on.
FIELDS = ("turn", "attempt", "worker", "model", "failure", "tokens", "first_token_s", "total_s", "alarm", "status_code")
# Their messages name files, modules and settings. What libraries derive from them may quote what was sent.
SPEAKS_OF_NOBODY = (OSError, ImportError, ImproperlyConfigured)
WHOSE = ("builtins", "django.core.exceptions")
# What Celery's lines about a task hold beside its name: its exception as a string, arguments and results.
OF_A_TASK = {"exc", "traceback", "args", "kwargs", "return_value"}
# Shorter ones say nothing, and would be found within other words.
SHORTEST_TEXT = 4
# An invitation's address lets in whoever has it.
INVITATION = re.compile(r"/i/[^/\s\"']+")

log = logging.getLogger(__name__)

Fault = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class NotReadyIsNoError(logging.Filter):
    """Whoever waits for /readyz asks often, and its honest 503 belongs in no log."""

    def filter(self, record: logging.LogRecord) -> bool:
        is_readyz = getattr(getattr(record, "request", None), "path", "") == "/readyz"
        return not (is_readyz and getattr(record, "status_code", None) == 503)


def told(fault: BaseException) -> str:
    """An exception in words that hold no text of anybody."""
    name = type(fault).__name__
    return f"{name}: {fault}" if speaks_of_nobody(fault) else name


def speaks_of_nobody(fault: BaseException) -> bool:
    return isinstance(fault, SPEAKS_OF_NOBODY) and type(fault).__module__ in WHOSE


def because_of(fault: BaseException | None) -> Iterator[BaseException]:
    """An exception, and those that led to it."""
    seen: set[int] = set()
    while fault is not None and id(fault) not in seen:
        seen.add(id(fault))
        yield fault
        fault = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)


def without_texts(line: str, fault: BaseException | None) -> str:
    """The line with each message of this exception, and of those that led to it, replaced by its type."""
    for each in because_of(fault):
        if not speaks_of_nobody(each):
            texts = {str(each), repr(each), *(str(arg) for arg in each.args)}
            for text in sorted(texts, key=len, reverse=True):
                if len(text) >= SHORTEST_TEXT:
                    line = line.replace(text, type(each).__name__)
    return line


def _argument(value: Any) -> Any:
    return told(value) if isinstance(value, BaseException) else value


def _arguments(args: Any) -> Any:
    if isinstance(args, Mapping):
        return {name: "..." if name in OF_A_TASK else _argument(value) for name, value in args.items()}
    return tuple(_argument(arg) for arg in args) if isinstance(args, tuple) else args


class Discreet(logging.Formatter):
    """One line of text, and after it where in the code it happened."""

    def message(self, record: logging.LogRecord) -> str:
        args = _arguments(record.args)
        message = str(_argument(record.msg))
        message = message % args if args else message
        # A line may be written because of an exception without saying so.
        for fault in (record.exc_info[1] if record.exc_info else None, sys.exc_info()[1]):
            message = without_texts(message, fault)
        if record.name == "asyncio":
            # The lines after the first show the task with all that it holds.
            message = message.partition("\n")[0]
        return INVITATION.sub("/i/...", message)

    def format(self, record: logging.LogRecord) -> str:
        record = logging.makeLogRecord(record.__dict__ | {"msg": self.message(record), "args": None, "exc_text": None})
        return super().format(record)

    def formatException(self, ei: Fault) -> str:
        return "\n\nbecause of\n\n".join(
            "".join(["Traceback (most recent call last):\n", *traceback.format_tb(fault.__traceback__), told(fault)])
            for fault in because_of(ei[1])
        )


class JsonLines(Discreet):
    """One JSON object a line, for programs that collect logs."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": self.message(record),
        }
        line |= {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}
        if record.exc_info and record.exc_info[1]:
            line["fault"] = told(record.exc_info[1])
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def take_what_nobody_catches() -> None:
    """Log what ends this process or one of its threads; Python itself would print its message."""
    sys.excepthook, threading.excepthook, sys.unraisablehook = _uncaught, _uncaught_in_thread, _unraisable


def _uncaught(kind: type[BaseException], fault: BaseException, place: TracebackType | None) -> None:
    # Somebody at a Python prompt sees what they did, and whoever presses Ctrl-C knows it.
    if hasattr(sys, "ps1") or issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, fault, place)
        return
    log.critical("Nobody caught an exception.", exc_info=(kind, fault, place))


def _uncaught_in_thread(args: Any) -> None:
    if args.exc_value is None or issubclass(args.exc_type, SystemExit):
        return
    name = args.thread.name if args.thread else "?"
    log.critical("Nobody caught an exception in thread %s.", name, exc_info=args.exc_value)


def _unraisable(args: Any) -> None:
    log.error("An exception led nowhere.", exc_info=args.exc_value)
