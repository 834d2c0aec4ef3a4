"""What holds for each and every page of a participant, in light and dark, on a desktop, a phone and a small phone."""

import pytest

from tests.browser import tour
from tests.browser.looks import Seen

pytestmark = pytest.mark.browser

LIMIT, AIM = 60_000, 25_000  # bytes


@pytest.fixture(scope="module")
def pages(participant_of_module) -> list[Seen]:
    tours = (tour.of_stored_replies, tour.of_ends, tour.of_errors, tour.of_a_chat)
    return [seen for walk in tours for seen in walk(participant_of_module)]


def test_axe_finds_nothing(pages):
    assert [f"{seen.name}: {violation}" for seen in pages for violation in seen.violations] == []


def test_no_page_scrolls_sideways(pages):
    assert [(seen.name, seen.sideways) for seen in pages if seen.sideways] == []


def test_wide_text_spacing_cuts_nothing_off(pages):
    assert [(seen.name, seen.cut_off) for seen in pages if seen.cut_off] == []


def test_help_is_the_first_link_after_the_skip_link(pages):
    wrong = [(seen.name, seen.first_stops) for seen in pages]
    assert [each for each in wrong if each[1] != ["Skip to the content", "Get help now"]] == []


def test_each_page_has_one_main_heading_and_a_title(pages):
    assert [seen.name for seen in pages if seen.headings != 1 or not seen.title.strip()] == []


def test_the_title_of_a_page_with_faults_begins_with_error(pages):
    assert [seen.name for seen in pages if seen.title.startswith("Error:") != seen.name.endswith("-error")] == []


def test_each_page_is_light(pages):
    assert [(seen.name, seen.size) for seen in pages if seen.size > LIMIT] == []


def test_only_pages_that_go_on_by_themselves_have_a_script(pages):
    assert {seen.stage for seen in pages if "<script" in seen.html} == {"chat", "preparing"}
    assert max(seen.html.count("<script") for seen in pages) == 1
