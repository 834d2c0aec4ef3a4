"""The live chat about one item: write, be answered, write again, and go on to rate it.

Without a script the page waits for the reply; with one it streams. Either way the conversation is what the database
says, so reload, a second tab and a double click change nothing.
"""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django import forms
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from inference import conversations
from inference.canonical import seed_from
from inference.conversations import Busy, CannotSay, ConversationFull, OutOfStep, ReplyFailed, ReplyUnderWay, TooLong
from inference.leases import LeaseState
from inference.models import Conversation, Turn
from inference.streaming import wait_for_end
from ratings.chatting import current_exposure
from ratings.models import Event, Exposure, Visit
from ratings.path import stages
from ratings.path.dialogue import Message, message_of
from ratings.path.forms import OwnWords, PathForm
from ratings.path.pages import Page
from ratings.path.visits import SeeOther, end, note, see_current_page, serve, show, with_visit
from ratings.studyfile.publishing import definition_of
from ratings.studyfile.schema import text_in

STAGE = stages.CHAT
# How long a page without a script waits for its reply, and how many of the server's threads may do so at once.
WAITS = 20.0
# What the page's script says of a reply: milliseconds from sending until its first words, and all of it, were shown.
SHOWN = re.compile(r"([0-9]{1,7}),([0-9]{1,7})")
_waiting = threading.BoundedSemaphore(6)


