"""What is measured: a published study with people before their first reply, the bare form's rows, or an oTree session.

    python -m benchmarks.load_prepare evalsite|bare_form|otree PEOPLE   prints, as JSON lines, how each of them comes in

It runs in a process of its own, with the settings of the program it prepares.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

CRITERIA = ("empathy_support", "fluency_quality")
ARMS = ("linden", "rowan")
ITEMS = 24
SETTINGS = {"evalsite": "evalsite.settings", "bare_form": "benchmarks.bare_form.settings"}
STUDY = """
format: 1
slug: load
title: How supportive are these replies?
mode: stored
contact: study-team@example.org
minutes: 12
target: 1000000
consent: {version: "1", summary: Short., text: Long., ticks: [take_part]}
scale: {min: 1, max: 10}
criteria:
  - {key: empathy_support, label: Empathy and Support, question: How supportive is this reply?,
     definition: "It takes in how the person feels, and offers comfort or help that fits.", low: Not at all, high: Very}
  - {key: fluency_quality, label: Fluency and Response Quality, question: How well made is this reply?,
     definition: "It is clear, natural and complete, and stays with what was said.", low: Very poor, high: Excellent}
replies: replies.csv
design: {items_each: 24, items_are: random}
"""
# About 900 characters, as replies of a small model have.
SENTENCE = "It makes sense that this week feels heavy, and small steps, one after the other, may be enough for now. "


def replies() -> bytes:
    rows = [f'item-{i:02},{arm},Worry {i}: exams are near.,"{SENTENCE * 9}{i}"' for i in range(ITEMS) for arm in ARMS]
    return "\n".join(["item_id,arm,prompt,reply", *rows]).encode()


def evalsite(people: int) -> list[dict]:
    from django.core.management import call_command

    from accounts.models import User
    from ratings import codes
    from ratings.models import Assignment, Exposure, Participant, StoredReply, Visit, VisitKey
    from ratings.path import pagetime
    from ratings.path.visits import cookie_name
    from ratings.studyfile.publishing import load

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    owner, _ = User.objects.get_or_create(username="benchmark")
    version = load(STUDY.encode(), "load.yaml", lambda name: replies(), owner, publish_it=True)
    participants = Participant.objects.bulk_create(
        Participant(study=version.study, kind=Participant.Kind.SYNTHETIC) for _ in range(people)
    )
    visits = Visit.objects.bulk_create(
        _visit(version, participant, seed) for seed, participant in enumerate(participants)
    )
    tokens = [codes.new_token() for _ in visits]
    VisitKey.objects.bulk_create(
        VisitKey(visit=v, token_hash=digest) for v, (_, digest) in zip(visits, tokens, strict=True)
    )
    items = list(version.items.order_by("position"))
    stored = {(reply.item_id, reply.arm.key): reply for reply in StoredReply.objects.select_related("arm")}
    assignments = Assignment.objects.bulk_create(
        Assignment(visit=visit, item=item, position=position)
        for visit in visits
        for position, item in enumerate(items, 1)
    )
    Exposure.objects.bulk_create(
        Exposure(assignment=assignment, arm=reply.arm, conversation_id=reply.conversation_id)
        for assignment in assignments
        for reply in [stored[assignment.item_id, ARMS[assignment.position % 2]]]
    )
    fields = {"page_time": pagetime.sign(60)}
    return [
        {
            "name": visit.code,
            "cookie": f"{cookie_name('load')}={token}",
            "path": "/s/load/rate/1/",
            "fields": fields,
            "items": ITEMS,
        }
        for visit, (token, _) in zip(visits, tokens, strict=True)
    ]


def _visit(version, participant, seed: int):
    from ratings import codes
    from ratings.models import Visit

    visit = Visit(participant=participant, version=version, stage="rate", locale="en", seed=seed)
    visit.keep_place(600)
    for column, value in codes.hashes_for(visit.code).items():
        setattr(visit, column, value)
    return visit


def bare_form(people: int) -> list[dict]:
    from django.db import connection

    from benchmarks.bare_form.models import Assignment, Rating

    with connection.schema_editor() as editor:
        for model in (Assignment, Rating):
            if model._meta.db_table not in connection.introspection.table_names():
                editor.create_model(model)
    first = Assignment.objects.count() // (ITEMS + 1)
    numbers = range(first, first + people)
    # The form after the last one is shown too.
    Assignment.objects.bulk_create(
        Assignment(visit=visit, position=position) for visit in numbers for position in range(1, ITEMS + 2)
    )
    return [
        {"name": f"{visit}", "cookie": "", "path": f"/{visit}/1/", "fields": {}, "items": ITEMS} for visit in numbers
    ]


def otree(people: int) -> list[dict]:
    project = Path(os.environ["OTREE_DATA"])
    shutil.copytree(Path(__file__).parent / "otree_form", project, dirs_exist_ok=True)
    (project / "_static").mkdir()
    subprocess.run(["otree", "create_session", "load", str(people)], cwd=project, check=True)
    with sqlite3.connect(project / "db.sqlite3") as database:
        codes = [code for (code,) in database.execute("SELECT code FROM otree_participant")]
    return [
        {"name": code, "cookie": "", "path": f"/InitializeParticipant/{code}", "fields": {}, "items": ITEMS}
        for code in codes
    ]


def main() -> None:
    program, people = sys.argv[1:]
    if program in SETTINGS:
        os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS[program]
        import django

        django.setup()
    for person in {"evalsite": evalsite, "bare_form": bare_form, "otree": otree}[program](int(people)):
        print(json.dumps(person))


if __name__ == "__main__":
    main()
