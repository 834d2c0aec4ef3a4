import json

from django.core.management.base import BaseCommand, CommandError

from reports.statistics.grim import Unreadable, check_means, sentences


class Command(BaseCommand):
    help = (
        "Tell whether published means, and sds, can come from whole-number ratings of so many people (GRIM, GRIMMER)."
    )

    def add_arguments(self, parser):
        parser.add_argument(
            "--mean", action="append", required=True, metavar="8.5374", help="as printed, all decimals; may be repeated"
        )
        parser.add_argument(
            "--sd", action="append", default=[], metavar="1.47", help="one for each mean, in the order of the means"
        )
        parser.add_argument("--n", type=int, required=True, help="how many people gave the ratings")
        parser.add_argument("--items", type=int, default=1, help="whole numbers from each person (default: 1)")
        parser.add_argument("--scale", type=int, nargs=2, metavar=("MIN", "MAX"), help="the ends of the scale")
        parser.add_argument("--json", action="store_true", dest="as_json", help="every number, unrounded")

    def handle(self, *, mean, sd, n, items, scale, as_json, **options):
        if sd and len(sd) != len(mean):
            raise CommandError("Give one --sd for each --mean, in the same order, or none.", returncode=2)
        try:
            result = check_means(mean, n, items, tuple(scale) if scale else None, sd)
        except Unreadable as error:
            raise CommandError(str(error)) from None
        if as_json:
            self.stdout.write(json.dumps(result, ensure_ascii=False, allow_nan=False, indent=2))
        else:
            self.stdout.write("\n".join(sentences(result)))
