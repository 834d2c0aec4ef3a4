"""A few questions about the person, mostly optional, and the button that finishes the study."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from ratings.models import Answer, Event, Visit
from ratings.path import stages
from ratings.path.forms import OwnWords, PathForm
from ratings.path.pages import Page
from ratings.path.visits import SeeOther, end, note, serve, show, with_visit
from ratings.studyfile.publishing import definition_of
from ratings.studyfile.schema import ExitQuestion, StudyFile, text_in

STAGE = stages.EXIT


class ExitForm(PathForm):
    def __init__(self, visit: Visit, definition: StudyFile, data=None, files=None):
        super().__init__(data, files)
        for question in definition.exit_questions:
            asked = text_in(question.question, visit.locale, definition.default_locale)
            self.fields[question.key] = field = _field(question, asked)
            field.question = question  # type: ignore[attr-defined]  # for the template

    def answers(self) -> dict[str, str | list[str]]:
        """What was answered; questions left open are not among them."""
        return {key: value for key, value in self.cleaned_data.items() if value}


def _field(question: ExitQuestion, asked: str) -> forms.Field:
    messages = {
        "required": _("Please answer: %s") % asked,
        "invalid_choice": _("Please choose one of the answers: %s") % asked,
    }
    if question.kind == "text":
        field: forms.Field = OwnWords(error_messages=messages)
        field.required = not question.optional
        return field
    choices = [(choice.key, choice.key) for choice in question.choices]
    kind = forms.MultipleChoiceField if question.kind == "choices" else forms.ChoiceField
    return kind(choices=choices, required=not question.optional, error_messages=messages)


@require_http_methods(["GET", "HEAD", "POST"])
@with_visit(STAGE)
def exit_questions(request: HttpRequest, visit: Visit) -> HttpResponse:
    page = Page(visit, STAGE)
    definition = definition_of(visit.version)
    if request.method != "POST":
        return serve(request, visit, "ratings/exit.html", page, form=ExitForm(visit, definition))
    page.check(request)
    if request.POST.get("action") == "back":
        note(visit, Event.Kind.BACK)
        return SeeOther(stages.last_rating_of(visit))
    form = ExitForm(visit, definition, request.POST, request.FILES)
    if not form.is_valid():
        return show(request, visit, "ratings/exit.html", STAGE, page, form=form)
    Answer.objects.bulk_create(
        Answer(visit=visit, kind=Answer.Kind.EXIT, key=key, value=value) for key, value in form.answers().items()
    )
    end(visit, Visit.Outcome.COMPLETED)
    return SeeOther(stages.address_of(visit))
