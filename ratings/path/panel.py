"""Links that a panel sends people with: the person's id is taken out of the address at once and sealed.

Prolific sends PROLIFIC_PID, STUDY_ID and SESSION_ID, MTurk workerId, assignmentId and hitId, SONA survey_code; any
other recruiter may use participant_label. Only the one that names the person is kept.
"""

import re

from django.http import QueryDict

PERSON = ("PROLIFIC_PID", "workerId", "survey_code", "participant_label")
PARAMETERS = (*PERSON, "STUDY_ID", "SESSION_ID", "assignmentId", "hitId")
ALLOWED = re.compile(r"[A-Za-z0-9_-]{1,64}")
# How MTurk shows a task to somebody who has not taken it.
ONLY_A_PREVIEW = "ASSIGNMENT_ID_NOT_AVAILABLE"


class BadPanelLink(Exception):
    """The panel's parameters are there, and none of them names a person."""


def is_panel_link(query: QueryDict) -> bool:
    return any(name in query for name in PARAMETERS)


def person_in(query: QueryDict) -> str:
    """The panel's id of the person, with its parameter's name: two panels may count alike."""
    if query.get("assignmentId") == ONLY_A_PREVIEW:
        raise BadPanelLink
    for name in PERSON:
        values = query.getlist(name)
        if len(values) == 1 and ALLOWED.fullmatch(values[0]):
            return f"{name}={values[0]}"
    raise BadPanelLink
