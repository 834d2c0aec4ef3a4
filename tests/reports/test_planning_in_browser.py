"""The planning page in Chromium: drawn under the strict policy, wide and narrow, with and without script."""

import os
import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from playwright.sync_api import sync_playwright

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SIDEWAYS = "document.documentElement.scrollWidth - innerWidth"
DRAWN = "document.querySelector('[data-figure] .main-svg') !== null"


@pytest.fixture
def opened(live_server, client, owner, monkeypatch):
    client.force_login(owner)
    session = client.cookies["session"].value
    # Playwright runs an event loop in this thread; the database is used before it, and by the server's own thread.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"), args=["--no-sandbox"]
        )

        def open_plan(width, scheme, query="", **options):
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
            context.add_cookies([{"name": "session", "value": session, "url": live_server.url}])
            page = context.new_page()
            page.complaints = []
            page.on("console", lambda message: page.complaints.append(message.text))
            page.on("pageerror", lambda error: page.complaints.append(str(error)))
            page.goto(live_server.url + reverse("reports:plan") + query)
            return page

        yield open_plan
        browser.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark"), (320, "light")])
def test_it_is_drawn_and_nobody_complains(opened, width, scheme):
    page = opened(width, scheme)

    page.wait_for_function(DRAWN)

    assert page.complaints == []
    assert page.evaluate(SIDEWAYS) == 0


@pytest.mark.parametrize("query", ["", "?participants=4&items=24&items_each=x&arms=within&difference=0"])
def test_axe_finds_nothing(opened, query):
    page = opened(1280, "light", query, bypass_csp=True)
    if not query:
        page.wait_for_function(DRAWN)

    assert [violation["id"] for violation in Axe().run(page).response["violations"]] == []


def test_without_script_it_answers(opened):
    page = opened(390, "light", java_script_enabled=False)
    page.get_by_label("Participants", exact=True).first.fill("40")
    page.get_by_role("button", name="Plan").click()

    assert "With 40 participants × 24 items" in page.text_content("main")
    assert page.get_by_role("table").count() == 1
