from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from inference.leases import LeaseState
from inference.models import Conversation, Setup, Turn


class StudyQuerySet(models.QuerySet):
    def of(self, owner) -> Self:
        return self.filter(owner=owner)

    def published(self) -> Self:
        return self.exclude(state=Study.State.DRAFT)

    def open_to_people(self) -> Self:
        return self.filter(state__in=[Study.State.PILOT, Study.State.LIVE])


class Study(models.Model):
    """An investigation and the state it is in; what it consists of stands in its versions."""

    class State(models.TextChoices):
        DRAFT = "draft"
        PILOT = "pilot"
        LIVE = "live"
        PAUSED = "paused"
        CLOSED = "closed"

    # From where to where a researcher may move it.
    MOVES = {
        State.DRAFT: {State.PILOT, State.LIVE},
        State.PILOT: {State.LIVE, State.PAUSED, State.CLOSED},
        State.LIVE: {State.PAUSED, State.CLOSED},
        State.PAUSED: {State.PILOT, State.LIVE, State.CLOSED},
        State.CLOSED: {State.PAUSED},
    }

    slug = models.SlugField(max_length=80, unique=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="studies")
    state = models.CharField(max_length=10, choices=State, default=State.DRAFT)
    # The version that new participants get.
    current_version = models.ForeignKey("StudyVersion", models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    objects = StudyQuerySet.as_manager()

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug

    @property
    def version(self) -> "StudyVersion":
        """The version that new participants get, of a study that has been published."""
        if self.current_version is None:
            raise ValueError(f"{self.slug} is not published.")
        return self.current_version

    @property
    def takes_people(self) -> bool:
        return self.state in (self.State.PILOT, self.State.LIVE)

    def may_become(self, state: str) -> bool:
        return state in self.MOVES[self.State(self.state)]

    @property
    def draft(self) -> "StudyVersion | None":
        return self.versions.drafts().first()

    @property
    def kind_now(self) -> str:
        """The kind of participant that walks in by the open link."""
        return "pilot" if self.state == self.State.PILOT else "real"


class StudyVersionQuerySet(models.QuerySet):
    def drafts(self) -> Self:
        return self.filter(published_at=None)

    def published(self) -> Self:
        return self.exclude(published_at=None)

    def pooled_with(self, version: "StudyVersion") -> Self:
        """The versions that share balance, target and report."""
        return self.published().filter(study=version.study_id, pool=version.pool)


class StudyVersion(models.Model):
    """The definition of a study, frozen when it is published and named by its fingerprint."""

    study = models.ForeignKey(Study, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    source = models.BinaryField(help_text="The study file, byte by byte.")
    definition = models.JSONField(help_text="The same as canonical JSON, with every default filled in.")
    fingerprint = models.CharField(max_length=64)
    design_fingerprint = models.CharField(max_length=64)
    # The number of the first version of those that share balance, target and report.
    pool = models.PositiveIntegerField()
    # Why a changed wording still asks the same, in the researcher's words.
    same_meaning = models.TextField(blank=True)
    # {"by": ..., "at": ...}: a live chat was opened without message screening.
    screening_acknowledged = models.JSONField(null=True)
    seed = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now)
    published_at = models.DateTimeField(null=True)

    objects = StudyVersionQuerySet.as_manager()

    class Meta:
        ordering = ["study", "number"]
        constraints = [
            models.UniqueConstraint(fields=["study", "number"], name="one_version_a_number"),
            models.UniqueConstraint(fields=["study"], condition=Q(published_at=None), name="one_draft_a_study"),
        ]

    def __str__(self) -> str:
        return f"{self.study} version {self.number}"

    @property
    def is_draft(self) -> bool:
        return self.published_at is None

    @property
    def replies_wanted(self) -> int:
        return StoredReply.objects.filter(item__version=self).count()

    @property
    def replies_made(self) -> int:
        return StoredReply.objects.filter(item__version=self).made().count()

    @property
    def is_ready(self) -> bool:
        """Whether everything that is shown exists."""
        return self.replies_made == self.replies_wanted


class ReplyFile(models.Model):
    """A file of replies that a version was published with."""

    version = models.ForeignKey(StudyVersion, models.CASCADE, related_name="reply_files")
    name = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    content = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "name"], name="one_reply_file_a_name")]

    def __str__(self) -> str:
        return self.name


class Arm(models.Model):
    """One thing being compared. Its key is a word that says nothing, and still no participant ever sees it."""

    version = models.ForeignKey(StudyVersion, models.CASCADE, related_name="arms")
    key = models.CharField(max_length=60)
    position = models.PositiveIntegerField()
    setup = models.ForeignKey(Setup, models.PROTECT, null=True, related_name="arms")

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["version", "key"], name="one_arm_a_key")]

    def __str__(self) -> str:
        return self.key


class Item(models.Model):
    """What a participant is shown or asked to talk about."""

    class Split(models.TextChoices):
        EVALUATE = "evaluate"
        TUNE = "tune"

    version = models.ForeignKey(StudyVersion, models.CASCADE, related_name="items")
    key = models.CharField(max_length=80)
    position = models.PositiveIntegerField()
    stratum = models.CharField(max_length=60, blank=True)
    split = models.CharField(max_length=10, choices=Split, default=Split.EVALUATE)
    content_hash = models.CharField(max_length=64)

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["version", "key"], name="one_item_a_key")]

    def __str__(self) -> str:
        return self.key


class StoredReplyQuerySet(models.QuerySet):
    def made(self) -> Self:
        waiting = Turn.objects.exclude(state=LeaseState.DONE).values("conversation")
        return self.exclude(conversation__in=waiting)


class StoredReply(models.Model):
    """The conversation that stands for an arm at an item, when replies are not made live."""

    item = models.ForeignKey(Item, models.CASCADE, related_name="replies")
    arm = models.ForeignKey(Arm, models.CASCADE, related_name="replies")
    conversation = models.ForeignKey(Conversation, models.PROTECT, related_name="+")

    objects = StoredReplyQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item", "arm"], name="one_reply_a_cell")]

    def __str__(self) -> str:
        return f"{self.item} {self.arm}"


class Criterion(models.Model):
    """A question with its scale. The wording stands in the version's definition, under this key."""

    version = models.ForeignKey(StudyVersion, models.CASCADE, related_name="criteria")
    key = models.CharField(max_length=60)
    position = models.PositiveIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["version", "key"], name="one_criterion_a_key")]
        verbose_name_plural = "criteria"

    def __str__(self) -> str:
        return self.key


class EarlyLook(models.Model):
    """Somebody saw results of real participants before the planned number was reached. Append-only.

    The page opens them for a reason only. What a terminal, a program or an export shows is noted without one.
    """

    class By(models.TextChoices):
        PAGE = "page", "on the report page"
        COMMAND = "command", "at the command line"
        EXPORT = "export", "by an export"
        API = "api", "by the API"

    study = models.ForeignKey(Study, models.CASCADE, related_name="early_looks")
    # The pool of the versions whose results were seen.
    pool = models.PositiveIntegerField()
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    by = models.CharField(max_length=10, choices=By)
    reason = models.TextField(blank=True)
    completed = models.PositiveIntegerField()
    target = models.PositiveIntegerField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["at", "pk"]

    def __str__(self) -> str:
        return f"{self.study} at {self.completed} of {self.target}"
