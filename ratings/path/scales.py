"""The radios under a reply: one scale for each criterion, and the form that reads them."""

import random
from dataclasses import dataclass

from django import forms
from django.utils.translation import gettext as _

from ratings.models import Visit
from ratings.path.forms import OwnWords, PathForm
from ratings.studyfile.schema import Check, Criterion, StudyFile, Text, text_in

CANNOT_JUDGE = "cannot_judge"
# A criterion that asks about the whole comes first: after the others it would only repeat them.
OVERALL = "overall"


@dataclass
class ScaleRow:
    """A row of radios as its page shows it."""

    name: str
    points: range
    label: str = ""
    question: str = ""
    definition: str = ""
    low: str = ""
    high: str = ""
    off_scale: bool = False
    is_check: bool = False
    chosen: str = ""
    error: str = ""

    @property
    def choices(self) -> list[tuple[int, str]]:
        return [(point, str(point)) for point in self.points]

    @property
    def last(self) -> int:
        return self.points[-1]


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
        self.criteria = in_order(definition, visit.seed)
        self.rows = [self._row(criterion, definition, visit.locale) for criterion in self.criteria]
        self.rows += [self._check_row(check, definition, visit.locale) for check in checks]
        for row in self.rows:
            self.fields[row.name] = scale_field(row, required=not skipping)
            row.chosen = (self.data if self.is_bound else given or {}).get(row.name, "")
        if comment:
            self.fields["comment"] = OwnWords()
            self.comment_given = (self.data if self.is_bound else given or {}).get("comment", "")
        if self.is_bound:
            for row in self.rows:
                row.error = " ".join(self.errors.get(row.name, ()))

    @property
    def keys(self) -> list[str]:
        return [criterion.key for criterion in self.criteria]

    def scores(self) -> dict[str, int | None]:
        return {key: as_value(self.cleaned_data[key]) for key in self.keys}

    def checked(self) -> dict[str, int | None]:
        given = self.cleaned_data
        return {row.name: as_value(given[row.name]) for row in self.rows if row.is_check and given[row.name]}

    def _row(self, criterion: Criterion, definition: StudyFile, locale: str) -> ScaleRow:
        def words(text: Text) -> str:
            return text_in(text, locale, definition.default_locale)

        return ScaleRow(
            name=criterion.key,
            points=definition.scale.points,
            label=words(criterion.label),
            question=words(criterion.question),
            definition=words(criterion.definition),
            low=words(criterion.low),
            high=words(criterion.high),
            off_scale=definition.cannot_judge,
        )

    def _check_row(self, check: Check, definition: StudyFile, locale: str) -> ScaleRow:
        return ScaleRow(
            name=check_name(check),
            points=definition.scale.points,
            question=text_in(check.text, locale, definition.default_locale),
            is_check=True,
        )


def in_order(definition: StudyFile, seed: int) -> list[Criterion]:
    """The criteria in an order that is random among participants and the same on all pages of one."""
    criteria = list(definition.criteria)
    random.Random(f"criteria/{seed}").shuffle(criteria)
    return sorted(criteria, key=lambda criterion: criterion.key != OVERALL)


def check_name(check: Check) -> str:
    """The form's name for an attention check. No criterion can be called so: their keys have no hyphen."""
    return f"check-{check.after}"


def scale_field(row: ScaleRow, required: bool) -> forms.ChoiceField:
    choices = [str(point) for point in row.points]
    message = _("Choose a number from %(low)s to %(high)s for “%(question)s”.") % {
        "low": row.points[0],
        "high": row.last,
        "question": row.label or row.question,
    }
    if row.off_scale:
        choices.append(CANNOT_JUDGE)
    return forms.ChoiceField(
        required=required,
        choices=[(choice, choice) for choice in choices],
        error_messages={"required": message, "invalid_choice": message},
    )


def as_value(choice: str) -> int | None:
    return None if choice == CANNOT_JUDGE else int(choice)
