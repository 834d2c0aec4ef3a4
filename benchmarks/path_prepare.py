"""A chat study with people who stand before their first message, or whose replies are under way.

python -m benchmarks.path_prepare MODEL PEOPLE [--under-way]      prints them as JSON lines
"""

import argparse
import json
from datetime import timedelta

import django

STUDY = """
format: 1
slug: talk
title: A talk
mode: chat
contact: study-team@example.org
minutes: 12
target: 1000000
consent: {{version: "1", summary: Short., text: Long., ticks: [take_part]}}
scale: {{min: 1, max: 10}}
criteria:
  - {{key: empathy_support, label: Empathy and Support, question: How supportive was it?,
     definition: It takes in how you feel., low: Not at all, high: Very}}
arms:
  - {{key: linden, model: {model}, system: "{system}", sampling: {{temperature: 0, max_new_tokens: {tokens}}}}}
items:
  - {{key: exam, scenario: You have an exam.}}
design: {{items_each: 1, arms: between, items_are: fixed}}
chat: {{release: token, exchanges: {{min: 1, max: 8}}}}
"""
SYSTEM = "You are a warm listener who answers in a few sentences."
TOKENS = 96
# People come one after the other, within this time.
SPREAD = 1.0  # seconds
PACED = "paced"
# Its engine's name, by which workers are woken.
PACED_BASE = "benchmark/paced"


def people(model: str, number: int, under_way: bool) -> list[dict]:
    from django.core.management import call_command
    from django.utils import timezone

    from accounts.models import User
    from inference import conversations
    from inference.leases import LeaseState
    from inference.models import ChatModel, Turn
    from ratings import codes
    from ratings.models import Assignment, Exposure, Participant, Visit, VisitKey
    from ratings.path import pagetime
    from ratings.path.visits import cookie_name
    from ratings.studyfile.publishing import load

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    if model == PACED:
        ChatModel.objects.get_or_create(key=PACED, engine=ChatModel.Engine.SCRIPTED, base=PACED_BASE)
    owner, _ = User.objects.get_or_create(username="benchmark")
    source = STUDY.format(model=model, system=SYSTEM, tokens=TOKENS).encode()
    version = load(source, "talk.yaml", lambda name: None, owner, publish_it=True, acknowledged="a benchmark")
    item, arm = version.items.get(), version.arms.get()
    found = []
    for seed in range(number):
        participant = Participant.objects.create(study=version.study, kind=Participant.Kind.SYNTHETIC)
        visit = Visit(participant=participant, version=version, stage="chat", locale="en", seed=seed)
        visit.keep_place(3600)
        for column, value in codes.hashes_for(visit.code).items():
            setattr(visit, column, value)
        visit.save()
        token, digest = codes.new_token()
        VisitKey.objects.create(visit=visit, token_hash=digest)
        assignment = Assignment.objects.create(visit=visit, item=item, position=1)
        exposure = Exposure.objects.create(assignment=assignment, arm=arm)
        code = ""
        if under_way:
            exposure.conversation = conversations.open_live(arm.setup, seed=seed)
            exposure.save()
            reply = conversations.say(exposure.conversation, "I have an exam.", 0)
            # Nobody answers it: what is streamed comes from the benchmark.
            lease = timezone.now() + timedelta(hours=1)
            Turn.objects.filter(pk=reply.pk).update(state=LeaseState.RUNNING, attempts=1, lease_until=lease)
            code = reply.code
        cookie = f"{cookie_name('talk')}={token}"
        found.append({"cookie": cookie, "fields": {"page_time": pagetime.sign(60)}, "turn": code})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("people", type=int)
    parser.add_argument("--under-way", action="store_true")
    options = parser.parse_args()
    django.setup()
    for person in people(options.model, options.people, options.under_way):
        print(json.dumps(person))


if __name__ == "__main__":
    main()
