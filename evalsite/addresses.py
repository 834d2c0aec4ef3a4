"""Where we listen and what we are called, as the environment says it: wrong values are refused in plain words."""

from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ImproperlyConfigured


def port(environ: Mapping[str, str]) -> int:
    """PORT, else the port that a plain http:// EVALSITE_URL names: nothing else would serve that address."""
    if value := environ.get("PORT"):
        if value.isascii() and value.isdigit() and 0 < int(value) < 65536:
            return int(value)
        raise ImproperlyConfigured(f"PORT={value} is no port: choose a number from 1 to 65535.")
    if (url := environ.get("EVALSITE_URL")) and (address := _split(url)).scheme == "http" and address.port:
        return address.port
    return 8000


def public_url(environ: Mapping[str, str]) -> str:
    """EVALSITE_URL without a closing slash; empty when only this computer is served."""
    if not (value := environ.get("EVALSITE_URL", "").strip()):
        return ""
    address = _split(value)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ImproperlyConfigured(
            f"EVALSITE_URL={value} is no address: write http://NAME:8000 or https://NAME, as people will type it."
        )
    if address.path.strip("/") or address.query or address.fragment or address.username:
        raise ImproperlyConfigured(
            f"EVALSITE_URL={value} has more than a name and a port; Evalsite needs a name of its own, e.g. "
            f"{address.scheme}://{address.hostname}"
        )
    return f"{address.scheme}://{address.netloc}"


def seconds(environ: Mapping[str, str], variable: str, default: float) -> float:
    value = environ.get(variable) or default
    try:
        if 0 < (number := float(value)) < float("inf"):
            return number
    except ValueError:
        pass
    raise ImproperlyConfigured(f"{variable}={value} is no number of seconds above 0.")


def _split(url: str) -> SplitResult:
    try:
        address = urlsplit(url)
        _ = address.port
    except ValueError as fault:
        raise ImproperlyConfigured(f"EVALSITE_URL={url} is no address ({fault}).")
    return address
