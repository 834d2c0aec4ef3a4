"""The codes a person is given: to return, to withdraw, to be paid; and the tokens that browsers carry.

The three codes are derived from the visit's secret code by HMAC, each for its own purpose, so that a page can show
them again, while the database holds their hashes only. None of them says anything about another.
"""

import hashlib
import hmac
import secrets

from django.conf import settings

from ratings.models import Visit

# Without 0 O 1 I L, which people mistake for each other.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
LENGTHS = {"return": 8, "completion": 10, "withdrawal": 12}


def return_code(visit: Visit) -> str:
    return _code("return", visit.code)


def withdrawal_code(visit: Visit) -> str:
    return _code("withdrawal", visit.code)


def completion_code(visit: Visit) -> str:
    return _code("completion", visit.code)


def hash_of(purpose: str, typed: str) -> str:
    """The column value for a code as a person types it: case, spaces and dashes do not matter."""
    letters = "".join(letter for letter in typed.upper() if letter.isalnum())
    return hashlib.sha256(f"{purpose}:{letters}".encode()).hexdigest()


def hashes_for(visit_code: str) -> dict[str, str]:
    """The three hash columns of a new visit."""
    return {f"{purpose}_code_hash": hash_of(purpose, _code(purpose, visit_code)) for purpose in LENGTHS}


def new_token() -> tuple[str, str]:
    """A random token of 256 bits for a cookie or a link, and the hash that is stored of it."""
    token = secrets.token_urlsafe(32)
    return token, token_hash(token)


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _code(purpose: str, visit_code: str) -> str:
    key = settings.LOOKUP_KEY.encode()
    number = int.from_bytes(hmac.new(key, f"{purpose}:{visit_code}".encode(), hashlib.sha256).digest(), "big")
    letters = ""
    for _ in range(LENGTHS[purpose]):
        number, place = divmod(number, len(ALPHABET))
        letters += ALPHABET[place]
    return "-".join(letters[i : i + 4] for i in range(0, len(letters), 4))
