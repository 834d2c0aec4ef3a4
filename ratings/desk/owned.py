"""Who may open what on the desk: researchers who are signed in, and of the studies, their owners only."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django_htmx.middleware import HtmxDetails

from accounts.models import User
from ratings.models import Study

P = ParamSpec("P")


class DeskRequest(HttpRequest):
    """A request behind these decorators: its user is a researcher."""

    user: User
    htmx: HtmxDetails


def signed_in(view: Callable[Concatenate[DeskRequest, P], HttpResponse]) -> Callable[..., HttpResponse]:
    """Ask strangers to sign in. A page that fetches parts of itself stays as it is, for there may be text in it."""

    @wraps(view)
    def guarded(request: DeskRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        if request.htmx:
            return render(request, "desk/_signed_out.html")
        return redirect_to_login(request.get_full_path())

    return guarded


def with_study(view: Callable[Concatenate[DeskRequest, Study, P], HttpResponse]) -> Callable[..., HttpResponse]:
    """Find the study by its slug among those of the person who is signed in; for anybody else it does not exist."""

    @wraps(view)
    @signed_in
    def owned(request: DeskRequest, slug: str, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        studies = Study.objects.of(request.user).select_related("current_version")
        return view(request, get_object_or_404(studies, slug=slug), *args, **kwargs)

    return owned
