from datetime import datetime, timedelta
from secrets import token_hex
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.sealed import SealedTextField
from inference.models import public_code
from ratings.models.study import Study, StudyVersion


def participant_id() -> str:
    """A random name for exports. It opens nothing and is none of a person's codes."""
    return f"p{token_hex(5)}"


class Invitation(models.Model):
    """A personal link, for one person. Only the SHA-256 of its token is kept."""

    study = models.ForeignKey(Study, models.CASCADE, related_name="invitations")
    token_hash = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=10)
    group = models.CharField(max_length=60, blank=True)
    wave = models.CharField(max_length=60, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    opened_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"invitation {self.pk} to {self.study}"


class Participant(models.Model):
    """A person in a study."""

    class Kind(models.TextChoices):
        REAL = "real"
        PILOT = "pilot"
        SYNTHETIC = "synthetic"

    study = models.ForeignKey(Study, models.CASCADE, related_name="participants")
    kind = models.CharField(max_length=10, choices=Kind)
    participant_id = models.CharField(max_length=16, unique=True, default=participant_id)
    panel_id = SealedTextField(null=True)
    panel_hash = models.CharField(max_length=64, null=True)
    group = models.CharField(max_length=60, blank=True)
    wave = models.CharField(max_length=60, blank=True)
    invitation = models.OneToOneField(Invitation, models.SET_NULL, null=True, related_name="participant")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["study", "panel_hash"], name="one_participant_a_panel_id")]

    def __str__(self) -> str:
        return self.participant_id


class VisitQuerySet(models.QuerySet):
    def of_pool(self, version: StudyVersion, kind: str) -> Self:
        """Visits that are balanced, counted and reported together."""
        return self.filter(version__study=version.study_id, version__pool=version.pool, participant__kind=kind)

    def completed(self) -> Self:
        return self.filter(outcome=Visit.Outcome.COMPLETED)

    def holding_a_place(self) -> Self:
        """Completed, or enrolled and still within the time a place is kept."""
        return self.filter(Q(outcome=Visit.Outcome.COMPLETED) | Q(outcome="", place_until__gt=timezone.now()))

    def stale(self) -> Self:
        return self.filter(outcome="", place_until__lte=timezone.now())

    def over(self) -> Self:
        """Ended, one way or another."""
        return self.filter(~Q(outcome="") | Q(place_until__lte=timezone.now()))


class Visit(models.Model):
    """A participant's way through one version: where they are, and how it ended."""

    class Outcome(models.TextChoices):
        COMPLETED = "completed"
        DECLINED = "declined"
        SCREENED_OUT = "screened_out"
        QUOTA_FULL = "quota_full"
        WITHDREW = "withdrew"
        SAFETY_STOP = "safety_stop"
        TECHNICAL = "technical"

    code = models.CharField(max_length=24, unique=True, default=public_code)
    participant = models.ForeignKey(Participant, models.CASCADE, related_name="visits")
    version = models.ForeignKey(StudyVersion, models.PROTECT, related_name="visits")
    stage = models.CharField(max_length=20)
    outcome = models.CharField(max_length=20, choices=Outcome, blank=True)
    locale = models.CharField(max_length=20)
    # "ltr" or "rtl": the scale was mirrored for whoever read from the right.
    direction = models.CharField(max_length=3, default="ltr")
    viewport = models.CharField(max_length=10, blank=True)
    seed = models.BigIntegerField()
    started_at = models.DateTimeField(default=timezone.now)
    consented_at = models.DateTimeField(null=True)
    # Until when the place is kept for them; None before enrolment.
    place_until = models.DateTimeField(null=True)
    last_seen_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)
    return_code_hash = models.CharField(max_length=64, unique=True)
    withdrawal_code_hash = models.CharField(max_length=64, unique=True)
    completion_code_hash = models.CharField(max_length=64, unique=True)
    # When a researcher checked the completion code: it counts once.
    code_used_at = models.DateTimeField(null=True)

    objects = VisitQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["participant", "version"], name="one_visit_a_version")]
        indexes = [models.Index(fields=["version", "outcome", "place_until"])]

    def __str__(self) -> str:
        return f"{self.participant} at {self.stage or self.outcome}"

    @property
    def is_over(self) -> bool:
        return bool(self.outcome)

    @property
    def has_lost_its_place(self) -> bool:
        return not self.outcome and self.place_until is not None and self.place_until <= timezone.now()

    def keep_place(self, minutes: int) -> datetime:
        self.place_until = timezone.now() + timedelta(minutes=minutes)
        return self.place_until

    def end(self, outcome: str) -> None:
        self.outcome = outcome
        self.finished_at = timezone.now()
        self.save(update_fields=["outcome", "finished_at"])


class VisitKey(models.Model):
    """A device that may go on with a visit: the SHA-256 of the token in its cookie."""

    visit = models.ForeignKey(Visit, models.CASCADE, related_name="keys")
    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"key {self.pk}"


class Consent(models.Model):
    """One tick, with the hash of the very text that was agreed to."""

    visit = models.ForeignKey(Visit, models.CASCADE, related_name="consents")
    tick = models.CharField(max_length=30)
    text_hash = models.CharField(max_length=64)
    locale = models.CharField(max_length=20)
    given_at = models.DateTimeField(default=timezone.now)
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["visit", "tick"], name="one_consent_a_tick")]

    def __str__(self) -> str:
        return self.tick


class AllocationRecord(models.Model):
    """What the allocation saw and gave: replaying it proves that nobody chose."""

    version = models.ForeignKey(StudyVersion, models.CASCADE, related_name="allocations")
    # Kept when the person withdraws; it names no one.
    visit = models.OneToOneField(Visit, models.SET_NULL, null=True, related_name="allocation")
    algorithm = models.PositiveIntegerField()
    at = models.DateTimeField(default=timezone.now)
    seed = models.BigIntegerField()
    seen = models.JSONField()
    given = models.JSONField()

    def __str__(self) -> str:
        return f"allocation {self.pk} of {self.version}"


class Exclusion(models.Model):
    """A participant left out of the analysis: dated, with its rule and author, and reversible."""

    participant = models.ForeignKey(Participant, models.CASCADE, related_name="exclusions")
    rule = models.CharField(max_length=200)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField(default=timezone.now)
    lifted_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.rule


class Withdrawal(models.Model):
    """What remains of someone who left and had everything deleted: enough for the flow to add up, nothing of theirs."""

    study = models.ForeignKey(Study, models.CASCADE, related_name="withdrawals")
    version = models.ForeignKey(StudyVersion, models.CASCADE, related_name="withdrawals")
    kind = models.CharField(max_length=10, choices=Participant.Kind)
    stage = models.CharField(max_length=20)
    consented = models.BooleanField()
    had_completed = models.BooleanField()
    receipt = models.CharField(max_length=16, unique=True)
    # HMAC of the deleted participant's id: a restored backup deletes them again.
    participant_hash = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"withdrawal {self.receipt}"


class DataExport(models.Model):
    """A data package that left the house, and whose data was in it."""

    export_id = models.CharField(max_length=24, unique=True, default=public_code)
    study = models.ForeignKey(Study, models.CASCADE, related_name="exports")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField(default=timezone.now)
    filters = models.JSONField(default=dict)
    # HMACs of the participant ids, the same as in Withdrawal: whom it held, should they withdraw later.
    people = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"export {self.export_id}"
