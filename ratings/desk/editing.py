"""Writing a study: upload a study file or edit its text, with every fault at its line; saving replaces the draft."""

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path, PurePath

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from ratings.desk.owned import with_study
from ratings.models import Study, StudyVersion
from ratings.studyfile import publishing, replies, yamltext
from ratings.studyfile.faults import Fault, StudyFileErrors
from ratings.studyfile.jsonschema import study_schema

EXAMPLES = settings.BASE_DIR / "studies"
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
        return PurePath(file.name).name if file else "study.yaml"

    @property
    def uploaded_replies(self) -> dict[str, UploadedFile]:
        return {PurePath(file.name).name: file for file in self.cleaned_data["replies"]}


def _refuse_other_sorts(file: UploadedFile, allowed: tuple[str, ...], what: str) -> None:
    if PurePath(file.name).suffix.lower() not in allowed:
        raise forms.ValidationError(f"{what} ends in {' or '.join(allowed)}; “{file.name[:80]}” does not.")


def _refuse_large(file: UploadedFile, largest: int) -> None:
    if file.size > largest:
        raise forms.ValidationError(
            f"“{file.name[:80]}” has {file.size / 1e6:.1f} MB; at most {largest / 1e6:.0f} MB are possible."
        )


@dataclass
class Findings:
    """What the reading of a study file brought: its text, and what is to be said about which line."""

    text: str = ""
    name: str = "study.yaml"
    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)
    # Faults of the form itself: a file of the wrong sort, nothing given.
    refusals: list[str] = field(default_factory=list)
    read: bool = False

    @property
    def ok(self) -> bool:
        return self.read and not self.faults

    @property
    def lines(self) -> list[tuple[int, str, str]]:
        """The numbered lines of the text, each with the worst that is said about it."""
        worst = {fault.line: "warning" for fault in self.warnings if fault.file == self.name}
        worst |= {fault.line: "error" for fault in self.faults if fault.file == self.name}
        return [(number, line, worst.get(number, "")) for number, line in enumerate(self.text.split("\n"), 1)]


def _examine(form: StudyFileForm, study: Study | None, stored: Callable[[str], bytes | None]) -> Findings:
    """Read what the form brings, as far as it can be read. Nothing is kept."""
    if not form.is_valid():
        refusals = [str(message) for errors in form.errors.values() for message in errors]
        return Findings(text=form.data.get("text", ""), refusals=refusals)
    return _findings(form.source, form.name, study, _reader(form, stored))


def _findings(source: bytes, name: str, study: Study | None, read_reply: Callable[[str], bytes | None]) -> Findings:
    findings = Findings(text=source.decode("utf-8-sig", "replace"), name=name, read=True)
    try:
        loaded = publishing.check(source, name, read_reply)
    except StudyFileErrors as errors:
        findings.faults, findings.warnings = errors.faults, errors.warnings
    else:
        findings.warnings = loaded.warnings
        if objection := _about_the_slug(loaded.definition.slug, study):
            findings.faults = [Fault(name, *loaded.place_of("slug"), "slug", *objection)]
    return findings


def _about_the_slug(slug: str, study: Study | None) -> tuple[str, str] | None:
    if study is None and Study.objects.filter(slug=slug).exists():
        return f"there is a study called {slug!r} already", "choose another slug; to change that study, open it"
    if study and slug != study.slug:
        return f"this study is {study.slug!r}, and its slug stays", "for another study, choose New study"
    return None


def _reader(form: StudyFileForm, stored: Callable[[str], bytes | None]) -> Callable[[str], bytes | None]:
    """Where a file of replies comes from: just uploaded, or kept with the study."""
    uploaded = form.uploaded_replies

    def read(name: str) -> bytes | None:
        if file := uploaded.get(name):
            file.seek(0)
            return file.read()
        return stored(name)

    return read


def _kept_replies(study: Study | None) -> Callable[[str], bytes | None]:
    """The reply files of a study's draft, then of its newest version; without a study, those beside the examples."""

    def stored(name: str) -> bytes | None:
        if study is None:
            return next((path.read_bytes() for path in _example_files() if path.name == name), None)
        for version in study.versions.order_by("-number"):
            if kept := version.reply_files.filter(name=name).first():
                return bytes(kept.content)
        return None

    return stored


