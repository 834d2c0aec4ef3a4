from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from ratings.desk import readiness
from ratings.studyfile.faults import StudyFileErrors
from ratings.studyfile.publishing import Refused, load


class Command(BaseCommand):
    help = "Check a study file and keep it as its study's draft, or publish it. Prints SLUG FINGERPRINT."

    def add_arguments(self, parser):
        parser.add_argument("file", type=Path, help="the study file; files of replies are looked for beside it")
        parser.add_argument("--publish", action="store_true", help="freeze it as the next version and open the study")
        parser.add_argument(
            "--acknowledge-no-screening",
            action="store_true",
            help="let a live chat go beyond its pilot although messages are not screened for crisis; this is recorded",
        )
        parser.add_argument(
            "--same-meaning",
            metavar="WHY",
            default="",
            help="why a changed wording still asks the same, so that both versions share balance, target and report",
        )
        parser.add_argument("--owner", metavar="USER", help="the researcher it belongs to (default: the first one)")

    def handle(self, *, file: Path, publish, acknowledge_no_screening, same_meaning, owner, **options):
        user = self.owner(owner)
        try:
            version = load(
                source=file.read_bytes(),
                name=str(file),
                read_reply=lambda name: (file.parent / name).read_bytes(),
                owner=user,
                publish_it=publish,
                acknowledged=f"{user.username}, by command" if acknowledge_no_screening else "",
                same_meaning=same_meaning,
            )
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from None
        except StudyFileErrors as errors:
            for fault in [*errors.faults, *errors.warnings]:
                self.stderr.write(str(fault))
            raise SystemExit(1) from None
        except Refused as refused:
            raise CommandError(str(refused)) from None
        for check in (readiness.capacity(version), readiness.room(version)) if publish else ():
            if check:
                self.stderr.write(f"{check.text}. {check.advice}")
        self.stdout.write(f"{version.study.slug} {version.fingerprint}")

    @staticmethod
    def owner(username: str | None) -> User:
        if not username:
            return User.objects.first_researcher()
        try:
            return User.objects.get(username=username, is_active=True)
        except User.DoesNotExist:
            raise CommandError(f"There is no researcher called {username!r}.") from None
