"""The study files that come with the program, to begin one's own with."""

import re
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from django.conf import settings

from ratings.models import Study

FOLDER = settings.BASE_DIR / "studies"
# By name: what researchers put beside them is their own.
NAMES = ("own-replies", "support-chat", "support-view")


@dataclass(frozen=True)
class Example:
    """Its title, and the first paragraph of the comment at its top."""

    key: str
    title: str
    about: str


def all_of_them() -> list[Example]:
    return [_example(path) for name in NAMES if (path := FOLDER / f"{name}.yaml").exists()]


def _example(path: Path) -> Example:
    text = path.read_text()
    title = re.search(r"^title: *(.+?)(?: +#.*)?$", text, re.MULTILINE)
    about = text.split("\n#\n", 1)[0].replace("\n#", "").partition(": ")[2]
    return Example(path.stem, title[1] if title else path.stem, about[:1].upper() + about[1:])


def text_of(key: str) -> str | None:
    """The text of an example, under a slug that no study has yet."""
    if key not in {example.key for example in all_of_them()}:
        return None
    return _with_free_slug((FOLDER / f"{key}.yaml").read_text())


def beside(name: str) -> bytes | None:
    """The file of replies that an example names."""
    return next((path.read_bytes() for path in FOLDER.iterdir() if path.name == name), None)


def _with_free_slug(text: str) -> str:
    """`support-view`, `support-view-2`, ..."""
    found = re.search(r"^slug: *([a-z0-9-]+)", text, re.MULTILINE)
    if found is None:
        return text
    taken = set(Study.objects.filter(slug__startswith=found[1]).values_list("slug", flat=True))
    names = chain([found[1]], (f"{found[1]}-{number}" for number in count(2)))
    free = next(name for name in names if name not in taken)
    return text[: found.start(1)] + free + text[found.end(1) :]
