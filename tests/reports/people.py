"""Small studies and people who take part in them, through the program's own doors."""

from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone

from inference.conversations import given
from ratings.enrolment import arrive, enrol
from ratings.frames import pool_of
from ratings.looks import open_early
from ratings.models import Answer, Assignment, Consent, Event, Exclusion, Study, Visit
from ratings.studyfile.publishing import load

FILE = """
format: 1
slug: {slug}
title: Small study
mode: stored
locales: [en]
contact: team@example.org
minutes: 5
target: {target}
consent: {{version: "1", summary: Short., text: Long., ticks: [take_part, quotes, training]}}
scale: {{min: 1, max: 10}}
criteria:
  - {{key: empathy_support, label: Empathy and Support, question: "How?", definition: What., low: Not, high: Very}}
  - {{key: fluency_quality, label: Fluency and Quality, question: "How?", definition: What., low: Not, high: Very}}
replies: replies.csv
arms: [{arms}]
design: {{items_each: {items_each}, arms: {design}, items_are: {items_are}, looks: {looks}}}
checks: {checks}
exit_questions:
  - {{key: age_band, kind: age_band, question: How old are you?}}
  - {{key: chatbots, kind: choice, question: "Do you use chatbots?", choices: ["Often", "Never", "=1+1"]}}
  - {{key: remark, kind: text, question: Anything else?}}
"""


def make_study(
    owner,
    slug: str = "small",
    arms: tuple[str, ...] = ("linden", "rowan"),
    items: int = 8,
    items_each: int | None = None,
    items_are: str = "random",
    target: int = 100,
    checks: str = '[{after: 1, text: "Choose 3.", answer: 3}]',
    title: str = "",
    same_meaning: str = "",
    opened: bool = True,
    looks: str = "at_target",
) -> Study:
    """A published study; `opened`: its results may be seen before the target."""
    source = FILE.format(
        slug=slug,
        target=target,
        arms=", ".join(f"{{key: {arm}}}" for arm in arms),
        items_each=items_each or items,
        items_are=items_are,
        looks=looks,
        design="within" if items >= len(arms) > 1 else "between",
        checks=checks,
    )
    if title:
        source = source.replace("Small study", title)
    rows = [f"item-{i:02},{arm},Worry {i}.,Reply {i}/{n}." for i in range(1, items + 1) for n, arm in enumerate(arms)]
    replies = "\n".join(["item_id,arm,prompt,reply", *rows]).encode()
    version = load(
        source.encode(), "small.yaml", lambda name: replies, owner, publish_it=True, same_meaning=same_meaning
    )
    study = Study.objects.get(pk=version.study_id)
    if opened:
        open_early(pool_of(study), owner, "It is a test.")
    return study


def take_part(
    study: Study,
    score: Callable[[str, str, str], int | None] = lambda item, arm, criterion: 7,
    kind: str = "real",
    rated: int | None = None,
    ticks: tuple[str, ...] = ("take_part", "quotes", "training"),
    answers: dict | None = None,
    check: int = 3,
    comment: str = "",
) -> Visit:
    """Somebody who consents and rates: all items and is done, or only the first `rated` and is still under way."""
    visit = arrive(study, kind, "en")
    now = timezone.now()
    visit.consented_at = now
    visit.save()
    Consent.objects.bulk_create(Consent(visit=visit, tick=tick, text_hash="0" * 64, locale="en") for tick in ticks)
    enrol(visit)
    criteria = list(visit.version.criteria.all())
    for assignment in visit.assignments.select_related("item").prefetch_related("exposures__arm")[:rated]:
        exposure = assignment.exposures.all()[0]
        exposure.shown_at, exposure.submitted_at = now, now + timedelta(seconds=20)
        exposure.comment = comment or None
        exposure.save()
        exposure.record({c: score(assignment.item.key, exposure.arm.key, c.key) for c in criteria})
        assignment.state = Assignment.State.COMPLETED
        assignment.save()
    Answer.objects.create(visit=visit, kind="check", key="check-1", value=check)
    Answer.objects.create(visit=visit, kind="practice", key="empathy_support", value=10)
    if rated is None:
        for key, value in (answers or {}).items():
            Answer.objects.create(visit=visit, kind="exit", key=key, value=value)
        visit.stage = "debrief"
        visit.end(Visit.Outcome.COMPLETED)
        visit.save()
        Event.objects.create(visit=visit, kind=Event.Kind.ENDED, stage="debrief")
    return visit


def chat(visit: Visit, *texts: str) -> None:
    """Turn the first reply that was shown into a live conversation of these messages."""
    exposure = visit.assignments.first().exposures.get()
    roles = ("user", "assistant")
    conversation = given([{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)])
    conversation.kind, conversation.content_key = "live", None
    conversation.save()
    exposure.conversation = conversation
    exposure.save()


def exclude(visit: Visit, rule: str = "failed the check") -> Exclusion:
    return Exclusion.objects.create(participant=visit.participant, rule=rule)
