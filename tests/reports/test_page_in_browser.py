"""The report in Chromium: its figures are drawn under the strict policy, in light and dark, wide and narrow."""

import os
import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from playwright.sync_api import sync_playwright

from tests.reports.people import take_part

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SIDEWAYS = "document.documentElement.scrollWidth - innerWidth"
FIGURES_DRAWN = (
    "[...document.querySelectorAll('[data-figure]')].filter(figure => figure.querySelector('.main-svg')).length"
)


def wave(item, arm, criterion):
    return 3 + int(item[-2:]) % 4 + (arm == "rowan") * 2


@pytest.fixture
def opened(live_server, client, owner, study, monkeypatch):
    """Opens the report of a rated study in a window, and hears what the browser complains of."""
    for shift in range(9):
        take_part(study, lambda item, arm, criterion, shift=shift: wave(item, arm, criterion) - shift % 3)
    client.force_login(owner)
    session = client.cookies["session"].value
    # Playwright runs an event loop in this thread; the database is used before it, and by the server's own thread.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"), args=["--no-sandbox"]
        )

        def open_report(width, scheme, **options):
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
            context.add_cookies([{"name": "session", "value": session, "url": live_server.url}])
            page = context.new_page()
            page.complaints = []
            page.on("console", lambda message: page.complaints.append(message.text))
            page.on("pageerror", lambda error: page.complaints.append(str(error)))
            page.goto(live_server.url + reverse("reports:report", args=["small"]))
            return page

        yield open_report
        browser.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark"), (320, "light")])
def test_figures_are_drawn_and_nobody_complains(opened, width, scheme):
    page = opened(width, scheme)

    page.wait_for_function(f"{FIGURES_DRAWN} === 6")

    assert page.complaints == []
    assert page.evaluate(SIDEWAYS) == 0


def test_axe_finds_nothing(opened):
    page = opened(1280, "light", bypass_csp=True)
    page.wait_for_function(f"{FIGURES_DRAWN} === 6")

    assert [violation["id"] for violation in Axe().run(page).response["violations"]] == []


def test_on_paper_a_dark_page_is_light(opened):
    page = opened(1280, "dark")
    page.wait_for_function(f"{FIGURES_DRAWN} === 6")
    axis = "getComputedStyle(document.querySelector('.ytick text')).fill"
    on_screen = page.evaluate(axis)

    page.evaluate("dispatchEvent(new Event('beforeprint'))")

    assert (on_screen, page.evaluate(axis)) == ("rgb(227, 233, 229)", "rgb(27, 36, 32)")


def test_without_script_every_number_is_there(opened):
    page = opened(1280, "light", java_script_enabled=False)

    assert page.get_by_role("table").count() >= 6
    assert "rowan is rated higher than linden" in page.text_content("main")
