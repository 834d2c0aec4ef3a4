"""The rows of radios, on phones and for people who do not see them."""

import pytest
from playwright.sync_api import expect

from tests.browser.looks import CUT_OFF, LARGE_TEXT, SIDEWAYS

pytestmark = pytest.mark.browser


def radios(page):
    return page.locator("input[name=empathy_support]")


def boxes(page):
    """Of the numbers of a scale, without what stands apart."""
    return [radio.bounding_box() for radio in radios(page).all()[:10]]


@pytest.fixture(scope="module")
def rating(participant_of_module):
    """The first rating page. Tests look and do not touch."""
    return participant_of_module().go_to("rate").page


@pytest.mark.parametrize("width", [390, 320])
def test_all_ten_numbers_stand_in_one_row(rating, width):
    rating.set_viewport_size({"width": width, "height": 800})

    places = boxes(rating)

    assert len({round(box["y"]) for box in places}) == 1
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in places)


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_each_target_has_at_least_24_by_24_pixels(rating, width):
    rating.set_viewport_size({"width": width, "height": 800})

    targets = [*boxes(rating), *[label.bounding_box() for label in rating.locator(".apart").all()]]

    assert [box for box in targets if box["width"] < 24 or box["height"] < 24] == []


def test_nothing_is_chosen_at_first(rating):
    assert rating.locator("main input:checked").count() == 0


def test_a_scale_has_ten_numbers_and_one_way_out(rating):
    assert [radio.get_attribute("value") for radio in radios(rating).all()] == [
        *map(str, range(1, 11)),
        "cannot_judge",
    ]


@pytest.mark.parametrize("width", [390, 320])
def test_with_text_twice_as_large_all_numbers_are_there(rating, width):
    rating.set_viewport_size({"width": width, "height": 800})
    rating.evaluate(LARGE_TEXT)

    places = boxes(rating)
    cut_off, sideways = rating.evaluate(CUT_OFF), rating.evaluate(SIDEWAYS)
    rating.evaluate("document.adoptedStyleSheets = []")

    assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in places)
    assert all(box["height"] >= 24 for box in places)
    assert (cut_off, sideways) == ([], 0)


def test_each_radio_says_its_number_its_question_and_what_the_ends_mean(rating):
    group = rating.get_by_role("group", name="How supportive is this reply?")

    expect(group).to_have_accessible_description("It takes the person's feelings seriously.")
    for number in range(1, 11):
        expect(group.get_by_role("radio", name=str(number), exact=True)).to_have_count(1)
    expect(group.get_by_role("radio", name="1", exact=True)).to_have_accessible_description("1 = Not at all")
    expect(group.get_by_role("radio", name="10", exact=True)).to_have_accessible_description("10 = Extremely")
    expect(group.get_by_role("radio", name="I can’t judge this")).to_have_count(1)
