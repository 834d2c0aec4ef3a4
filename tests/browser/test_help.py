"""Help is near on every page, without a script, and dials the right numbers."""

import pytest

pytestmark = pytest.mark.browser


@pytest.fixture
def page(visitor):
    return visitor(width=390, java_script_enabled=False).page


def numbers(page):
    return {
        link.inner_text(): link.get_attribute("href")
        for link in page.locator("main a.number").all()
        if link.get_attribute("href").startswith(("tel:", "sms:"))
    }


def test_the_country_is_chosen_without_a_script(page):
    page.goto("/help/?study=view")
    page.locator("#country").select_option(label="India")
    page.get_by_role("button", name="Show").click()

    assert page.locator("#country option:checked").inner_text() == "India"
    assert "Tele-MANAS" in page.locator("main").inner_text()
    assert page.get_by_role("link", name="Back to the study").get_attribute("href") == "/s/view/"


def test_a_tap_dials_what_is_written(page):
    page.goto("/help/?country=IN")

    assert numbers(page) == {"112": "tel:112", "14416": "tel:14416", "1800-891-4416": "tel:18008914416"}


def test_every_country_names_an_emergency_number_and_a_source(page):
    page.goto("/help/")
    for code in [option.get_attribute("value") for option in page.locator("#country option").all()]:
        page.goto(f"/help/?country={code}")
        assert page.locator(".lead a.number").get_attribute("href").startswith("tel:")
        for service in page.locator(".service").all():
            assert "Source:" in service.inner_text()


@pytest.mark.parametrize("address", ["/s/nowhere/", "/i/nonsense/", "/s/view-paused/", "/withdraw/"])
def test_pages_for_what_went_wrong_lead_to_help(page, address):
    page.goto(address)
    page.get_by_role("link", name="Get help now").click()

    assert page.locator("h1").inner_text() == "Get help now"


def test_help_is_there_after_the_end(participant):
    page = participant(java_script_enabled=False).go_to("debrief").page
    page.get_by_role("link", name="Get help now").click()

    assert page.locator("h1").inner_text() == "Get help now"
    page.get_by_role("link", name="Back to the study").click()
    assert page.locator("body").get_attribute("data-stage") == "debrief"
