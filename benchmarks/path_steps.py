"""When what happened to replies on the way of their first token, as the rows tell it.

python -m benchmarks.path_steps < codes.json > steps.json      seconds since 1970, by the code of the turn
"""

import json
import sys

import django


def steps(code: str) -> dict[str, float]:
    from inference.models import Attempt

    attempt = Attempt.objects.select_related("turn").get(turn__code=code)
    told, claimed = attempt.provenance, attempt.claimed_at.timestamp()
    return {
        "turn written": attempt.turn.created_at.timestamp(),
        "claimed": claimed,
        "engine asked": claimed + told["seconds"]["asked"],
        "taken up": claimed + told["seconds"]["started"],
        "first token": claimed + told["seconds"]["first_token"],
        "released": claimed + told["releases"][0][0],
        "sent": attempt.turn.first_sent_at.timestamp(),
    }


if __name__ == "__main__":
    django.setup()
    json.dump({code: steps(code) for code in json.load(sys.stdin)}, sys.stdout)
