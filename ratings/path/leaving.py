"""Leaving: with what one gave kept, or with everything deleted; from any page, by cookie or by withdrawal code."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from ratings import withdrawal
from ratings.chatting import failed_reply
from ratings.models import Visit, Withdrawal
from ratings.path import limits, stages
from ratings.path.visits import SeeOther, end, find_visit, forget, show, with_visit
from ratings.withdrawal import withdraw


@require_http_methods(["GET", "HEAD", "POST"])
@with_visit()
def leave(request: HttpRequest, visit: Visit) -> HttpResponse:
    """`leave` keeps what was given; `delete` asks once more, and then nothing is left."""
    action = request.POST.get("action")
    stage = visit.stage if not visit.is_over else stages.END_PAGES.get(visit.outcome, stages.ENDED)
    if action == "delete" and request.POST.get("sure") == "yes":
        return forget(redirect("path:receipt", withdraw(visit).receipt), visit.version.study.slug)
    if action == "delete":
        return show(request, visit, "ratings/delete.html", stage)
    if action == "leave":
        if not visit.is_over:
            end(visit, _outcome(visit))
        return SeeOther(stages.address_of(visit))
    if action is not None:
        return SeeOther(stages.address_of(visit))
    return show(request, visit, "ratings/leave.html", stage)


def _outcome(visit: Visit) -> str:
    if failed_reply(visit):
        return Visit.Outcome.TECHNICAL
    return Visit.Outcome.WITHDREW if visit.consented_at else Visit.Outcome.DECLINED


class WithdrawalForm(forms.Form):
    code = forms.CharField(
        max_length=40,
        error_messages={
            "required": _("Please enter your withdrawal code."),
            "max_length": _("This is not a withdrawal code."),
        },
    )

    def clean_code(self) -> str:
        code = self.cleaned_data["code"]
        visit = withdrawal.find_by_code(code)
        if visit is None:
            raise forms.ValidationError(_("No answers belong to this code. Please check each letter."))
        self.visit = visit
        return code


@require_http_methods(["GET", "HEAD", "POST"])
def by_code(request: HttpRequest) -> HttpResponse:
    """For whoever has only the withdrawal code: on another device, weeks later."""
    if request.method == "POST" and limits.exhausted(request, "withdraw"):
        return limits.too_many(request, "withdraw")
    form = WithdrawalForm(request.POST or None)
    if not form.is_valid():
        if form.is_bound:
            limits.count(request, "withdraw")
        return render(request, "ratings/withdraw.html", {"form": form})
    if request.POST.get("sure") != "yes":
        return render(request, "ratings/delete.html", {"code": form.cleaned_data["code"]})
    slug = form.visit.version.study.slug
    response = redirect("path:receipt", withdraw(form.visit).receipt)
    return response if find_visit(request, slug) else forget(response, slug)


@require_safe
def receipt(request: HttpRequest, receipt: str) -> HttpResponse:
    tombstone = get_object_or_404(Withdrawal.objects.select_related("study"), receipt=receipt)
    context = {
        "stage": stages.ENDED,
        "outcome": Visit.Outcome.WITHDREW,
        "withdrawal": tombstone,
        "copies_gone": withdrawal.last_copy_gone_by(tombstone.at.date()),
    }
    return render(request, "ratings/receipt.html", context)
