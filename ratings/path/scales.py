"""The radios under a reply: one scale for each criterion, and the form that reads them."""

import random
from dataclasses import dataclass
from functools import lru_cache

from django import forms
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from ratings.models import Visit
from ratings.path.forms import OwnWords, PathForm
from ratings.studyfile.schema import Check, Criterion, StudyFile, Text, text_in

CANNOT_JUDGE = "cannot_judge"
# A criterion that asks about the whole comes first: after the others it would only repeat them.
OVERALL = "overall"


@dataclass(frozen=True)
class Scale:
    """A row of radios: a criterion's, or an attention check's, in the reader's language."""

    name: str
    question: str
    points: range
    label: str = ""
    definition: str = ""
    low: str = ""
    high: str = ""
    off_scale: bool = False
    is_check: bool = False

    @property
    def first(self) -> int:
        return self.points[0]

    @property
    def last(self) -> int:
        return self.points[-1]

    @property
    def values(self) -> list[str]:
        return [str(point) for point in self.points]

    @property
    def choices(self) -> list[str]:
        return [*self.values, CANNOT_JUDGE] if self.off_scale else self.values


class RatingForm(PathForm):
    """The scales of one reply, with its attention check where there is one, and a comment."""

    def __init__(
        self,
        visit: Visit,
        definition: StudyFile,
        data=None,
        files=None,
        given: dict[str, str] | None = None,
        checks: list[Check] | tuple[()] = (),
        comment: bool = True,
        skipping: bool = False,
    ):
        super().__init__(data, files)
        self.given = data if data is not None else given or {}
        self.scales = [
            *(_of_criterion(criterion, definition, visit.locale) for criterion in in_order(definition, visit.seed)),
            *(_of_check(check, definition, visit.locale) for check in checks),
        ]
        for scale in self.scales:
            self.fields[scale.name] = _field(scale, not skipping, get_language())
        if comment:
            self.fields["comment"] = OwnWords()
            self.comment_given = self.given.get("comment", "")

    def rows(self) -> SafeString:
        """The scales as the page shows them: with what was chosen, and with what is to be mended."""
        return mark_safe("".join(map(self._row, self.scales)))

    def _row(self, scale: Scale) -> SafeString:
        chosen = self.given.get(scale.name, "")
        error = " ".join(map(str, self.errors.get(scale.name, ()))) if self.is_bound else ""
        return row(scale, chosen if chosen in scale.choices else "", error, get_language())

    @property
    def keys(self) -> list[str]:
        return [scale.name for scale in self.scales if not scale.is_check]

    def scores(self) -> dict[str, int | None]:
        return {key: as_value(self.cleaned_data[key]) for key in self.keys}

    def checked(self) -> dict[str, int | None]:
        given = {scale.name: self.cleaned_data[scale.name] for scale in self.scales if scale.is_check}
        return {name: as_value(value) for name, value in given.items() if value}


@lru_cache(maxsize=1024)
def row(scale: Scale, chosen: str, error: str, language: str) -> SafeString:
    """A scale as HTML. Most participants see the same few dozen, so each is made once."""
    return render_to_string("ratings/_scale.html", {"scale": scale, "chosen": chosen, "error": error})


def in_order(definition: StudyFile, seed: int) -> list[Criterion]:
    """The criteria in an order that is random among participants and the same on all pages of one."""
    criteria = list(definition.criteria)
    random.Random(f"criteria/{seed}").shuffle(criteria)
    return sorted(criteria, key=lambda criterion: criterion.key != OVERALL)


def check_name(check: Check) -> str:
    """The form's name for an attention check. No criterion can be called so: their keys have no hyphen."""
    return f"check-{check.after}"


def as_value(choice: str) -> int | None:
    return None if choice == CANNOT_JUDGE else int(choice)


def _of_criterion(criterion: Criterion, definition: StudyFile, locale: str) -> Scale:
    def words(text: Text) -> str:
        return text_in(text, locale, definition.default_locale)

    return Scale(
        name=criterion.key,
        question=words(criterion.question),
        points=definition.scale.points,
        label=words(criterion.label),
        definition=words(criterion.definition),
        low=words(criterion.low),
        high=words(criterion.high),
        off_scale=definition.cannot_judge,
    )


def _of_check(check: Check, definition: StudyFile, locale: str) -> Scale:
    question = text_in(check.text, locale, definition.default_locale)
    return Scale(check_name(check), question, definition.scale.points, is_check=True)


@lru_cache(maxsize=1024)
def _field(scale: Scale, required: bool, language: str) -> forms.ChoiceField:
    """Made once, as its row is; a form only reads it."""
    message = _("Choose a number from %(low)s to %(high)s for “%(question)s”.") % {
        "low": scale.first,
        "high": scale.last,
        "question": scale.label or scale.question,
    }
    return forms.ChoiceField(
        required=required,
        choices=[(choice, choice) for choice in scale.choices],
        error_messages={"required": message, "invalid_choice": message},
    )
