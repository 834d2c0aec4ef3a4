"""The page before a study that is not ready: it goes on by itself, and works without a script."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_it_goes_on_as_soon_as_the_study_is_ready(visitor):
    page = visitor().page
    page.clock.install()
    page.goto("/s/talk-preparing/")
    expect(page.locator("h1")).to_have_text("Getting ready")
    ready = page.request.get("/s/talk/").text()
    page.route("**/s/talk-preparing/", lambda route: route.fulfill(body=ready, content_type="text/html"))

    page.clock.fast_forward(10_500)

    expect(page.locator("body")).to_have_attribute("data-stage", "entry")


def test_until_then_it_leaves_the_reader_alone(visitor):
    page = visitor().page
    page.clock.install()
    page.goto("/s/talk-preparing/")
    link = page.get_by_role("link", name="Look again now")
    link.focus()

    with page.expect_response("**/s/talk-preparing/"):
        page.clock.fast_forward(10_500)

    expect(link).to_be_focused()


def test_without_a_script_there_is_a_link_to_look_again(visitor):
    page = visitor(java_script_enabled=False).page
    page.goto("/s/talk-preparing/")
    page.get_by_role("link", name="Look again now").click()

    expect(page.locator("h1")).to_have_text("Getting ready")
