"""Sealed fields: what people write is encrypted before it reaches the database.

A value is sealed with Fernet (AES-128-CBC with HMAC-SHA256) under the newest of `settings.FIELD_KEYS`; older keys
still open it. Sealed values cannot be searched: equality is looked up through `lookup_hash` in a column of its own.
"""

import hashlib
import hmac
import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db import models


@lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def seal(text: str) -> str:
    return _fernet(tuple(settings.FIELD_KEYS)).encrypt(text.encode()).decode()


def unseal(token: str) -> str:
    return _fernet(tuple(settings.FIELD_KEYS)).decrypt(token.encode()).decode()


def lookup_hash(purpose: str, value: str) -> str:
    """HMAC-SHA256 of a value, 64 hex digits: equal values of one purpose are equal, nothing else can be learned."""
    return hmac.new(settings.LOOKUP_KEY.encode(), f"{purpose}\0{value}".encode(), hashlib.sha256).hexdigest()


class SealedTextField(models.TextField):
    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else seal(str(value))

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        return None if value is None else unseal(value)

    def get_lookup(self, lookup_name: str):
        if lookup_name != "isnull":
            raise TypeError(f"{self.name} is sealed and cannot be searched; look for it by its lookup hash.")
        return super().get_lookup(lookup_name)


class SealedJSONField(SealedTextField):
    # Whatever JSON can say.
    _pyi_private_set_type: Any
    _pyi_private_get_type: Any

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else seal(json.dumps(value, ensure_ascii=False, separators=(",", ":")))

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return None if value is None else json.loads(unseal(value))

    def to_python(self, value: Any) -> Any:
        return value
