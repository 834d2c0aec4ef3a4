"""What stands between a version and its participants: what is done, to be seen to, or missing."""

from dataclasses import dataclass
from typing import Literal

from django.conf import settings

from inference.capacity import REPLY_WITHIN
from ratings import chatting
from ratings.models import StudyVersion, Visit
from ratings.safety import resources
from ratings.studyfile.publishing import definition_of


@dataclass(frozen=True)
class Check:
    state: Literal["done", "open", "stop"]
    text: str
    advice: str = ""

    @property
    def sign(self) -> str:
        return {"done": "✓", "open": "!", "stop": "✗"}[self.state]

    @property
    def word(self) -> str:
        return {"done": "Done", "open": "To see to", "stop": "Missing"}[self.state]


def of(version: StudyVersion) -> list[Check]:
    checks = (
        _replies(version),
        _pilot(version),
        _resources(version),
        _screening(version),
        capacity(version),
        room(version),
        _address(),
    )
    return [check for check in checks if check]


def _replies(version: StudyVersion) -> Check | None:
    definition = definition_of(version)
    if definition.mode == "chat":
        return None
    wanted = version.replies_wanted
    if not wanted:
        count = len(definition.shown_items) * len(definition.arms)
        return Check("open", f"{count} replies are made after publishing", "Participants wait until all are there.")
    made = version.replies_made
    if made < wanted:
        return Check("stop", f"{made} of {wanted} replies are made", "Until all are there, people are asked to wait.")
    return Check("done", f"All {wanted} replies are there")


def _pilot(version: StudyVersion) -> Check:
    pilots = Visit.objects.of_pool(version, "pilot").completed().count()
    if pilots:
        return Check("done", f"{pilots} pilot participant{'s' if pilots > 1 else ''} went all the way")
    return Check("open", "Nobody has gone through it as a pilot yet", "Five people find most of what is unclear.")


def _resources(version: StudyVersion) -> Check:
    """Somebody has to have called the numbers on the help page before people in need do."""
    chosen = definition_of(version).resources.country
    country = resources.country(chosen or "")
    where = country.name if chosen else "the directories that help everywhere"
    unverified = [service.name for service in country.services if service.verified_on is None]
    if unverified:
        advice = f"“Get help now” shows {where} first. Try them, and write the day into ratings/safety/resources.yaml."
        return Check("open", f"Crisis lines not verified: {', '.join(unverified)}", advice)
    return Check("done", f"The crisis lines of {where} are verified")


def _screening(version: StudyVersion) -> Check | None:
    if definition_of(version).mode != "chat":
        return None
    if word := version.screening_acknowledged:
        return Check("open", f"Messages are not screened for crisis; acknowledged by {word['by']}")
    return Check("stop", "Messages are not screened for crisis", "Beyond a pilot somebody has to acknowledge it.")


def capacity(version: StudyVersion) -> Check | None:
    """How many people a live chat can take at once; nobody should find that out with participants."""
    slug = version.study.slug
    if not chatting.setups_of(version):
        return None
    measured = chatting.measured(version)
    how = f"manage.py check_capacity {slug}"
    if measured is None:
        advice = f"Run {how} on the machine that answers. Until then workers guess from a few short replies."
        return Check("open", "How many people can chat at once has not been measured", advice)
    where = "This machine" if measured.is_here else f"The machine {measured.host}"
    if not measured.chats:
        advice = f"Take a smaller model or a faster machine, then run {how} again."
        return Check("open", f"{where} needs more than {REPLY_WITHIN:.0f} s for a reply, even for one alone", advice)
    about = "at least " if measured.is_least else ""
    return Check(
        "done",
        f"{where} carries {about}{measured.chats} chats at once",
        f"Further arrivals wait on the start page. Measured on {measured.measured_at}.",
    )


def room(version: StudyVersion) -> Check | None:
    """Whether the longest chats fit what the models can read; one that does not ends early, and is rated."""
    if not (short := chatting.shortages(version)):
        return None
    worst = min(short, key=lambda shortage: shortage.fitting)
    chat = definition_of(version).chat
    where = ", ".join(f"{shortage.arm} ({shortage.context:,} tokens)" for shortage in short)
    text = (
        f"{chat.exchanges.max} exchanges with messages of {chat.longest_message:,} characters may need "
        f"{max(shortage.wanted for shortage in short):,} tokens, more than the models can read of arm {where}"
    )
    fewer = "Take fewer exchanges, shorter replies or a model with a longer context."
    advice = f"With `chat.longest_message: {worst.fitting}` all would fit." if worst.fitting >= 100 else fewer
    return Check("open", text, f"Such a chat ends early and is rated. {advice}")


def _address() -> Check:
    if settings.THIS_COMPUTER_ONLY:
        advice = "Set EVALSITE_URL to the address under which others reach it, and start again."
        return Check("open", f"{settings.PUBLIC_URL} opens on this computer only", advice)
    return Check("done", f"People reach it at {settings.PUBLIC_URL}")
