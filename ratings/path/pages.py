"""The hidden `page` of every form: which page of which visit it was, and when it was given out.

A form sent again after the visit has moved on is recognised by it and changes nothing; the time a person had is read
from what we signed, so that a browser cannot claim another.
"""

import time
from dataclasses import dataclass

from django.core import signing
from django.http import HttpRequest

from ratings.models import Participant, Visit
from ratings.path import pagetime


class OldPage(Exception):
    """A form that is not about where the visit is now. `with_visit` answers it with the current page."""


@dataclass(frozen=True)
class Page:
    visit: Visit
    stage: str
    position: int = 0
    # What the page showed of earlier answers: a form from before a change is old after it.
    revision: str = ""

    def token(self) -> str:
        return self._signer.sign(f"{self._name}@{time.time():.1f}")

    def check(self, request: HttpRequest) -> None:
        """Raises OldPage when the form that came is not this page's."""
        if self._sent(request)[0] != self._name:
            raise OldPage

    def seconds(self, request: HttpRequest) -> float:
        """How long the page was open before its form was sent."""
        claimed = request.POST.get("page_time")
        if claimed is not None and self.visit.participant.kind == Participant.Kind.SYNTHETIC:
            return pagetime.read(claimed)
        return time.time() - self._sent(request)[1]

    def _sent(self, request: HttpRequest) -> tuple[str, float]:
        try:
            name, _, issued = self._signer.unsign(request.POST.get("page", "")).rpartition("@")
        except signing.BadSignature:
            raise OldPage from None
        return name, float(issued)

    @property
    def _name(self) -> str:
        return f"{self.stage}/{self.position}/{self.revision}"

    @property
    def _signer(self) -> signing.Signer:
        # The visit's code is part of the salt and not of the text: a browser never sees it.
        return signing.Signer(salt=f"page/{self.visit.code}")
