"""From right to left, in a language in which every translated text wears brackets."""

import re

import pytest

from tests.browser.looks import SIDEWAYS
from tests.browser.pseudolocale import CLOSE, OPEN

pytestmark = pytest.mark.browser

# The texts that people see or hear.
TEXTS = """() => {
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) texts.push(walker.currentNode.textContent);
  for (const element of document.querySelectorAll("[aria-label], [title], [placeholder], [alt]"))
    texts.push(element.ariaLabel || element.title || element.placeholder || element.alt);
  texts.push(document.title);
  return texts.map(text => text.trim()).filter(Boolean);
}"""
NO_WORDS = re.compile(f"{OPEN}[^{OPEN}{CLOSE}]*{CLOSE}|[A-Z0-9]{{4}}(-[A-Z0-9]{{2,4}})+")


def untranslated(page) -> list[str]:
    """Words in Latin letters outside of brackets. Those of the study itself are in Arabic letters."""
    texts = [NO_WORDS.sub("", text) for text in page.evaluate(TEXTS)]
    return [text for text in texts if re.search("[A-Za-z]{2}", text) and not re.search("[\u0600-\u06ff]", text)]


@pytest.fixture(scope="module")
def walked(participant_of_module) -> list[tuple[str, list[str], str | None, int]]:
    """Each page of a visit: its stage, texts that were not translated, its direction, how far it scrolls sideways."""
    person = participant_of_module("view-rtl", width=320).open()
    pages = []
    for _ in range(30):
        page = person.page
        pages.append((person.stage, untranslated(page), page.get_attribute("html", "dir"), page.evaluate(SIDEWAYS)))
        if person.stage == "debrief":
            break
        if person.stage != "exit" and page.locator("[type=radio], [type=checkbox]").count():
            person.press()  # empty, for its faults
            pages.append((f"{person.stage}-error", untranslated(page), "rtl", page.evaluate(SIDEWAYS)))
        person.step()
    return pages


def test_the_walk_goes_to_its_end(walked):
    assert walked[-1][0] == "debrief"


def test_every_page_runs_from_right_to_left(walked):
    assert {direction for _, _, direction, _ in walked} == {"rtl"}


def test_every_text_of_the_program_is_translated(walked):
    assert [(stage, texts) for stage, texts, _, _ in walked if texts] == []


def test_no_page_scrolls_sideways(walked):
    assert [stage for stage, _, _, sideways in walked if sideways] == []


def test_the_scale_is_mirrored_and_its_values_are_not(participant):
    page = participant("view-rtl", width=390).go_to("rate").page
    radios = page.locator("input[name=empathy_support]").all()[:10]

    assert [radio.get_attribute("value") for radio in radios] == [str(number) for number in range(1, 11)]
    places = [radio.bounding_box()["x"] for radio in radios]
    assert places == sorted(places, reverse=True)


def test_a_message_runs_in_its_own_direction(participant):
    page = participant("view-rtl").go_to("rate").page

    assert page.locator(".message").get_attribute("dir") == "auto"
    assert page.locator(".message").evaluate("element => getComputedStyle(element).direction") == "rtl"


def test_codes_are_read_from_left_to_right(participant):
    page = participant("view-rtl").go_to("debrief").page

    assert page.locator(".code").first.evaluate("element => getComputedStyle(element).direction") == "ltr"
