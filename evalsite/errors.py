"""The pages for what went wrong: plain words, a way on, and the crisis resources within reach."""

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

# Seconds until a page that found no database is asked for again, by itself.
BACK_SOON = 5


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "errors/404.html", status=404)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "errors/400.html", status=400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "errors/403.html", status=403)


def server_error(request: HttpRequest) -> HttpResponse:
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        # The database is away or busy, for a moment mostly: nobody has done anything wrong.
        page = render(request, "errors/503.html", {"seconds": BACK_SOON}, status=503)
        page.headers["Retry-After"] = str(BACK_SOON)
        return page
    return render(request, "errors/500.html", status=500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Mostly a page left open too long, or cookies switched off: say so, and offer the page again."""
    return render(request, "errors/csrf.html", status=403)
