from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from evalsite import backups
from ratings import withdrawal


class Command(BaseCommand):
    help = "Copy the database and everything that belongs to it into one file; the server may go on."

    def add_arguments(self, parser):
        parser.add_argument("--output", type=Path, metavar="FILE", help="default: among the daily copies, 14 are kept")
        parser.add_argument("--with-keys", action="store_true", help="put the keys in too: whoever has it reads all")

    def handle(self, *, output: Path | None, with_keys: bool, **options) -> None:
        if with_keys and not output:
            raise CommandError("A copy with its keys belongs elsewhere than beside its data: use --output FILE.")
        try:
            copy = backups.make(output, with_keys) if output else backups.copy_of_the_day()
        except backups.BackupError as fault:
            raise CommandError(str(fault)) from None
        self.stdout.write(str(copy))
        if output:
            by = datetime.now(UTC).date() + timedelta(days=withdrawal.DAYS_OF_COPIES)
            self.stderr.write(f"Delete it by {by}: people who withdraw are promised that the last copy is gone then.")
        if not with_keys:
            self.stderr.write("The keys are not in it. Keep them safe, apart from it: without them nobody can read it.")
