"""A synthetic participant: what they do on each page, by their character and their own seeded chance."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from urllib.parse import urljoin

from ratings.simulate import sentences
from ratings.simulate.browser import Browser, PageFault
from ratings.simulate.characters import Character
from ratings.simulate.opinions import Opinions
from ratings.simulate.pages import Field, Form, Page
from ratings.simulate.plans import Plan
from ratings.simulate.stream import Heard
from ratings.studyfile.schema import StudyFile

CANNOT_JUDGE = "cannot_judge"
# Whoever sends more forms than this goes in circles.
MOST_SENT = 1000
LOOK_AGAIN_AFTER = 2.0  # seconds
LONGEST_WAIT = 900.0  # seconds

# Ways out, and on which stages they exist.
VANISH, LEAVE, DELETE, DECLINE = "vanish", "leave", "delete", "decline"
WAYS_OUT = {"eligibility": (VANISH, DECLINE), "consent": (VANISH, DECLINE)}
LATER_WAYS_OUT = (VANISH, VANISH, LEAVE, DELETE)


@dataclass
class Trip:
    """How far somebody came, and what they gave on the way."""

    outcome: str = ""
    dropped_out: bool = False
    completion_code: str = ""
    pages: int = 0
    fault: str = ""
    # For each position what was sent last: criterion -> value.
    ratings: dict[int, dict[str, int | None]] = field(default_factory=dict)
    messages: int = 0
    # How often a page had to be asked for again, and what came of the replies that were followed.
    reloads: int = 0
    heard: list[Heard] = field(default_factory=list)


class Bot:
    def __init__(
        self,
        number: int,
        character: Character,
        seed: int,
        browser: Browser,
        study: StudyFile,
        opinions: Opinions,
        plan: Callable[[], Plan],
    ):
        self.number, self.character = number, character
        self.browser, self.study, self.opinions = browser, study, opinions
        self.chance = Random(f"bot/{seed}/{number}")
        self.trip = Trip()
        self._look_up_plan = plan
        self._plan: Plan = {}
        self._sent = 0
        self._waited = 0.0
        self._went_back: set[int] = set()
        self._skipped: set[int] = set()
        self._written: dict[int, int] = {}
        self.one_number = self.chance.choice(study.scale.points[len(study.scale.points) // 2 :])
        self.leaves_at = self._choose_end() if character.drops_out else None

    def run(self, invitation: str) -> Trip:
        try:
            self._walk(self.browser.open(invitation))
        except PageFault as fault:
            self.trip.fault = str(fault)
        self.trip.pages, self.trip.reloads = self.browser.pages, self.browser.reloads
        self.trip.heard = self.browser.heard
        return self.trip

    def _walk(self, page: Page) -> None:
        while self._sent < MOST_SENT:
            self.trip.outcome = page.outcome
            if page.outcome:
                self.trip.completion_code = page.completion_code
                return
            if self.leaves_at == (page.stage, page.position):
                self._leave(page)
                return
            act = getattr(self, f"on_{page.stage}", None)
            if act is None:
                raise PageFault(page.address, f"is the end of the way, and has no outcome (stage {page.stage})")
            page = act(page)
        raise PageFault(page.address, "the way leads in circles")

    # The stages -------------------------------------------------------------------------------------------------------

    def on_preparing(self, page: Page) -> Page:
        return self._wait(page)

    def on_entry(self, page: Page) -> Page:
        return self._press(page, "next")

    def on_eligibility(self, page: Page) -> Page:
        return self._press(page, "next", {question.key: question.accept for question in self.study.eligibility})

    def on_consent(self, page: Page) -> Page:
        needed = self.study.consent.required
        ticks = {f"consent_{tick}": "on" for tick in self.study.consent.ticks if tick in needed or self._sometimes(0.6)}
        return self._press(page, "next", ticks)

    def on_instructions(self, page: Page) -> Page:
        return self._press(page, "next")

    def on_practice(self, page: Page) -> Page:
        scales = _form(page, "next").of_kind("radio")
        return self._press(page, "next", {name: str(self.one_number) for name in scales})

    def on_chat(self, page: Page) -> Page:
        if page.events and self.browser.has_script:
            return self.browser.follow(page)
        if page.look_again is not None:
            return self._wait(page)
        position = page.position
        written, writing = self._written.get(position, 0), page.form_with("message")
        if writing is None or (page.form_to("next") and written >= self._wanted_exchanges(position)):
            return self._press(page, "next")
        self._written[position] = written + 1
        self.trip.messages += 1
        return self._send(page, writing, writing.buttons[0], {"message": self._message(position, written)})

    def on_rate(self, page: Page) -> Page:
        position = page.position
        item, arm = self.shown(position)
        if position in self.trip.ratings:
            # Sent back to look again ("that was quick"), or gone back by oneself: it stays as it was.
            return self._press(page, "skip" if position in self._skipped else "next")
        if position > 1 and position not in self._went_back and self._sometimes(0.02):
            self._went_back.add(position)
            return self._press(page, "back")
        if not self.character.hurries and self._sometimes(0.01):
            self.trip.ratings[position] = {criterion.key: None for criterion in self.study.criteria}
            self._skipped.add(position)
            return self._press(page, "skip")
        given = {criterion.key: self._score(item, arm, criterion.key) for criterion in self.study.criteria}
        answers = {key: CANNOT_JUDGE if value is None else str(value) for key, value in given.items()}
        for name, scale in _form(page, "next").of_kind("radio").items():
            if scale.is_check:
                answers[name] = self._answer_check(position, scale)
        if "comment" in _form(page, "next").fields and self._sometimes(0.1):
            answers["comment"] = self.chance.choice(sentences.COMMENTS)
        self.trip.ratings[position] = given
        return self._press(page, "next", answers)

    def on_exit(self, page: Page) -> Page:
        answers: dict[str, str | list[str]] = {}
        for question in self.study.exit_questions:
            if question.optional and self._sometimes(0.15):
                continue
            choices = [choice.key for choice in question.choices]
            if question.kind == "text":
                answers[question.key] = self.chance.choice(sentences.ANYTHING_ELSE)
            elif question.kind == "choices":
                answers[question.key] = self.chance.sample(choices, self.chance.randint(1, len(choices)))
            else:
                answers[question.key] = self.chance.choice(choices)
        return self._press(page, "finish", answers)

    # Leaving ----------------------------------------------------------------------------------------------------------

    def _choose_end(self) -> tuple[str, int]:
        stages = [("eligibility", 0), ("consent", 0), ("instructions", 0), ("practice", 0), ("exit", 0)]
        for position in range(1, self.study.design.items_each + 1):
            stages += [("chat", position)] * (self.study.mode == "chat") + [("rate", position)]
        return self.chance.choice(stages)

    def _leave(self, page: Page) -> None:
        self.trip.dropped_out = True
        way = self.chance.choice(WAYS_OUT.get(page.stage, LATER_WAYS_OUT))
        if way == VANISH:
            return
        if way == DECLINE:
            self.trip.outcome = self._press(page, "decline").outcome
            return
        page = self._press(self.browser.open(f"/s/{self.study.slug}/leave/"), way)
        if way == DELETE:
            page = self._press(page, "delete")
            self.trip.ratings.clear()
        self.trip.outcome = page.outcome

    # What this person thinks and does ---------------------------------------------------------------------------------

    def shown(self, position: int) -> tuple[str, str]:
        """The item and the arm at a position."""
        if not self._plan:
            self._plan = self._look_up_plan()
        return self._plan[position]

    def _score(self, item: str, arm: str, criterion: str) -> int | None:
        if self.character.is_straight:
            return self.one_number
        if self._sometimes(0.02):
            return None
        return self.opinions.score(self.number, item, arm, criterion)

    def expected(self, position: int) -> float:
        """What this person gives a reply like the one at this position, on average over persons, items and moments."""
        return self.one_number if self.character.is_straight else self.opinions.expected(self.shown(position)[1])

    def _answer_check(self, position: int, scale: Field) -> str:
        right = next(str(check.answer) for check in self.study.checks if check.after == position)
        wrong = [option for option in scale.options if option != right]
        return self.chance.choice(wrong) if self._sometimes(self.character.misses_checks) else right

    def _wanted_exchanges(self, position: int) -> int:
        exchanges = self.study.chat.exchanges
        chance = Random(f"exchanges/{self.number}/{position}")
        return chance.randint(exchanges.min, min(exchanges.max, exchanges.min + 2))

    def _message(self, position: int, written: int) -> str:
        if not written:
            return sentences.OPENINGS.get(self.shown(position)[0], sentences.OPENING)
        return sentences.GOING_ON[(written - 1 + self.number) % len(sentences.GOING_ON)]

    def _seconds(self, page: Page) -> float:
        """How long this person has a page before them."""
        if self.character.hurries:
            return self.chance.uniform(0.4, 1.8)
        return page.words / self.chance.uniform(3, 6) + 3 * len(self.study.criteria) + self.chance.uniform(1, 9)

    def _sometimes(self, share: float) -> bool:
        return self.chance.random() < share

    def _press(self, page: Page, action: str, answers: dict | None = None) -> Page:
        return self._send(page, _form(page, action), action, answers)

    def _send(self, page: Page, form: Form, action: str, answers: dict | None) -> Page:
        self._sent, self._waited = self._sent + 1, 0
        return self.browser.send(page, form, action, answers, self._seconds(page))

    def _wait(self, page: Page) -> Page:
        """Look again a little later, as the page asks."""
        if self._waited >= LONGEST_WAIT:
            raise PageFault(page.address, f"nothing happened in {LONGEST_WAIT:.0f} s of waiting")
        time.sleep(LOOK_AGAIN_AFTER)
        self._waited += LOOK_AGAIN_AFTER
        return self.browser.open(urljoin(page.address, page.look_again or ""))


def _form(page: Page, action: str) -> Form:
    form = page.form_to(action)
    if form is None:
        raise PageFault(page.address, f"has no button {action!r} (stage {page.stage})")
    return form
