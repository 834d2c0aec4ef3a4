"""Leaving with everything deleted: asked once more, confirmed with a receipt, and then really gone."""

import pytest

pytestmark = pytest.mark.browser

MARK = "marker-of-what-i-wrote"


def visits(site) -> int:
    return site.rows("select count(*) from ratings_visit")[0][0]


def leave_and_delete(person):
    person.page.get_by_role("link", name="Leave the study").click()
    person.press("delete")
    assert person.page.locator("h1").inner_text() == "Delete everything?"
    person.press("delete")


def test_everything_is_deleted_after_one_more_question(participant, site):
    person = participant().go_to("rate", 2)
    visit = site.rows("select max(id) from ratings_visit")[0][0]

    leave_and_delete(person)

    assert person.page.locator("body").get_attribute("data-outcome") == "withdrew"
    assert person.page.locator("dd.code").inner_text()
    assert [cookie for cookie in person.page.context.cookies() if cookie["name"].startswith("visit-")] == []
    assert site.rows("select count(*) from ratings_visit where id = ?", visit) == [(0,)]
    assert site.rows("select count(*) from ratings_assignment where visit_id = ?", visit) == [(0,)]


def test_the_question_may_be_answered_with_no(participant, site):
    person = participant().go_to("rate")
    before = visits(site)
    person.page.get_by_role("link", name="Leave the study").click()
    person.press("delete")
    person.page.get_by_role("link", name="No, take me back").click()

    assert person.stage == "rate"
    assert visits(site) == before


def test_whoever_left_is_at_the_door_again(participant):
    person = participant().go_to("rate")
    leave_and_delete(person)

    assert person.open().stage == "entry"


def test_the_withdrawal_code_deletes_on_another_device(participant, visitor):
    person = participant().go_to("debrief")
    code = person.page.locator("section[aria-labelledby=withdrawal] .code").inner_text()

    page = visitor(width=390, java_script_enabled=False).page
    page.goto("/withdraw/")
    page.locator("#id_code").fill(code)
    page.locator("main button").click()
    page.locator("main button[value=delete]").click()

    assert page.locator("h1").inner_text() == "Everything is deleted"
    assert person.open().stage == "entry"


def test_a_chat_and_what_was_written_in_it_are_deleted(participant, site):
    person = participant("talk").go_to("chat")
    person.write(MARK)
    conversation = site.rows("select max(id) from inference_conversation where kind = 'live'")[0][0]

    leave_and_delete(person)

    assert site.rows("select count(*) from inference_turn where conversation_id = ?", conversation) == [(0,)]
