"""Signs that a participant did not really read, and what the results are without the people who show them.

A sign is a reason to look, never a verdict: people do answer quickly, and two good replies do earn the same ratings. So
nobody is left out by a sign; every headline is computed with and without them instead, and the reader judges.

Curran (2016) on careless responding; Zhang and Conrad (2014) on straight-lining; Greszki, Meyer and Schoen (2015) on
speed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

# The same ratings on so many replies in a row, or on all of them when there are at least as many as FEW_REPLIES.
RUN = 6
FEW_REPLIES = 4
# Faster than this share of the median time for an item, on at least half of the replies.
FAST = 1 / 3
OFTEN = 0.5

RULES = {
    "straight_lining": f"gave exactly the same ratings to {RUN} or more replies in a row, or to all of at least "
    f"{FEW_REPLIES}",
    "too_fast": "answered at least half of the replies in less than a third of the median time for the item",
    "failed_check": "chose another point than an attention check asked for",
    "repeated_comment": "wrote the same comment to three or more replies, or one of at least 20 letters that somebody "
    "else wrote as well",
}


@dataclass(frozen=True, eq=False)
class Work:
    """One row a rated reply, in any order.

    participant, item: places in lists of labels, int (n,); order: position in the participant's work, (n,);
    values: the ratings, NaN where one is missing, float (n, criteria); seconds: time taken, NaN where unknown, (n,).
    """

    participant: np.ndarray
    item: np.ndarray
    order: np.ndarray
    values: np.ndarray
    seconds: np.ndarray


@dataclass(frozen=True)
class Pattern:
    """How one participant used the scale."""

    replies: int
    longest_run: int
    modal_share: float | None
    sd: float | None
    criteria_alike: float | None


def patterns(work: Work) -> dict[int, Pattern]:
    """By participant: the longest run of equal replies, the share of the rating given most often, the sd of all
    ratings, and the share of replies that got the same rating under every criterion."""
    return {participant: _pattern(work.values[rows]) for participant, rows in _each(work)}


def straight_lining(work: Work) -> set[int]:
    found = patterns(work).items()
    return {
        participant
        for participant, of in found
        if of.longest_run >= RUN or of.replies >= FEW_REPLIES and of.longest_run == of.replies
    }


def too_fast(work: Work) -> set[int]:
    """Participants who took less than a third of the item's median time for at least half of their timed replies.

    An item with fewer than five times is measured by the median of all items.
    """
    timed = np.isfinite(work.seconds)
    if not timed.any():
        return set()
    usual = np.full(int(work.item.max()) + 1, np.median(work.seconds[timed]))
    for item in np.unique(work.item[timed]):
        times = work.seconds[timed & (work.item == item)]
        if len(times) >= 5:
            usual[item] = np.median(times)
    fast = timed & (work.seconds < FAST * usual[work.item])
    people = int(work.participant.max()) + 1
    n, n_fast = (np.bincount(work.participant[rows], minlength=people) for rows in (timed, fast))
    return set(np.flatnonzero((n >= FEW_REPLIES) & (n_fast >= OFTEN * n)).tolist())


def repeated_comments(comments: Mapping[int, list[str]]) -> set[int]:
    """By participant: the same comment three times, or a long one that another participant wrote as well."""
    plain = {who: [" ".join(text.casefold().split()) for text in texts if text] for who, texts in comments.items()}
    writers: dict[str, set[int]] = {}
    for who, texts in plain.items():
        for text in texts:
            writers.setdefault(text, set()).add(who)
    shared = {who for text, group in writers.items() if len(text) >= 20 and len(group) > 1 for who in group}
    return shared | {who for who, texts in plain.items() if any(texts.count(text) >= 3 for text in set(texts))}


def _each(work: Work) -> Iterator[tuple[int, np.ndarray]]:
    """The rows of each participant in the order of their work."""
    rows = np.lexsort((work.order, work.participant))
    if not len(rows):
        return
    begins = np.flatnonzero(np.diff(work.participant[rows], prepend=-1))
    for mine in np.split(rows, begins[1:]):
        yield int(work.participant[mine[0]]), mine


def _pattern(values: np.ndarray) -> Pattern:
    """Replies of which nothing was rated are no part of it."""
    values = values[np.isfinite(values).any(axis=1)]
    given = values[np.isfinite(values)]
    full = values[np.isfinite(values).all(axis=1)]
    return Pattern(
        replies=len(values),
        longest_run=_longest_run(values),
        modal_share=float(np.unique(given, return_counts=True)[1].max() / len(given)) if len(given) else None,
        sd=float(given.std(ddof=1)) if len(given) > 1 else None,
        criteria_alike=float((full == full[:, :1]).all(axis=1).mean()) if full.shape[1] > 1 and len(full) else None,
    )


def _longest_run(values: np.ndarray) -> int:
    if not len(values):
        return 0
    other = np.any(np.nan_to_num(values[1:], nan=-np.inf) != np.nan_to_num(values[:-1], nan=-np.inf), axis=1)
    breaks = np.concatenate(([0], np.flatnonzero(other) + 1, [len(values)]))
    return int(np.diff(breaks).max())
