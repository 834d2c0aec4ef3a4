"""What enrolment planned for a synthetic participant: read from the database, never shown to anyone."""

from django.db import connection

from ratings.codes import token_hash
from ratings.models import Exposure

Plan = dict[int, tuple[str, str]]


def plan_of(token: str) -> Plan:
    """For each position the item and the arm, of whoever came with this invitation."""
    exposures = Exposure.objects.filter(
        assignment__visit__participant__invitation__token_hash=token_hash(token)
    ).values_list("assignment__position", "assignment__item__key", "arm__key")
    try:
        return {position: (item, arm) for position, item, arm in exposures}
    finally:
        # A thread of ours asks once and leaves no connection behind.
        connection.close()
