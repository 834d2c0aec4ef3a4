"""Writing a study: upload a study file or edit its text, with every fault at its line; saving replaces the draft."""

from pathlib import PurePath
from typing import Any

from django import forms
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from ratings.desk import examples
from ratings.desk.findings import Findings, Replies, findings_of
from ratings.desk.owned import DeskRequest, signed_in, with_study
from ratings.desk.progress import shown_version
from ratings.models import Study
from ratings.studyfile import publishing, replies, yamltext
from ratings.studyfile.faults import StudyFileErrors
from ratings.studyfile.jsonschema import study_schema

STUDY_FILES = (".yaml", ".yml")
REPLY_FILES = (".csv", ".tsv", ".jsonl", ".ndjson")


class ManyFilesInput(forms.FileInput):
    allow_multiple_selected = True


class ManyFiles(forms.FileField):
    widget = ManyFilesInput

    def clean(self, data, initial=None) -> list[UploadedFile]:
        return [super(ManyFiles, self).clean(file, initial) for file in data or [] if file]


class StudyFileForm(forms.Form):
    """A study file, as a file or as text, and the files of replies beside it. An uploaded file wins over the text."""

    file = forms.FileField(required=False, allow_empty_file=True)
    replies = ManyFiles(required=False, allow_empty_file=True)
    text = forms.CharField(required=False, strip=False)

    def clean_file(self) -> UploadedFile | None:
        file = self.cleaned_data["file"]
        if file:
            _refuse_other_sorts(file, STUDY_FILES, "A study file")
            _refuse_large(file, yamltext.LARGEST_FILE)
        return file

    def clean_replies(self) -> list[UploadedFile]:
        for file in self.cleaned_data["replies"]:
            _refuse_other_sorts(file, REPLY_FILES, "A file of replies")
            _refuse_large(file, replies.LARGEST_FILE)
        return self.cleaned_data["replies"]

    def clean(self) -> None:
        if not self.errors and not self.cleaned_data.get("file") and not self.cleaned_data.get("text", "").strip():
            raise forms.ValidationError("There is nothing to read yet: choose a study file, or write its text below.")

    @property
    def source(self) -> bytes:
        if file := self.cleaned_data.get("file"):
            file.seek(0)
            return file.read()
        return self.cleaned_data["text"].replace("\r\n", "\n").encode()

    @property
    def name(self) -> str:
        file = self.cleaned_data.get("file")
        return _name(file) if file else "study.yaml"

    @property
    def uploaded_replies(self) -> dict[str, UploadedFile]:
        return {_name(file): file for file in self.cleaned_data["replies"]}


def _name(file: UploadedFile) -> str:
    return PurePath(file.name or "").name


def _refuse_other_sorts(file: UploadedFile, allowed: tuple[str, ...], what: str) -> None:
    if PurePath(_name(file)).suffix.lower() not in allowed:
        raise forms.ValidationError(f"{what} ends in {' or '.join(allowed)}; “{_name(file)[:80]}” does not.")


def _refuse_large(file: UploadedFile, largest: int) -> None:
    size = file.size or 0
    if size > largest:
        raise forms.ValidationError(
            f"“{_name(file)[:80]}” has {size / 1e6:.1f} MB; at most {largest / 1e6:.0f} MB are possible."
        )


def _examine(form: StudyFileForm, study: Study | None) -> Findings:
    """Read what the form brings, as far as it can be read. Nothing is kept."""
    if not form.is_valid():
        refusals = [str(message) for errors in form.errors.values() for message in errors]
        return Findings(text=form.data.get("text", ""), refusals=refusals)
    uploaded = Replies(study, form.uploaded_replies)
    findings = findings_of(form.source, form.name, study, uploaded)
    findings.unread = uploaded.unread
    return findings


@require_http_methods(["GET", "POST"])
@signed_in
def new(request: DeskRequest) -> HttpResponse:
    if request.method == "POST":
        return _save(request, None)
    key = request.GET.get("example")
    if not key:
        return _page(request, None, Findings())
    if (text := examples.text_of(key)) is None:
        raise Http404
    return _page(request, None, findings_of(text.encode(), "study.yaml", None, Replies(None)))


@require_http_methods(["GET", "POST"])
@with_study
def edit(request: DeskRequest, study: Study) -> HttpResponse:
    if request.method == "POST":
        return _save(request, study)
    version = study.draft or shown_version(study)
    return _page(request, study, findings_of(bytes(version.source), "study.yaml", study, Replies(study)))


@require_POST
@signed_in
def check(request: DeskRequest) -> HttpResponse:
    """What is wrong with the text as it stands: the fragment that the editor asks for while one types."""
    slug = request.POST.get("slug", "")
    study = get_object_or_404(Study.objects.of(request.user), slug=slug) if slug else None
    findings = _examine(_form(request), study)
    return render(request, "desk/_findings.html", {"findings": findings, "checked": True})


def _form(request: DeskRequest) -> StudyFileForm:
    return StudyFileForm(request.POST, request.FILES)


def _save(request: DeskRequest, study: Study | None) -> HttpResponse:
    form = _form(request)
    findings = _examine(form, study)
    if request.POST.get("action") == "check" or not findings.ok:
        return _page(request, study, findings)
    try:
        version = publishing.load(form.source, form.name, Replies(study, form.uploaded_replies), request.user)
    except StudyFileErrors as errors:
        findings.faults = errors.faults
        return _page(request, study, findings)
    if version.is_draft:
        messages.success(request, f"Saved as the draft of version {version.number}. Nobody sees it before you publish.")
    else:
        messages.info(request, f"This is version {version.number}, unchanged. There is no draft.")
    address = reverse("desk:study", args=[version.study.slug])
    return HttpResponseClientRedirect(address) if request.htmx else redirect(address)


def _page(request: DeskRequest, study: Study | None, findings: Findings) -> HttpResponse:
    context: dict[str, Any] = {"study": study, "findings": findings, "checked": request.method == "POST"}
    if request.htmx:
        return render(request, "desk/_findings.html", context | {"refused": True})
    if study:
        versions = study.versions.order_by("-number").prefetch_related("reply_files")
        context |= {"versions": versions, "newest": versions[0]}
    else:
        context |= {"examples": examples.all_of_them()}
    return render(request, "desk/edit.html", context)


@require_POST
@with_study
def discard(request: DeskRequest, study: Study) -> HttpResponse:
    """Throw the draft away. A study that was never published goes with it."""
    draft = study.draft
    if draft is None:
        raise Http404
    if study.current_version is None:
        study.delete()
        messages.success(request, f"{study.slug} was never published and is deleted.")
        return redirect("desk:studies")
    draft.delete()
    messages.success(request, "The draft is gone. The published version is as it was.")
    return redirect("desk:study", study.slug)


@require_GET
@with_study
def download(request: DeskRequest, study: Study, number: int) -> HttpResponse:
    version = get_object_or_404(study.versions, number=number)
    name = f"{study.slug}.yaml" if version.is_draft else f"{study.slug}-version-{number}.yaml"
    return HttpResponse(
        bytes(version.source),
        content_type="application/yaml; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@require_GET
@signed_in
def schema(request: DeskRequest) -> JsonResponse:
    return JsonResponse(study_schema(), json_dumps_params={"indent": 2})
