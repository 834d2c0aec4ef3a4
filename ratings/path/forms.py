"""Forms of the path: they take what their page asked, once each, and nothing else.

Three widely used rating tools store an 11, a word or five megabytes as a score. Here a form is refused as a whole when
anything in it was not asked, so that nothing strange is half stored.
"""

from typing import cast

from django import forms
from django.core.validators import MaxLengthValidator
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

OF_EVERY_FORM = {"csrfmiddlewaretoken", "page", "page_time", "action"}
# What a decoder puts where bytes were no text.
UNREADABLE = "\N{REPLACEMENT CHARACTER}"


class PathForm(forms.Form):
    def clean(self) -> dict:
        for name, values in cast(QueryDict, self.data).lists():
            field = self.fields.get(name)
            if field is None and name not in OF_EVERY_FORM:
                self.add_error(None, _("This page did not ask for “%s”, so nothing was saved.") % name[:40])
            elif len(values) > 1 and not isinstance(field, forms.MultipleChoiceField):
                self.add_error(None, _("“%s” came more than once, so nothing was saved.") % name[:40])
        if self.files:
            self.add_error(None, _("Files cannot be sent here, so nothing was saved."))
        return self.cleaned_data

    @property
    def faults(self) -> list[tuple[str, str]]:
        """For the summary at the top of the page: the id to jump to ("" for the page as a whole), and the message."""
        return [
            ("" if name == "__all__" else name, str(message))
            for name, messages in self.errors.items()
            for message in messages
        ]


class OwnWords(forms.CharField):
    """A few words in a box that may stay empty."""

    widget = forms.Textarea
    default_error_messages = {
        "unreadable": _("Some characters could not be read. Please type them again."),
        "max_length": _("Please keep it under %(limit_value)d characters; it has %(show_value)d."),
    }

    def __init__(self, max_length: int = 2000, **kwargs):
        super().__init__(required=False, **kwargs)
        self.max_length = max_length
        self.validators = [MaxLengthValidator(max_length, self.error_messages["max_length"]), *self.validators]

    def clean(self, value):
        text = super().clean(value)
        if UNREADABLE in text:
            raise forms.ValidationError(self.error_messages["unreadable"], code="unreadable")
        return text
