"""Short messages that travel with a redirect as one word, so that no page needs a session."""

from django.utils.translation import gettext_lazy as _

NOTICES = {
    "old-page": _("That page had already been sent, so nothing was changed. Here is where you are now."),
}
