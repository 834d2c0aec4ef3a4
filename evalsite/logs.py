"""What is logged, and how: for operators, never a word that people or models wrote.

Messages of exceptions may carry values: a database names the row that it refuses, Python the text that is no number.
So of an exception its type and its place in the code are logged, and its message only where that cannot hold a text.
"""

import json
import logging
import re
import traceback
from datetime import UTC, datetime
from types import TracebackType

from django.core.exceptions import ImproperlyConfigured

# What our own lines say beside their message; nothing else of a record is passed on.
FIELDS = ("turn", "attempt", "worker", "model", "failure", "tokens", "first_token_s", "total_s", "alarm", "status_code")
# Their messages name files, modules and settings.
SPEAKS_OF_NOBODY = (OSError, ImportError, ImproperlyConfigured)
# An invitation's address lets in whoever has it.
INVITATION = re.compile(r"/i/[^/\s\"']+")

Fault = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class NotReadyIsNoError(logging.Filter):
    """Whoever waits for /readyz asks often, and its honest 503 belongs in no log."""

    def filter(self, record: logging.LogRecord) -> bool:
        is_readyz = getattr(getattr(record, "request", None), "path", "") == "/readyz"
        return not (is_readyz and getattr(record, "status_code", None) == 503)


def told(fault: BaseException) -> str:
    """An exception in words that hold no text of anybody."""
    name = type(fault).__name__
    return f"{name}: {fault}" if isinstance(fault, SPEAKS_OF_NOBODY) else name


class Discreet(logging.Formatter):
    """One line of text, and after it where in the code it happened."""

    def message(self, record: logging.LogRecord) -> str:
        args = record.args
        if isinstance(args, tuple):
            args = tuple(told(arg) if isinstance(arg, BaseException) else arg for arg in args)
        message = str(record.msg) % args if args else str(record.msg)
        if record.name == "asyncio":
            # The lines after the first show the task with all that it holds.
            message = message.partition("\n")[0]
        return INVITATION.sub("/i/...", message)

    def format(self, record: logging.LogRecord) -> str:
        record = logging.makeLogRecord(record.__dict__ | {"msg": self.message(record), "args": None, "exc_text": None})
        return super().format(record)

    def formatException(self, ei: Fault) -> str:
        fault = ei[1]
        lines: list[str] = []
        while fault is not None:
            lines += ["Traceback (most recent call last):\n", *traceback.format_tb(fault.__traceback__), told(fault)]
            fault = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)
            if fault:
                lines.append("\n\nbecause of\n\n")
        return "".join(lines)


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
