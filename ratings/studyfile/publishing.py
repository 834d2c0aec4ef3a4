"""From a study file to the tables: drafts that may be replaced, and versions that never change.

Loading replaces the draft of its study. Publishing freezes the draft as the next version and lays out what it needs:
setups, items, criteria and the replies that will be shown. A version published again unchanged is the same version.
"""

from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from secrets import randbits
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import AuditEntry, User
from inference import conversations, preflight, registry
from inference.canonical import digest
from inference.models import Setup
from ratings.models import Arm, Criterion, Item, ReplyFile, StoredReply, Study, StudyVersion
from ratings.studyfile.faults import Fault, StudyFileErrors
from ratings.studyfile.reading import Loaded, read
from ratings.studyfile.schema import StudyFile, fingerprint, text_in


class Refused(Exception):
    """A step that this study cannot take now; the message says why and what would help."""


def definition_of(version: StudyVersion) -> StudyFile:
    """The study file of a version as an object; read once in each process."""
    return _definition(version.pk, version.fingerprint)


@lru_cache(maxsize=64)
def _definition(pk: int, print_of_it: str) -> StudyFile:
    definition = StudyVersion.objects.filter(pk=pk, fingerprint=print_of_it).values_list("definition", flat=True).get()
    return StudyFile.model_validate(definition)


def check(source: bytes, name: str, read_reply: Callable[[str], bytes | None]) -> Loaded:
    """Read a study file as this installation could run it. Raises StudyFileErrors with every fault."""
    loaded = read(source, name, read_reply)
    _refuse_unknown_models(loaded, name)
    return loaded


def load(
    source: bytes,
    name: str,
    read_reply: Callable[[str], bytes | None],
    owner: User,
    publish_it: bool = False,
    acknowledged: str = "",
    same_meaning: str = "",
) -> StudyVersion:
    """Check a study file as a whole and keep it as its study's draft, or publish it.

    `read_reply` gives the bytes of a file beside it. Raises StudyFileErrors with every fault, or Refused; nothing is
    then stored.
    """
    loaded = check(source, name, read_reply)
    newest = StudyVersion.objects.published().filter(study__slug=loaded.definition.slug).last()
    if publish_it and (newest is None or newest.fingerprint != loaded.fingerprint):
        _refuse_absent_servers(loaded.definition)
    with transaction.atomic():
        study = _study(loaded, name, owner)
        version = _keep(study, loaded)
        if publish_it and version.is_draft:
            _publish(version, owner, acknowledged=acknowledged, same_meaning=same_meaning)
    return version


def publish(
    version: StudyVersion, user: User | None, acknowledged: str = "", same_meaning: str = "", pilot: bool = False
) -> StudyVersion:
    """Freeze a draft and open the study with it: live, or as a pilot. A study that is already open stays as it is.

    `acknowledged` is the researcher's word that a live chat runs without message screening.
    """
    # Servers may be slow to answer, so nothing is locked while they are asked.
    _refuse_absent_servers(definition_of(version))
    return _publish(version, user, acknowledged, same_meaning, pilot)


@transaction.atomic
def _publish(
    version: StudyVersion, user: User | None, acknowledged: str = "", same_meaning: str = "", pilot: bool = False
) -> StudyVersion:
    study = Study.objects.select_for_update().get(pk=version.study_id)
    if study.state == Study.State.CLOSED:
        raise Refused(f"{study.slug} is closed. Reopen it first, on its page.")
    definition = definition_of(version)
    previous = study.versions.published().last()
    version.same_meaning = same_meaning
    version.pool = _pool(version, previous)
    version.published_at = timezone.now()
    if acknowledged:
        version.screening_acknowledged = {"by": acknowledged, "at": version.published_at.isoformat()}
    version.save()
    if not definition.replies and definition.mode == "stored":
        _order_replies(version, definition)
    study.current_version = version
    if study.state == Study.State.DRAFT:
        study.state = Study.State.PILOT if pilot else Study.State.LIVE
    if study.state == Study.State.LIVE:
        _refuse_unscreened_chat(version)
    study.save()
    AuditEntry.objects.record(user, "publish", study.slug, version=version.number, fingerprint=version.fingerprint)
    version.study = study
    return version


def move(study: Study, state: str, user: User, acknowledged: str = "") -> None:
    """Pilot, open, pause, close or reopen a published study. Raises Refused."""
    if state in (Study.State.PILOT, Study.State.LIVE) and study.current_version:
        # As with publishing, nothing is locked while servers are asked.
        _refuse_absent_servers(definition_of(study.current_version))
    _move(study, state, user, acknowledged)


@transaction.atomic
def _move(study: Study, state: str, user: User, acknowledged: str) -> None:
    study = Study.objects.select_for_update().get(pk=study.pk)
    version = study.current_version
    if version is None:
        raise Refused(f"{study.slug} has no published version yet.")
    if not study.may_become(state):
        raise Refused(f"{study.slug} is {study.state} and cannot become {state} from there.")
    if acknowledged:
        version.screening_acknowledged = {"by": acknowledged, "at": timezone.now().isoformat()}
        version.save(update_fields=["screening_acknowledged"])
    if state == Study.State.LIVE:
        _refuse_unscreened_chat(version)
    AuditEntry.objects.record(user, "move", study.slug, before=study.state, after=state)
    study.state = state
    study.save(update_fields=["state"])


def wording(definition: StudyFile) -> dict[str, Any]:
    """What people read before and while they rate: a change here can change what a rating means."""
    return definition.model_dump(
        mode="json", include={"instructions", "practice", "criteria", "cannot_judge", "items", "checks", "chat"}
    )


