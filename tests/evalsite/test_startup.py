import pytest
from django.contrib.auth import authenticate
from django.contrib.staticfiles.finders import get_finder

from accounts.models import User
from evalsite import startup
from ratings.models import Study
from ratings.studyfile import publishing
from ratings.studyfile.reading import read


@pytest.fixture
def said():
    return []


@pytest.mark.django_db
def test_the_first_start_makes_an_account_whose_password_must_be_changed():
    password = startup.first_account()

    assert authenticate(username="researcher", password=password).must_change_password


@pytest.mark.django_db
def test_a_later_start_makes_no_account_and_tells_no_password():
    startup.first_account()

    assert startup.first_account() is None
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_the_example_studies_are_live(said):
    startup.first_account()
    startup.load_examples(said.append)

    assert said == []
    assert set(Study.objects.open_to_people().values_list("slug", flat=True)) == {
        file.stem for file in startup.EXAMPLES.glob("*.yaml")
    }


@pytest.mark.django_db
def test_the_live_chat_records_on_what_ground_it_is_open(said):
    startup.first_account()
    startup.load_examples(said.append)

    chats = [s for s in Study.objects.all() if publishing.definition_of(s.current_version).mode == "chat"]
    assert chats
    assert all("this computer only" in chat.current_version.screening_acknowledged["by"] for chat in chats)


@pytest.mark.django_db
def test_a_study_that_is_there_is_left_alone(said):
    startup.first_account()
    startup.load_examples(said.append)
    Study.objects.update(state=Study.State.CLOSED)

    startup.load_examples(said.append)

    assert set(Study.objects.values_list("state", flat=True)) == {"closed"}


@pytest.mark.django_db
def test_a_chat_opened_for_this_computer_is_a_pilot_once_others_are_served(said):
    startup.first_account()
    startup.load_examples(said.append)

    startup.hold_back_chats(said.append)
    startup.hold_back_chats(said.append)

    states = dict(Study.objects.values_list("slug", "state"))
    assert states == {"own-replies": "live", "support-view": "live", "support-chat": "pilot"}
    assert len(said) == 1
    assert said[0].startswith("support-chat is a pilot now")


@pytest.mark.django_db
def test_only_a_researcher_can_open_it_again(said):
    startup.first_account()
    startup.load_examples(said.append)
    startup.hold_back_chats(said.append)
    study, researcher = Study.objects.get(slug="support-chat"), User.objects.get()

    with pytest.raises(publishing.Refused, match="acknowledge"):
        publishing.move(study, Study.State.LIVE, researcher)
    publishing.move(study, Study.State.LIVE, researcher, acknowledged="researcher")
    startup.hold_back_chats(said.append)

    assert Study.objects.get(slug="support-chat").state == "live"


@pytest.mark.django_db
def test_a_broken_example_is_told_and_the_others_are_loaded(said, tmp_path, monkeypatch):
    for file in startup.EXAMPLES.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "support-view.yaml").write_text("format: 1\nslug: support-view\n")
    monkeypatch.setattr(startup, "EXAMPLES", tmp_path)

    startup.first_account()
    startup.load_examples(said.append)

    assert said[0].startswith("support-view.yaml")
    assert Study.objects.filter(slug="own-replies").exists()


@pytest.mark.django_db
def test_a_study_file_that_a_researcher_puts_there_is_not_published(said, tmp_path, monkeypatch):
    for file in startup.EXAMPLES.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "my-study.yaml").write_text((tmp_path / "own-replies.yaml").read_text())
    (tmp_path / "another.yaml").write_text(
        (tmp_path / "own-replies.yaml").read_text().replace("slug: own-replies", "slug: another")
    )
    monkeypatch.setattr(startup, "EXAMPLES", tmp_path)

    startup.first_account()
    startup.load_examples(said.append)

    assert said == []
    assert set(Study.objects.values_list("slug", flat=True)) == {"own-replies", "support-chat", "support-view"}
    assert Study.objects.get(slug="own-replies").current_version.number == 1


@pytest.mark.parametrize("file", sorted(startup.EXAMPLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_an_example_is_named_after_its_study(file):
    loaded = read(file.read_bytes(), file.name, startup._beside(file))

    assert loaded.definition.slug == file.stem


def test_static_files_are_collected_once(tmp_path, settings):
    settings.STATIC_ROOT = tmp_path / "static"
    startup.collect_static()
    (tmp_path / "static" / "kept").touch()

    startup.collect_static()

    assert (tmp_path / "static" / "kept").exists()


def test_static_files_are_collected_again_when_one_has_changed(tmp_path, settings):
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATICFILES_DIRS = [tmp_path / "own"]
    get_finder.cache_clear()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "old.css").write_text("p {}")
    startup.collect_static()
    (tmp_path / "own" / "new.css").write_text("p {}")

    startup.collect_static()

    assert (tmp_path / "static" / "new.css").exists()
