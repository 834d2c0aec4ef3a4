from django.apps import AppConfig
from django.conf import settings


class EvalsiteConfig(AppConfig):
    name = "evalsite"

    def ready(self) -> None:
        if settings.REDIS_URL:
            # So that tasks are sent through our broker, whichever process sends them.
            from evalsite import celery  # noqa: F401
