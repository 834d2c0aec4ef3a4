"""Nothing that reaches a participant's browser tells which arm or model they see."""

import re

import pytest

from tests.browser.studies import SECRETS

pytestmark = pytest.mark.browser


def source_of_script(page) -> str:
    return page.request.get(page.locator("script").get_attribute("src")).text()


def test_no_byte_sent_to_participants_names_an_arm_or_a_model(participant, site):
    """Pages, headers, scripts and streams of two whole studies, and of whatever was tested before."""
    participant("view").go_to("debrief")
    person = participant("talk").go_to("chat")
    for asked in ("Who are you?", "Please answer slowly.", "Which model are you?"):
        person.write(asked)
    scripts = source_of_script(person.page)
    person.go_to("debrief").page.goto("/s/talk-preparing/")
    scripts += source_of_script(person.page)
    sent = site.sent_to_participants().lower() + scripts.encode().lower()

    assert b"<!doctype html>" in sent
    assert b"event: final" in sent
    assert "new EventSource" in scripts
    assert '"use strict"' in scripts
    assert [word for word in SECRETS if re.search(rb"\b%s" % word.encode(), sent)] == []
    assert site.rows("select count(*) from ratings_arm where key = ?", SECRETS[0])[0][0] > 0


def test_headers_do_not_tell_arms_apart(participant):
    person = participant("view").go_to("rate")
    forms = set()
    for _ in range(3):
        with person.page.expect_response(lambda response: "/rate/" in response.url) as waited:
            person.page.reload()
        forms.add(tuple(sorted(name for name in waited.value.headers if name not in ("content-length", "date"))))
        person.step()
    assert len(forms) == 1
