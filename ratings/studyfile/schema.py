"""The study file, format 1: what can be written in it, what is meant when something is left out.

`reading.read` is the door: it adds the places of faults and the checks that look at several parts at once.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from annotated_types import GroupedMetadata
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    Strict,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from inference import canonical
from ratings.studyfile import defaults

LONGEST_TEXT = 20_000
LONGEST_LINE = 200
MOST_POINTS = 11

Tick = Literal["take_part", "sensitive", "quotes", "training"]
Outcome = Literal["completed", "declined", "screened_out", "quota_full", "withdrew", "safety_stop", "technical"]


def fault(message: str, hint: str = "") -> PydanticCustomError:
    """An error whose words are final; `hint` travels beside them."""
    return PydanticCustomError("study", "{message}", {"message": message, "hint": hint})


def canonical_json(value: Any) -> str:
    """One spelling for one meaning, of a part of a study file too."""
    return canonical.canonical_json(value.model_dump(mode="json") if isinstance(value, BaseModel) else value)


def sha256(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def text_in(value: str | Mapping[str, str], locale: str, default_locale: str) -> str:
    """The text for a reader of `locale`: its own, that of its language (`en` for `en-GB`), or the study's first."""
    if isinstance(value, str):
        return value
    for candidate in (locale, locale.split("-")[0], default_locale):
        if candidate in value:
            return value[candidate]
    return next(iter(value.values()))


def texts_of(value: str | Mapping[str, str]) -> list[str]:
    """A text of the study in all its languages."""
    return [value] if isinstance(value, str) else list(value.values())


# The small types. Each says what it wants in the words of whoever writes the file.


def _check_text(value: Any, info: ValidationInfo) -> str | dict[str, str]:
    if isinstance(value, Mapping):
        wanted: Iterable[str] = (info.context or {}).get("locales", ())
        if missing := [locale for locale in wanted if locale not in value]:
            raise fault(f"the text is missing in {_and(missing)}", "every locale of the study needs its own text")
        if wanted and (extra := [key for key in value if key not in wanted]):
            raise fault(f"{_and(extra)} is not a locale of this study", f"locales: {', '.join(wanted)}")
        if not value:
            raise fault("the text is empty")
        return {key: _plain_text(text, f"the text in {key}") for key, text in value.items()}
    return _plain_text(value, "the text")


def _plain_text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise not_text(value)
    if not value.strip():
        raise fault(f"{name} is empty")
    if len(value) > LONGEST_TEXT:
        raise fault(f"{name} has {len(value):,} characters, more than {LONGEST_TEXT:,}")
    return value.strip()


def not_text(value: Any) -> PydanticCustomError:
    if value is None:
        return fault("a text is needed here, and nothing is written")
    if isinstance(value, bool | int | float):
        written = json.dumps(value)
        return fault(f"a text is needed here, not {written}", f'put it in quotes: "{written}"')
    return fault("a text is needed here, not a list" if isinstance(value, list | tuple) else "a text is needed here")


def _and(words: Iterable[str]) -> str:
    return " and ".join(f"`{word}`" for word in words)


@dataclass(frozen=True)
class Word(GroupedMetadata):
    """A key: it stands in addresses, forms and column names, so its letters are few."""

    pattern: str
    meaning: str
    longest: int

    def __iter__(self) -> Iterator[object]:
        yield PlainValidator(self.check)
        yield WithJsonSchema({"type": "string", "pattern": f"^{self.pattern}$", "maxLength": self.longest})

    def check(self, value: Any) -> str:
        if not isinstance(value, str):
            raise not_text(value)
        if len(value) > self.longest:
            raise fault(f"this has {len(value)} characters, more than {self.longest}")
        if not re.fullmatch(self.pattern, value):
            raise fault(f"{value!r} is not possible here", self.meaning)
        return value


def _check_own_text(value: Any) -> str:
    return _plain_text(value, "the text")


def _check_line(value: Any) -> str:
    text = _plain_text(value, "the text")
    if len(text) > LONGEST_LINE or "\n" in text:
        raise fault(f"one line of at most {LONGEST_LINE} characters is needed here")
    return text


def _unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise fault("something is listed twice")
    return values


def _some(values: tuple[Any, ...]) -> tuple[Any, ...]:
    # Not `min_length`: pydantic calls a list too short as well when its only entry has a fault.
    if not values:
        raise fault("the list is empty")
    return values


