"""One served program and one browser for all of these tests; each test gets windows of its own.

SCREENS=FOLDER keeps pictures of all pages, for somebody to look at.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.participant import Participant
from tests.browser.site import Site, serving
from tests.browser.visitor import Visitor

CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="package")
def site(tmp_path_factory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert executable, "Chromium is needed: install it, or say where it is with CHROMIUM=FILE."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM)
        yield browser
        browser.close()


@contextmanager
def windows(site: Site, chromium: Browser) -> Iterator[Callable[..., Visitor]]:
    visitors = []

    def open_window(width: int = 1280, height: int = 900, scheme: str = "light", **options) -> Visitor:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, base_url=site.url, **options
        )
        context.set_default_timeout(15_000)
        visitors.append(Visitor(context, site.url))
        return visitors[-1]

    yield open_window
    for each in visitors:
        each.context.close()
    assert [fault for each in visitors for fault in each.faults] == []


@pytest.fixture
def visitor(site, chromium) -> Iterator[Callable[..., Visitor]]:
    """Opens windows: `visitor(width=390, scheme="dark", java_script_enabled=False)`. None of them may have faults."""
    with windows(site, chromium) as open_window:
        yield open_window


@pytest.fixture
def participant(site, visitor) -> Callable[..., Participant]:
    """Somebody at the door of a study: `participant("view", width=390)`."""
    return lambda slug="view", **options: Participant(visitor(**options).page, site.url, slug)


@dataclass
class Desk:
    """The first researcher, signed in with a password of their own."""

    landed_on: str  # after the first password
    cookies: dict


@pytest.fixture(scope="package")
def desk(site, chromium) -> Desk:
    with windows(site, chromium) as open_window:
        page = open_window().page
        page.goto("/studies/")
        page.get_by_label("Name").fill("researcher")
        page.get_by_label("Password").fill(site.password)
        page.get_by_role("button", name="Sign in").click()
        page.goto("/studies/view/")
        landed_on = page.url
        page.get_by_label("Old password").fill(site.password)
        page.get_by_label("New password", exact=True).fill("a harbour at noon")
        page.get_by_label("New password confirmation").fill("a harbour at noon")
        page.get_by_role("button", name="Change password").click()
        page.get_by_role("heading", name="Studies").wait_for()
        return Desk(landed_on, page.context.storage_state())


@pytest.fixture
def researcher(desk, visitor) -> Page:
    return visitor(storage_state=desk.cookies).page


@pytest.fixture(scope="module")
def participant_of_module(site, chromium) -> Iterator[Callable[..., Participant]]:
    with windows(site, chromium) as open_window:
        yield lambda slug="view", **options: Participant(open_window(**options).page, site.url, slug)
