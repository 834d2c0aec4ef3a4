"""Headers that every page carries: nothing foreign runs, no cache keeps it, nothing of the device is asked for."""

from collections.abc import Callable
from functools import cached_property

from csp.constants import HEADER
from csp.middleware import CSPMiddleware
from csp.utils import build_policy
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

PERMISSIONS = ", ".join(f"{feature}=()" for feature in ("camera", "geolocation", "microphone", "payment", "usb"))


class ContentSecurityPolicy(CSPMiddleware):
    """django-csp composes its header anew for each response; all but a few views have the one of the settings."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        has_its_own = any(name.startswith("_csp") for name in (*vars(response), *vars(request)))
        if has_its_own:
            return super().process_response(request, response)
        response.headers.setdefault(HEADER, self._of_settings)
        return response

    @cached_property
    def _of_settings(self) -> str:
        return build_policy()


class PrivacyHeaders:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        return response
