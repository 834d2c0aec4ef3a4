"""One way to write a value down, so that its hash is the same everywhere."""

import json
from hashlib import sha256
from typing import Any


def canonical_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, 64 hex digits."""
    return sha256(canonical_json(value).encode()).hexdigest()


def seed_from(text: str) -> int:
    """The seed that a text stands for: 63 bits, the same everywhere."""
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big") >> 1
