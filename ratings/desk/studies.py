"""The list of studies, the overview of one, and its state: pilot, live, paused, closed."""

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from accounts.models import AuditEntry
from ratings import recruitment
from ratings.desk import examples, progress, readiness
from ratings.desk.findings import Replies, changes, findings_of
from ratings.desk.owned import DeskRequest, signed_in, with_study
from ratings.models import Study, StudyVersion
from ratings.studyfile import publishing
from ratings.studyfile.publishing import definition_of

VERBS = {
    Study.State.PILOT: "Run as a pilot",
    Study.State.LIVE: "Open for real participants",
    Study.State.PAUSED: "Pause the study",
    Study.State.CLOSED: "Close the study",
}
NOW = {
    Study.State.PILOT: "runs as a pilot",
    Study.State.LIVE: "is live",
    Study.State.PAUSED: "is paused",
    Study.State.CLOSED: "is closed",
}


class MoveForm(forms.Form):
    """A change of state, confirmed. A live chat needs one more word before it opens for real participants."""

    acknowledged = forms.BooleanField(required=False)

    def __init__(self, *args, must_acknowledge: bool, **kwargs):
        super().__init__(*args, **kwargs)
        self.must_acknowledge = must_acknowledge

    def clean_acknowledged(self) -> bool:
        if self.must_acknowledge and not self.cleaned_data["acknowledged"]:
            raise forms.ValidationError("Tick this box to open the chat, or run the study as a pilot.")
        return self.cleaned_data["acknowledged"]


class PublishForm(MoveForm):
    """The draft becomes a version. Its first opening is as a pilot or live; later ones leave the state alone."""

    opening = forms.ChoiceField(choices=[("pilot", "pilot"), ("live", "live")])
    same_meaning = forms.CharField(required=False, max_length=500)

    def __init__(self, *args, first: bool, **kwargs):
        super().__init__(*args, **kwargs)
        if not first:
            del self.fields["opening"]

    def clean_acknowledged(self) -> bool:
        if self.data.get("opening") == "pilot":
            return False
        return super().clean_acknowledged()


@require_GET
@signed_in
def index(request: DeskRequest) -> HttpResponse:
    lines = progress.lines(Study.objects.of(request.user).select_related("current_version"))
    return render(request, "desk/studies.html", {"lines": lines, "examples": examples.all_of_them()})


@require_GET
@with_study
def overview(request: DeskRequest, study: Study) -> HttpResponse:
    draft, version = study.draft, study.current_version
    shown = progress.shown_version(study)
    return render(
        request,
        "desk/study.html",
        {
            "study": study,
            "title": progress.title_of(shown),
            "definition": definition_of(shown),
            "draft": draft,
            "version": version,
            "progress": progress.progress(version, study.kind_now) if version else None,
            "link": recruitment.open_link(study),
            "this_computer_only": settings.THIS_COMPUTER_ONLY,
            "checks": readiness.of(shown),
            "moves": [(state, _verb(study, state)) for state in Study.State if version and study.may_become(state)],
            "versions": study.versions.published().order_by("-number"),
            "entries": AuditEntry.objects.filter(subject=study.slug).select_related("user")[:10],
        },
    )


@require_http_methods(["GET", "POST"])
@with_study
def move(request: DeskRequest, study: Study, state: str) -> HttpResponse:
    version = study.current_version
    if version is None or not study.may_become(state):
        raise Http404
    chat = definition_of(version).mode == "chat"
    must_acknowledge = chat and state == Study.State.LIVE and not version.screening_acknowledged
    form = MoveForm(request.POST if request.method == "POST" else None, must_acknowledge=must_acknowledge)
    if request.method == "POST" and form.is_valid():
        acknowledged = request.user.get_username() if form.cleaned_data["acknowledged"] else ""
        try:
            publishing.move(study, state, request.user, acknowledged)
        except publishing.Refused as refused:
            messages.error(request, str(refused))
        else:
            messages.success(request, f"{study.slug} {NOW[Study.State(state)]}.")
        return redirect("desk:study", study.slug)
    context = {"study": study, "state": state, "verb": _verb(study, state), "form": form, "version": version}
    return render(request, "desk/move.html", context | {"checks": readiness.of(version)})


def _verb(study: Study, state: str) -> str:
    return "Reopen the study" if study.state == Study.State.CLOSED else VERBS[Study.State(state)]


@require_http_methods(["GET", "POST"])
@with_study
def publish(request: DeskRequest, study: Study) -> HttpResponse:
    draft, before = study.draft, study.current_version
    if draft is None:
        raise Http404
    chat = definition_of(draft).mode == "chat"
    first = study.state == Study.State.DRAFT
    form = PublishForm(
        request.POST if request.method == "POST" else None,
        first=first,
        must_acknowledge=chat and (first or study.state == Study.State.LIVE),
    )
    if request.method == "POST" and form.is_valid():
        try:
            _publish(request, study, draft, form)
        except publishing.Refused as refused:
            messages.error(request, str(refused))
        return redirect("desk:study", study.slug)
    return render(
        request,
        "desk/publish.html",
        {
            "study": study,
            "draft": draft,
            "before": before,
            "first": first,
            "form": form,
            "changes": changes(before, draft) if before else [],
            "kinship": _kinship(draft, before),
            "findings": findings_of(bytes(draft.source), "study.yaml", study, Replies(study)),
            "checks": readiness.of(draft),
        },
    )


def _publish(request: DeskRequest, study: Study, draft: StudyVersion, form: PublishForm) -> None:
    version = publishing.publish(
        draft,
        request.user,
        acknowledged=request.user.get_username() if form.cleaned_data["acknowledged"] else "",
        same_meaning=form.cleaned_data["same_meaning"].strip(),
        pilot=form.cleaned_data.get("opening") == "pilot",
    )
    messages.success(
        request, f"Version {version.number} is published; {study.slug} {NOW[Study.State(version.study.state)]}."
    )


def _kinship(draft: StudyVersion, before: StudyVersion | None) -> str:
    """How a draft relates to the version before it: its first, another design, the same, or only other words."""
    if before is None:
        return "first"
    if draft.design_fingerprint != before.design_fingerprint:
        return "other design"
    return "same" if publishing.keeps_its_meaning(draft, before) else "other words"
