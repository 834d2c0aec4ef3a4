"""The studies that the browser takes, and the model that answers in them: it follows a script, so each run is the same.

The names of arms and models are words that occur nowhere else: found in what a participant receives, they were leaked.
"""

import csv
import io
import json
from typing import Any

from accounts.models import User
from inference.engines.base import Failure, GenRequest
from inference.engines.scripted import Script, ScriptedEngine
from inference.models import ChatModel
from inference.pool import pool
from ratings.models import Study
from ratings.studyfile import publishing
from tests.browser import hostile
from tests.factories import replies_csv, study_source
from tests.reports.people import make_study, take_part

ARMS = ("zelkova", "quillaja")
MODEL = "larkspur-7b"
SECRETS = (*ARMS, "larkspur", "rosemary", "harebell")

CHAT_ARMS = [
    {"key": ARMS[0], "model": MODEL, "system": "You are warm.", "mask": ["Rosemary"]},
    {"key": ARMS[1], "model": MODEL, "system": "You are brief."},
]
SCENES = [
    {"key": f"scene-{n}", "title": f"Scene {n}", "scenario": f"You worry about thing {n}. Tell somebody."}
    for n in range(8)
]
CHAT = {
    "mode": "chat",
    "replies": None,
    "checks": None,
    "arms": CHAT_ARMS,
    "design": {"items_each": 2, "arms": "within", "items_are": "random"},
    "chat": {"exchanges": {"min": 1, "max": 3}},
}
EXIT_QUESTIONS = [
    {"key": "field_of_study", "question": "What do you study?", "choices": ["arts", "sciences"], "optional": False},
    {"key": "used", "question": "What have you used?", "kind": "choices", "choices": ["a diary", "a chatbot"]},
    {"key": "remarks", "question": "Anything else?", "kind": "text"},
]


def publish_all(owner: User) -> None:
    for key in (MODEL, "idle-model"):
        ChatModel.objects.create(key=key, engine=ChatModel.Engine.SCRIPTED, base=f"harebell/{key}", names=["Larkspur"])
    pool.register(ChatModel.objects.get(key=MODEL), ScriptedEngine(reply, capacity=16))
    stored(owner, "view")
    chat(owner, "talk")
    stored(owner, "view-paused")
    Study.objects.filter(slug="view-paused").update(state=Study.State.PAUSED)
    chat(owner, "talk-preparing", arms=[arm | {"model": "idle-model"} for arm in CHAT_ARMS])
    stored(owner, "view-hostile", replies=hostile.replies_csv(ARMS), **hostile.STUDY)
    chat(owner, "talk-hostile", items=hostile.SCENES, **hostile.CHAT)
    stored(owner, "view-rtl", replies=rtl_replies(), **RTL)
    results = make_study(owner, slug="results", items=8)
    for shift in range(9):
        take_part(results, lambda item, arm, criterion, shift=shift: 3 + (int(item[-2:]) + shift) % 6)


def stored(owner: User, slug: str, replies: bytes = b"", **changes: Any) -> None:
    blocks = {"arms": [{"key": key} for key in ARMS], "target": 1000, "exit_questions": EXIT_QUESTIONS} | changes
    replies = replies or replies_csv(8, ARMS)
    publishing.load(study_source(slug, **blocks), f"{slug}.yaml", lambda name: replies, owner, publish_it=True)


def chat(owner: User, slug: str, items: list[dict] = SCENES, **changes: Any) -> None:
    source = study_source(slug, **(CHAT | {"target": 1000, "exit_questions": EXIT_QUESTIONS} | changes))
    source += f"items: {json.dumps(items)}\n".encode()
    publishing.load(source, f"{slug}.yaml", lambda name: None, owner, publish_it=True, acknowledged="a test")


def reply(request: GenRequest) -> Script | str | Failure:
    """What was asked decides how the model behaves."""
    asked = request.messages[-1]["content"].lower()
    if "attack" in asked:
        return "\n\n".join(hostile.PAYLOADS)
    if "who are you" in asked:
        return "I am Larkspur-7b, made by Acme Labs. You may call me Rosemary. How was your day?"
    if "break" in asked:
        return Failure("refused", "The script says no.")
    if "slowly" in asked:
        return Script("One thing at a time. A second sentence follows. Here is the third. And the end.", pace=0.15)
    return "I hear you. Tell me more?"


RTL_WORDS = "كيف كان هذا الرد"
RTL = {
    "title": "دراسة عن الردود",
    "locales": ["ar"],
    "contact": "فريق الدراسة",
    "consent": {
        "version": "1",
        "summary": "ستقيم أربعة ردود.\nيمكنك التوقف.",
        "text": "هذه هي المعلومات.",
        "ticks": ["take_part", "sensitive", "quotes", "training"],
    },
    "eligibility": [{"key": "adult", "question": "هل عمرك ثمانية عشر عاما؟"}],
    "instructions": "اقرأ الرسالة ثم الرد.",
    "practice": {"prompt": "عندي ليمون كثير.", "reply": "اصنع منه كعكة.", "feedback": "شكرا لك."},
    "criteria": [
        {
            "key": key,
            "label": label,
            "question": RTL_WORDS,
            "definition": "يأخذ مشاعر الشخص على محمل الجد.",
            "low": "أبدا",
            "high": "تماما",
        }
        for key, label in (("empathy_support", "التعاطف"), ("fluency_quality", "السلاسة"))
    ],
    "checks": [{"after": 2, "text": "اختر الرقم ثلاثة.", "answer": 3}],
    "exit_questions": [
        {
            "key": "field_of_study",
            "question": "ماذا تدرس؟",
            "choices": [{"key": "arts", "label": "الآداب"}, {"key": "sciences", "label": "العلوم"}],
        },
        {"key": "remarks", "question": "شيء آخر؟", "kind": "text"},
    ],
    "debrief": "شكرا على وقتك.",
}


def rtl_replies() -> bytes:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["item_id", "arm", "prompt", "reply"])
    for item in range(8):
        for arm in ARMS:
            rows.writerow([f"item-{item}", arm, "أنا قلق من الامتحان.", "هذا مفهوم. OK?"])
    return text.getvalue().encode()
