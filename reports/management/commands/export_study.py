import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from django.core.management.base import BaseCommand, CommandError

from ratings.frames import NothingPublished, find_study, pool_of
from reports.package import write_package


class Command(BaseCommand):
    help = (
        "Write a study's data package: ratings, participants, conversations, codebook, report and manifest as one zip."
    )

    def add_arguments(self, parser):
        parser.add_argument("slug", help="the study's slug")
        parser.add_argument("--output", type=Path, required=True, metavar="FILE.zip", help="where to write it")
        kind = parser.add_mutually_exclusive_group()
        kind.add_argument("--pilot", action="store_const", const="pilot", dest="kind", help="of pilot participants")
        kind.add_argument("--synthetic", action="store_const", const="synthetic", dest="kind", help="of simulated ones")
        parser.add_argument(
            "--study-version", type=int, metavar="N", help="of the versions that share version N's design"
        )

    def handle(self, *, slug, output: Path, kind, study_version, **options):
        try:
            pool = pool_of(find_study(slug), kind or "real", study_version)
        except NothingPublished as error:
            raise CommandError(str(error)) from None
        if output.is_dir():
            raise CommandError(f"{output} is a folder. Name a file in it: {output / f'{slug}.zip'}")
        try:
            with appearing_whole(output) as file:
                manifest = write_package(pool, None, file)
        except OSError as error:
            raise CommandError(f"{output} cannot be written: {error.strerror}.") from None
        ratings = next(file["rows"] for file in manifest["files"] if file["name"] == "ratings_long.csv")
        self.stdout.write(f"{output} {ratings} ratings, export {manifest['export_id']}")


@contextmanager
def appearing_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that stands at its path when it is finished, and not before. Only its owner may read it."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as part:
        try:
            yield part
        except BaseException:
            os.unlink(part.name)
            raise
    os.replace(part.name, path)
