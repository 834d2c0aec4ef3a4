"""What the strict content policy forbids must not be written in the first place."""

import re

import pytest
from django.conf import settings

TEMPLATES = [path for folder in ("desk", "accounts") for path in (settings.BASE_DIR / "templates" / folder).iterdir()]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_inline_style_script_or_handler(path):
    text = path.read_text()

    assert not re.search(r"\sstyle\s*=", text)
    assert not re.search(r"\son[a-z]+\s*=", text)
    assert "<style" not in text
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert "javascript:" not in text


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_htmx_attribute_that_needs_eval(path):
    text = path.read_text()

    assert not re.search(r"hx-on|hx-vals=[\"']?js:|hx-trigger=\"[^\"]*\[", text)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_each_form_that_posts_carries_a_token(path):
    for form in re.findall(r'<form[^>]*method="post".*?</form>', path.read_text(), re.DOTALL):
        assert "csrf_token" in form


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_nothing_comes_from_another_host(path):
    assert not re.search(r"(src|href|action)=\"(https?:)?//", path.read_text())
