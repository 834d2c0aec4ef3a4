from datetime import timedelta
from hashlib import sha256
from secrets import token_urlsafe
from typing import ClassVar, Self

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models
from django.utils import timezone


class ResearcherManager(UserManager["User"]):
    def first_researcher(self) -> "User":
        """Whose studies are when nobody says otherwise. Made without a password on an installation that has nobody."""
        return self.order_by("pk").first() or self.create_user("researcher", must_change_password=True)


class User(AbstractUser):
    """A researcher."""

    # Set for the password that the first `make run` prints: the next login has to choose another.
    must_change_password = models.BooleanField(default=False)

    objects: ClassVar[ResearcherManager] = ResearcherManager()


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def valid(self) -> Self:
        return self.filter(expires_at__gt=timezone.now(), user__is_active=True)

    def find(self, token: str) -> "ApiToken | None":
        return self.valid().select_related("user").filter(hash=ApiToken.hash_of(token)).first()


class ApiToken(models.Model):
    """A key to the API, shown once and stored as its SHA-256."""

    class Scope(models.TextChoices):
        READ = "read"

    user = models.ForeignKey(User, models.CASCADE, related_name="tokens")
    hash = models.CharField(max_length=64, unique=True)
    scope = models.CharField(max_length=10, choices=Scope, default=Scope.READ)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    objects = ApiTokenQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.scope} token of {self.user} until {self.expires_at:%Y-%m-%d}"

    @staticmethod
    def hash_of(token: str) -> str:
        return sha256(token.encode()).hexdigest()

    @classmethod
    def issue(cls, user: User, scope: str, days: int) -> str:
        token = token_urlsafe(32)
        cls.objects.create(
            user=user, hash=cls.hash_of(token), scope=scope, expires_at=timezone.now() + timedelta(days=days)
        )
        return token


class AuditEntryManager(models.Manager["AuditEntry"]):
    def record(self, user: User | None, action: str, subject: str = "", **detail) -> "AuditEntry":
        return self.create(user=user, action=action, subject=subject, detail=detail)


class AuditEntry(models.Model):
    """What a researcher did that someone may ask about later. Append-only, and without what participants wrote."""

    at = models.DateTimeField(default=timezone.now)
    user = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    action = models.CharField(max_length=40)
    subject = models.CharField(max_length=200, blank=True)
    detail = models.JSONField(default=dict)

    objects = AuditEntryManager()

    class Meta:
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.action} {self.subject}"
