"""What the one-process installation sees to at each start, before it serves; at the second start next to nothing."""

import hashlib
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import F

from accounts.models import User
from evalsite import backups, restoring
from ratings.desk import examples
from ratings.models import Study, StudyVersion
from ratings.studyfile import publishing
from ratings.studyfile.faults import StudyFileErrors

ACKNOWLEDGED = "the quickstart, for this computer only"
EXAMPLES = settings.BASE_DIR / "studies"
# The pages of an API that answers in JSON only; compressing them takes longer than everything else at a first start.
UNUSED_STATIC = ["rest_framework"]

Say = Callable[[str], None]


def bring_database_up_to_date(say: Say) -> None:
    """Tables as this version needs them; what is there is copied before anything about it is changed."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        if executor.loader.applied_migrations:
            say(f"The database is brought up to date; as it was, it is kept in {backups.copy_of_the_day()}")
        call_command("migrate", verbosity=0, interactive=False)
    restoring.reapply_withdrawals()


def fold_log() -> None:
    """Leave everything in one database file, whose log would else be folded in at the next start only."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def collect_static() -> None:
    """Collect and compress styles and scripts, unless they are as they were."""
    state = hashlib.sha256("\n".join(_static_files()).encode()).hexdigest()
    note = Path(settings.STATIC_ROOT) / ".collected"
    if note.exists() and note.read_text() == state:
        return
    call_command("collectstatic", verbosity=0, interactive=False, clear=True, ignore_patterns=UNUSED_STATIC)
    note.write_text(state)


def _static_files() -> Iterator[str]:
    for finder in get_finders():
        for name, storage in finder.list(UNUSED_STATIC):
            yield f"{name} {storage.size(name)} {storage.get_modified_time(name).timestamp()}"


def first_account() -> str | None:
    """A password for the first researcher, who is made if there is nobody; only their first sign-in will take it."""
    researcher = User.objects.first_researcher()
    if researcher.has_usable_password():
        return None
    password = "-".join(secrets.token_hex(2) for _ in range(4))
    researcher.set_password(password)
    researcher.must_change_password = True
    researcher.save(update_fields=["password", "must_change_password"])
    return password


def load_examples(say: Say) -> None:
    """Publish the example studies that are not there yet. What was loaded once is the researcher's, and left alone."""
    owner = User.objects.first_researcher()
    loaded = set(Study.objects.values_list("slug", flat=True))
    for name in examples.NAMES:
        file = EXAMPLES / f"{name}.yaml"
        # An example's file is named after its study, so that a second start need not read it.
        if name not in loaded and file.exists():
            try:
                load_example(file, owner)
            except (StudyFileErrors, publishing.Refused) as fault:
                say(f"{file.name} was not loaded: {fault}")


def load_example(file: Path, owner: User) -> StudyVersion:
    return publishing.load(
        file.read_bytes(), file.name, _beside(file), owner, publish_it=True, acknowledged=ACKNOWLEDGED
    )


def hold_back_chats(say: Say) -> None:
    """A chat that the quickstart opened for its own computer is a pilot as soon as others can reach it.

    Only a researcher can say that strangers may chat although nobody screens their messages.
    """
    owner = User.objects.first_researcher()
    acknowledged = StudyVersion.objects.filter(screening_acknowledged__by=ACKNOWLEDGED, study__state=Study.State.LIVE)
    for version in acknowledged.filter(pk=F("study__current_version")).select_related("study"):
        study = version.study
        if publishing.definition_of(version).mode == "chat":
            version.screening_acknowledged = None
            version.save(update_fields=["screening_acknowledged"])
            publishing.move(study, Study.State.PAUSED, owner)
            publishing.move(study, Study.State.PILOT, owner)
            say(f"{study.slug} is a pilot now, as nobody screens what others write in it; its page says how to open it")


def _beside(file: Path) -> Callable[[str], bytes | None]:
    def read(name: str) -> bytes | None:
        path = file.parent / name
        return path.read_bytes() if path.is_file() else None

    return read
