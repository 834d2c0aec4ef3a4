"""Texts on a page: formatting that is plain, and nothing that acts or leads elsewhere."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratings.templatetags.replies import safe_markdown

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![picture](https://example.org/a.png)",
    "<https://example.org>",
    "[a]: https://example.org\n\n[a]",
    "<style>body{display:none}</style>",
    "<iframe src=//example.org></iframe>",
    "<svg/onload=alert(1)>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "```<b onclick=alert(1)>```",
    "<a href='https://example.org'>here</a>",
    "\0<b>\0</b>",
    "<form action=//example.org><input name=x></form>",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_a_reply_tries_stays_characters(attack):
    html = safe_markdown(attack)

    for tag in ("<script", "<img", "<a", "<style", "<iframe", "<svg", "<b ", "<form", "<input"):
        assert tag not in html
    assert "href" not in html or "href" in attack
    assert "<p" in html or "<pre" in html or not html.strip()


def test_formatting_is_kept():
    html = safe_markdown("**warm** and *kind*\n\n- one\n- two\n\n> said\n\n1. first")

    for tag in ("<strong>", "<em>", "<ul>", "<li>", "<blockquote>", "<ol>"):
        assert tag in html


def test_headings_are_words_and_do_not_break_the_pages_own():
    assert "<h1>" not in safe_markdown("# Title")


def test_nothing_gives_nothing():
    assert safe_markdown(None) == ""
    assert safe_markdown("") == ""


@given(st.text(max_size=300))
@settings(max_examples=150, deadline=None)
def test_no_text_becomes_a_tag_with_attributes(text):
    html = safe_markdown(text)

    for tag in html.split("<")[1:]:
        name = tag.split(">")[0].strip("/ ")
        assert name in {"p", "br", "strong", "em", "ul", "ol", "li", "blockquote", "code", "pre", "hr", ""}
