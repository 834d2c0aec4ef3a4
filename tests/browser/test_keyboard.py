"""A whole study without a mouse."""

import pytest

pytestmark = pytest.mark.browser

# What has the focus, whether that shows, and whether anything lies over it.
FOCUS = """() => {
  const element = document.activeElement;
  const shown = element.matches("input[type=radio]") && element.nextElementSibling?.matches("span")
    ? element.nextElementSibling : element;
  const style = getComputedStyle(shown), box = shown.getBoundingClientRect();
  const at = document.elementFromPoint(box.x + Math.min(box.width / 2, 40), box.y + Math.min(box.height / 2, 12));
  return {
    name: element.name || element.textContent.trim(),
    value: element.value,
    ring: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
    inside: box.top >= -1 && box.left >= 0 && box.top < innerHeight && box.right <= innerWidth + 1,
    covered: !(at === element || element.contains(at) || at?.contains(element)),
  };
}"""


class Keyboard:
    def __init__(self, page):
        self.page = page
        self.stops = []

    def tab(self, key="Tab"):
        self.page.keyboard.press(key)
        focus = self.page.evaluate(FOCUS)
        self.stops.append(focus)
        return focus

    def tab_to(self, name, value=None):
        for _ in range(40):
            focus = self.tab()
            if focus["name"] == name and value in (None, focus["value"]):
                return focus
        raise AssertionError(f"Tab never came to {name} on {self.page.url}: {[stop['name'] for stop in self.stops]}")

    def press(self, key="Enter"):
        with self.page.expect_navigation():
            self.page.keyboard.press(key)

    def choose(self, name, number):
        """One Tab into the scale, arrows to the number."""
        self.tab_to(name)
        self.page.keyboard.press("Space")
        for _ in range(number - 1):
            self.page.keyboard.press("ArrowRight")
        assert self.page.evaluate(FOCUS)["value"] == str(number)
        assert self.page.locator(f"input[name={name}]:checked").get_attribute("value") == str(number)


def test_a_whole_study_goes_by_keyboard_with_the_focus_always_in_sight(participant):
    person = participant(width=390, height=700)
    page = person.page
    keys = Keyboard(page)
    person.open()
    keys.tab_to("action", "next")
    keys.press()
    keys.tab_to("adult")
    page.keyboard.press("Space")
    keys.tab_to("action", "next")
    keys.press()
    for tick in ("consent_take_part", "consent_sensitive"):
        keys.tab_to(tick)
        page.keyboard.press("Space")
    keys.tab_to("action", "next")
    keys.press()
    keys.tab_to("action", "next")
    keys.press()
    for _ in range(30):
        if person.stage == "exit":
            break
        names = page.evaluate("[...new Set([...document.querySelectorAll('[type=radio]')].map(each => each.name))]")
        for name in names:
            keys.choose(name, 3)
        keys.tab_to("action", "next")
        keys.press()
        if page.locator(".notice[role=alert]").count():
            keys.tab_to("action", "next")
            keys.press()
    keys.tab_to("field_of_study")
    page.keyboard.press("Space")
    keys.tab_to("action", "finish")
    keys.press()

    assert person.stage == "debrief"
    assert [stop for stop in keys.stops if stop["ring"] < 2] == []
    assert [stop for stop in keys.stops if not stop["inside"] or stop["covered"]] == []


def test_tab_enters_a_scale_once(participant):
    page = participant().go_to("rate").page
    keys = Keyboard(page)
    page.locator("input[name=empathy_support][value='5']").check()
    page.locator("main").focus()

    stops = [keys.tab()["name"] for _ in range(8)]

    assert stops.count("empathy_support") == 1


def test_the_skip_link_leads_to_the_content(participant):
    page = participant().open().page
    keys = Keyboard(page)

    assert keys.tab()["name"] == "Skip to the content"
    page.keyboard.press("Enter")

    assert page.evaluate("document.activeElement.id") == "main"
    assert keys.tab()["name"] != "Get help now"
