from argparse import ArgumentTypeError

from django.core.management.base import BaseCommand, CommandError

from accounts.models import ApiToken, AuditEntry, User

MOST_DAYS = 3650


def days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_DAYS:
        raise ArgumentTypeError(f"{text!r} is not a number of days from 1 to {MOST_DAYS}")
    return int(text)


class Command(BaseCommand):
    help = "Make a token for the API and print it. It is shown this once: only its hash is kept."

    def add_arguments(self, parser):
        parser.add_argument("user", help="the researcher's user name")
        parser.add_argument("--scope", choices=ApiToken.Scope.values, default=ApiToken.Scope.READ)
        parser.add_argument("--days", type=days, default=30, help="how long it is valid (default: 30)")

    def handle(self, *, user, scope, days, **options):
        try:
            owner = User.objects.get(username=user, is_active=True)
        except User.DoesNotExist:
            raise CommandError(f"There is no active user called {user!r}.") from None
        token = ApiToken.issue(owner, scope, days)
        AuditEntry.objects.record(None, "create_token", owner.username, scope=scope, days=days)
        self.stdout.write(token)
        self.stderr.write(f"Valid for {days} days, as `Authorization: Bearer TOKEN`. It is not shown again.")
