"""Somebody who takes a study in a browser: reads the page, gives what it asks for, presses its button."""

from collections.abc import Callable

from playwright.sync_api import Page

Look = Callable[[str], None]


class Participant:
    def __init__(self, page: Page, url: str, slug: str):
        self.page, self.root = page, f"{url}/s/{slug}/"

    @property
    def stage(self) -> str | None:
        return self.page.locator("body").get_attribute("data-stage")

    @property
    def position(self) -> int:
        return int(self.page.url.split("?")[0].rstrip("/").split("/")[-1])

    def open(self, address: str = "") -> "Participant":
        self.page.goto(self.root + address)
        return self

    def press(self, action: str = "next") -> None:
        with self.page.expect_navigation():
            self.page.locator(f"main button[value={action}]").click()

    def choose(self, name: str, value: str | int) -> None:
        self.page.locator(f"input[name={name}][value='{value}']").check()

    def rate(self, first: int = 7, second: int = 4) -> None:
        self.choose("empathy_support", first)
        if self.page.locator("input[name=fluency_quality]").count():
            self.choose("fluency_quality", second)
        if self.page.locator("fieldset[data-check]").count():
            self.page.locator("fieldset[data-check] input[value='3']").check()

    def save(self) -> None:
        """Press the button, and once more when the page asks whether that was not too quick."""
        self.press()
        if self.page.locator(".notice[role=alert]").count():
            self.press()

    def write(self, text: str = "I worry about an exam.") -> None:
        """Say something in the chat and read the reply."""
        replies = self.page.locator("#log .reply:not(.pending)")
        before = replies.count()
        self.page.locator("#id_message").fill(text)
        self.page.locator("#write button").click()
        replies.nth(before).wait_for()

    def step(self) -> None:
        """Do what this page asks for, and go on."""
        stage = self.stage
        if stage == "eligibility":
            self.choose("adult", "yes")
        elif stage == "consent":
            self.page.locator("input[name=consent_take_part]").check()
            if (sensitive := self.page.locator("input[name=consent_sensitive]")).count():
                sensitive.check()
        elif stage in ("practice", "rate") and self.page.locator("input[type=radio]").count():
            self.rate()
        elif stage == "chat" and self.page.locator("#write").count():
            self.write()
        elif stage == "exit":
            self.page.locator("input[name=field_of_study]").first.check()
        if stage == "rate":
            self.save()
        else:
            self.press("finish" if stage == "exit" else "next")

    def go_to(self, stage: str, position: int | None = None) -> "Participant":
        """From wherever they are to the first page of a stage."""
        self.open()
        for _ in range(40):
            if self.stage == stage and position in (None, self.position if position else None):
                return self
            self.step()
        raise AssertionError(f"never came to {stage}; is at {self.page.url}")
