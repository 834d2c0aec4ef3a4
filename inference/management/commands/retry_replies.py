from django.core.management.base import BaseCommand

from inference import conversations
from inference.models import Turn


class Command(BaseCommand):
    help = "Ask again for the replies that were to be made in advance and failed; a running server makes them."

    def handle(self, **options) -> None:
        asked = conversations.retry_failed(Turn.objects.replies().filter(background=True))
        self.stdout.write(f"{asked} {'reply is' if asked == 1 else 'replies are'} asked for again.")