def keeps_its_meaning(version: StudyVersion, previous: StudyVersion) -> bool:
    """Whether two versions share design and wording, replies included, so that nobody needs to vouch for it."""
    return (
        version.design_fingerprint == previous.design_fingerprint
        and wording(definition_of(version)) == wording(definition_of(previous))
        and _reply_hashes(version) == _reply_hashes(previous)
    )


def _pool(version: StudyVersion, previous: StudyVersion | None) -> int:
    if previous is None or version.design_fingerprint != previous.design_fingerprint:
        return version.number
    if version.same_meaning or keeps_its_meaning(version, previous):
        return previous.pool
    return version.number


def _reply_hashes(version: StudyVersion) -> dict[str, str]:
    return dict(version.reply_files.values_list("name", "sha256"))


def _refuse_unscreened_chat(version: StudyVersion) -> None:
    if definition_of(version).mode == "chat" and not version.screening_acknowledged:
        raise Refused(
            f"{version.study.slug} is a live chat, and messages are not screened for crisis yet. Run it as a pilot, or "
            "acknowledge that it runs without screening (--acknowledge-no-screening)."
        )


def _refuse_unknown_models(loaded: Loaded, name: str) -> None:
    faults = [
        Fault(
            name,
            *loaded.place_of("arms", position, "model"),
            path=f"arms[{position}].model",
            message=f"there is no model called {arm.model!r} here",
            hint="known: " + ", ".join(registry.known_keys()),
        )
        for position, arm in enumerate(loaded.definition.arms)
        if arm.model and registry.find(arm.model) is None
    ]
    if faults:
        raise StudyFileErrors(faults, loaded.warnings)


def _refuse_absent_servers(definition: StudyFile) -> None:
    models = {arm.model: registry.find(arm.model) for arm in definition.arms if arm.model}
    if faults := preflight.faults_of(model for model in models.values() if model):
        raise Refused("\n".join(faults))


def _study(loaded: Loaded, name: str, owner: User) -> Study:
    study, _ = Study.objects.get_or_create(slug=loaded.definition.slug, defaults={"owner": owner})
    if study.owner_id != owner.pk:
        where = loaded.place_of("slug")
        raise StudyFileErrors([Fault(name, *where, path="slug", message="this slug is taken", hint="choose another")])
    return Study.objects.select_for_update().get(pk=study.pk)


def _keep(study: Study, loaded: Loaded) -> StudyVersion:
    """The version with this content: the newest published one, the draft as it is, or a new draft in its place."""
    definition = loaded.definition
    print_of_it = fingerprint(definition, loaded.reply_files)
    newest = study.versions.published().last()
    draft = study.draft
    if draft and draft.fingerprint == print_of_it and bytes(draft.source) == loaded.source:
        return draft
    if draft:
        draft.delete()
    if newest and newest.fingerprint == print_of_it:
        return newest
    version = StudyVersion.objects.create(
        study=study,
        number=newest.number + 1 if newest else 1,
        pool=newest.number + 1 if newest else 1,
        source=loaded.source,
        definition=definition.model_dump(mode="json"),
        fingerprint=print_of_it,
        design_fingerprint=definition.design_fingerprint,
        seed=randbits(62),
    )
    ReplyFile.objects.bulk_create(
        ReplyFile(version=version, name=name, sha256=sha256(content).hexdigest(), content=content)
        for name, content in loaded.reply_files.items()
    )
    _lay_out(version, loaded)
    return version


def _lay_out(version: StudyVersion, loaded: Loaded) -> None:
    definition = loaded.definition
    Criterion.objects.bulk_create(
        Criterion(version=version, key=criterion.key, position=position)
        for position, criterion in enumerate(definition.criteria)
    )
    items = Item.objects.bulk_create(
        Item(
            version=version,
            key=item.key,
            position=position,
            stratum=item.stratum or "",
            split=item.split,
            content_hash=digest(item.model_dump(mode="json", include={"prompt", "scenario", "title", "note"})),
        )
        for position, item in enumerate(definition.items)
    )
    arms = Arm.objects.bulk_create(
        Arm(version=version, key=arm.key, position=position, setup=_setup(arm))
        for position, arm in enumerate(definition.arms)
    )
    item_of = {item.key: item for item in items}
    arm_of = {arm.key: arm for arm in arms}
    StoredReply.objects.bulk_create(
        StoredReply(
            item=item_of[reply.item],
            arm=arm_of[reply.arm],
            conversation=conversations.given(
                [{"role": message.role, "content": message.content} for message in reply.messages]
            ),
        )
        for reply in loaded.replies
    )


def _setup(arm: Any) -> Setup | None:
    if not arm.model:
        return None
    chat_model = registry.find(arm.model)
    if chat_model is None:
        raise Refused(f"There is no model called {arm.model!r} here any more.")
    return Setup.objects.of(
        chat_model, arm.system, arm.sampling.model_dump(mode="json", exclude_none=True), list(arm.stop)
    )


def _order_replies(version: StudyVersion, definition: StudyFile) -> None:
    """Queue a reply for every cell. What another version already had made with the same setup is taken from there."""
    language = definition.default_locale
    prompts = {item.key: text_in(item.prompt or "", language, language) for item in definition.shown_items}
    masks = {arm.key: arm.mask for arm in definition.arms}
    StoredReply.objects.bulk_create(
        StoredReply(
            item=item,
            arm=arm,
            conversation=conversations.stored(setup, prompts[item.key], seed=version.seed, mask=masks[arm.key]),
        )
        for item in version.items.filter(key__in=prompts)
        for arm in version.arms.select_related("setup__chat_model")
        if (setup := arm.setup)
    )
