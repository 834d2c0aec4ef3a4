"""A lease: how a row is worked on by exactly one worker at a time, and by another when that one dies.

The row is the truth. A worker *claims* it with one conditional update, *renews* while it works, and *finishes* it
only if the attempt is still its own: a late or doubled worker updates no row. Whatever wakes the workers may lose
or repeat its messages.
"""

from datetime import timedelta
from functools import reduce
from operator import or_
from typing import Any, Self

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

LEASE = timedelta(seconds=8)
RENEW_EVERY = 2.0  # seconds
SWEEP_EVERY = 2.0  # seconds


class LeaseState(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    BLOCKED = "blocked"


# SQLite finds an index by its condition only where a query has the same one, and never where it is a list.
OPEN = Q(state=LeaseState.QUEUED) | Q(state=LeaseState.RUNNING)


class LeasedQuerySet(models.QuerySet):
    def open(self) -> Self:
        """What is not finished yet."""
        return self.filter(OPEN)

    def claimable(self) -> Self:
        """Rows that wait for a worker, or whose worker has not been heard of for a lease."""
        now = timezone.now()
        waiting = Q(state=LeaseState.QUEUED) & (Q(not_before=None) | Q(not_before__lte=now))
        abandoned = Q(state=LeaseState.RUNNING, lease_until__lt=now)
        return self.open().filter(waiting | abandoned)

    def claim(self, pk: int, worker: str, seen: int | None = None, **fields: Any) -> int | None:
        """Take a row for this worker; the number of the attempt, or None when another was quicker.

        `seen` is the number of attempts that whoever asks has just read.
        """
        if seen is None:
            seen = self.filter(pk=pk).values_list("attempts", flat=True).first()
        if seen is None:
            return None
        now = timezone.now()
        taken = (
            self.claimable()
            .filter(pk=pk, attempts=seen)
            .update(
                state=LeaseState.RUNNING,
                attempts=F("attempts") + 1,
                worker=worker,
                claimed_at=now,
                lease_until=now + LEASE,
                **fields,
            )
        )
        return seen + 1 if taken else None

    def held(self, pk: int, attempt: int) -> Self:
        """The row, if this attempt still is the one that works on it."""
        return self.filter(pk=pk, attempts=attempt, state=LeaseState.RUNNING)

    def renew_all(self, attempts: dict[int, int]) -> set[int]:
        """Renew several leases at once, given as {pk: attempt}; the rows that are still ours."""
        if not attempts:
            return set()
        held = reduce(or_, (Q(pk=pk, attempts=attempt) for pk, attempt in attempts.items()))
        ours = self.filter(held, state=LeaseState.RUNNING)
        ours.update(lease_until=timezone.now() + LEASE)
        return set(ours.values_list("pk", flat=True))

    def finish(self, pk: int, attempt: int, state: str, **fields: Any) -> bool:
        """Close the row with its result; False when the attempt is no longer ours (and then nothing is changed)."""
        return bool(self.held(pk, attempt).update(state=state, finished_at=timezone.now(), lease_until=None, **fields))

    def give_back(self, pk: int, attempt: int, not_before: Any = None, **fields: Any) -> bool:
        """Let go of a row, so that it is tried again (from `not_before` on)."""
        released = {"state": LeaseState.QUEUED, "lease_until": None, "not_before": not_before}
        return bool(self.held(pk, attempt).update(**released, **fields))


class Leased(models.Model):
    state = models.CharField(max_length=10, choices=LeaseState, default=LeaseState.QUEUED)
    attempts = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=80, blank=True)
    not_before = models.DateTimeField(null=True)
    claimed_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True

    @property
    def is_open(self) -> bool:
        return self.state in (LeaseState.QUEUED, LeaseState.RUNNING)
