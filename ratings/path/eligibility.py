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
from ratings.studyfile.schema import Question

STAGE = stages.ELIGIBILITY


class EligibilityForm(PathForm):
    def __init__(self, questions: tuple[Question, ...], data=None, files=None):
        super().__init__(data, files)
        self.questions = questions
        for question in questions:
            message = _("Please answer yes or no.")
            field = forms.ChoiceField(
                choices=[("yes", _("Yes")), ("no", _("No"))],
                error_messages={"required": message, "invalid_choice": message},
            )
            field.question = question
            self.fields[question.key] = field

    def lets_in(self) -> bool:
        return all(self.cleaned_data[question.key] == question.accept for question in self.questions)


@require_http_methods(["GET", "POST"])
@with_visit(STAGE)
def eligibility(request: HttpRequest, visit: Visit) -> HttpResponse:
    page = Page(visit, STAGE)
    definition = definition_of(visit.version)
    if request.method == "GET":
        return serve(request, visit, "ratings/eligibility.html", page, form=EligibilityForm(definition.eligibility))
    page.check(request)
    form = EligibilityForm(definition.eligibility, request.POST, request.FILES)
    if not form.is_valid():
        return show(request, visit, "ratings/eligibility.html", STAGE, page, status=422, form=form)
    if form.lets_in():
        Answer.objects.bulk_create(
            Answer(visit=visit, kind=Answer.Kind.ELIGIBILITY, key=question.key, value=form.cleaned_data[question.key])
            for question in form.questions
        )
        stages.advance(visit, STAGE)
    else:
        end(visit, Visit.Outcome.SCREENED_OUT)
    return SeeOther(stages.address_of(visit))
