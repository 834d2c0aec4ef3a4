import os
import signal
import threading
import time

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from evalsite import datafolder, mixtures, server, startup
from evalsite.backups import BackupError
from evalsite.schedule import LocalSchedule
from inference import dispatch, registry, workers
from inference.conversion import ConversionError
from inference.models import Conversation
from inference.pool import pool
from inference.watchdog import Watchdog, set_engine_aside
from ratings.models import StoredReply, Study

FIRST_START_SPACE = int(1.5 * datafolder.GIGABYTE)
LATER_SPACE = datafolder.GIGABYTE // 10
TELL_EVERY = 15.0  # seconds
ENOUGH_TO_TELL = 8


class Command(BaseCommand):
    help = "Serve everything from this one process: pages, live chats, replies made in advance. Ctrl-C ends it."
    # A second start is a matter of a second or two; `make test` runs the checks.
    requires_system_checks = []

    def handle(self, **options) -> None:
        # Whoever sends SIGTERM wants the same as who presses Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            self.run()
        except (datafolder.Unusable, BackupError, ImproperlyConfigured) as fault:
            raise CommandError(str(fault)) from None
        except OSError as fault:
            raise CommandError(datafolder.explain(fault, settings.DATA_DIR)) from None
        except KeyboardInterrupt:
            self.say("\nStopped.")

    def run(self) -> None:
        mixtures.refuse_company()
        # What is in the data folder is for whoever runs this, and for nobody else on this computer.
        os.umask(0o077)
        datafolder.prepare(settings.DATA_DIR, LATER_SPACE if settings.MODELS_DIR.exists() else FIRST_START_SPACE)
        with server.listen(settings.LISTEN, settings.PORT) as listener, datafolder.alone(settings.DATA_DIR):
            startup.bring_database_up_to_date(self.say)
            workers.forget_all()
            startup.collect_static()
            password = startup.first_account()
            startup.load_examples(self.say)
            if not settings.THIS_COMPUTER_ONLY:
                startup.hold_back_chats(self.say)
            addresses = addresses_of(password)
            schedule = LocalSchedule()
            connections.close_all()

            def started() -> None:
                self.say(addresses)
                schedule.start()
                threading.Thread(target=self.make_replies, name="model", daemon=True).start()

            server.serve(listener, started)
            self.say("\nStopping: replies under way are made again at the next start.")
            schedule.stop()
            dispatch.stop(patience=2.0)
            startup.fold_log()
        self.say(f"Stopped. Everything is kept in {settings.DATA_DIR}")
        # A page that still waits for a reply, or the model in the middle of a step, must not keep the terminal.
        self.stdout.flush()
        os._exit(0)

    def make_replies(self) -> None:
        """Make the model ready, once, and answer with it until the program ends; runs beside the server."""
        try:
            model = registry.ensure_default_model(self.say)
            dispatch.start()
            Watchdog(set_engine_aside).start()
            pool.engine_for(model)
            self.tell_progress()
        except ConversionError as fault:
            self.say(f"No model can answer: {fault}")
        except OSError as fault:
            self.say(f"No model can answer: {datafolder.explain(fault, settings.DATA_DIR)}")
        finally:
            connections.close_all()

    def tell_progress(self) -> None:
        """A line whenever more of the replies are made that studies show, until all of them are."""
        replies = StoredReply.objects.filter(conversation__kind=Conversation.Kind.STORED)
        began, at_first, told = time.monotonic(), replies.made().count(), None
        while (made := replies.made().count()) < (wanted := replies.count()):
            if made != told:
                left = time_left(made - at_first, wanted - made, time.monotonic() - began)
                self.say(f"Replies for the studies: {made} of {wanted} made{left}")
            told = made
            time.sleep(TELL_EVERY)
        if told is not None:
            self.say("Replies for the studies: all made, every study can be taken")

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def time_left(made: int, missing: int, seconds: float) -> str:
    # The first ones tell little: they pay for loading the model, and come in batches.
    if made < ENOUGH_TO_TELL:
        return ""
    minutes = missing * seconds / made / 60
    return f", about {minutes:.0f} min left" if minutes >= 1 else ", less than a minute left"


def addresses_of(password: str | None) -> str:
    lines = [f"participants {settings.PUBLIC_URL}/s/{study.slug}/" for study in Study.objects.open_to_people()]
    lines.append(f"researchers {settings.PUBLIC_URL}/studies/")
    if password:
        lines.append(f"sign in: researcher {password}")
    return "\n".join(["", *lines, "", who_is_served(), "Ctrl-C ends it; everything is kept.", ""])


def who_is_served() -> str:
    if settings.THIS_COMPUTER_ONLY:
        return (
            "Only this computer can open these addresses. To let others in, start it with the address that they will\n"
            f"use, for example: make run EVALSITE_URL=http://THIS-COMPUTERS-ADDRESS:{settings.PORT} (see README)"
        )
    where = f"{settings.LISTEN}:{settings.PORT}"
    if settings.OVER_TLS:
        return f"Everyone can open these addresses once your proxy passes {settings.PUBLIC_URL} on to {where}."
    return f"Everyone in this network can open these addresses; listening on {where}, without encryption."
