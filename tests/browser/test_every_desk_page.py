"""What holds for each page of a researcher, in light and dark, on a desktop and a phone."""

import pytest

from tests.browser.looks import Looker, Seen

pytestmark = pytest.mark.browser

WINDOWS = ((1280, "light"), (1280, "dark"), (390, "light"), (390, "dark"))
PAGES = {
    "studies": "/studies/",
    "new": "/studies/-/new/",
    "study": "/studies/results/",
    "chat-study": "/studies/talk/",
    "edit": "/studies/results/edit/",
    "preview": "/studies/results/preview/",
    "invitations": "/studies/results/invitations/",
    "codes": "/studies/results/codes/",
    "live": "/studies/results/live/",
    "live-chat": "/studies/talk/live/",
    "models": "/studies/-/models/?window=24h",
    "move": "/studies/results/move/paused/",
    "plan": "/studies/-/plan/",
    "report": "/studies/results/report/",
    "report-of-nobody": "/studies/view-paused/report/?kind=pilot",
    "password": "/accounts/password/",
}


@pytest.fixture(scope="module")
def pages(site, chromium, desk) -> list[Seen]:
    from tests.browser.conftest import windows

    with windows(site, chromium) as open_window:
        page = open_window(storage_state=desk.cookies).page
        look = Looker(page, WINDOWS)
        for name, address in PAGES.items():
            page.goto(address)
            if name in ("plan", "report"):
                page.locator("[data-figure] .main-svg").last.wait_for(state="attached")
            look(f"desk-{name}")
        page.goto("/studies/-/new/")
        page.locator("#text").fill("format: 1\nslug: wrong slug\nmodes: stored\n")
        page.get_by_text("faults to mend").wait_for()
        look("desk-faults")
        page.goto("/studies/results/codes/")
        page.locator("#codes").fill("AAAA-BBBB-CC")
        page.get_by_role("button", name="Check").click()
        look("desk-codes-checked")
        page.goto("/studies/results/invitations/")
        page.get_by_role("button", name="Make links").click()
        look("desk-links")
        page.context.clear_cookies()
        page.goto("/accounts/login/")
        look("desk-login")
        page.get_by_label("Name").fill("nobody")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        look("desk-login-error")
        return look.seen


def test_axe_finds_nothing(pages):
    assert [f"{seen.name}: {violation}" for seen in pages for violation in seen.violations] == []


def test_no_page_scrolls_sideways(pages):
    assert [(seen.name, seen.sideways) for seen in pages if seen.sideways] == []


def test_each_page_has_one_main_heading(pages):
    assert [seen.name for seen in pages if seen.headings != 1] == []
