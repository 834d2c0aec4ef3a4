from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from evalsite import restoring
from evalsite.backups import BackupError


class Command(BaseCommand):
    help = "Put a copy in the place of what is there now. Stop the server first."

    def add_arguments(self, parser):
        parser.add_argument("file", type=Path, metavar="FILE", help="a copy made by `backup`, or one of the daily ones")

    def handle(self, *, file: Path, **options) -> None:
        try:
            restored = restoring.restore(file)
        except BackupError as fault:
            raise CommandError(str(fault)) from None
        self.stdout.write(f"Restored the copy of {restored.made_at:%Y-%m-%d %H:%M} UTC.")
        if restored.before:
            self.stdout.write(f"What was there before is kept in {restored.before}")
        if restored.withdrawn_again:
            self.stdout.write(f"Deleted again, since they withdrew after the copy was made: {restored.withdrawn_again}")
