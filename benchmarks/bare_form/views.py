from django import forms
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import path

from benchmarks.bare_form.models import Assignment, Rating

POINTS = [(str(point), str(point)) for point in range(1, 11)]


class RatingForm(forms.Form):
    empathy_support = forms.ChoiceField(choices=POINTS)
    fluency_quality = forms.ChoiceField(choices=POINTS)


def rate(request: HttpRequest, visit: int, position: int) -> HttpResponse:
    if request.method == "GET":
        assignment = get_object_or_404(Assignment, visit=visit, position=position)
        return render(request, "bare_form/rate.html", {"assignment": assignment, "points": POINTS})
    form = RatingForm(request.POST)
    if not form.is_valid():
        return HttpResponse("Choose two numbers from 1 to 10.", status=422)
    with transaction.atomic():
        assignment = get_object_or_404(Assignment, visit=visit, position=position)
        Rating.objects.bulk_create(
            [Rating(assignment=assignment, criterion=key, value=value) for key, value in form.cleaned_data.items()],
            update_conflicts=True,
            unique_fields=["assignment", "criterion"],
            update_fields=["value"],
        )
        assignment.done = True
        assignment.save(update_fields=["done"])
    return HttpResponseRedirect(f"/{visit}/{position + 1}/")


urlpatterns = [path("<int:visit>/<int:position>/", rate)]
