"""A study as its participants see it, before there are any.

A preview is the participant's own page: a person is made up, taken to the stage, shown the page, and rolled back with
everything they caused. So nothing can look different in the preview, and nothing of it stays.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

from csp.constants import NONE, SELF
from csp.decorators import csp_replace, csp_update
from django.db import transaction
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import resolve
from django.utils import timezone
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET

from inference import conversations
from inference.leases import LeaseState
from inference.models import Conversation, public_code
from ratings import codes
from ratings.desk.owned import DeskRequest, with_study
from ratings.models import (
    Arm,
    Assignment,
    Exposure,
    Item,
    Participant,
    StoredReply,
    Study,
    StudyVersion,
    Visit,
    VisitKey,
)
from ratings.path import stages
from ratings.path.visits import cookie_name
from ratings.studyfile.publishing import definition_of
from ratings.studyfile.schema import StudyFile, text_in

# No stage of its own on the path: the rating page on which the attention check stands.
CHECK = "check"
LABELS = {
    stages.ELIGIBILITY: "Who may take part",
    stages.CONSENT: "Consent",
    stages.INSTRUCTIONS: "Instructions",
    stages.PRACTICE: "Practice",
    stages.CHAT: "Chat",
    stages.RATE: "Rating",
    CHECK: "Rating, with the attention check",
    stages.EXIT: "Exit questions",
    stages.DEBRIEF: "Debrief",
}
REPLY_TO_COME = (
    "This is where the reply will stand. It is made by the model of this arm after the study is published; its length "
    "and form will be its own."
)
CHAT_TO_COME = [
    {"role": "user", "content": "This is where a participant's own messages stand."},
    {"role": "assistant", "content": "And this is where the replies stand that they got in the chat."},
]


@dataclass(frozen=True)
class Scene:
    """What is previewed: a stage of a version, in a language, with an item and the arm that replies to it."""

    version: StudyVersion
    stage: str
    arm: Arm
    item: Item
    locale: str

    @property
    def definition(self) -> StudyFile:
        return definition_of(self.version)

    def query(self) -> str:
        """The part of the address that finds this scene again, whatever the stage."""
        names = {"version": self.version.number, "arm": self.arm.key, "item": self.item.key, "locale": self.locale}
        return urlencode(names)

    @property
    def position(self) -> int:
        """Where on their way the participant is."""
        return self.definition.checks[0].after if self.stage == CHECK else 1


def stages_shown(definition: StudyFile) -> list[str]:
    shown = [*stages.stages_of(definition), stages.DEBRIEF]
    if definition.checks:
        shown.insert(shown.index(stages.EXIT), CHECK)
    return shown


@require_GET
@with_study  # type: ignore[arg-type]  # django-csp types a view as taking the request alone
@csp_update({"frame-src": [SELF]})  # type: ignore[arg-type]
def frames(request: DeskRequest, study: Study) -> HttpResponse:
    """The page with a phone and a desktop window."""
    scene = _scene(request, study, request.GET.get("stage", stages.RATE))
    shown = stages_shown(scene.definition)
    return render(
        request,
        "desk/preview.html",
        {
            "study": study,
            "scene": scene,
            "stages": [(stage, LABELS[stage]) for stage in shown],
            "label": LABELS[scene.stage],
            "next": next(iter(shown[shown.index(scene.stage) + 1 :]), None),
            "versions": study.versions.order_by("-number"),
            "arms": scene.version.arms.all(),
            "items": scene.version.items.filter(split=Item.Split.EVALUATE),
        },
    )


@require_GET
@with_study  # type: ignore[arg-type]
@xframe_options_sameorigin
@csp_replace({"frame-ancestors": [SELF], "form-action": [NONE], "script-src": [NONE], "sandbox": True})  # type: ignore[arg-type]
def page(request: DeskRequest, study: Study, stage: str) -> HttpResponse:
    """One participant's page, inside a frame: forms are not sent, links lead nowhere, scripts do not run."""
    scene = _scene(request, study, stage)
    with rolled_back():
        visit = _make_up(scene)
        address = stages.address_of(visit)
        response = _as_participant(request, visit, address)
    return _without_ways_out(response)


