"""Who may open a study on the desk: its owner. For everybody else it does not exist."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from ratings.models import Study

P = ParamSpec("P")


def with_study(
    view: Callable[Concatenate[HttpRequest, Study, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, str, P], HttpResponse]:
    """Find the study by its slug among those of the person who is signed in, else 404."""

    @wraps(view)
    @login_required
    def owned(request: HttpRequest, slug: str, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        studies = Study.objects.of(request.user).select_related("current_version")
        return view(request, get_object_or_404(studies, slug=slug), *args, **kwargs)

    return owned
