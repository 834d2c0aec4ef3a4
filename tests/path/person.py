"""A participant for tests: a browser that walks the real pages and fills their forms."""

from django.test import Client

from ratings.models import Study, Visit
from ratings.path import pagetime
from ratings.path.visits import find_visit
from tests.factories import invitation
from tests.path.page import Page, read_page

TICKS = {"consent_take_part": "on", "consent_sensitive": "on"}
RATINGS = {"empathy_support": "7", "fluency_quality": "4"}


class Person:
    """Synthetic, unless told otherwise, so that it may be quick: its page times are signed."""

    def __init__(self, study: Study, kind: str = "synthetic"):
        self.study = study
        self.client = Client()
        self.root = f"/s/{study.slug}/"
        if kind == "synthetic":
            self.get(invitation(study, kind)[0])
        self.kind = kind

    @property
    def visit(self) -> Visit:
        request = self.client.request().wsgi_request
        request.COOKIES = {name: morsel.value for name, morsel in self.client.cookies.items()}
        return find_visit(request, self.study.slug)

    def get(self, address: str = "", **extra) -> Page:
        return self._follow(self.client.get(address or self.root, follow=True, **extra))

    def post(self, fields: dict | None = None, action: str = "next", page: Page | None = None, **extra) -> Page:
        """Send the form of a page (else of the last one), as a browser would: its hidden fields come along."""
        page = page or self.page
        data = page.hidden | {"action": action} | (fields or {})
        if self.kind == "synthetic" and "page_time" not in data:
            data["page_time"] = pagetime.sign(60)
        return self._follow(self.client.post(page.address, data, follow=True, **extra))

    def _follow(self, response) -> Page:
        self.page = read_page(response)
        return self.page

    def go_to(self, stage: str) -> Page:
        """Walk on from wherever they are to the first page of a stage."""
        steps = {
            "entry": lambda: self.post(),
            "eligibility": lambda: self.post({"adult": "yes"}),
            "consent": lambda: self.post(TICKS),
            "instructions": lambda: self.post(),
            "practice": lambda: self.post(RATINGS if self.page.radios else {}),
            "rate": lambda: self.rate(),
            "exit": lambda: self.post(action="finish"),
        }
        self.get()
        while self.page.stage != stage:
            before = self.page
            steps[before.stage]()
            assert self.page.status == 200, self.page.text
            assert (self.page.address, self.page.hidden) != (before.address, before.hidden), self.page.text
        return self.page

    def rate(self, **ratings: str) -> Page:
        checks = dict.fromkeys(self.page.checks, "3")
        return self.post(RATINGS | checks | ratings)
