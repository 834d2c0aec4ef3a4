"""Sessions and accounts are for researchers' addresses only: a participant's page never opens one."""

from collections.abc import Callable
from typing import Any

from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string

ADDRESSES = ("/accounts/", "/studies/", "/api/")
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "accounts.passwords.OneTimePasswordMiddleware",
]


class ResearchersMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.for_participants = get_response
        handler: Any = get_response
        for name in reversed(MIDDLEWARE):
            handler = convert_exception_to_response(import_string(name)(handler))
        self.for_researchers = handler

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(ADDRESSES):
            return self.for_researchers(request)
        return self.for_participants(request)
