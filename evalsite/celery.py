"""Celery, where pages and models run in several processes: it wakes workers and keeps the clock.

    celery -A evalsite worker -P threads -c 2 -Q periodic -B     the clock and what is done by it
    EVALSITE_ANSWERS=all celery -A evalsite worker -P threads    answers with all models, or with those named

Nothing depends on a message: the rows of the database say what there is to do, and workers look there by themselves.
"""

import os
from typing import Any

from celery import Celery
from celery.signals import celeryd_after_setup, setup_logging, worker_init, worker_shutdown
from django.core.exceptions import ImproperlyConfigured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evalsite.settings")

app = Celery("evalsite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_finalize.connect
def keep_the_clock(sender: Celery, **kwargs: Any) -> None:
    from evalsite import schedule, tasks

    for entry in schedule.entries():
        seconds = entry.every.total_seconds()
        sender.add_periodic_task(seconds, tasks.periodic.s(entry.name), name=entry.name, expires=seconds)


@setup_logging.connect
def keep_our_logging(**kwargs: Any) -> None:
    """Django has set it up; Celery would replace it, and print arguments of tasks."""


@celeryd_after_setup.connect
def hear_wake_ups(instance: Any, **kwargs: Any) -> None:
    from inference import serving, tasks

    if engines := serving.engines():
        queues = instance.app.amqp.queues
        queues.deselect([instance.app.conf.task_default_queue])
        for engine in engines:
            queues.select_add(tasks.queue_of(engine))


@worker_init.connect
def answer(**kwargs: Any) -> None:
    from evalsite import logs, mixtures
    from inference import serving

    logs.take_what_nobody_catches()
    try:
        mixtures.refuse_a_shared_file()
        serving.start()
    except ImproperlyConfigured as fault:
        # Celery goes on after any other exception, with a worker that does nothing.
        raise SystemExit(str(fault)) from None


@worker_shutdown.connect
def stop_answering(**kwargs: Any) -> None:
    from inference import dispatch

    dispatch.stop()
