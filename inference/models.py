from datetime import datetime, timedelta
from secrets import token_urlsafe
from typing import Self

from django.db import models
from django.utils import timezone

from accounts.sealed import SealedJSONField, SealedTextField
from inference.canonical import digest, seed_from
from inference.leases import OPEN, Leased, LeasedQuerySet, LeaseState

# A worker tells of itself every few seconds; one that has been silent for so long is gone, or cut off.
HEARD_WITHIN = timedelta(seconds=10)


def public_code() -> str:
    """128 random bits that name a row to a browser and say nothing about it."""
    return token_urlsafe(16)


class ChatModel(models.Model):
    """Who answers: an engine with its weights, and where they come from."""

    class Engine(models.TextChoices):
        HUGGINGFACE = "huggingface"
        OPENAI = "openai"
        SCRIPTED = "scripted"

    key = models.SlugField(max_length=80, unique=True)
    engine = models.CharField(max_length=20, choices=Engine, default=Engine.HUGGINGFACE)
    base = models.CharField(
        max_length=300, help_text="Where it is: a folder, a package we can convert, or a server's address."
    )
    adapter = models.CharField(max_length=300, blank=True)
    # Its adapter brings more than LoRA layers (new tokens, say): it is merged into a base of its own.
    stands_alone = models.BooleanField(default=False)
    # What a server calls it.
    served_as = models.CharField(max_length=300, blank=True)
    # rows: how many replies are made at once. For a server: key_env (the variable that holds the key; never a key
    # itself), extra_body, context (its length in tokens, as the server told it). For a folder: template (the name of a
    # prompt format that stands in for the tokenizer's).
    options = models.JSONField(default=dict, blank=True)
    revision = models.CharField(max_length=100, blank=True)
    names = models.JSONField(default=list, help_text="Names that would give it away; masked in what it says.")
    hashes = models.JSONField(default=dict)
    lineage = models.JSONField(default=dict)
    registered_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.key

    @property
    def engine_name(self) -> str:
        """Models that differ in their adapter only are served by one engine, which goes by this name.

        So are all models of one server.
        """
        if self.engine == self.Engine.SCRIPTED:
            return f"{self.engine}:{self.key}"
        return f"{self.engine}:{self.base}" + (f"+{self.key}" if self.stands_alone else "")

    @property
    def variant(self) -> str | None:
        """Which of its engine's models it is: an adapter's name, a server's name of it, or the bare base (None)."""
        if self.engine == self.Engine.OPENAI:
            return self.served_as
        return self.key if self.adapter and not self.stands_alone else None

    @property
    def offer_name(self) -> str:
        """What this one model is called where a server offers it, and may refuse it while it goes on with others."""
        offer = f"{self.engine_name} {self.served_as}" if self.engine == self.Engine.OPENAI else self.engine_name
        return offer[: Worker.LONGEST_NAME]


class WorkerQuerySet(models.QuerySet):
    def alive(self) -> Self:
        return self.filter(heard_at__gt=timezone.now() - HEARD_WITHIN)


class Worker(models.Model):
    """A process that answers, as it last described itself: one row for each engine it runs."""

    class Status(models.TextChoices):
        LOADING = "loading"
        READY = "ready"
        FAILED = "failed"

    LONGEST_NAME = 400

    name = models.CharField(max_length=80)
    # Also one model of a server, while that is refused.
    engine = models.CharField(max_length=LONGEST_NAME)
    status = models.CharField(max_length=10, choices=Status)
    reason = models.TextField(blank=True)
    # How fast it is (`capacity.Pace`), once that was measured.
    pace = models.JSONField(null=True)
    in_hand = models.PositiveIntegerField(default=0)
    since = models.DateTimeField(default=timezone.now)
    heard_at = models.DateTimeField()

    objects = WorkerQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "engine"], name="one_row_an_engine_of_a_worker")]

    def __str__(self) -> str:
        return f"{self.name}: {self.engine} {self.status}"


class SetupManager(models.Manager["Setup"]):
    def of(self, chat_model: ChatModel, system: str, sampling: dict, stops: list[str]) -> "Setup":
        """The setup with exactly this content; made at its first use, never changed."""
        if not system.strip():
            raise ValueError("A setup needs a system message: a template's default one can name the model.")
        content = {"model": chat_model.key, "system": system, "sampling": sampling, "stops": stops}
        setup, _ = self.get_or_create(
            digest=digest(content),
            defaults={"chat_model": chat_model, "system": system, "sampling": sampling, "stops": stops},
        )
        return setup


class Setup(models.Model):
    """How a chat model is used: immutable, and named by the SHA-256 of its content."""

    chat_model = models.ForeignKey(ChatModel, models.PROTECT, related_name="setups")
    system = models.TextField()
    sampling = models.JSONField(default=dict)
    stops = models.JSONField(default=list)
    digest = models.CharField(max_length=64, unique=True)

    objects = SetupManager()

    def __str__(self) -> str:
        return f"{self.chat_model.key} {self.digest[:8]}"


