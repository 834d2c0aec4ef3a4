import json
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from inference import operations
from inference.operations import Operations


class Command(BaseCommand):
    help = "How answering goes: workers, queue, speed, latency and failures of the last hour, and alarms."

    def add_arguments(self, parser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object, for monitoring")

    def handle(self, **options) -> None:
        seen = operations.now()
        tries = operations.tried(timezone.now() - timedelta(hours=1))
        replies = operations.by(lambda reply: [reply.model], operations.sample(tries).replies)
        ends = operations.by(lambda tally: [tally.of], operations.tallies(tries))
        models = {
            model: {
                "latency": asdict(operations.latency(replies.get(model, []))),
                "failures": asdict(operations.ends(tallies)),
            }
            for model, tallies in sorted(ends.items())
        }
        if options["json"]:
            speeds = [asdict(speed) | {"tokens_per_second": speed.tokens_per_second} for speed in seen.speeds]
            told = asdict(seen) | {"speeds": speeds, "models": models}
            self.stdout.write(json.dumps(told, default=plain))
        else:
            self.stdout.write("\n".join(lines(seen)))


def plain(value: Any) -> str | float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def lines(seen: Operations) -> list[str]:
    found = [f"ALARM {alarm.reason}" for alarm in seen.alarms]
    for worker in seen.workers:
        state = worker.status if worker.alive else "silent"
        found.append(f"worker {worker.name}: {state}, {worker.in_hand} of {worker.rows or '?'} rows, {worker.engine}")
    for line in seen.queue:
        oldest = f" for up to {line.oldest.total_seconds():.0f} s" if line.oldest else ""
        found.append(
            f"queue {', '.join(line.models)}: {line.waiting} waiting{oldest}, {line.running} being made, "
            f"{line.shown} being shown, {line.in_advance} in advance"
        )
    return found + [
        f"last {s.minutes} min: {s.replies} replies, {s.tokens_per_second:.1f} tokens/s" for s in seen.speeds
    ]
