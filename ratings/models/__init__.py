"""The tables of a study: what it is, who takes part, what they answer."""

from ratings.models.answers import Answer, Assignment, Event, Exposure, Rating
from ratings.models.people import (
    AllocationRecord,
    Consent,
    DataExport,
    Exclusion,
    Invitation,
    Participant,
    Visit,
    VisitKey,
    Withdrawal,
)
from ratings.models.study import Arm, Criterion, EarlyLook, Item, ReplyFile, StoredReply, Study, StudyVersion

__all__ = [
    "AllocationRecord",
    "Answer",
    "Arm",
    "Assignment",
    "Consent",
    "Criterion",
    "DataExport",
    "EarlyLook",
    "Event",
    "Exclusion",
    "Exposure",
    "Invitation",
    "Item",
    "Participant",
    "Rating",
    "ReplyFile",
    "StoredReply",
    "Study",
    "StudyVersion",
    "Visit",
    "VisitKey",
    "Withdrawal",
]
