from celery import shared_task

from evalsite import schedule
from inference import heartbeat


@shared_task
def periodic(name: str) -> None:
    """Do one entry of the schedule."""
    next(entry for entry in schedule.entries() if entry.name == name).work()
    heartbeat.beat()
