import argparse
import json

from django.core.management.base import BaseCommand, CommandError

from inference import verification
from ratings import frames
from ratings.frames import NothingPublished


class Command(BaseCommand):
    help = (
        "Make a sample of a study's replies again, each alone, and say how many come out the same. On a CPU in float32 "
        "and on the same kind of processor with the same versions, practically all should: who else was in the batch "
        "moves a logit by less than 0.0001, which hardly ever decides. In bfloat16, on a GPU, a server or another "
        "kind of processor it is more, and a reply may differ from some token on: what is stored stays the record. A "
        "server's reply is compared by its text where it tells no tokens. No text is printed."
    )

    def add_arguments(self, parser):
        parser.add_argument("slug", help="the study's slug")
        parser.add_argument("--sample", type=_count, required=True, metavar="N", help="how many replies, by chance")
        parser.add_argument("--seed", type=int, default=1, metavar="S", help="the same seed, the same sample")
        parser.add_argument("--json", action="store_true", dest="as_json", help="everything, as one object")
        kind = parser.add_mutually_exclusive_group()
        kind.add_argument("--pilot", action="store_const", const="pilot", dest="kind", help="chats of the pilot")
        kind.add_argument("--synthetic", action="store_const", const="synthetic", dest="kind", help="simulated chats")

    def handle(self, *, slug, sample, seed, as_json, kind, **options):
        try:
            pool = frames.pool_of(frames.find_study(slug), kind or "real")
        except NothingPublished as error:
            raise CommandError(str(error)) from None
        replies = verification.replies_that_can_be_checked(frames.arms_of_conversations(pool))
        if not replies:
            raise CommandError(f"{slug} has no reply that a model of ours has made: there is nothing to verify.")
        chosen = verification.sample(replies, sample, seed)
        checks = list(verification.verify({turn: replies[turn] for turn in chosen}))
        result = {"study": slug, "kind": pool.kind, "replies": len(replies), "sample": len(chosen), "seed": seed}
        result |= verification.summary(checks)
        self.stdout.write(json.dumps(result, indent=2) if as_json else "\n".join(lines(result)))


def lines(result: dict) -> list[str]:
    told = [
        f"{turn['arm']} {turn['conversation']}/{turn['index']}: {turn['reason'] or turn['outcome']}"
        for turn in result["turns"]
        if turn["outcome"] != "same"
    ]
    groups = {"all": result} | result["by_arm"] | result["by_device"]
    told += [f"{name}: {group['same']} of {group['compared']} the same" for name, group in groups.items()]
    return told


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 10000")
    return int(text)
