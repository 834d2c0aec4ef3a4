import logging


class NotReadyIsNoError(logging.Filter):
    """Whoever waits for /readyz asks often, and its honest 503 belongs in no log."""

    def filter(self, record: logging.LogRecord) -> bool:
        return getattr(record, "status_code", None) != 503
