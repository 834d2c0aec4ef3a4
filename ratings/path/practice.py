"""One reply to try the scales on, with a word of feedback. It is kept as an answer, never as a rating."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from ratings.models import Answer, Visit
from ratings.path import stages
from ratings.path.pages import Page
from ratings.path.scales import RatingForm
from ratings.path.visits import SeeOther, serve, show, with_visit
from ratings.studyfile.publishing import definition_of

STAGE = stages.PRACTICE


@require_http_methods(["GET", "HEAD", "POST"])
@with_visit(STAGE)
def practice(request: HttpRequest, visit: Visit) -> HttpResponse:
    """First the form; once it is answered, the same page with feedback and the way on."""
    definition = definition_of(visit.version)
    tried = visit.answers.filter(kind=Answer.Kind.PRACTICE).exists()
    page = Page(visit, STAGE, position=2 if tried else 1)
    if request.method == "POST":
        page.check(request)
        if tried:
            stages.advance(visit, STAGE)
            return SeeOther(stages.address_of(visit))
        form = RatingForm(visit, definition, request.POST, request.FILES, comment=False)
        if not form.is_valid():
            return show(request, visit, "ratings/practice.html", STAGE, page, form=form)
        Answer.objects.bulk_create(
            Answer(visit=visit, kind=Answer.Kind.PRACTICE, key=key, value=form.cleaned_data[key]) for key in form.keys
        )
        return SeeOther(stages.address_of(visit))
    asked = None if tried else RatingForm(visit, definition, comment=False)
    return serve(request, visit, "ratings/practice.html", page, form=asked)
