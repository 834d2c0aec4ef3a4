"""From the first password to the data package, as a researcher does it."""

import csv
import io
import json
import zipfile

import pytest
from playwright.sync_api import expect

from tests.browser.studies import ARMS
from tests.factories import replies_csv, study_source

pytestmark = pytest.mark.browser


def study_file(slug: str) -> dict:
    return upload("study.yaml", study_source(slug, arms=[{"key": key} for key in ARMS]))


def upload(name: str, content: bytes) -> dict:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


@pytest.fixture
def drafted(researcher, request):
    """A study of this test's own, as a draft."""
    slug = request.node.name.removeprefix("test_").replace("_", "-")[:50].strip("-")
    researcher.goto("/studies/-/new/")
    researcher.locator("#file").set_input_files(study_file(slug))
    researcher.locator("#replies").set_input_files(upload("replies.csv", replies_csv(8, ARMS)))
    researcher.get_by_text("This file can be saved").wait_for()
    researcher.get_by_role("button", name="Save draft").click()
    researcher.wait_for_url(f"**/studies/{slug}/")
    return slug


def publish(page, slug: str) -> None:
    page.goto(f"/studies/{slug}/publish/")
    page.get_by_label("For real participants").check()
    page.get_by_role("button", name="Publish version 1").click()
    page.wait_for_url(f"**/studies/{slug}/")


def test_the_first_password_opens_only_the_page_that_changes_it(desk):
    assert desk.landed_on.endswith("/accounts/password/")


def test_a_broken_file_is_answered_with_every_fault_at_its_line(researcher):
    source = study_source("broken", arms=[{"key": key} for key in ARMS]).decode()
    source = source.replace("max: 10", "max: ten").replace("low: Very poor", "lowest: Very poor")
    researcher.goto("/studies/-/new/")
    researcher.locator("#replies").set_input_files(upload("replies.csv", replies_csv(8, ARMS)))
    researcher.locator("#file").set_input_files(upload("study.yaml", source.encode()))
    researcher.get_by_text("faults to mend").wait_for()
    lines = [int(link.get_attribute("data-line")) for link in researcher.locator(".faults .error a[data-line]").all()]

    written = source.splitlines()
    assert {"max: ten", "lowest: Very poor"} <= {written[line - 1].strip(" -") for line in lines}

    researcher.locator(".faults .error a[data-line]").first.click()
    chosen = researcher.locator("#text").evaluate("box => box.value.slice(box.selectionStart, box.selectionEnd)")
    assert chosen == written[lines[0] - 1]

    researcher.get_by_role("button", name="Save draft").click()
    expect(researcher.locator("#text")).to_have_value(source)
    assert researcher.url.endswith("/studies/-/new/")


def test_a_right_file_becomes_a_draft(researcher, drafted):
    assert researcher.get_by_role("heading", name="Draft of version 1").is_visible()


def test_the_preview_shows_the_participants_pages_on_a_phone_and_a_desktop(researcher, drafted):
    researcher.goto(f"/studies/{drafted}/preview/")
    for title in ("Rating on a phone", "Rating on a desktop"):
        frame = researcher.frame_locator(f"iframe[title='{title}']")
        expect(frame.locator("input[name=empathy_support]")).to_have_count(11)
    researcher.get_by_role("link", name="Consent").click()
    frame = researcher.frame_locator("iframe[title='Consent on a phone']")
    expect(frame.locator("h1")).to_have_text("Before you decide")


def test_a_published_study_is_taken_by_invitation(researcher, drafted, participant):
    publish(researcher, drafted)
    researcher.goto(f"/studies/{drafted}/invitations/")
    researcher.get_by_label("How many").fill("3")
    researcher.get_by_role("button", name="Make links").click()
    with researcher.expect_download() as download:
        researcher.get_by_role("button", name="Download as CSV").click()
    links = list(csv.reader(io.StringIO(download.value.path().read_text())))

    assert len(links) == 4
    shown = researcher.locator(".links code").all_inner_texts()
    assert len(set(shown)) == 3
    with researcher.expect_popup() as popup:
        researcher.get_by_role("button", name="QR codes to print").click()
    expect(popup.value.locator("main svg, main img")).to_have_count(3)

    person = participant(drafted)
    person.page.goto(shown[0])
    assert person.page.url == person.root
    assert person.stage == "entry"
    assert person.go_to("debrief").page.locator("body").get_attribute("data-outcome") == "completed"


def test_the_live_page_brings_news_and_moves_neither_focus_nor_scroll(researcher, drafted, participant):
    publish(researcher, drafted)
    researcher.set_viewport_size({"width": 390, "height": 600})
    researcher.clock.install()
    researcher.goto(f"/studies/{drafted}/live/")
    researcher.locator("[aria-labelledby=ends][role=group], [aria-labelledby=models][role=group]").last.focus()
    researcher.mouse.wheel(0, 150)
    researcher.wait_for_function("scrollY > 0")
    state = "[scrollY, document.activeElement.getAttribute('aria-labelledby')]"
    participant(drafted).go_to("consent")
    before = researcher.evaluate(state)

    with researcher.expect_response(lambda response: "live" in response.url):
        researcher.clock.fast_forward(10_500)
    expect(researcher.locator("#live .figures dd").nth(2)).to_have_text("1")

    assert researcher.evaluate(state) == before


def test_updates_can_be_paused(researcher, drafted):
    publish(researcher, drafted)
    researcher.clock.install()
    researcher.goto(f"/studies/{drafted}/live/")
    asked = []
    researcher.on("request", lambda request: asked.append(request.url) if "?kind=" in request.url else None)
    researcher.get_by_role("button", name="Pause updates").click()
    researcher.clock.fast_forward(30_000)
    researcher.wait_for_timeout(300)
    assert asked == []

    researcher.get_by_role("button", name="Go on updating").click()
    with researcher.expect_response(lambda response: "live" in response.url):
        researcher.clock.fast_forward(10_500)


def test_the_report_draws_each_figure_and_puts_a_table_beside_it(researcher):
    researcher.goto("/studies/results/report/")
    figures = researcher.locator("[data-figure]")
    expect(figures).not_to_have_count(0)
    for figure in figures.all():
        expect(figure.locator(".main-svg").first).to_be_attached()
        expect(figure.locator("xpath=ancestor::div[contains(@class, 'panel')][1]//table")).to_have_count(1)


def test_the_export_is_a_package(researcher):
    researcher.goto("/studies/results/report/")
    with researcher.expect_download() as download:
        researcher.get_by_role("button", name="Download the data package").click()

    with zipfile.ZipFile(download.value.path()) as package:
        manifest = json.loads(package.read("manifest.json"))
        assert {file["name"] for file in manifest["files"]} <= set(package.namelist())
        assert "ratings_long.csv" in package.namelist()


def test_someone_without_an_account_is_asked_to_sign_in(visitor):
    page = visitor().page
    page.goto("/studies/results/report/")

    assert page.get_by_role("heading", name="Sign in").is_visible()
