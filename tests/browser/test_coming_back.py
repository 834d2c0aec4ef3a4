"""Closed, and opened again: the same place, with the same order of replies."""

import pytest

from tests.browser.participant import Participant

pytestmark = pytest.mark.browser


@pytest.fixture
def away(participant):
    """Somebody who rated one reply; what they saw next; their return code."""
    person = participant().go_to("rate", 2)
    person.page.locator("footer summary").click()
    seen = person.page.locator(".dialogue").inner_text()
    return person, seen, person.page.locator("footer .code").inner_text()


def test_the_link_leads_back_to_the_same_place_after_the_browser_was_closed(away, visitor, site):
    person, seen, _ = away
    cookies = person.page.context.storage_state()
    person.page.context.close()

    again = Participant(visitor(storage_state=cookies).page, site.url, "view").open()

    assert (again.stage, again.position) == ("rate", 2)
    assert again.page.locator(".dialogue").inner_text() == seen


def test_the_return_code_leads_back_on_another_device(away, participant):
    _, seen, code = away

    again = participant(width=390).open()
    again.page.get_by_role("link", name="I was here before and have a return code").click()
    again.page.locator("#id_code").fill(code.lower().replace("-", " "))
    again.press()

    assert (again.stage, again.position) == ("rate", 2)
    assert again.page.locator(".dialogue").inner_text() == seen


def test_who_finished_sees_the_debrief_again(participant):
    person = participant().go_to("debrief")
    code = person.page.locator(".code").first.inner_text()

    person.open()

    assert person.stage == "debrief"
    assert person.page.locator(".code").first.inner_text() == code
