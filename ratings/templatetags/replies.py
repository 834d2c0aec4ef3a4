"""How texts reach a participant's page: a reply or a study's text as harmless, plain formatting."""

from functools import lru_cache

import nh3
from django import template
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

from ratings.studyfile.schema import text_in

register = template.Library()

TAGS = {"p", "br", "strong", "em", "ul", "ol", "li", "blockquote", "code", "pre", "hr"}

# Links, images and addresses stay the characters they are: a reply may not lead anywhere, nor fetch anything.
_markdown = MarkdownIt("commonmark", {"html": False}).disable(["link", "image", "autolink", "reference"])


@register.filter
def safe_markdown(text: str | None) -> SafeString:
    """A reply as HTML of a few tags without attributes. What a model or a person wrote is never trusted."""
    return mark_safe(nh3.clean(_markdown.render(text or ""), tags=TAGS, attributes={}))


@lru_cache(maxsize=1024)
def published_markdown(text: str) -> SafeString:
    """The same for texts that are published with a study and shown to many."""
    return safe_markdown(text)


@register.simple_tag(takes_context=True)
def words(context: template.Context, text: str | dict) -> str:
    """A text of the study in the reader's language."""
    return text_in(text, context["language"], context["definition"].default_locale)


@register.simple_tag(takes_context=True)
def prose(context: template.Context, text: str | dict) -> SafeString:
    """A longer text of the study, with its paragraphs."""
    return published_markdown(words(context, text))
