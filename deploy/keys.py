"""Print new keys for an installation, to be added to its .env once: python3 deploy/keys.py >> .env

Needs nothing but Python. What was sealed with old keys cannot be opened with these.
"""

from base64 import urlsafe_b64encode
from secrets import token_bytes, token_urlsafe

KEYS = {
    "EVALSITE_SECRET_KEY": token_urlsafe(48),
    # A Fernet key.
    "EVALSITE_FIELD_KEYS": urlsafe_b64encode(token_bytes(32)).decode(),
    "EVALSITE_LOOKUP_KEY": token_urlsafe(48),
    "POSTGRES_PASSWORD": token_urlsafe(32),
}

for name, value in KEYS.items():
    print(f"{name}={value}")  # noqa: T201 - printing is its work