class MessageForm(PathForm):
    def __init__(self, *args, longest: int, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["message"] = OwnWords(max_length=longest)

    # The place in the conversation that this message was written for.
    turn = forms.IntegerField(min_value=0, max_value=1000)
    shown = forms.Field(required=False)

    def clean_message(self) -> str:
        text = self.cleaned_data["message"].replace("\r\n", "\n")
        if not text:
            raise forms.ValidationError(_("Please write a message first."))
        return text


@dataclass
class Place:
    """Where a participant chats: an exposure, and its conversation as far as it has come."""

    visit: Visit
    exposure: Exposure

    @property
    def position(self) -> int:
        return self.exposure.assignment.position

    @property
    def page(self) -> Page:
        return Page(self.visit, STAGE, self.position)

    @property
    def conversation(self) -> Conversation | None:
        return self.exposure.conversation

    @cached_property
    def definition(self):
        return definition_of(self.visit.version)

    @cached_property
    def turns(self) -> list[Turn]:
        return list(self.conversation.turns.order_by("index")) if self.conversation else []

    @cached_property
    def messages(self) -> list[Message]:
        if not self.turns and self.opening:
            return [message_of(Turn(role=Turn.Role.ASSISTANT, released=self.opening))]
        return [message_of(turn) for turn in self.turns if turn.state == LeaseState.DONE]

    @property
    def opening(self) -> str | None:
        opening = self.definition.chat.opening
        return opening and text_in(opening, self.visit.locale, self.definition.default_locale)

    @property
    def next_index(self) -> int:
        return len(self.turns) or int(self.opening is not None)

    @property
    def reply_under_way(self) -> Turn | None:
        return next((turn for turn in self.turns if turn.is_open), None)

    @property
    def failed_reply(self) -> Turn | None:
        failed = (LeaseState.FAILED, LeaseState.BLOCKED)
        return next((turn for turn in self.turns if turn.state in failed), None)

    @property
    def is_withheld(self) -> bool:
        """Whether the reply was made, or asked for, and may not be shown: the study has its own words for that."""
        return self.failed_reply is not None and self.failed_reply.state == LeaseState.BLOCKED

    @property
    def may_ask_again(self) -> bool:
        return self.failed_reply is not None and conversations.may_be_asked_again(self.failed_reply)

    @property
    def has_run_out_of_room(self) -> bool:
        """The conversation is as long as one can be: it ends as a full one does, and is rated."""
        failed = self.failed_reply
        return failed is not None and failed.failure == "context_too_long" and self.exchanges_done > 0

    @property
    def after_failure(self) -> str:
        """What follows a reply that cannot be made, by the study's word; empty while nothing has failed."""
        if self.failed_reply is None:
            return ""
        return "rate" if self.has_run_out_of_room else self.definition.chat.after_failure

    @property
    def exchanges_done(self) -> int:
        return sum(turn.role == Turn.Role.ASSISTANT and turn.state == LeaseState.DONE for turn in self.turns[1:])

    @property
    def is_full(self) -> bool:
        return self.exchanges_done >= self.definition.chat.exchanges.max

    @property
    def may_finish(self) -> bool:
        enough = self.exchanges_done >= self.definition.chat.exchanges.min
        return self.failed_reply is not None or (enough and self.reply_under_way is None)

    @property
    def total(self) -> int:
        return self.definition.design.items_each

    @property
    def item(self):
        return next(item for item in self.definition.items if item.key == self.exposure.assignment.item.key)


@require_http_methods(["GET", "HEAD", "POST"])
@with_visit(STAGE)
def chat(request: HttpRequest, visit: Visit, position: int) -> HttpResponse:
    exposure = current_exposure(visit)
    if exposure is None or exposure.assignment.position != position:
        return see_current_page(request, visit)
    place = Place(visit, exposure)
    if request.method != "POST":
        if "wait" in request.GET and "X-Live" not in request.headers and place.reply_under_way:
            _wait(place.reply_under_way)
            place = Place(visit, current_exposure(visit) or exposure)
        if "X-Live" in request.headers:
            return _show(request, place)
        conversations.went_out(place.turns)
        return serve(request, visit, "ratings/chat.html", place.page, exposure, place=place)
    place.page.check(request)
    if "message" in request.POST:
        return _say(request, place)
    if request.POST.get("action") == "again":
        return _ask_again(place)
    return _finish(request, place)


def _say(request: HttpRequest, place: Place) -> HttpResponse:
    longest = place.definition.chat.longest_message
    form = MessageForm(request.POST, request.FILES, longest=longest)
    if not form.is_valid():
        return _show(request, place, form=form, kept=request.POST["message"][: 2 * longest].replace("\0", ""))
    text = form.cleaned_data["message"]
    try:
        with transaction.atomic():
            conversations.say(_conversation(place), text, form.cleaned_data["turn"])
    except CannotSay as refusal:
        # The page's script sends it again by itself; without one, the person does.
        again = refusal.seconds if isinstance(refusal, Busy) and "X-Live" in request.headers else None
        return _show(
            request,
            Place(place.visit, current_exposure(place.visit) or place.exposure),
            refused=_resent(again) if again else _why(refusal),
            kept=text,
            again=again,
        )
    seconds = round(place.page.seconds(request), 1)
    shown = _shown(request.POST, form.cleaned_data["turn"] - 1)
    note(place.visit, Event.Kind.SUBMITTED, STAGE, place.position, seconds=seconds, **shown)
    return SeeOther(f"{_address(place)}?wait=1")


def _ask_again(place: Place) -> HttpResponse:
    if place.failed_reply:
        conversations.ask_again(place.failed_reply)
    return SeeOther(_address(place))


def _finish(request: HttpRequest, place: Place) -> HttpResponse:
    if place.reply_under_way:
        return _show(request, place, refused=_why(ReplyUnderWay()))
    if not place.may_finish:
        least = place.definition.chat.exchanges.min
        return _show(
            request,
            place,
            refused=ngettext("Please write at least %d message.", "Please write at least %d messages.", least) % least,
        )
    way = place.after_failure
    told = {"exchanges": place.exchanges_done, "after_failure": way}
    if not place.failed_reply:
        told |= _shown(request.POST, place.next_index - 1)
    note(place.visit, Event.Kind.SUBMITTED, STAGE, place.position, **told)
    if way == "skip":
        stages.skip_item(place.visit, place.position)
        if not stages.has_items(place.visit):
            end(place.visit, Visit.Outcome.TECHNICAL)
        return SeeOther(stages.address_of(place.visit))
    if way == "end":
        end(place.visit, Visit.Outcome.TECHNICAL)
        return SeeOther(stages.address_of(place.visit))
    stages.advance(place.visit, STAGE)
    return SeeOther(stages.address_of(place.visit, place.position))


def _shown(sent: Mapping[str, Any], reply: int) -> dict[str, Any]:
    """When the reply at this place came to stand on the screen, by the browser's own word; nonsense is no word."""
    match = SHOWN.fullmatch(sent.get("shown", ""))
    if match is None or int(match[1]) > int(match[2]) or reply < 0:
        return {}
    return {"shown": {"reply": reply, "first_ms": int(match[1]), "whole_ms": int(match[2])}}


def _conversation(place: Place) -> Conversation:
    """The conversation, opened with its first message."""
    conversation, setup = place.conversation, place.exposure.arm.setup
    if conversation is None and setup is not None:
        chat = place.definition.chat
        place.exposure.conversation = conversation = conversations.open_live(
            setup,
            seed=seed_from(f"{place.visit.seed}/{place.position}"),
            policy={
                "release": chat.release,
                "pace": chat.pace,
                "exchanges": {"min": chat.exchanges.min, "max": chat.exchanges.max},
                # All arms' names in all arms, so that masking tells nothing.
                "mask": sorted({name for arm in place.definition.arms for name in arm.mask}),
            },
            opening=place.opening,
        )
        place.exposure.save(update_fields=["conversation"])
    if conversation is None:
        raise ValueError(f"Arm {place.exposure.arm_id} has no setup to chat with.")
    return conversation


def _show(request: HttpRequest, place: Place, **context) -> HttpResponse:
    conversations.went_out(place.turns)
    return show(request, place.visit, "ratings/chat.html", STAGE, place.page, place=place, **context)


def _wait(reply: Turn) -> None:
    """Hold the page until its reply is there; with too many held already, it says "check again" at once."""
    if _waiting.acquire(blocking=False):
        try:
            wait_for_end(reply.code, WAITS)
        finally:
            _waiting.release()


def _resent(seconds: int) -> str:
    return (
        _("Very many people are chatting. Your text is kept and sent again in about %d seconds, unless you change it.")
        % seconds
    )


def _why(refusal: CannotSay) -> str:
    if isinstance(refusal, Busy):
        return (
            _("Very many people are chatting right now. Your text is kept: please try again in about %d seconds.")
            % refusal.seconds
        )
    if isinstance(refusal, TooLong):
        return (
            _("This chat has no room for so long a message. Your text is kept: please shorten it to %d characters.")
            % refusal.characters
        )
    return {
        ReplyUnderWay: _("The reply before is still being written. Your text is kept: send it once the reply is here."),
        OutOfStep: _("This chat went on in another window. Your text is kept: read on first, then send it if it fits."),
        ConversationFull: _("That was the last message of this chat."),
        ReplyFailed: _("The last reply could not be made, so this chat goes no further."),
    }[type(refusal)]


def _address(place: Place) -> str:
    return reverse("path:chat", args=[place.visit.version.study.slug, place.position])
