"""From files to versions: frozen, named, pooled when they ask the same."""

import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditEntry, User
from inference.models import ChatModel, Conversation, Setup, Turn
from ratings.models import StoredReply, Study
from ratings.studyfile import publishing
from ratings.studyfile.faults import StudyFileErrors
from ratings.studyfile.publishing import Refused, definition_of, load, move
from tests.factories import UserFactory, published_study, replies_csv, study_source
from tests.inference.misbehaving import serving

pytestmark = pytest.mark.django_db

MODEL_ARMS = [
    {"key": "linden", "model": "smollm2-135m", "system": "You are a warm listener."},
    {"key": "rowan", "model": "smollm2-135m", "system": "You answer messages."},
]
ITEMS = [{"key": f"item-{n}", "prompt": f"Worry number {n}."} for n in range(1, 7)]
SCENARIOS = [{"key": f"item-{n}", "scenario": f"You worry about {n}."} for n in range(1, 7)]
CHAT = {"mode": "chat", "replies": None, "arms": MODEL_ARMS, "items": SCENARIOS, "checks": None}


@pytest.fixture
def owner():
    return UserFactory()


def keep(owner, publish=False, csv=None, acknowledged="", same_meaning="", **changes):
    return load(
        study_source(**changes),
        "small-study.yaml",
        lambda name: csv or replies_csv(),
        owner,
        publish_it=publish,
        acknowledged=acknowledged,
        same_meaning=same_meaning,
    )


def test_loading_keeps_a_draft(owner):
    version = keep(owner)

    assert version.is_draft
    assert version.study.state == Study.State.DRAFT


def test_loading_again_replaces_the_draft(owner):
    keep(owner)

    version = keep(owner, title="Another title")

    assert version.study.versions.get() == version
    assert definition_of(version).title == "Another title"


def test_publishing_opens_the_study(owner):
    version = keep(owner, publish=True)

    study = Study.objects.get()
    assert (study.state, study.current_version) == (Study.State.LIVE, version)


def test_publishing_the_same_again_is_the_same_version(owner):
    first = keep(owner, publish=True)

    assert keep(owner, publish=True) == first
    assert Study.objects.get().versions.count() == 1


def test_a_changed_file_is_the_next_version(owner):
    keep(owner, publish=True)

    assert keep(owner, publish=True, minutes=7).number == 2


def test_the_fingerprint_covers_the_replies(owner):
    first = keep(owner)
    print_before = first.fingerprint

    second = keep(owner, csv=replies_csv().replace(b"An answer", b"One answer"))

    assert second.fingerprint != print_before


def test_going_back_to_the_published_content_leaves_no_draft(owner):
    first = keep(owner, publish=True)
    keep(owner, minutes=9)

    assert keep(owner) == first
    assert Study.objects.get().draft is None


def test_a_change_that_nobody_reads_while_rating_shares_the_pool(owner):
    first = keep(owner, publish=True)

    assert keep(owner, publish=True, target=50).pool == first.pool


def test_a_changed_wording_starts_anew(owner):
    keep(owner, publish=True)

    second = keep(owner, publish=True, instructions="Read each reply, then rate it.")

    assert second.pool == second.number


def test_a_changed_wording_of_the_same_meaning_shares_the_pool(owner):
    first = keep(owner, publish=True)

    second = keep(owner, publish=True, instructions="Read each reply, then rate it.", same_meaning="a typo was mended")

    assert second.pool == first.pool
    assert second.same_meaning == "a typo was mended"


def test_another_scale_never_shares_the_pool(owner):
    keep(owner, publish=True)

    second = keep(owner, publish=True, scale={"min": 1, "max": 7}, same_meaning="I say so")

    assert second.pool == 2


def test_faults_store_nothing(owner):
    with pytest.raises(StudyFileErrors):
        keep(owner, publish=True, minutes="soon")

    assert not Study.objects.exists()


def test_an_unknown_model_is_a_fault_at_its_line(owner):
    arms = [MODEL_ARMS[0], MODEL_ARMS[1] | {"model": "smolm2-135m"}]

    with pytest.raises(StudyFileErrors) as caught:
        keep(owner, replies=None, arms=arms, items=ITEMS)

    [fault] = caught.value.faults
    assert fault.path == "arms[1].model"
    assert fault.line > 1
    assert "smollm2-135m" in fault.hint


def test_a_slug_of_somebody_else_is_taken(owner):
    published_study(owner)

    with pytest.raises(StudyFileErrors, match="taken"):
        keep(UserFactory(), title="Mine")


def test_publishing_queues_a_reply_for_every_cell(owner):
    load(
        study_source(replies=None, arms=MODEL_ARMS, items=ITEMS),
        "study.yaml",
        lambda name: None,
        owner,
        publish_it=True,
    )

    assert StoredReply.objects.count() == 12
    assert Turn.objects.open().filter(background=True).count() == 12


def test_a_draft_queues_nothing(owner):
    load(study_source(replies=None, arms=MODEL_ARMS, items=ITEMS), "study.yaml", lambda name: None, owner)

    assert not Turn.objects.exists()


def test_the_next_version_takes_the_replies_that_are_there(owner):
    for target in (20, 30):
        source = study_source(replies=None, arms=MODEL_ARMS, items=ITEMS, target=target)
        load(source, "study.yaml", lambda name: None, owner, publish_it=True)

    assert Conversation.objects.count() == 12


