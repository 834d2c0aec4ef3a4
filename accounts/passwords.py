"""The password that the first start prints opens one page only: the one that asks for another."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse


class OneTimePasswordMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if self.must_change(request):
            return redirect("accounts:change_password")
        return self.get_response(request)

    @staticmethod
    def must_change(request: HttpRequest) -> bool:
        allowed = {reverse("accounts:change_password"), reverse("accounts:logout")}
        return request.user.is_authenticated and request.user.must_change_password and request.path not in allowed
