"""The study file: how a study is written down, read, checked and named."""

from ratings.studyfile.faults import Fault, StudyFileErrors
from ratings.studyfile.reading import Loaded, read
from ratings.studyfile.replies import Message, StoredReply
from ratings.studyfile.schema import StudyFile, canonical_json, fingerprint, text_in

__all__ = [
    "Fault",
    "Loaded",
    "Message",
    "StoredReply",
    "StudyFile",
    "StudyFileErrors",
    "canonical_json",
    "fingerprint",
    "read",
    "text_in",
]