_TEXT_SCHEMA = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "object", "additionalProperties": {"type": "string", "minLength": 1}, "minProperties": 1},
    ],
}
Text = Annotated[str | dict[str, str], PlainValidator(_check_text), WithJsonSchema(_TEXT_SCHEMA)]
OwnText = Annotated[str, PlainValidator(_check_own_text), WithJsonSchema({"type": "string", "minLength": 1})]
OneLine = Annotated[
    str, PlainValidator(_check_line), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST_LINE})
]
Slug = Annotated[
    str, Word(r"[a-z0-9]+(-[a-z0-9]+)*", "small letters, digits and single hyphens, as in `support-view`", 50)
]
Locale = Annotated[str, Word(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", "a language code such as `en`, `hi` or `pt-BR`", 20)]
ARM_KEY = Word(r"[A-Za-z][A-Za-z0-9_-]*", "letters, digits, hyphens and underscores, a letter first", 40)
ITEM_KEY = Word(r"[A-Za-z0-9][A-Za-z0-9._-]*", "letters, digits, hyphens, dots and underscores", 64)
ArmKey = Annotated[str, ARM_KEY]
ItemKey = Annotated[str, ITEM_KEY]
CriterionKey = Annotated[
    str, Word(r"[a-z][a-z0-9_]*", "small letters, digits and underscores, as in `empathy_support`", 40)
]
ModelKey = Annotated[
    str, Word(r"[A-Za-z0-9][A-Za-z0-9._-]*", "the key of a registered model, as in `smollm2-135m`", 100)
]
Code = Annotated[str, Word(r"[A-Za-z0-9_-]+", "letters, digits, hyphens and underscores", 64)]
ReplyFile = Annotated[
    str,
    Word(
        r"[\w][\w .()-]*\.(csv|tsv|jsonl|ndjson)",
        "the name of a .csv or .jsonl file that lies beside the study file, without folders",
        120,
    ),
]
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
Flag = Annotated[bool, Strict()]


class Part(BaseModel):
    """A block of the file. Unknown keys are refused: a misspelt one would otherwise change nothing, silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Question(Part):
    """A question with yes and no that decides who may take part. Answers of people screened out are not stored."""

    key: CriterionKey
    question: Text
    accept: Literal["yes", "no"] = "yes"
    """The answer that lets a person take part."""


class Completion(Part):
    """How participants prove that they finished."""

    mode: Literal["personal", "fixed"] = "personal"
    """`personal`: a single-use code for each person. `fixed`: the codes that a panel has given you."""
    codes: dict[Outcome, Code] = {}
    """With `fixed`: the panel's code for each outcome; `completed` is needed."""

    @model_validator(mode="after")
    def _codes_match_mode(self) -> Self:
        if self.mode == "fixed" and "completed" not in self.codes:
            raise fault("fixed codes need at least the one for `completed`", "codes: {completed: C1AB}")
        if self.mode == "personal" and self.codes:
            raise fault("personal codes are made by the program, so `codes` has no use", "or write `mode: fixed`")
        return self


class Consent(Part):
    """What people agree to. The page shows the summary first, then the full text, then one box for each tick."""

    version: OneLine
    """Your own name for this wording, in quotes: "1"."""
    summary: Text
    """About six lines that say everything important."""
    text: Text
    """The full information, as your ethics board has seen it."""
    ticks: Annotated[tuple[Tick, ...], AfterValidator(_unique)] = ("take_part",)
    """`take_part` always; `sensitive` (health may be touched) is required of everyone when listed; `quotes` and
    `training` are each person's free choice."""

    @field_validator("ticks")
    @classmethod
    def _everyone_agrees_to_take_part(cls, ticks: tuple[str, ...]) -> tuple[str, ...]:
        if "take_part" not in ticks:
            raise fault("nobody can be in a study without agreeing to take part", "add `take_part`")
        return ticks

    @property
    def required(self) -> tuple[Tick, ...]:
        return tuple(tick for tick in self.ticks if tick in ("take_part", "sensitive"))

    @property
    def fingerprint(self) -> str:
        """Stored with each consent: it proves which words were on the page."""
        return sha256(canonical_json(self))


class Practice(Part):
    """One reply to rate before the study begins, about something else. It is never counted."""

    prompt: Text = defaults.PRACTICE_PROMPT
    reply: Text = defaults.PRACTICE_REPLY
    feedback: Text = defaults.PRACTICE_FEEDBACK
    """What people read after they rated it."""


class Scale(Part):
    """The points of every criterion: whole numbers, one row of buttons."""

    min: Annotated[Whole, Field(ge=-1000, le=1000)]
    max: Annotated[Whole, Field(ge=-1000, le=1000)]

    @model_validator(mode="after")
    def _fits_one_row(self) -> Self:
        if self.max <= self.min:
            raise fault(f"max ({self.max}) must be more than min ({self.min})")
        if len(self.points) > MOST_POINTS:
            raise fault(
                f"{len(self.points)} points do not fit in one row on a phone",
                f"at most {MOST_POINTS}, as in `scale: {{min: 1, max: 10}}`",
            )
        return self

    @property
    def points(self) -> range:
        return range(self.min, self.max + 1)


class Criterion(Part):
    """One question about every reply."""

    key: CriterionKey
    """Stable name in exports and the report."""
    label: Text
    """Short name, as in "Empathy and Support"."""
    question: Text
    """The question itself: "How supportive is this reply?", rather than agreeing with a statement."""
    definition: Text
    """What is meant and what is not; always visible under the question."""
    low: Text
    """The lowest point in words."""
    high: Text
    """The highest point in words."""

    FORM_NAMES: ClassVar = frozenset({"action", "comment", "csrfmiddlewaretoken", "message", "page", "page_time"})

    @field_validator("key")
    @classmethod
    def _is_free(cls, key: str) -> str:
        if key in cls.FORM_NAMES:
            raise fault(f"`{key}` is a name that the pages use themselves", f"for instance `{key}_quality`")
        return key


class Sampling(Part):
    """How the model chooses its words."""

    temperature: Annotated[Number, Field(ge=0, le=2)] = 0.7
    top_p: Annotated[Number, Field(gt=0, le=1)] = 0.9
    top_k: Annotated[Whole, Field(ge=1, le=100_000)] | None = None
    repetition_penalty: Annotated[Number, Field(ge=0.5, le=2)] | None = None
    max_new_tokens: Annotated[Whole, Field(ge=1, le=4096)] = 160


class Arm(Part):
    """One of the things compared."""

    key: ArmKey
    """A plain word that says nothing about what is behind it: `linden`, `rowan`. Participants never see it."""
    model: ModelKey | None = None
    """The key of a registered model; left out when the replies come from a file."""
    system: OwnText | None = None
    """The model's instruction. Never empty: a template's own one can name the model."""
    sampling: Sampling | None = None
    stop: tuple[Annotated[str, Field(strict=True, min_length=1, max_length=100)], ...] = Field((), max_length=8)
    """Texts at which the reply ends."""
    mask: tuple[OneLine, ...] = Field((), max_length=50)
    """Names that a reply must not tell, such as the model's or its maker's."""
    about: OneLine | None = None
    """A note for researchers: who or what wrote these replies. Never shown to participants."""

    @model_validator(mode="before")
    @classmethod
    def _models_have_sampling(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("model") is not None and data.get("sampling") is None:
            return {**data, "sampling": {}}
        return data


class Item(Part):
    """What a participant is shown, or asked to talk about."""

    key: ItemKey
    prompt: Text | None = None
    """The message that is answered (stored replies)."""
    scenario: Text | None = None
    """The situation to play (live chat)."""
    title: Text | None = None
    stratum: OneLine | None = None
    """A group of items that belong together, for the report."""
    split: Literal["evaluate", "tune"] = "evaluate"
    """`tune`: kept apart for training, shown to nobody."""
    note: Text | None = None
    """A word of warning that participants read above the item."""


class Primary(Part):
    """The one comparison that the study is about, named before there are data."""

    criterion: CriterionKey
    a: ArmKey
    b: ArmKey
    margin: Annotated[Number, Field(gt=0)] | None = None
    """A difference smaller than this, in points, does not matter in practice."""


class Design(Part):
    """Who sees what, and what the interval speaks about."""

    items_each: Annotated[Whole, Field(ge=1, le=500)]
    """Items for each participant."""
    arms: Literal["within", "between"] = "within"
    """`within`: everyone sees every arm, on different items. `between`: everyone sees one arm."""
    items_are: Literal["random", "fixed"] = "random"
    """`random`: the report speaks about items like these. `fixed`: about exactly these."""
    primary: Primary | None = None
    looks: Literal["at_target", "sequential"] = "at_target"
    """When results are looked at: once, when the target is reached, or on the way with the price paid."""


class Check(Part):
    """An attention check: an open instruction such as "Please choose 3 here". Failing it flags, nothing more."""

    after: Annotated[Whole, Field(ge=1)]
    """Shown with the item at this place."""
    text: Text
    answer: Whole
    """The point that shows it was read."""


class Exchanges(Part):
    """How often the participant writes and is answered. After `min` they may finish, after `max` they do."""

    min: Annotated[Whole, Field(ge=1, le=50)] = 3
    max: Annotated[Whole, Field(ge=1, le=50)] = 8

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max < self.min:
            raise fault(f"max ({self.max}) must be at least min ({self.min})")
        return self


class Chat(Part):
    """Live conversations."""

    exchanges: Exchanges = Exchanges()
    release: Literal["token", "sentence", "whole"] = "sentence"
    """How the reply appears: word by word, sentence by sentence, or at once. The same in all arms."""
    pace: Annotated[Whole, Field(ge=60, le=1000)] | None = None
    """How many words of a reply appear a minute, in all arms, so that none looks quicker than another. They begin after
    two seconds. Only arms that are quicker than the pace look alike: take one below the speed of the slowest. Left out,
    words appear as soon as they are made."""
    opening: Text | None = None
    """What the program says first, the same in all arms."""
    longest_message: Annotated[Whole, Field(ge=100, le=20_000)] = 2000
    """The most characters of one message of a participant. `exchanges.max` of them, with their replies and the system
    message, should fit what each model can read: publishing tells when they may not."""
    after_failure: Literal["rate", "skip", "end"] = "rate"
    """When a reply cannot be made: `rate` what there was, `skip` this chat without ratings and go on to the next, or
    `end` the visit, with full pay. The same in all arms."""
    withheld: Text = defaults.WITHHELD
    """What people read where a reply was withheld because of what it says. The same in all arms; what follows is
    `after_failure`."""


class Campus(Part):
    """The help that is nearest: the counselling service of a university, for instance."""

    name: Text
    phone: OneLine | None = None
    hours: Text | None = None
    link: OneLine | None = None

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        if not (self.phone or self.link):
            raise fault("a phone number or a link is needed, so that people can reach it")
        if self.link and not self.link.startswith("https://"):
            raise fault("the link must begin with https://")
        return self


class Resources(Part):
    """Where participants find help. The lists of countries come with the program."""

    country: Annotated[str, Field(strict=True, pattern=r"^[A-Z]{2}$")] | None = None
    """The country shown first, as two capital letters; left out, the international directory is."""
    campus: Campus | None = None


class Choice(Part):
    """One answer of an exit question. A bare text is its own key."""

    key: OneLine
    label: Text


def _choice(value: Any) -> Any:
    return {"key": value, "label": value} if isinstance(value, str) else value


ChoiceOrText = Annotated[Choice, BeforeValidator(_choice, json_schema_input_type=str | Choice)]


class ExitQuestion(Part):
    """A question after the ratings. Nobody has to answer it unless `optional` is false."""

    key: CriterionKey
    question: Text
    kind: Literal["choice", "choices", "text", "age_band"] = "choice"
    """`choice`: one of them. `choices`: any of them. `text`: free words. `age_band`: decades, never a birthday."""
    choices: tuple[Annotated[Choice, BeforeValidator(_choice, json_schema_input_type=str | Choice)], ...] = Field(
        (), max_length=60
    )
    optional: Flag = True

    @model_validator(mode="before")
    @classmethod
    def _age_has_bands(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("kind") == "age_band" and "choices" not in data:
            return {**data, "choices": list(defaults.AGE_BANDS)}
        return data

    @model_validator(mode="after")
    def _choices_match_kind(self) -> Self:
        if self.kind == "text" and self.choices:
            raise fault("a question of kind `text` has no choices", "or write `kind: choice`")
        if self.kind != "text" and len(self.choices) < 2:
            raise fault("at least two choices are needed", "or write `kind: text`")
        if len({choice.key for choice in self.choices}) < len(self.choices):
            raise fault("a choice is listed twice")
        return self


ADULT = Question(key="adult", question=defaults.ADULT_QUESTION, accept="yes")


class StudyFile(Part):
    """A study as it is written down: frozen, complete, every default spelled out."""

    format: Literal[1]
    """The format of this file."""
    slug: Slug
    """The study's name in addresses."""
    title: Text
    """What participants read at the top. It should not give away what is compared."""
    mode: Literal["stored", "chat"]
    """`stored`: people rate replies made beforehand. `chat`: people talk with the arms."""
    locales: Annotated[tuple[Locale, ...], Field(max_length=30), AfterValidator(_some), AfterValidator(_unique)] = (
        "en",
    )
    """The languages participants may choose, the study's own first. A text is then written `{en: ..., hi: ...}`."""
    contact: OneLine
    """An address where participants reach the people behind the study."""
    minutes: Annotated[Whole, Field(ge=1, le=240)]
    """How long it takes, as participants are told."""
    target: Annotated[Whole, Field(ge=1, le=1_000_000)]
    """Completed participants."""
    place_minutes: Annotated[Whole, Field(ge=5, le=100_000)] = 60
    """How long an unfinished place is held for somebody; left out, four times `minutes` and at least an hour."""
    completion: Completion = Completion()
    eligibility: tuple[Question, ...] = Field((), validate_default=True)
    """At most four questions with yes and no. Being 18 or older is always asked first, unless one is keyed `adult`."""
    consent: Consent
    replies: ReplyFile | None = None
    """A file beside this one with replies made elsewhere, instead of models."""
    instructions: Text = defaults.STORED_INSTRUCTIONS
    """Left out, a general text that fits the mode."""
    practice: Practice = Practice()
    scale: Scale
    criteria: Annotated[tuple[Criterion, ...], Field(max_length=20), AfterValidator(_some)]
    cannot_judge: Flag = True
    """Offer "I can't judge this", stored as no rating with its reason."""
    comments: Flag = True
    """Offer a comment on each reply."""
    arms: tuple[Arm, ...] = Field((), max_length=50)
    """What is compared; may be left out when `replies` names them."""
    items: tuple[Item, ...] = ()
    """What is shown; may be left out when `replies` holds the prompts."""
    design: Design
    checks: tuple[Check, ...] = ()
    chat: Chat = Chat()
    resources: Resources = Resources()
    exclude: tuple[OneLine, ...] = Field((), max_length=50)
    """Rules for leaving people out of the analysis, in words, written before there are data. The report prints them;
    nothing is left out by itself."""
    exit_questions: tuple[ExitQuestion, ...] = Field((), max_length=40)
    debrief: Text = defaults.DEBRIEF

    @model_validator(mode="before")
    @classmethod
    def _what_depends_on_the_rest(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        minutes = data.get("minutes")
        usual: dict[str, Any] = {}
        if type(minutes) is int and 0 < minutes <= 240:
            usual["place_minutes"] = max(60, 4 * minutes)
        if data.get("mode") == "chat":
            usual["instructions"] = defaults.CHAT_INSTRUCTIONS
        elif data.get("replies") is not None:
            usual["instructions"] = defaults.REPLIES_INSTRUCTIONS
        return {**usual, **data}

    @field_validator("eligibility")
    @classmethod
    def _adults_only(cls, questions: tuple[Question, ...]) -> tuple[Question, ...]:
        if all(question.key != ADULT.key for question in questions):
            questions = (ADULT, *questions)
        if len(questions) > 4:
            raise fault("at most four questions, the one about being 18 or older among them")
        return questions

    @property
    def default_locale(self) -> str:
        return self.locales[0]

    @property
    def shown_items(self) -> tuple[Item, ...]:
        """The items participants can meet: those kept for tuning are not among them."""
        return tuple(item for item in self.items if item.split == "evaluate")

    def design_dict(self) -> dict[str, Any]:
        """What versions must share to share balance, target and report: setups, item and criterion keys, scale."""
        setup = {"key", "model", "system", "sampling", "stop"}
        arms = [arm.model_dump(mode="json", include=setup) for arm in self.arms]
        return {
            "mode": self.mode,
            "arms": sorted(arms, key=lambda arm: arm["key"]),
            "items": sorted(item.key for item in self.items),
            "criteria": sorted(criterion.key for criterion in self.criteria),
            "scale": self.scale.model_dump(mode="json"),
        }

    @property
    def design_fingerprint(self) -> str:
        return sha256(canonical_json(self.design_dict()))


def fingerprint(definition: StudyFile, reply_files: Mapping[str, bytes]) -> str:
    """Names a version: any change of what participants may meet, in the file or in its replies, gives another one."""
    files = {name: sha256(content) for name, content in reply_files.items()}
    return sha256(canonical_json({"definition": definition.model_dump(mode="json"), "reply_files": files}))
