"""Celery with an engine whose steps take longer, so that kills and stops hit replies in the middle.

    python -m tests.services.slowed -A evalsite worker ...

EVALSITE_TEST_STEP: seconds that each step takes at least. EVALSITE_TEST_HANGS: once this file is there, the next step
never ends, and the file is gone.
"""

import os
import sys
import threading
import time
from pathlib import Path

from inference.engines import huggingface

STEP = float(os.environ.get("EVALSITE_TEST_STEP", "0"))
HANGS = Path(os.environ.get("EVALSITE_TEST_HANGS") or os.devnull)


def slowly(step):
    def slow_step(self, rows):
        if HANGS.is_file():
            HANGS.unlink()
            threading.Event().wait()
        # Measured when it loads, it may be as fast as it is.
        if not any(row.request.key.startswith("measure-") for row in rows):
            time.sleep(STEP)
        return step(self, rows)

    return slow_step


if __name__ == "__main__":
    huggingface.HuggingFaceEngine._step = slowly(huggingface.HuggingFaceEngine._step)
    from celery.__main__ import main

    sys.argv[0] = "celery"
    main()
