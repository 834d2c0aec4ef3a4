"""Texts that try to be more than text stay text: whoever wrote them, wherever they are shown."""

import pytest
from playwright.sync_api import expect

from tests.browser import hostile

pytestmark = pytest.mark.browser

HARMLESS = {"P", "BR", "STRONG", "EM", "UL", "OL", "LI", "BLOCKQUOTE", "CODE", "PRE", "HR"}

# What stands in the messages, and with which attributes.
IN_MESSAGES = """() => {
  const inside = [...document.querySelectorAll(".message *, .reply *")];
  return {
    tags: [...new Set(inside.map(element => element.tagName))],
    attributes: [...new Set(inside.flatMap(element => element.getAttributeNames()))],
  };
}"""
# What has no business on any page of a participant.
STRANGE = """() => [...document.querySelectorAll("*")].filter(element =>
  ["IFRAME", "IMG", "SVG", "STYLE", "BASE", "OBJECT", "EMBED", "MATH", "VIDEO"].includes(element.tagName.toUpperCase())
  || (element.tagName === "SCRIPT" && !element.src.startsWith(location.origin + "/static/ratings/"))
  || (element.tagName === "META" && element.httpEquiv)
  || (element.tagName === "FORM" && new URL(element.getAttribute("action") ?? "", location).origin !== location.origin)
  || (element.tagName === "A" && !["http:", "mailto:", "tel:", "sms:", "https:"].includes(element.protocol))
  || (element.tagName === "A" && element.protocol === "http:" && element.origin !== location.origin)
  || element.getAttributeNames().some(name => name.startsWith("on") || name === "style")
).map(element => element.outerHTML.slice(0, 150))"""


def check(page) -> None:
    messages = page.evaluate(IN_MESSAGES)
    assert set(messages["tags"]) <= HARMLESS | {"H2", "BDI"}
    assert messages["attributes"] == []
    assert page.evaluate(STRANGE) == []


def test_what_the_author_of_a_study_wrote(participant):
    person = participant("view-hostile").open()
    for _ in range(30):
        check(person.page)
        if person.stage == "debrief":
            break
        person.step()
    assert person.stage == "debrief"
    person.page.goto("/help/?study=view-hostile")
    check(person.page)


def test_what_the_author_of_a_chat_wrote(participant):
    person = participant("talk-hostile").go_to("chat")
    check(person.page)
    assert "<script>alert(1)</script>" in person.page.locator("#log").inner_text()


def test_what_a_model_wrote(participant):
    person = participant("talk").go_to("chat")
    for once in (False, True):
        person.page.locator("#once").set_checked(once)
        person.write("Attack me!")
        check(person.page)
        assert "<script>alert(1)</script>" in person.page.locator("#log").inner_text()
    person.press()
    check(person.page)


def test_what_a_participant_wrote_in_a_chat(participant):
    person = participant("talk").go_to("chat")
    person.write(hostile.ALL)
    check(person.page)
    assert person.page.locator("#log .message").inner_text().count("alert(1)") == hostile.ALL.count("alert(1)")
    person.press()
    check(person.page)


def test_what_a_participant_wrote_elsewhere(participant):
    person = participant("view").go_to("rate")
    person.page.locator("#id_comment").fill(hostile.ALL)
    person.press()
    check(person.page)
    expect(person.page.locator("#id_comment")).to_have_value(hostile.ALL)
    person.go_to("exit")
    person.page.locator("#id_remarks").fill(hostile.ALL)
    person.press("finish")
    check(person.page)
    expect(person.page.locator("#id_remarks")).to_have_value(hostile.ALL)


@pytest.mark.parametrize("address", ["/s/view/?notice={}", "/s/view/?lang={}", "/help/?study={}", "/help/?country={}"])
def test_what_an_address_says(visitor, address):
    page = visitor().page
    page.goto(address.format("%22%3E%3Cscript%3Ealert(1)%3C/script%3E"))
    check(page)