@require_http_methods(["GET", "POST"])
@login_required
def new(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        return _save(request, None)
    name = request.GET.get("example", "")
    example = next((path for path in _example_files() if path.stem == name and path.suffix in STUDY_FILES), None)
    if name and example is None:
        raise Http404
    if example is None:
        return _page(request, None, Findings())
    text = _with_free_slug(example.read_text())
    return _page(request, None, _findings(text.encode(), "study.yaml", None, _kept_replies(None)))


@require_http_methods(["GET", "POST"])
@with_study
def edit(request: HttpRequest, study: Study) -> HttpResponse:
    if request.method == "POST":
        return _save(request, study)
    version = study.draft or study.current_version
    return _page(request, study, _findings(bytes(version.source), "study.yaml", study, _kept_replies(study)))


@require_POST
@login_required
def check(request: HttpRequest) -> HttpResponse:
    """What is wrong with the text as it stands: the fragment that the editor asks for while one types."""
    slug = request.POST.get("slug", "")
    study = get_object_or_404(Study.objects.of(request.user), slug=slug) if slug else None
    findings = _examine(_form(request), study, _kept_replies(study))
    return render(request, "desk/_findings.html", {"findings": findings, "checked": True})


def _form(request: HttpRequest) -> StudyFileForm:
    return StudyFileForm(request.POST, request.FILES)


def _save(request: HttpRequest, study: Study | None) -> HttpResponse:
    form = _form(request)
    stored = _kept_replies(study)
    findings = _examine(form, study, stored)
    if request.POST.get("action") == "check" or not findings.ok:
        return _page(request, study, findings)
    try:
        version = publishing.load(form.source, form.name, _reader(form, stored), request.user)
    except StudyFileErrors as errors:
        findings.faults = errors.faults
        return _page(request, study, findings)
    if version.is_draft:
        messages.success(request, f"Saved as the draft of version {version.number}. Nobody sees it before you publish.")
    else:
        messages.info(request, f"This is version {version.number}, unchanged. There is no draft.")
    address = reverse("desk:study", args=[version.study.slug])
    return HttpResponseClientRedirect(address) if request.htmx else redirect(address)


def _page(request: HttpRequest, study: Study | None, findings: Findings) -> HttpResponse:
    context = {"study": study, "findings": findings, "checked": request.method == "POST"}
    if request.htmx:
        return render(request, "desk/_findings.html", context | {"refused": True})
    if study:
        versions = study.versions.order_by("-number").prefetch_related("reply_files")
        context |= {"versions": versions, "newest": versions[0]}
    else:
        context |= {"examples": examples()}
    return render(request, "desk/edit.html", context)


@require_POST
@with_study
def discard(request: HttpRequest, study: Study) -> HttpResponse:
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
def download(request: HttpRequest, study: Study, number: int) -> HttpResponse:
    version = get_object_or_404(study.versions, number=number)
    name = f"{study.slug}.yaml" if version.is_draft else f"{study.slug}-version-{number}.yaml"
    return HttpResponse(
        bytes(version.source),
        content_type="application/yaml; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@require_GET
@login_required
def schema(request: HttpRequest) -> JsonResponse:
    return JsonResponse(study_schema(), json_dumps_params={"indent": 2})


@dataclass(frozen=True)
class Example:
    key: str
    title: str
    about: str


def _example_files() -> list[Path]:
    return sorted(EXAMPLES.glob("*"))


def examples() -> list[Example]:
    """The study files that come with the program: their titles, and the first paragraph of the comment at their top."""
    found = []
    for path in _example_files():
        if path.suffix in STUDY_FILES:
            text = path.read_text()
            title = re.search(r"^title: *(.+?)(?: +#.*)?$", text, re.MULTILINE)
            about = text.split("\n#\n", 1)[0].replace("\n#", "").partition(": ")[2]
            found.append(Example(path.stem, title[1] if title else path.stem, about[:1].upper() + about[1:]))
    return found


def _with_free_slug(text: str) -> str:
    """The text under a slug that no study has yet: `support-view`, `support-view-2`, ..."""
    found = re.search(r"^slug: *([a-z0-9-]+)", text, re.MULTILINE)
    if found is None:
        return text
    taken = set(Study.objects.filter(slug__startswith=found[1]).values_list("slug", flat=True))
    names = chain([found[1]], (f"{found[1]}-{number}" for number in count(2)))
    free = next(name for name in names if name not in taken)
    return text[: found.start(1)] + free + text[found.end(1) :]


def changes(before: StudyVersion, after: StudyVersion) -> list[tuple[str, str]]:
    """What a draft changes in the text, line by line: (sort, line), with three lines around each change."""
    texts = [bytes(version.source).decode("utf-8-sig", "replace").split("\n") for version in (before, after)]
    sorts = {"+": "added", "-": "removed", "@": "gap", " ": "same"}
    diff = list(difflib.unified_diff(*texts, lineterm="", n=3))[2:]
    return [(sorts[line[0]], line if line[0] == "@" else line[1:]) for line in diff]
