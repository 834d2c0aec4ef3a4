"""The whole program in a process of its own, composed as the quickstart composes it, for a browser to visit.

Prints one line of JSON once it serves. What it sends to participants is kept beside its data, byte for byte.
"""

import json
import sys

import django
from django.conf import settings

from evalsite import server

SENT = "sent-to-participants"
RESEARCHERS = ("/studies/", "/accounts/", "/api/")


class Recording(server.ByPath):
    """Keeps headers and bodies of all answers to participants."""

    async def __call__(self, scope, receive, send):
        if scope["path"].startswith(RESEARCHERS):
            return await super().__call__(scope, receive, send)
        with open(settings.DATA_DIR / SENT, "ab") as file:

            async def send_and_keep(message):
                for name, value in message.get("headers", ()):
                    file.write(name + b": " + value + b"\n")
                file.write(message.get("body", b"") + b"\n")
                file.flush()
                await send(message)

            return await super().__call__(scope, receive, send_and_keep)


def main() -> None:
    django.setup()
    from django.db import connections

    from accounts.models import User
    from evalsite import startup
    from inference import dispatch
    from tests.browser import pseudolocale, studies

    server.ByPath = Recording
    pseudolocale.install("ar")
    with server.listen("127.0.0.1", settings.PORT) as listener:
        startup.bring_database_up_to_date(say=sys.stderr.write)
        startup.collect_static()
        password = startup.first_account()
        studies.publish_all(User.objects.first_researcher())
        connections.close_all()
        dispatch.start()

        def started() -> None:
            sys.stdout.write(json.dumps({"password": password}) + "\n")
            sys.stdout.flush()

        server.serve(listener, started)
        dispatch.stop(patience=0)


if __name__ == "__main__":
    main()