class Conversation(models.Model):
    """A dialogue with one setup, or one that was written elsewhere and is only shown."""

    class Kind(models.TextChoices):
        LIVE = "live"  # a participant writes
        STORED = "stored"  # made once by a setup, shown to many
        GIVEN = "given"  # came in a file

    code = models.CharField(max_length=24, unique=True, default=public_code)
    kind = models.CharField(max_length=10, choices=Kind)
    setup = models.ForeignKey(Setup, models.PROTECT, null=True, related_name="conversations")
    seed = models.BigIntegerField(default=0)
    # Frozen at the start: max_attempts, first_token_s, turn_s, release, exchanges (min, max).
    policy = models.JSONField(default=dict)
    # What a stored or given conversation consists of, hashed: the same content is stored and made once.
    content_key = models.CharField(max_length=64, null=True, unique=True)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.code

    @property
    def answered_by(self) -> Setup:
        """The setup that answers here. A dialogue written elsewhere has none, and no reply of it is ever waited for."""
        if self.setup is None:
            raise ValueError(f"Nobody answers in conversation {self.pk}.")
        return self.setup

    @property
    def exchanges_done(self) -> int:
        """Answered messages. What the program says first, at index 0, answers nobody."""
        return self.turns.replies().filter(state=LeaseState.DONE, index__gt=0).count()


class TurnQuerySet(LeasedQuerySet):
    def replies(self) -> Self:
        return self.filter(role=Turn.Role.ASSISTANT)

    def being_made(self) -> Self:
        """Replies that an engine works on; one that is only being shown still, at its pace, keeps it busy no more."""
        return self.open().filter(state=LeaseState.RUNNING, computed_at=None)

    def in_order_of_service(self) -> Self:
        """People who wait come before replies that are made in advance."""
        return self.order_by("background", "pk")


class Turn(Leased):
    """One message of a conversation. A participant's is done when it is written; a reply is worked for by lease."""

    class Role(models.TextChoices):
        USER = "user"
        ASSISTANT = "assistant"

    code = models.CharField(max_length=24, unique=True, default=public_code)
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="turns")
    index = models.PositiveIntegerField()
    role = models.CharField(max_length=10, choices=Role)
    # Made in advance, with nobody waiting.
    background = models.BooleanField(default=False)
    text = SealedTextField(null=True)
    # What a participant saw of it, after masking: the only text a page may show.
    released = SealedTextField(null=True)
    finish_reason = models.CharField(max_length=20, blank=True)
    failure = models.CharField(max_length=30, blank=True)
    # After so many attempts it has failed, until somebody asks for it again.
    attempts_allowed = models.PositiveIntegerField(default=3)
    # The participant asked again after it had failed, which they may do once.
    asked_again = models.BooleanField(default=False)
    # When it was last asked for again after it had failed, by whomever.
    requeued_at = models.DateTimeField(null=True)
    # When the engine was done with a reply that is still being shown at its pace.
    computed_at = models.DateTimeField(null=True)
    # When the first bytes of the reply went out to a browser.
    first_sent_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = TurnQuerySet.as_manager()

    class Meta:
        ordering = ["conversation", "index"]
        constraints = [models.UniqueConstraint(fields=["conversation", "index"], name="one_turn_an_index")]
        indexes = [models.Index(fields=["background", "id"], name="open_turns", condition=OPEN)]

    def __str__(self) -> str:
        return f"{self.conversation_id}/{self.index} {self.role} {self.state}"

    @property
    def answers_somebody(self) -> bool:
        """A reply that is done; what the program says first answers nobody."""
        return self.role == self.Role.ASSISTANT and self.state == LeaseState.DONE and self.index > 0

    @property
    def asked_at(self) -> datetime:
        """Since when somebody waits: the message that it answers, or the wish to have it tried again."""
        return self.requeued_at or self.created_at

    @property
    def seed(self) -> int:
        """The seed of the reply, the same at every retry: a crash does not draw another answer."""
        return seed_from(f"{self.conversation.seed}/{self.conversation.code}/{self.index}")


class Attempt(models.Model):
    """One try at a reply. Append-only: what a reviewer needs to believe, or to repeat, what was said."""

    turn = models.ForeignKey(Turn, models.CASCADE, related_name="tries")
    number = models.PositiveIntegerField()
    worker = models.CharField(max_length=80)
    seed = models.BigIntegerField()
    claimed_at = models.DateTimeField()
    first_token_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=30)
    prompt_ids = SealedJSONField(null=True)
    output_ids = SealedJSONField(null=True)
    # Engine, versions, hashes, the adapter that spoke, host, sampling as used, batch size, seconds since the claim,
    # releases with their times. Never text.
    provenance = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["turn", "number"], name="one_row_an_attempt")]
        # What happened in the last minutes, for operators.
        indexes = [models.Index(fields=["claimed_at"], name="attempts_in_time")]

    def __str__(self) -> str:
        return f"attempt {self.number} of turn {self.turn_id}: {self.outcome}"
