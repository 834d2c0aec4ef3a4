"""Paying people: which of the completion codes they sent are theirs to send. Nothing they answered is shown."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from accounts.models import AuditEntry
from ratings.codes import hash_of
from ratings.desk.owned import DeskRequest, with_study
from ratings.models import Study, Visit
from ratings.recruitment import inert

AT_ONCE = 2000


@dataclass(frozen=True)
class CheckedCode:
    """A code as it was typed, and what it is: valid, used (since when), unknown, or repeated in the list."""

    typed: str
    status: str
    kind: str = ""
    outcome: str = ""
    used_at: datetime | None = None


class CodesForm(forms.Form):
    codes = forms.CharField(widget=forms.Textarea, max_length=100_000)

    def clean_codes(self) -> list[str]:
        """One a line, or separated by commas or semicolons; a code may contain spaces only if it has a line."""
        text = self.cleaned_data["codes"].replace(",", "\n").replace(";", "\n")
        codes = [code for line in text.splitlines() if (code := " ".join(line.split()))]
        if not codes:
            raise forms.ValidationError("There is no code in this text.")
        if len(codes) > AT_ONCE:
            raise forms.ValidationError(f"These are {len(codes)} codes; at most {AT_ONCE} can be checked at once.")
        return [code[:60] for code in codes]


@require_http_methods(["GET", "POST"])
@with_study
def codes(request: DeskRequest, study: Study) -> HttpResponse:
    form = CodesForm(request.POST if request.method == "POST" else None)
    checked: list[CheckedCode] = []
    if request.method == "POST" and form.is_valid():
        typed = form.cleaned_data["codes"]
        checked = check(study, typed)
        match request.POST.get("action"):
            case "use":
                used = use(study, checked)
                AuditEntry.objects.record(request.user, "use codes", study.slug, used=used)
                messages.success(request, f"{used} code{'s are' if used != 1 else ' is'} marked as used.")
                checked = check(study, typed)
            case "csv":
                return _as_csv(study, checked)
            case _:
                AuditEntry.objects.record(request.user, "check codes", study.slug, codes=len(typed))
    counts = {status: sum(code.status == status for code in checked) for status in ("valid", "used", "unknown")}
    return render(request, "desk/codes.html", {"study": study, "form": form, "checked": checked, "counts": counts})


def check(study: Study, typed: Iterable[str]) -> list[CheckedCode]:
    hashes = [(code, hash_of("completion", code)) for code in typed]
    # The code of a visit exists from its start, but only an ended one has been told it.
    ended = Visit.objects.exclude(outcome="").filter(version__study=study).select_related("participant")
    visits = {
        visit.completion_code_hash: visit
        for visit in ended.filter(completion_code_hash__in=[digest for _, digest in hashes]).only(
            "completion_code_hash", "code_used_at", "outcome", "participant__kind"
        )
    }
    seen: set[str] = set()
    checked = []
    for code, digest in hashes:
        checked.append(_checked(code, visits.get(digest), repeated=digest in seen))
        seen.add(digest)
    return checked


def _checked(code: str, visit: Visit | None, repeated: bool) -> CheckedCode:
    if visit is None:
        return CheckedCode(code, "unknown")
    if repeated:
        return CheckedCode(code, "repeated")
    status = "used" if visit.code_used_at else "valid"
    return CheckedCode(code, status, visit.participant.kind, visit.get_outcome_display(), visit.code_used_at)


@transaction.atomic
def use(study: Study, checked: Iterable[CheckedCode]) -> int:
    """Mark the valid codes as used; how many. Sent twice, the second finds them used."""
    hashes = [hash_of("completion", code.typed) for code in checked if code.status == "valid"]
    unused = Visit.objects.filter(version__study=study, completion_code_hash__in=hashes, code_used_at=None)
    return unused.update(code_used_at=timezone.now())


def _as_csv(study: Study, checked: Iterable[CheckedCode]) -> HttpResponse:
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["code", "status", "kind", "outcome", "used_at"])
    for code in checked:
        used_at = code.used_at.isoformat(timespec="seconds") if code.used_at else ""
        writer.writerow([inert(code.typed), code.status, code.kind, code.outcome, used_at])
    return HttpResponse(
        table.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{study.slug}-codes.csv"'},
    )
