"""The settings of the tests. pytest-django reads them before any conftest, so the data folder is chosen here."""

import os
import tempfile

# A checkout's own data are left alone.
os.environ.setdefault("EVALSITE_DATA", tempfile.mkdtemp(prefix="evalsite-tests-"))
os.environ.setdefault("OMP_NUM_THREADS", "1")

from evalsite.settings import *  # noqa: E402, F403
from evalsite.settings import DATA_DIR, DATABASES  # noqa: E402

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, as in real life: in memory, SQLite locks whole tables between threads.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "tests.sqlite3")}
