from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.sealed import SealedJSONField, SealedTextField
from inference.models import Conversation
from ratings.models.people import Visit
from ratings.models.prepared import PreparedInsert, PreparedUpdate
from ratings.models.study import Arm, Criterion, Item


class AssignmentQuerySet(models.QuerySet):
    def unfinished(self) -> Self:
        return self.filter(state__in=[Assignment.State.RESERVED, Assignment.State.ACTIVE])


class Assignment(models.Model):
    """An item that a participant is to rate, at its place in their order."""

    class State(models.TextChoices):
        RESERVED = "reserved"
        ACTIVE = "active"
        COMPLETED = "completed"
        EXPIRED = "expired"
        WITHDRAWN = "withdrawn"

    visit = models.ForeignKey(Visit, models.CASCADE, related_name="assignments")
    item = models.ForeignKey(Item, models.PROTECT, related_name="assignments")
    position = models.PositiveIntegerField()  # from 1
    state = models.CharField(max_length=10, choices=State, default=State.RESERVED)

    objects = AssignmentQuerySet.as_manager()

    class Meta:
        ordering = ["visit", "position"]
        constraints = [
            models.UniqueConstraint(fields=["visit", "position"], name="one_assignment_a_position"),
            models.UniqueConstraint(fields=["visit", "item"], name="one_assignment_an_item"),
        ]

    def __str__(self) -> str:
        return f"{self.visit_id}/{self.position} {self.state}"


class Exposure(models.Model):
    """What a participant was shown at an assignment: an arm's conversation, without being told whose."""

    assignment = models.ForeignKey(Assignment, models.CASCADE, related_name="exposures")
    arm = models.ForeignKey(Arm, models.PROTECT, related_name="exposures")
    # None until the first message of a live chat, and when the reply of a stored one is still being made.
    conversation = models.ForeignKey(Conversation, models.PROTECT, null=True, related_name="+")
    side = models.CharField(max_length=10, blank=True)
    shown_at = models.DateTimeField(null=True)
    submitted_at = models.DateTimeField(null=True)
    # "That was quick, please check" was said once; it is not said again.
    asked_to_check = models.BooleanField(default=False)
    comment = SealedTextField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["assignment", "arm"], name="one_exposure_an_arm")]

    def __str__(self) -> str:
        return f"exposure {self.pk}"

    def record(self, scores: dict[Criterion, int | None], reason: str = "cannot_judge") -> None:
        """Store the answers. Sent again they replace themselves, so a double click changes nothing."""
        now = timezone.now()
        RATED.rows(
            [
                (self.pk, criterion.pk, value, "" if value is not None else reason, value, now, now)
                for criterion, value in scores.items()
            ]
        )

    def submit(self, comment: str | None) -> None:
        """Its page was sent; the assignment is done with it."""
        self.comment, self.submitted_at = comment, timezone.now()
        SUBMITTED.row(self.pk, self.comment, self.submitted_at)
        if self.assignment.state != Assignment.State.COMPLETED:
            self.assignment.state = Assignment.State.COMPLETED
            COMPLETED.row(self.assignment.pk, self.assignment.state)


SHOWN = PreparedUpdate(Exposure, ["shown_at"], once=True)
SUBMITTED = PreparedUpdate(Exposure, ["comment", "submitted_at"])
COMPLETED = PreparedUpdate(Assignment, ["state"])


class Rating(models.Model):
    """A value on a criterion; null with a reason when the participant could not judge."""

    exposure = models.ForeignKey(Exposure, models.CASCADE, related_name="ratings")
    criterion = models.ForeignKey(Criterion, models.PROTECT, related_name="ratings")
    value = models.SmallIntegerField(null=True)
    missing_reason = models.CharField(max_length=20, blank=True)
    first_value = models.SmallIntegerField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["exposure", "criterion"], name="one_rating_a_criterion"),
            models.CheckConstraint(
                condition=Q(value__isnull=False, missing_reason="") | (Q(value=None) & ~Q(missing_reason="")),
                name="no_rating_without_a_value_or_a_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.criterion_id}: {self.value}"


RATED = PreparedInsert(
    Rating,
    ["exposure", "criterion", "value", "missing_reason", "first_value", "created_at", "updated_at"],
    unique=["exposure", "criterion"],
    # The first value stays as it was given.
    replaced=["value", "missing_reason", "updated_at"],
)


class Answer(models.Model):
    """An answer to any other question: eligibility, practice, an attention check, the exit questionnaire."""

    class Kind(models.TextChoices):
        ELIGIBILITY = "eligibility"
        PRACTICE = "practice"
        CHECK = "check"
        EXIT = "exit"

    visit = models.ForeignKey(Visit, models.CASCADE, related_name="answers")
    kind = models.CharField(max_length=12, choices=Kind)
    key = models.CharField(max_length=60)
    value = SealedJSONField()
    answered_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["visit", "kind", "key"], name="one_answer_a_question")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class Event(models.Model):
    """Something that happened on the way. Append-only, and without anything a person wrote."""

    class Kind(models.TextChoices):
        ARRIVED = "arrived"
        SERVED = "served"
        SUBMITTED = "submitted"
        CHANGED = "changed"
        BACK = "back"
        RESUMED = "resumed"
        EXPIRED = "expired"
        ENDED = "ended"

    visit = models.ForeignKey(Visit, models.CASCADE, related_name="events")
    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=12, choices=Kind)
    stage = models.CharField(max_length=20)
    position = models.PositiveIntegerField(null=True)
    detail = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["visit", "id"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.stage}"


HAPPENED = PreparedInsert(Event, ["visit", "at", "kind", "stage", "position", "detail"])
