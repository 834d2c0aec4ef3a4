"""What to do, and the code to come back with."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from ratings.models import Visit
from ratings.path import stages
from ratings.path.pages import Page
from ratings.path.visits import SeeOther, serve, with_visit

STAGE = stages.INSTRUCTIONS


@require_http_methods(["GET", "HEAD", "POST"])
@with_visit(STAGE)
def instructions(request: HttpRequest, visit: Visit) -> HttpResponse:
    page = Page(visit, STAGE)
    if request.method == "POST":
        page.check(request)
        stages.advance(visit, STAGE)
        return SeeOther(stages.address_of(visit))
    return serve(request, visit, "ratings/instructions.html", page)
