"""The busiest page as a stencil: made once for all who see the same of it, with holes for what is one person's own.

Django's template language takes longer over a rating page than the database and the forms together.
"""

import re
from collections.abc import Mapping
from secrets import token_hex
from typing import Any

from django.template.loader import render_to_string
from django.utils.html import conditional_escape


class Stencil:
    """A rendered template with named holes.

    greeting = Stencil("greeting.html", {"language": "en"}, "name")
    greeting.fill(name="Ada")
    """

    def __init__(self, template: str, context: Mapping[str, Any], *holes: str):
        # Words that no text has, and that escaping leaves alone.
        marks = {name: f"hole{token_hex(16)}" for name in holes}
        names = {mark: name for name, mark in marks.items()}
        pieces = re.split(f"({'|'.join(names)})", render_to_string(template, {**context, **marks}))
        self._texts, self._holes = pieces[::2], [names[mark] for mark in pieces[1::2]]

    def fill(self, **values: Any) -> str:
        """The page. Values are escaped as the template would have escaped them."""
        written = {name: conditional_escape(value) for name, value in values.items()}
        filled = self._texts[:1]
        for hole, text in zip(self._holes, self._texts[1:], strict=True):
            filled += (written[hole], text)
        return "".join(filled)
