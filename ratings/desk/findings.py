"""Reading a study file for its author: what is wrong at which line, and what a draft changes."""

import difflib
from dataclasses import dataclass, field

from django.core.files.uploadedfile import UploadedFile

from ratings.desk import examples
from ratings.models import ReplyFile, Study, StudyVersion
from ratings.studyfile import publishing
from ratings.studyfile.faults import Fault, StudyFileErrors


@dataclass
class Findings:
    """What the reading of a study file brought: its text, and what is to be said about which line."""

    text: str = ""
    name: str = "study.yaml"
    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)
    # Faults of the form itself: a file of the wrong sort, nothing given.
    refusals: list[str] = field(default_factory=list)
    # Uploaded files of replies that the study file does not ask for.
    unread: list[str] = field(default_factory=list)
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


class Replies:
    """Where files of replies come from: just uploaded, or kept with the study. It knows which were asked for."""

    def __init__(self, study: Study | None, uploaded: dict[str, UploadedFile] | None = None):
        self.study = study
        self.uploaded = uploaded or {}
        self.asked: set[str] = set()

    def __call__(self, name: str) -> bytes | None:
        self.asked.add(name)
        if file := self.uploaded.get(name):
            file.seek(0)
            return file.read()
        return self._kept(name) if self.study else examples.beside(name)

    def _kept(self, name: str) -> bytes | None:
        """The newest file of this name, the draft's before that of a published version."""
        files = ReplyFile.objects.filter(version__study=self.study, name=name).order_by("-version__number")
        return next((bytes(file.content) for file in files[:1]), None)

    @property
    def unread(self) -> list[str]:
        return sorted(self.uploaded.keys() - self.asked)


def findings_of(source: bytes, name: str, study: Study | None, replies: Replies) -> Findings:
    findings = Findings(text=source.decode("utf-8-sig", "replace"), name=name, read=True)
    try:
        loaded = publishing.check(source, name, replies)
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


def changes(before: StudyVersion, after: StudyVersion) -> list[tuple[str, str]]:
    """What a draft changes in the text, line by line: (sort, line), with three lines around each change."""
    old, new = (bytes(version.source).decode("utf-8-sig", "replace").split("\n") for version in (before, after))
    sorts = {"+": "added", "-": "removed", "@": "gap", " ": "same"}
    diff = list(difflib.unified_diff(old, new, lineterm="", n=3))[2:]
    return [(sorts[line[0]], line if line[0] == "@" else line[1:]) for line in diff]
