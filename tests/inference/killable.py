"""A dispatcher in a process of its own, so that it can be killed: python -m tests.inference.killable DATABASE QUICK

It answers with a slow script, on the database of the test that started it. QUICK is 1 for leases of a second.
"""

import os
import sys
import time
from datetime import timedelta

import django
from django.conf import settings


def main(database: str, quick: str) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evalsite.settings")
    settings.DATABASES["default"]["NAME"] = database
    django.setup()

    from inference import answering, dispatch, leases, local
    from inference.engines.scripted import Script, ScriptedEngine
    from inference.models import ChatModel
    from inference.pool import pool

    if quick == "1":
        leases.LEASE = timedelta(seconds=1)
        answering.RENEW_EVERY = local.SWEEP_EVERY = 0.2

    def script(request):
        return Script(f"You wrote: {request.messages[-1]['content']}. That is all I have to say.", pace=0.06)

    pool.register(ChatModel.objects.get(key="test-model"), ScriptedEngine(script))
    dispatch.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        time.sleep(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
