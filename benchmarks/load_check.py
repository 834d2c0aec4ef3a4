"""Whether the database holds each acknowledged rating once, with the value that was sent, and nothing else.

    python -m benchmarks.load_check evalsite|bare_form|otree < acknowledged.json

The last value counts where one was sent again. Prints how many were stored, lost and never acknowledged.
"""

import json
import os
import sqlite3
import sys
from collections import Counter
from pathlib import Path

from benchmarks.load_prepare import CRITERIA, SETTINGS


def stored(program: str) -> list[tuple[str, int, str, int]]:
    if program == "otree":
        return stored_by_otree()
    if program == "evalsite":
        from ratings.models import Rating

        names = "exposure__assignment__visit__code", "exposure__assignment__position", "criterion__key", "value"
    else:
        from benchmarks.bare_form.models import Rating

        names = "assignment__visit", "assignment__position", "criterion", "value"
    return [(str(visit), *rest) for visit, *rest in Rating.objects.values_list(*names)]


def stored_by_otree() -> list[tuple[str, int, str, int]]:
    query = " UNION ALL ".join(
        f"SELECT code, round_number, '{key}', {key} FROM rating_player "
        f"JOIN otree_participant ON otree_participant.id = participant_id WHERE {key} IS NOT NULL"
        for key in CRITERIA
    )
    with sqlite3.connect(Path(os.environ["OTREE_DATA"]) / "db.sqlite3") as database:
        return database.execute(query).fetchall()


def main() -> None:
    program = sys.argv[1]
    if program in SETTINGS:
        os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS[program]
        import django

        django.setup()
    sent = {}
    for visit, position, *values in json.load(sys.stdin):
        sent |= {(visit, position, key): value for key, value in zip(CRITERIA, values, strict=True)}
    found = Counter(((visit, position, key), value) for visit, position, key, value in stored(program))
    result = {
        "acknowledged": len(sent),
        "stored_once": sum(found[rating] == 1 for rating in sent.items()),
        "unacknowledged": sum(found.values()) - len(sent),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
