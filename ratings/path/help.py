""" "Get help now": a plain page for anybody, without a login, a cookie or a script."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.utils.text import slugify
from django.views.decorators.http import require_safe

from ratings.models import Study
from ratings.path.visits import direction_of, find_visit, study_context
from ratings.safety import resources
from ratings.studyfile.publishing import definition_of


@require_safe
def help_now(request: HttpRequest) -> HttpResponse:
    """The participant chooses the country; where they connect from is never asked."""
    context = _study_context(request)
    definition = context.get("definition")
    campus = definition.resources.campus if definition else None
    chosen = request.GET.get("country")
    if chosen is None:
        chosen = (definition.resources.country or "") if definition else ""
    context |= {
        "stage": "help",
        "country": resources.country(chosen),
        "countries": resources.countries(),
        "everywhere": resources.everywhere(),
        "campus": campus,
        "campus_way": resources.Way("tel", campus.phone) if campus and campus.phone else None,
    }
    with translation.override(context["language"]):
        return render(request, "ratings/help.html", context)


def _study_context(request: HttpRequest) -> dict:
    """What belongs to the study that the person came from, if they came from one."""
    slug = slugify(request.GET.get("study", ""))
    study = Study.objects.published().select_related("current_version").filter(slug=slug).first() if slug else None
    if study is None or study.current_version is None:
        language = translation.get_language() or "en"
        return {"language": language, "direction": direction_of(language)}
    visit = find_visit(request, slug)
    definition = definition_of(visit.version if visit else study.current_version)
    return study_context(study, definition, visit.locale if visit else definition.default_locale)