def test_arms_of_the_same_setup_share_it(owner):
    arms = [MODEL_ARMS[0], MODEL_ARMS[0] | {"key": "rowan"}]
    load(study_source(replies=None, arms=arms, items=ITEMS), "study.yaml", lambda name: None, owner)

    assert Setup.objects.count() == 1


def test_a_live_chat_does_not_go_live_unscreened(owner):
    with pytest.raises(Refused, match="screen"):
        keep(owner, publish=True, **CHAT)

    assert not Study.objects.exists()


def test_a_live_chat_may_be_piloted(owner):
    version = keep(owner, **CHAT)

    publishing.publish(version, owner, pilot=True)

    assert Study.objects.get().state == Study.State.PILOT


def test_the_acknowledgement_is_recorded(owner):
    version = keep(owner, publish=True, acknowledged="Ada", **CHAT)

    assert version.screening_acknowledged["by"] == "Ada"


def test_a_piloted_chat_does_not_go_live_by_moving(owner):
    version = publishing.publish(keep(owner, **CHAT), owner, pilot=True)

    with pytest.raises(Refused, match="screen"):
        move(version.study, Study.State.LIVE, owner)


def test_an_impossible_move_is_refused(owner):
    study = published_study(owner, state="closed")

    with pytest.raises(Refused, match="closed"):
        move(study, Study.State.PILOT, owner)


def test_moves_are_audited(owner):
    move(published_study(owner), Study.State.PAUSED, owner)

    entry = AuditEntry.objects.get(action="move")
    assert (entry.user, entry.detail) == (owner, {"before": "live", "after": "paused"})


def test_the_command_prints_slug_and_fingerprint(tmp_path, capsys):
    (tmp_path / "small-study.yaml").write_bytes(study_source())
    (tmp_path / "replies.csv").write_bytes(replies_csv())

    call_command("load_study", str(tmp_path / "small-study.yaml"), publish=True)

    assert capsys.readouterr().out == f"small-study {Study.objects.get().current_version.fingerprint}\n"


def test_the_command_gives_an_empty_installation_its_researcher(tmp_path, capsys):
    (tmp_path / "small-study.yaml").write_bytes(study_source())
    (tmp_path / "replies.csv").write_bytes(replies_csv())

    call_command("load_study", str(tmp_path / "small-study.yaml"))

    assert not User.objects.get().has_usable_password()


def test_the_command_prints_every_fault_with_its_place(tmp_path, capsys):
    file = tmp_path / "small-study.yaml"
    file.write_bytes(study_source(minutes=0, target="many"))
    (tmp_path / "replies.csv").write_bytes(replies_csv())

    with pytest.raises(SystemExit) as caught:
        call_command("load_study", str(file))

    assert caught.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" ")[1] for line in lines if line.startswith(f"{file}:")][:2] == ["minutes:", "target:"]


def test_the_command_says_when_there_is_no_such_file(tmp_path):
    with pytest.raises(CommandError, match="No such file"):
        call_command("load_study", str(tmp_path / "nothing.yaml"))


def test_a_model_whose_server_is_away_is_not_published(owner):
    ChatModel.objects.create(key="far", engine="openai", base="http://127.0.0.1:9/v1", served_as="larch")

    arms = [arm | {"model": "far"} for arm in MODEL_ARMS]
    with pytest.raises(Refused, match="far: http://127.0.0.1:9/v1 cannot be reached"):
        keep(owner, publish=True, acknowledged="A. Researcher", **CHAT | {"arms": arms})

    assert not Study.objects.exists()


@pytest.fixture
def on_servers(owner):
    """A published chat of two models, each on a server of its own."""
    with serving() as larch, serving() as birch:
        for server, key in ((larch, "larch"), (birch, "birch")):
            server.models = [key]
            ChatModel.objects.create(key=key, engine="openai", base=server.url, served_as=key)
        arms = [arm | {"model": key} for arm, key in zip(MODEL_ARMS, ("larch", "birch"), strict=True)]
        version = publishing.publish(keep(owner, **CHAT | {"arms": arms}), owner, pilot=True)
        yield version.study, larch, birch


@pytest.mark.parametrize("state", [Study.State.LIVE, Study.State.PILOT])
def test_a_study_does_not_open_again_while_one_of_its_servers_lacks_its_model(owner, on_servers, state):
    study, _, birch = on_servers
    move(study, Study.State.PAUSED, owner)
    birch.models = ["another"]

    with pytest.raises(Refused, match="birch: .* has no model 'birch'. It lists: another"):
        move(study, state, owner, acknowledged="Ada")

    study.refresh_from_db()
    assert study.state == Study.State.PAUSED


def test_a_study_is_paused_whatever_its_servers_say(owner, on_servers):
    study, larch, birch = on_servers
    larch.models = birch.models = []

    move(study, Study.State.PAUSED, owner)

    study.refresh_from_db()
    assert study.state == Study.State.PAUSED


def test_a_study_opens_when_all_its_servers_offer_their_models(owner, on_servers):
    study, *_ = on_servers

    move(study, Study.State.LIVE, owner, acknowledged="Ada")

    study.refresh_from_db()
    assert study.state == Study.State.LIVE
