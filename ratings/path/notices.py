"""Short messages that travel with a redirect as one word, so that no page needs a session."""

from django.utils.translation import gettext_lazy as _

NOTICES = {
    "old-page": _("That page had already been sent, so nothing was changed. Here is where you are now."),
    "panel-link": _(
        "Your panel’s link did not say who you are. Please go back to the panel and open the study from there."
    ),
}
