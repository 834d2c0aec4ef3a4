import hashlib
import logging
from contextlib import suppress

from celery import shared_task
from kombu import Exchange
from kombu.common import Broadcast
from kombu.exceptions import OperationalError

from inference import dispatch

log = logging.getLogger(__name__)

# Every worker looks by itself this often, so an older wake-up is news to nobody.
EXPIRES = 2  # seconds
# Redis tells only those who listen for the key that a message is sent with.
WAKE = "wake"


@shared_task
def wake() -> None:
    """Somebody waits for a reply: look now."""
    dispatch.wake_here()


def warm() -> None:
    """Make ready what the first wake-up of a process would make: it takes a tenth of a second, and somebody waits."""
    with suppress(OperationalError), wake.app.producer_or_acquire() as producer:
        producer.connection.ensure_connection(max_retries=1)
        producer.revive(producer.connection)


def queue_of(engine: str) -> Broadcast:
    """Where the workers with this engine hear that there is something to do: all of them, as any may be free."""
    exchange = exchange_of(engine)
    return Broadcast(exchange.name, exchange=exchange, routing_key=WAKE)


def exchange_of(engine: str) -> Exchange:
    return Exchange(f"wake.{hashlib.sha256(engine.encode()).hexdigest()[:16]}", type="fanout", durable=False)


def send(engine: str) -> None:
    """Wake the workers with this engine. When it cannot be sent, they find the row when they next look."""
    exchange = exchange_of(engine)
    try:
        wake.apply_async(exchange=exchange, routing_key=WAKE, declare=[exchange], expires=EXPIRES, retry=False)
    except OperationalError as fault:
        log.warning("Workers could not be woken: %s", fault)
