"""A form that comes back says what to mend, where, and keeps what was given."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


@pytest.fixture
def half_answered(participant):
    """A rating page that was sent with one of its two criteria answered."""
    page = participant().go_to("rate").page
    page.locator("input[name=empathy_support][value='8']").check()
    page.locator("#id_comment").fill("A word of mine.")
    page.locator("main button[value=next]").click()
    page.locator(".errors").wait_for()
    return page


def test_the_summary_of_faults_has_the_focus(half_answered):
    expect(half_answered.locator(".errors")).to_be_focused()


def test_its_links_jump_to_the_question(half_answered):
    half_answered.locator(".errors a").click()

    expect(half_answered.locator("#id_fluency_quality")).to_be_focused()
    expect(half_answered.locator("fieldset", has=half_answered.locator("#id_fluency_quality"))).to_be_in_viewport()


def test_what_was_given_is_kept(half_answered):
    assert half_answered.locator("input[name=empathy_support]:checked").get_attribute("value") == "8"
    assert half_answered.locator("#id_comment").input_value() == "A word of mine."


def test_the_fault_is_said_where_it_is(half_answered):
    group = half_answered.get_by_role("group", name="How well made is this reply?")

    expect(group).to_have_accessible_description(
        "It is clear and complete. Choose a number from 1 to 10 for “Fluency and Response Quality”."
    )
    expect(group.get_by_role("radio", name="1", exact=True)).to_have_attribute("aria-invalid", "true")


def test_once_mended_it_goes_on(half_answered):
    half_answered.locator("input[name=fluency_quality][value='cannot_judge']").check()
    half_answered.locator("main button[value=next]").click()
    if half_answered.locator(".notice[role=alert]").count():
        half_answered.locator("main button[value=next]").click()

    half_answered.wait_for_url("**/rate/2/")