def _scene(request: DeskRequest, study: Study, stage: str) -> Scene:
    number = request.GET.get("version", "")
    versions = study.versions.filter(number=number) if number.isdecimal() else study.versions
    version = versions.order_by("-number").first()
    if version is None or stage not in stages_shown(definition_of(version)):
        raise Http404
    arms, items = version.arms.all(), version.items.filter(split=Item.Split.EVALUATE)
    locales = definition_of(version).locales
    locale = request.GET.get("locale", "")
    return Scene(
        version=version,
        stage=stage,
        arm=arms.filter(key=request.GET.get("arm", "")).first() or arms[0],
        item=items.filter(key=request.GET.get("item", "")).first() or items[0],
        locale=locale if locale in locales else locales[0],
    )


@contextmanager
def rolled_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def _make_up(scene: Scene) -> Visit:
    """A participant who has come as far as the scene, in front of its item, with its arm replying."""
    now = timezone.now()
    over = scene.stage == stages.DEBRIEF
    consented = scene.stage not in stages.BEFORE_CONSENT
    code = public_code()
    # A closed study, or one that is still a draft, is shown as it is when it is open.
    Study.objects.filter(pk=scene.version.study_id).update(state=Study.State.PILOT)
    visit = Visit.objects.create(
        code=code,
        participant=Participant.objects.create(study_id=scene.version.study_id, kind=Participant.Kind.PILOT),
        version=scene.version,
        stage={CHECK: stages.RATE, stages.DEBRIEF: stages.EXIT}.get(scene.stage, scene.stage),
        outcome=Visit.Outcome.COMPLETED if over else "",
        locale=scene.locale,
        seed=scene.version.seed,
        consented_at=now if consented else None,
        finished_at=now if over else None,
        place_until=now + timedelta(hours=1) if consented else None,
        **codes.hashes_for(code),
    )
    if consented:
        rated = scene.stage in (stages.EXIT, stages.DEBRIEF)
        _lay_out(visit, scene, Assignment.State.COMPLETED if rated else Assignment.State.RESERVED)
    return visit


def _lay_out(visit: Visit, scene: Scene, state: str) -> None:
    others = scene.version.items.filter(split=Item.Split.EVALUATE).exclude(pk=scene.item.pk)
    items = list(others[: scene.definition.design.items_each - 1])
    items.insert(scene.position - 1, scene.item)
    for position, item in enumerate(items, 1):
        reached = Assignment.State.COMPLETED if position < scene.position else state
        assignment = Assignment.objects.create(visit=visit, item=item, position=position, state=reached)
        conversation = _conversation(scene) if item == scene.item else None
        Exposure.objects.create(assignment=assignment, arm=scene.arm, conversation=conversation)


def _conversation(scene: Scene) -> Conversation | None:
    """The stored reply, or words that stand for it until it is made. A chat before its first message has none."""
    if scene.definition.mode == "chat":
        return conversations.given(CHAT_TO_COME) if scene.stage in (stages.RATE, CHECK) else None
    reply = StoredReply.objects.filter(item=scene.item, arm=scene.arm).select_related("conversation").first()
    if reply and not reply.conversation.turns.exclude(state=LeaseState.DONE).exists():
        return reply.conversation
    item = next(item for item in scene.definition.items if item.key == scene.item.key)
    prompt = text_in(item.prompt or "", scene.locale, scene.definition.default_locale)
    return conversations.given([{"role": "user", "content": prompt}, {"role": "assistant", "content": REPLY_TO_COME}])


def _as_participant(request: DeskRequest, visit: Visit, address: str) -> HttpResponse:
    """The page at this address as a browser with this visit's cookie gets it."""
    token, digest = codes.new_token()
    VisitKey.objects.create(visit=visit, token_hash=digest)
    visiting = copy(request)
    visiting.COOKIES = {cookie_name(visit.version.study.slug): token}
    visiting.GET = QueryDict()
    visiting.path = visiting.path_info = address
    match = resolve(address)
    visiting.resolver_match = match
    return match.func(visiting, *match.args, **match.kwargs)


def _without_ways_out(response: HttpResponse) -> HttpResponse:
    """Only the page: no cookies, no scripts, and links that would open a window, which the sandbox refuses."""
    content = re.sub(rb"<script\b[^>]*></script>", b"", response.content)
    content = content.replace(b"<head>", b'<head><base target="_blank">', 1)
    return HttpResponse(content, status=200 if response.status_code < 400 else response.status_code)
