"""The list, the overview and the changes of state."""

import pytest

from accounts.models import AuditEntry
from ratings.models import Study
from tests.desk.conftest import CHAT, draft_of
from tests.factories import published_study
from tests.path.person import Person


@pytest.fixture
def chat(owner) -> Study:
    return draft_of(owner, "chat", **CHAT)


def move(desk, study, state, **fields):
    return desk.post(f"/studies/{study.slug}/move/{state}/", fields)


def state_of(study) -> str:
    return Study.objects.get(pk=study.pk).state


def test_who_has_no_study_is_shown_where_to_begin(desk):
    page = desk.get("/studies/").content.decode()

    assert "You have no studies yet" in page
    assert "?example=own-replies" in page


def test_the_list_shows_state_progress_and_the_link_for_participants(desk, study):
    Person(study, kind="real").go_to("instructions")
    page = desk.get("/studies/").content.decode()

    assert "How supportive are these replies?" in page
    assert "0 / 20" in page
    assert 'href="/s/small-study/"' in page
    assert "minutes ago" in page


def test_the_list_costs_the_same_number_of_queries_for_one_study_and_for_five(
    desk, owner, django_assert_max_num_queries
):
    for number in range(5):
        published_study(owner, slug=f"study-{number}")
    desk.get("/studies/")  # definitions are read once in a process

    with django_assert_max_num_queries(8):
        desk.get("/studies/")


def test_a_draft_has_no_link_for_participants(desk, drafted):
    assert "not open" in desk.get("/studies/").content.decode()


def test_the_overview_of_a_draft_asks_for_nothing_that_only_a_published_study_has(desk, drafted):
    page = desk.get("/studies/drafted/").content.decode()

    assert "Draft of version 1" in page
    assert "/s/drafted/" not in page


def test_the_overview_says_that_the_address_opens_on_this_computer_only(desk, study, settings):
    settings.THIS_COMPUTER_ONLY = True
    assert "opens on this computer only" in desk.get("/studies/small-study/").content.decode()

    settings.THIS_COMPUTER_ONLY = False
    assert "opens on this computer only" not in desk.get("/studies/small-study/").content.decode()


def test_the_overview_says_which_crisis_lines_nobody_has_verified(desk, study):
    assert "Crisis lines not verified" in desk.get("/studies/small-study/").content.decode()


def test_a_confirmation_says_what_will_happen_and_does_nothing(desk, study):
    page = desk.get("/studies/small-study/move/closed/").content.decode()

    assert "under way cannot go on" in page
    assert state_of(study) == "live"


@pytest.mark.parametrize("way", [["paused", "live"], ["paused", "pilot"], ["closed", "paused"], ["closed"]])
def test_a_study_is_moved_from_state_to_state(desk, study, way):
    for state in way:
        move(desk, study, state)
        assert state_of(study) == state


@pytest.mark.parametrize("state", ["draft", "pilot", "live", "nowhere"])
def test_a_move_that_is_not_possible_is_not_there(desk, study, state):
    assert move(desk, study, state).status_code == 404
    assert state_of(study) == "live"


def test_a_move_is_written_down_with_its_author(desk, study, owner):
    move(desk, study, "paused")
    entry = AuditEntry.objects.filter(action="move").get()

    assert (entry.user, entry.subject, entry.detail) == (owner, "small-study", {"before": "live", "after": "paused"})


def test_who_is_under_way_finishes_in_a_paused_study_and_nobody_new_comes_in(desk, study):
    person = Person(study)
    person.go_to("instructions")
    move(desk, study, "paused")

    assert person.get().stage == "instructions"
    assert Person(study, kind="real").get().stage not in ("entry", "eligibility")


def test_publishing_as_a_pilot_opens_the_study_for_pilots(desk, drafted):
    desk.post("/studies/drafted/publish/", {"opening": "pilot"})
    drafted.refresh_from_db()

    assert (drafted.state, drafted.current_version.number, drafted.draft) == ("pilot", 1, None)


def test_publishing_asks_how_to_open_and_takes_no_other_answer(desk, drafted):
    page = desk.post("/studies/drafted/publish/", {"opening": "wide"})

    assert "Choose how the study opens" in page.content.decode()
    assert state_of(drafted) == "draft"


def test_a_live_chat_opens_for_real_people_only_when_somebody_acknowledges_that_nothing_is_screened(desk, chat, owner):
    refused = desk.post("/studies/chat/publish/", {"opening": "live"}).content.decode()
    assert "Tick this box" in refused
    assert state_of(chat) == "draft"

    desk.post("/studies/chat/publish/", {"opening": "live", "acknowledged": "on"})
    chat.refresh_from_db()
    assert chat.state == "live"
    assert chat.current_version.screening_acknowledged["by"] == "owner"


def test_a_chat_pilots_without_the_tick_and_needs_it_to_go_live(desk, chat):
    desk.post("/studies/chat/publish/", {"opening": "pilot"})
    assert state_of(chat) == "pilot"

    assert "Tick this box" in move(desk, chat, "live").content.decode()
    assert state_of(chat) == "pilot"

    move(desk, chat, "live", acknowledged="on")
    assert state_of(chat) == "live"


def test_a_draft_shows_what_it_changes_and_asks_whether_it_means_the_same(desk, study, owner):
    draft_of(owner, study.slug, instructions="Read and rate.")
    page = desk.get("/studies/small-study/publish/").content.decode()

    assert "Does it still ask the same?" in page
    assert "Changes since version 1" in page
    assert "instructions: Read and rate." in page


def test_with_the_researchers_word_a_new_wording_counts_together_with_the_old(desk, study, owner):
    draft_of(owner, study.slug, instructions="Read and rate.")
    desk.post("/studies/small-study/publish/", {"same_meaning": "a typing error"})
    study.refresh_from_db()

    assert (study.current_version.number, study.current_version.pool) == (2, 1)
    assert "a typing error" in desk.get("/studies/small-study/").content.decode()


def test_without_it_the_new_version_counts_from_zero(desk, study, owner):
    draft_of(owner, study.slug, instructions="Read and rate.")
    desk.post("/studies/small-study/publish/", {"same_meaning": " "})
    study.refresh_from_db()

    assert study.current_version.pool == 2


def test_another_scale_is_said_to_be_another_study(desk, study, owner):
    draft_of(owner, study.slug, scale={"min": 1, "max": 7})

    assert "counted and reported on its own" in desk.get("/studies/small-study/publish/").content.decode()


def test_publishing_leaves_a_paused_study_paused(desk, study, owner):
    move(desk, study, "paused")
    draft_of(owner, study.slug, minutes=9)
    desk.post("/studies/small-study/publish/")
    study.refresh_from_db()

    assert (study.state, study.current_version.number) == ("paused", 2)


def test_a_closed_study_is_not_published_into_and_says_why(desk, study, owner):
    move(desk, study, "closed")
    draft_of(owner, study.slug, minutes=9)

    assert "Reopen it first" in desk.post("/studies/small-study/publish/", follow=True).content.decode()
    assert Study.objects.get().current_version.number == 1


def test_without_a_draft_there_is_nothing_to_publish(desk, study):
    assert desk.get("/studies/small-study/publish/").status_code == 404


def test_a_discarded_draft_leaves_the_published_version_alone(desk, study, owner):
    draft_of(owner, study.slug, minutes=9)
    desk.post("/studies/small-study/discard/")
    study.refresh_from_db()

    assert (study.draft, study.current_version.number) == (None, 1)


def test_a_study_that_was_never_published_goes_with_its_draft(desk, drafted):
    desk.post("/studies/drafted/discard/")

    assert not Study.objects.exists()
