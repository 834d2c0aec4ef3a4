import json
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from ratings import looks
from ratings.frames import NothingPublished, find_study, pool_of, snapshot
from ratings.models import EarlyLook
from reports.longcsv import LongCsvError, report_from_csv
from reports.plaintext import as_text
from reports.report import study_report


class Command(BaseCommand):
    help = (
        "Report a study, or anyone's ratings in a long CSV: means with intervals that respect who rated what. "
        "Before the planned number of participants this is an early look, which the study's report tells from then on."
    )

    def add_arguments(self, parser):
        parser.add_argument("slug", nargs="?", help="the study's slug")
        parser.add_argument(
            "--csv", type=Path, metavar="FILE", help="a file: participant_id,item_id,arm,criterion,rating"
        )
        parser.add_argument(
            "--scale", type=int, nargs=2, metavar=("MIN", "MAX"), help="with --csv: the ends of the scale"
        )
        parser.add_argument(
            "--items-are",
            choices=["random", "fixed"],
            default="random",
            help="with --csv: whether the report speaks of items like these (random) or of exactly these (fixed)",
        )
        parser.add_argument("--json", action="store_true", dest="as_json", help="every number, unrounded")
        kind = parser.add_mutually_exclusive_group()
        kind.add_argument("--pilot", action="store_const", const="pilot", dest="kind", help="of pilot participants")
        kind.add_argument("--synthetic", action="store_const", const="synthetic", dest="kind", help="of simulated ones")
        parser.add_argument(
            "--study-version", type=int, metavar="N", help="of the versions that share version N's design"
        )

    def handle(self, *, slug, csv, scale, items_are, as_json, kind, study_version, **options):
        if (slug is None) == (csv is None):
            raise CommandError("Name a study, or a file with --csv FILE --scale MIN MAX.", returncode=2)
        if csv is not None and (scale is None or kind or study_version):
            raise CommandError(
                "--csv needs --scale MIN MAX, and takes no --pilot, --synthetic, --study-version.", returncode=2
            )
        report = of_file(csv, tuple(scale), items_are) if csv else of_study(slug, kind or "real", study_version)
        if as_json:
            self.stdout.write(json.dumps(report, ensure_ascii=False, allow_nan=False, indent=2))
        else:
            self.stdout.write(as_text(report))


def of_file(path: Path, scale: tuple[int, int], items_are: str) -> dict:
    try:
        return report_from_csv(path, scale, items_are)
    except LongCsvError as error:
        raise CommandError(str(error)) from None


def of_study(slug: str, kind: str, number: int | None) -> dict:
    try:
        pool = pool_of(find_study(slug), kind, number)
        looks.note(pool, None, EarlyLook.By.COMMAND)
        with snapshot():
            return study_report(pool, looked=True)
    except NothingPublished as error:
        raise CommandError(str(error)) from None
