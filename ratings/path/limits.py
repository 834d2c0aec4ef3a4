"""How often codes may be guessed from one address. The address itself is never stored, nor its hash beyond a day."""

import time

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from accounts.sealed import lookup_hash

WRONG_TRIES = 10
WINDOW = 15 * 60  # seconds


def exhausted(request: HttpRequest, purpose: str) -> bool:
    return cache.get(_key(request, purpose), 0) >= WRONG_TRIES


def count(request: HttpRequest, purpose: str) -> None:
    """One more wrong try. Right ones are not counted: a whole class may share an address."""
    key = _key(request, purpose)
    cache.add(key, 0, timeout=WINDOW)
    cache.incr(key)


def too_many(request: HttpRequest, purpose: str) -> HttpResponse:
    seconds = WINDOW - int(time.time()) % WINDOW
    response = render(request, "ratings/too_many.html", {"minutes": seconds // 60 + 1}, status=429)
    response["Retry-After"] = str(seconds)
    return response


def _key(request: HttpRequest, purpose: str) -> str:
    today = timezone.now().date().isoformat()
    address = lookup_hash(f"address/{today}", _address(request))
    return f"tries/{purpose}/{address}/{int(time.time()) // WINDOW}"


def _address(request: HttpRequest) -> str:
    """Behind TLS there is a proxy, and it is the proxy that knows: the last of its list is who came to it."""
    told = request.META.get("HTTP_X_FORWARDED_FOR", "") if settings.OVER_TLS else ""
    return told.rpartition(",")[2].strip() or request.META.get("REMOTE_ADDR", "")
