"""Leaving with everything deleted: what a person wrote, rated and did is gone at once, for good.

What remains is a tombstone without content, so that the flow of the study still adds up, and a line in a journal that
lies beside the database: a backup that is restored later deletes the same people again.
"""

import json
import secrets
from collections.abc import Iterable
from datetime import date, timedelta

from django.conf import settings
from django.db import connection, transaction

from accounts.sealed import lookup_hash
from inference import conversations
from inference.models import Conversation
from ratings import codes
from ratings.models import Exposure, Participant, Visit, Withdrawal

# How many daily copies of the database are kept: after as many days the last one with a deleted person is gone.
DAYS_OF_COPIES = 14


def find_by_code(typed: str) -> Visit | None:
    """The visit that a withdrawal code belongs to."""
    visits = Visit.objects.select_related("participant", "version__study")
    return visits.filter(withdrawal_code_hash=codes.hash_of("withdrawal", typed)).first()


def withdraw(visit: Visit) -> Withdrawal:
    """Delete everything of the person behind a visit. Cannot be undone; returns what the receipt shows."""
    with transaction.atomic():
        tombstone = _delete(visit.participant)
        transaction.on_commit(lambda: _remember(tombstone))
    _clear_write_ahead_log()
    return tombstone


def last_copy_gone_by(day: date) -> date:
    """When the last daily copy made before a deletion on `day` will have been replaced."""
    return day + timedelta(days=DAYS_OF_COPIES + 1)


def reapply(journal: Iterable[str]) -> int:
    """Delete again whoever withdrew after a copy was made that has just been restored; how many there were."""
    gone = {json.loads(line)["participant_hash"] for line in journal if line.strip()}
    people = [person for person in Participant.objects.all() if hash_of(person) in gone]
    with transaction.atomic():
        for person in people:
            _delete(person)
    return len(people)


def hash_of(participant: Participant) -> str:
    return lookup_hash("participant", participant.participant_id)


def _delete(participant: Participant) -> Withdrawal:
    visit = participant.visits.select_related("version").latest("pk")
    tombstone = Withdrawal.objects.create(
        study=participant.study,
        version=visit.version,
        kind=participant.kind,
        stage=visit.stage,
        consented=visit.consented_at is not None,
        had_completed=visit.outcome == Visit.Outcome.COMPLETED,
        receipt=f"W-{secrets.token_hex(5).upper()}",
        participant_hash=hash_of(participant),
    )
    chats = list(
        Exposure.objects.filter(
            assignment__visit__participant=participant, conversation__kind=Conversation.Kind.LIVE
        ).values_list("conversation", flat=True)
    )
    invitation = participant.invitation
    participant.delete()
    conversations.delete(chats)
    if invitation is not None:
        invitation.delete()
    return tombstone


def _remember(tombstone: Withdrawal) -> None:
    line = {"participant_hash": tombstone.participant_hash, "at": tombstone.at.isoformat()}
    with open(settings.DATA_DIR / "withdrawals.jsonl", "a", encoding="utf-8") as journal:
        journal.write(json.dumps(line) + "\n")


def _clear_write_ahead_log() -> None:
    """SQLite overwrites deleted rows in the database file, but its log would hold them until the next checkpoint."""
    if connection.vendor == "sqlite" and not connection.in_atomic_block:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
