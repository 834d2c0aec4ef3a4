"""Page times of synthetic participants: they say how long they "read", so that a dry run need not wait.

Only who holds the secret key can sign one, and only visits of kind `synthetic` are believed.
"""

from django.core import signing

SALT = "page-time"


def sign(seconds: float) -> str:
    """The value of the form field `page_time`."""
    return signing.Signer(salt=SALT).sign(f"{seconds:.3f}")


def read(value: str) -> float:
    """The seconds of a signed value; none at all for one that nobody signed."""
    try:
        return float(signing.Signer(salt=SALT).unsign(value))
    except signing.BadSignature:
        return 0.0
