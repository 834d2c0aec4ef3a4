"""A language in which translated texts stand in brackets: words outside of them were never offered for translation."""

from django.utils.translation import trans_real

OPEN, CLOSE = "⟦", "⟧"


class Bracketed:
    """A catalogue of translations that knows every text."""

    def get(self, message, default=None):
        text = message[0] if isinstance(message, tuple) else message
        # With a context, the text comes after it.
        return f"{OPEN}{text.split(chr(4))[-1]}{CLOSE}" if text else ""

    __getitem__ = get

    def plural(self, message, number):
        return self.get(message)

    def __contains__(self, message) -> bool:
        return True


def install(locale: str) -> None:
    trans_real.translation(locale)._catalog = Bracketed()
