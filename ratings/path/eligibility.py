"""Who may take part. Answers of people who are screened out are not stored, only that they were."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from ratings.models import Answer, Visit
from ratings.path import stages
from ratings.path.forms import PathForm
from ratings.path.pages import Page
from ratings.path.visits import SeeOther, end, serve, show, with_visit
from ratings.studyfile.publishing import definition_of
from ratings.studyfile.schema import StudyFile, text_in

STAGE = stages.ELIGIBILITY


class EligibilityForm(PathForm):
    def __init__(self, visit: Visit, definition: StudyFile, data=None, files=None):
        super().__init__(data, files)
        self.questions = definition.eligibility
        for question in self.questions:
            asked = text_in(question.question, visit.locale, definition.default_locale)
            message = _("Answer yes or no: %s") % asked
            self.fields[question.key] = field = forms.ChoiceField(
                choices=[("yes", _("Yes")), ("no", _("No"))],
                error_messages={"required": message, "invalid_choice": message},
            )
            field.question = question  # type: ignore[attr-defined]  # for the template

    def lets_in(self) -> bool:
        return all(self.cleaned_data[question.key] == question.accept for question in self.questions)


@require_http_methods(["GET", "HEAD", "POST"])
@with_visit(STAGE)
def eligibility(request: HttpRequest, visit: Visit) -> HttpResponse:
    page = Page(visit, STAGE)
    definition = definition_of(visit.version)
    if request.method != "POST":
        return serve(request, visit, "ratings/eligibility.html", page, form=EligibilityForm(visit, definition))
    page.check(request)
    form = EligibilityForm(visit, definition, request.POST, request.FILES)
    if not form.is_valid():
        return show(request, visit, "ratings/eligibility.html", STAGE, page, form=form)
    if form.lets_in():
        Answer.objects.bulk_create(
            Answer(visit=visit, kind=Answer.Kind.ELIGIBILITY, key=question.key, value=form.cleaned_data[question.key])
            for question in form.questions
        )
        stages.advance(visit, STAGE)
    else:
        end(visit, Visit.Outcome.SCREENED_OUT)
    return SeeOther(stages.address_of(visit))
