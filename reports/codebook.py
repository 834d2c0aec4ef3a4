"""The data dictionary: every column of every table of the data package, in its order, with what it means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ratings.studyfile.schema import StudyFile, text_in


class Column(NamedTuple):
    name: str
    type: str
    meaning: str
    values: str = ""
    codes: tuple[str, ...] = ()
    """The texts that can occur, where they are few: SPSS and Stata hold them as labelled numbers, in this order."""


def coded(name: str, meaning: str, codes: Iterable[str]) -> Column:
    codes = tuple(codes)
    return Column(name, "text", meaning, ", ".join(codes), codes)


YES_NO = "1 yes, 0 no"
OUTCOMES = ("completed", "withdrew", "quota_full", "safety_stop", "technical")
PARTICIPANT = Column("participant_id", "text", "Random name of a participant in this study; it opens nothing.")
VERSION = Column("version", "whole number", "Number of the version of the study they took part in.")
ITEM = Column("item_id", "text", "Key of the item in the study file.")
ARM = Column("arm", "text", "Key of the arm in the study file; participants never see it.")
CRITERION = Column("criterion", "text", "Key of the criterion in the study file.")

CODEBOOK = [
    Column("file", "text", "A table of this package."),
    Column("column", "text", "A column of it."),
    Column("type", "text", "What its cells hold."),
    Column("meaning", "text", "What that means."),
    Column("values", "text", "Which values can occur, where they are few."),
]


def tables(definition: StudyFile) -> dict[str, list[Column]]:
    return {
        "ratings_long.csv": _ratings_long(definition),
        "ratings_wide.csv": _ratings_wide(definition),
        "participants.csv": _participants(definition),
        "events.csv": _EVENTS,
        "checks.csv": _CHECKS,
    }


def rows(definition: StudyFile) -> Iterator[dict[str, str]]:
    for file, columns in (tables(definition) | {"codebook.csv": CODEBOOK}).items():
        for column in columns:
            yield {"file": file, "column": column.name} | column._asdict()
    places = (
        ("", _CONVERSATIONS),
        ("messages.", _MADE),
        ("messages.attempts.", _TRY),
        ("failed.", _FAILED),
        ("failed.attempts.", _TRY),
    )
    for place, columns in places:
        for column in columns:
            yield {"file": "conversations.jsonl", "column": f"{place}{column.name}"} | column._asdict()


def criterion_columns(definition: StudyFile) -> dict[str, str]:
    """Each criterion's column in the wide table: its key, unless that is another column's name."""
    taken = {column.name for column in (PARTICIPANT, ITEM, ARM, *_WHEN, _COMMENT)}
    keys = (criterion.key for criterion in definition.criteria)
    return {key: f"rating_{key}" if key in taken else key for key in keys}


_WHEN = [
    Column("position", "whole number", "Place of the item in the participant's order, from 1."),
    Column("stratum", "text", "Group of items it belongs to, if the study file names one."),
    VERSION,
    coded("outcome", "How the visit ended; empty while it is under way.", OUTCOMES),
    Column("shown_at", "time (UTC)", "When the reply was first shown; a chat: when it was opened."),
    Column("submitted_at", "time (UTC)", "When the ratings were first sent."),
    Column("changed_at", "time (UTC)", "When a rating last changed."),
    Column("seconds", "number", "Seconds from shown_at to submitted_at; of a chat, the chatting is a part of them."),
]
_COMMENT = Column("comment", "text", "What the participant wrote about the reply.")


def _ratings_long(definition: StudyFile) -> list[Column]:
    points = f"{definition.scale.min} to {definition.scale.max}"
    return [
        PARTICIPANT,
        ITEM,
        _arm(definition),
        coded(CRITERION.name, CRITERION.meaning, (criterion.key for criterion in definition.criteria)),
        Column("rating", "whole number", "The rating; empty where none could be given.", points),
        coded("missing_reason", "Why there is no rating; empty where there is one.", ("cannot_judge", "skipped")),
        Column("first_rating", "whole number", "The rating as first sent, before any change.", points),
        *_WHEN,
    ]


def _ratings_wide(definition: StudyFile) -> list[Column]:
    names = criterion_columns(definition)
    points = f"{definition.scale.min} to {definition.scale.max}"
    criteria = [
        Column(names[criterion.key], "whole number", f"Rating: {_text(definition, criterion.question)}", points)
        for criterion in definition.criteria
    ]
    return [PARTICIPANT, ITEM, _arm(definition), *criteria, *_WHEN, _COMMENT]


def _arm(definition: StudyFile) -> Column:
    return coded(ARM.name, ARM.meaning, (arm.key for arm in definition.arms))


def _participants(definition: StudyFile) -> list[Column]:
    return [
        PARTICIPANT,
        coded("kind", "What kind of participant; never mixed in one package.", ("real", "pilot", "synthetic")),
        Column("group", "text", "Group of the invitation."),
        Column("wave", "text", "Wave of the invitation."),
        VERSION,
        coded("outcome", "How the visit ended; empty while it is under way.", OUTCOMES),
        Column("stage", "text", "The last page they came to."),
        Column("excluded", "text", "Rule by which they are left out of all other files and the report; else empty."),
        Column("locale", "text", "Language of the pages."),
        coded("direction", "Reading direction, and so that of the scale.", ("ltr", "rtl")),
        Column("viewport", "text", "Class of the window's width."),
        Column("started_at", "time (UTC)", "When they came."),
        Column("consented_at", "time (UTC)", "When they consented."),
        Column("finished_at", "time (UTC)", "When the visit ended."),
        Column("seconds", "number", "Seconds from started_at to finished_at."),
        Column("items_given", "whole number", "Items they were to rate."),
        Column("items_rated", "whole number", "Items they rated."),
        Column("checks_passed", "whole number", "Attention checks answered as asked."),
        Column("checks_failed", "whole number", "Attention checks answered otherwise; they exclude nobody."),
        Column("consent_take_part", "yes or no", "Agreed to take part.", YES_NO),
        Column("consent_sensitive", "yes or no", "Agreed that health may be touched.", YES_NO),
        Column("consent_quotes", "yes or no", "Agreed to be quoted.", YES_NO),
        Column("consent_training", "yes or no", "Agreed that chat models are trained with their data.", YES_NO),
        *(_exit(definition, question) for question in definition.exit_questions),
        Column("exit_feeling_now", "text", "How they felt after the study, if they said so on the last page."),
    ]


def _exit(definition: StudyFile, question: Any) -> Column:
    name, meaning = f"exit_{question.key}", f"Answer to: {_text(definition, question.question)}"
    choices = [choice.key for choice in question.choices]
    if question.kind == "choices":
        return Column(name, "texts joined by ; ", meaning, ", ".join(choices))
    return coded(name, meaning, choices)


_EVENTS = [
    PARTICIPANT,
    VERSION,
    Column("at", "time (UTC)", "When it happened."),
    Column("kind", "text", "What happened.", "arrived, served, submitted, changed, back, resumed, expired, ended"),
    Column("stage", "text", "The page it happened on."),
    Column("position", "whole number", "Place of the item, where there is one."),
    Column(
        "detail",
        "JSON",
        "More about it; never anything a person wrote. With a chat's messages `shown`: for the reply read before (its "
        "index), milliseconds from sending until its first words and all of it stood on the screen, by the browser.",
    ),
]

_CHECKS = [
    PARTICIPANT,
    VERSION,
    Column("check", "text", "Which attention check."),
    Column("answer", "text", "The point that was chosen."),
    Column("passed", "yes or no", "Whether it is the point the check asked for.", YES_NO),
    Column("answered_at", "time (UTC)", "When it was answered."),
]

_CONVERSATIONS = [
    Column("kind", "text", "Written live by a participant, made beforehand, or from a file.", "live, stored, given"),
    PARTICIPANT._replace(meaning=f"{PARTICIPANT.meaning} Live conversations only."),
    VERSION,
    ITEM,
    ARM,
    Column("position", "whole number", "Place in the participant's order. Live conversations only."),
    Column("consent_quotes", "true or false", "Its participant agreed to be quoted. Live conversations only."),
    Column("consent_training", "true or false", "Its participant agreed to training. Live conversations only."),
    Column("messages", "list", "index, role and text as on the screen; before_masking where a reply was changed."),
    Column("failed", "list", "Replies that were asked for and never shown, without any text of them."),
]

# What stands inside of `messages`, with each reply that a model of the program made.
_MADE = [
    Column("created_at", "time (UTC)", "When the message before it had come, and the reply was asked for."),
    Column("first_sent_at", "time (UTC)", "When its first bytes went out to a browser; empty if they never did."),
    Column("finish_reason", "text", "Why it ended: by itself, or at the limit of tokens.", "stop, length"),
    Column("attempts", "list", "Every try at it, the last of which became the reply."),
]
# What stands inside of `failed`.
_FAILED = [
    Column("index", "whole number", "Its place in the conversation, from 0."),
    Column("created_at", "time (UTC)", "When the message before it had come, and the reply was asked for."),
    Column("failure", "text", "Why there is none: the kind of the last failure, or blocked."),
    Column("attempts", "list", "Every try at it."),
]
# What stands inside of the attempts of both.
_TRY = [
    Column("number", "whole number", "Which try, from 1."),
    Column(
        "outcome",
        "text",
        "What became of it: done, lost with its worker, stopped with it, or the kind of failure.",
        "done, lost, stopped, deadline, out_of_memory, context_too_long, empty, engine, unavailable, refused",
    ),
    Column("worker", "text", "The process that tried."),
    Column("host", "text", "The machine it ran on, by the label its operators gave."),
    Column("seed", "text", "What the dice started from; digits, as it is too large for floating point."),
    Column("claimed_at", "time (UTC)", "When the worker took it up."),
    Column("first_token_at", "time (UTC)", "When the first token was there."),
    Column("finished_at", "time (UTC)", "When it was over."),
    Column("queued_s", "number", "Seconds from created_at, or from the wish to try again, to claimed_at."),
    Column("seconds", "object", "Seconds from claimed_at to: asked, started, first_token, last_token, total."),
    Column("releases", "list", "What was let out: seconds since claimed_at, and how many characters."),
    Column("model", "text", "Key of the chat model."),
    Column("revision", "text", "Its revision, as it was registered."),
    Column("setup", "text", "SHA-256 of model, system message, sampling and stop strings together."),
    Column("sampling", "object", "temperature, top_p, top_k, repetition_penalty, max_new_tokens."),
    Column("stops", "list", "Strings at which the reply ends."),
    Column("prompt_tokens", "whole number", "Tokens that the model read."),
    Column("tokens", "whole number", "Tokens that it wrote; of a server, as it counted them."),
    Column("cached_tokens", "whole number", "Those of the prompt that were known from an earlier turn."),
    Column("batch_size", "whole number", "Replies that were computed together when it began, this one among them."),
    Column("batch_mean", "number", "The same as a mean over its tokens."),
    Column("server", "object", "What a server said of itself: model, fingerprint, id, usage."),
    Column(
        "engine",
        "text",
        "What made it: a key of `engines` in manifest.json. Of a server's address only the host's name is told there.",
    ),
    Column("prompt_ids", "list", "Tokens that the model read. Only of the try that became the reply."),
    Column("output_ids", "list", "Tokens that it wrote. Only of the try that became the reply."),
]


def _text(definition: StudyFile, value: Any) -> str:
    return text_in(value, definition.default_locale, definition.default_locale)
