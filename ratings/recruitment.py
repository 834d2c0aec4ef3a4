"""How people are asked in: personal links, as a list for a mail merge and as QR codes to hand out.

A link is shown to its maker once. What is kept is the SHA-256 of its token, so that nobody who reads the database can
walk in by it.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from secrets import token_urlsafe
from typing import Any

import segno
from django.conf import settings
from django.db import transaction
from django.db.models import Count
from django.urls import reverse

from accounts.models import AuditEntry, User
from ratings.codes import token_hash
from ratings.models import Invitation, Participant, Study

AT_ONCE = 1000


def open_link(study: Study) -> str:
    """The address that anybody may use while the study takes people."""
    return settings.PUBLIC_URL + reverse("path:entry", args=[study.slug])


def link_of(token: str) -> str:
    return settings.PUBLIC_URL + reverse("path:invitation", args=[token])


@transaction.atomic
def invite(study: Study, count: int, kind: str, by: User, group: str = "", wave: str = "") -> list[str]:
    """Make personal links, each good for one person; their tokens exist nowhere but in the answer."""
    tokens = [token_urlsafe(24) for _ in range(count)]
    Invitation.objects.bulk_create(
        Invitation(study=study, token_hash=token_hash(token), kind=kind, group=group, wave=wave) for token in tokens
    )
    AuditEntry.objects.record(by, "invite", study.slug, count=count, kind=kind)
    return tokens


def pilot_link(study: Study, by: User) -> str:
    """A link for the researcher, to walk through the study as a participant does. Its data stay with the pilot's."""
    return link_of(*invite(study, 1, Participant.Kind.PILOT, by, group="researchers"))


def known(study: Study, tokens: Sequence[str]) -> list[Invitation]:
    """The invitations of these tokens, in their order; those of other studies are left out."""
    hashes = {token_hash(token): place for place, token in enumerate(tokens)}
    found = Invitation.objects.filter(study=study, token_hash__in=hashes)
    return sorted(found, key=lambda invitation: hashes[invitation.token_hash])


def batches(study: Study) -> Iterable[Mapping[str, Any]]:
    """What was made so far: how many of each sort, and how many were opened."""
    rows = study.invitations.values("kind", "group", "wave")
    return rows.annotate(made=Count("pk"), opened=Count("opened_at")).order_by("kind", "group", "wave")


def as_csv(tokens: Sequence[str], invitations: Sequence[Invitation]) -> str:
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["number", "link", "kind", "group", "wave"])
    for number, (token, invitation) in enumerate(zip(tokens, invitations, strict=True), 1):
        labels = (invitation.kind, inert(invitation.group), inert(invitation.wave))
        writer.writerow([number, link_of(token), *labels])
    return table.getvalue()


def inert(text: str) -> str:
    """A cell that a spreadsheet shows and does not run."""
    return f"'{text}" if text[:1] in "=+-@\t\r\0＝＋－＠" and text else text


def qr_code(link: str) -> str:
    """The link as an SVG element: black on white whatever the page's colours are, as cameras like it."""
    return segno.make(link, error="m", micro=False).svg_inline(omitsize=True, light="#fff", svgclass="qr")
