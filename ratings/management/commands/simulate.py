import argparse
import json
import time
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ratings.models import Participant, Study
from ratings.path import pagetime
from ratings.recruitment import invite
from ratings.simulate.characters import DEFAULT_MIX, read_mix
from ratings.simulate.dryrun import DryRun, Tally
from ratings.studyfile.publishing import definition_of

MOST_FAULTS_TOLD = 10


class Command(BaseCommand):
    help = (
        "A dry run: synthetic participants take the study through the running server's pages. They are balanced, "
        "counted, reported and exported apart from real ones (report SLUG --synthetic). Prints one JSON line."
    )

    def add_arguments(self, parser):
        parser.add_argument("slug", help="the study's slug")
        parser.add_argument("--participants", type=_count, required=True, metavar="N", help="how many come")
        parser.add_argument("--seed", type=int, required=True, metavar="S", help="the same seed, the same behaviour")
        parser.add_argument("--url", type=_address, help=f"where the server answers (default: {settings.PUBLIC_URL})")
        parser.add_argument(
            "--effect",
            type=float,
            default=0.5,
            metavar="POINTS",
            help="how much better replies of the second arm of the primary comparison seem, or else those of the arm "
            "that is last by the alphabet, before ratings are rounded and cut at the ends of the scale (default: 0.5)",
        )
        parser.add_argument(
            "--mix",
            type=_mix,
            default=DEFAULT_MIX,
            metavar="SHARES",
            help=f"who comes (default: {','.join(f'{name}={share}' for name, share in DEFAULT_MIX.items())})",
        )
        parser.add_argument(
            "--patience",
            type=_seconds,
            default=0.0,
            metavar="SECONDS",
            help="for how long participants ask again for a page that does not come, before it counts as failed "
            "(default: 0)",
        )
        parser.add_argument(
            "--streams",
            type=_address,
            nargs="?",
            const="",
            metavar="URL",
            help="follow replies while they grow, as the chat page's script does; URL: where streams are answered, if "
            "no proxy makes it the same address",
        )
        parser.add_argument("--at-once", type=_count, default=20, metavar="N", help="how many at once (default: 20)")

    def handle(self, *, slug, participants, seed, url, effect, mix, at_once, patience, streams, **options):
        study = find_study(slug)
        dry_run = DryRun(
            server=url or settings.PUBLIC_URL,
            study=definition_of(study.current_version),
            seed=seed,
            mix=mix,
            effect=effect,
            sign=pagetime.sign,
            at_once=at_once,
            patience=patience,
            streams=streams or (None if streams is None else url or settings.PUBLIC_URL),
        )
        see_who_answers(dry_run.server)
        tokens = invite(study, participants, Participant.Kind.SYNTHETIC, study.owner, group="simulate", wave=f"{seed}")
        see_that_it_knows(dry_run.server, tokens[0])
        started = time.monotonic()
        tally = dry_run.send(tokens, self.tell)
        for fault in tally.faults[:MOST_FAULTS_TOLD]:
            self.tell(f"failed: {fault}")
        self.stdout.write(json.dumps(summary(dry_run, tally, participants, time.monotonic() - started)))
        if tally.faults:
            raise SystemExit(1)

    def tell(self, line: str) -> None:
        self.stderr.write(line)
        self.stderr.flush()


def find_study(slug: str) -> Study:
    study = Study.objects.select_related("current_version", "owner").filter(slug=slug).first()
    if study is None:
        raise CommandError(f"There is no study called {slug!r}.")
    if study.current_version is None or not study.takes_people:
        raise CommandError(f"{slug} takes no participants: it is {study.get_state_display().lower()}.")
    version = study.current_version
    if not version.is_ready:
        raise CommandError(
            f"{slug} is not ready: {version.replies_made} of {version.replies_wanted} replies are made. "
            "They are made while the server runs; try again a little later."
        )
    return study


def see_who_answers(server: str) -> None:
    status = ask(f"{server}/healthz")
    if status != 200:
        raise CommandError(f"What answers at {server} is not ready ({server}/healthz: status {status}).")


def see_that_it_knows(server: str, token: str) -> None:
    """An invitation is a row in our database: whoever does not know it has another one."""
    if ask(f"{server}/i/{token}/") == 404:
        raise CommandError(
            f"The server at {server} does not know our invitations: it uses another database. "
            "Give this command the same EVALSITE_DATA as the server."
        )


def ask(address: str) -> int:
    try:
        return httpx.get(address, timeout=30).status_code
    except httpx.HTTPError:
        server = address.partition("//")[2].partition("/")[0]
        raise CommandError(f"No server answers at {server}. Start it with `make run`, or name another: --url") from None


def summary(dry_run: DryRun, tally: Tally, participants: int, seconds: float) -> dict:
    better, other = dry_run.arms
    return {
        "study": dry_run.study.slug,
        "participants": participants,
        "seed": dry_run.seed,
        "completed": tally.completed,
        "dropped_out": tally.dropped_out,
        "failed_pages": len(tally.faults),
        "seconds": round(seconds, 1),
        "pages": tally.pages,
        "ratings": tally.ratings,
        "missing": tally.missing,
        "messages": tally.messages,
        "effect": dry_run.effect,
        "better_arm": better,
        "other_arm": other,
        "expected_difference": tally.expected_difference(better, other),
        "characters": dict(sorted(tally.characters.items())),
        "outcomes": dict(sorted(tally.outcomes.items())),
        "reloads": tally.reloads,
        **({"replies": heard} if (heard := tally.replies_heard()) else {}),
    }


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 10000")
    return int(text)


def _seconds(text: str) -> float:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of seconds")
    return float(text)


def _address(text: str) -> str:
    try:
        address = urlsplit(text)
        is_one = address.scheme in ("http", "https") and address.hostname and address.port != 0
    except ValueError:
        is_one = False
    if not is_one:
        raise argparse.ArgumentTypeError(f"{text!r} is no address: write http://NAME:PORT")
    return f"{address.scheme}://{address.netloc}"


def _mix(text: str) -> dict[str, float]:
    try:
        return read_mix(text)
    except ValueError as fault:
        raise argparse.ArgumentTypeError(str(fault)) from None
