import argparse
import json
import os
from dataclasses import asdict

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from inference import measuring, registry
from inference.capacity import REPLY_WITHIN
from inference.measuring import Level, Measured
from inference.models import ChatModel, Setup
from inference.pool import load
from inference.workers import CHATTERS_PER_REPLY
from ratings import chatting, frames
from ratings.frames import NothingPublished
from ratings.simulate.sentences import GOING_ON, OPENINGS


class Command(BaseCommand):
    help = (
        "Measure how many people can chat at once on this machine, with the models and settings of a study's arms. "
        f"Simulated chats ask more and more at once; a number holds while 19 of 20 replies are there within "
        f"{REPLY_WITHIN:.0f} s. People read and type for at least as long as they wait, so {CHATTERS_PER_REPLY} chats "
        "are counted for each reply made at once. Only the model is measured; run it while nobody else uses the "
        "machine. The result is kept, and publishing the study tells it."
    )

    def add_arguments(self, parser):
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("slug", nargs="?", help="the study's slug")
        what.add_argument("--model", metavar="KEY", help="one model with its usual settings, without a study")
        parser.add_argument("--seconds", type=_seconds, default=90.0, help="at most so many for each model (90)")
        parser.add_argument("--json", action="store_true", dest="as_json", help="everything, as one object")

    def handle(self, *, slug, model, seconds, as_json, **options):
        setups = setup_of(model) if model else setups_of(slug)
        told = []
        for engine_name in sorted({setup.chat_model.engine_name for setup in setups}):
            told.append(self.measure([s for s in setups if s.chat_model.engine_name == engine_name], seconds, as_json))
        if as_json:
            self.stdout.write(json.dumps({"host": settings.HOST_LABEL, "models": told}, indent=2))

    def measure(self, setups: list[Setup], seconds: float, as_json: bool) -> dict:
        """Try one engine with all arms that it answers for, in turn."""
        model = setups[0].chat_model
        keys = ", ".join(sorted({setup.chat_model.key for setup in setups}))
        try:
            engine = load(model)
        except Exception as problem:
            raise CommandError(f"{keys} cannot be loaded here: {problem}") from problem
        tried = []
        try:
            machine = machine_of(engine.describe())
            if not as_json:
                self.stdout.write(f"{keys} on {settings.HOST_LABEL}: {machine}\n{HEAD}")
            for level in measuring.levels(engine, setups, say, seconds):
                tried.append(level)
                if not as_json:
                    self.stdout.write(row(level))
        except measuring.NothingMeasured as problem:
            raise CommandError(f"{keys} gave no reply, so nothing was measured: {problem}") from None
        finally:
            engine.close()
        if not tried:
            raise CommandError(f"No reply was ready in {seconds:.0f} s. Give it more --seconds.")
        found = measuring.result(tried)
        measuring.keep(model, found)
        if not as_json:
            self.stdout.write(sentence(found))
        levels = [asdict(level) | {"chats": level.chats, "in_time": level.is_in_time} for level in tried]
        return {"models": keys, "engine": model.engine_name, "machine": machine, **asdict(found), "levels": levels}


COLUMNS = "{:>6} {:>8} {:>16} {:>8} {:>15} {:>8} {:>9}"
HEAD = COLUMNS.format("chats", "replies", "whole reply p50", "p95", "first text p50", "p95", "tokens/s")


def row(level: Level) -> str:
    if level.p95 is None:
        seconds = ["-", f">{REPLY_WITHIN:.0f} s", "-", "-"]
    else:
        seconds = [f"{moment:.2f} s" for moment in (level.p50, level.p95, level.first_p50, level.first_p95)]
    return COLUMNS.format(level.chats, level.at_once, *seconds, level.tokens_per_second)


def sentence(found: Measured) -> str:
    if not found.chats:
        return f"Even one reply alone takes longer than {REPLY_WITHIN:.0f} s here: chats would be slow."
    about = "at least " if found.is_least else ""
    return (
        f"{about}{found.chats} chats at once get 19 of 20 replies within {REPLY_WITHIN:.0f} s "
        f"({found.p95:.1f} s at p95), measured on {found.measured_at}."
    ).capitalize()


def machine_of(engine: dict) -> str:
    """What computes here, as far as the engine tells."""
    parts = [str(engine[name]) for name in ("engine", "url", "device", "dtype") if engine.get(name)]
    if threads := engine.get("threads"):
        parts.append(f"threads: {threads}")
    return ", ".join([*parts, f"processors: {os.cpu_count()}"])


def say(number: int, turn: int) -> str:
    """What the simulated chat says: a beginning, then what fits anywhere."""
    openings = list(OPENINGS.values())
    return GOING_ON[(number + turn) % len(GOING_ON)] if turn else openings[number % len(openings)]


def setups_of(slug: str) -> list[Setup]:
    try:
        study = frames.find_study(slug)
    except NothingPublished as error:
        raise CommandError(str(error)) from None
    version = study.draft or study.current_version
    setups = chatting.setups_of(version) if version else []
    if not setups:
        raise CommandError(f"{slug} is no live chat: nobody waits for a reply in it.")
    return setups


def setup_of(key: str) -> list[Setup]:
    model: ChatModel | None = registry.find(key)
    if model is None:
        known = ", ".join(registry.known_keys())
        raise CommandError(f"There is no model called {key!r} here; known: {known}.")
    return [Setup(chat_model=model, system="You are a friendly listener.", sampling={}, stops=[])]


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 3600")
    return seconds
