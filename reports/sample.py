"""Who took part, without letting anyone be found: small cells are hidden, and so is what would give them away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

# A group of fewer people than this is not shown.
LEAST = 5
SUPPRESSED = {"suppressed": f"fewer than {LEAST} people, or a count from which such a group could be worked out"}
NO_ANSWER = "no_answer"


def describe_sample(questions: Iterable[dict[str, Any]], answers: Iterable[tuple[str, Any]], people: int) -> dict:
    """Counts for each exit question. `questions` are dictionaries with `key`, `question`, `kind` and `choices`."""
    given: dict[str, Counter] = {}
    answered: Counter[str] = Counter()
    for question, answer in answers:
        if answer in (None, "", []):
            continue
        answered[question] += 1
        several = answer if isinstance(answer, list) else [answer]
        given.setdefault(question, Counter()).update(map(str, several))
    return {
        "participants": people,
        "least_shown": LEAST,
        "questions": [
            {"key": question["key"], "question": question["question"], "kind": question["kind"]}
            | _cells(question, given.get(question["key"], Counter()), answered[question["key"]], people)
            for question in questions
        ],
    }


def _cells(question: dict[str, Any], given: Counter, answered: int, people: int) -> dict[str, Any]:
    if question["kind"] == "text":
        labels, counts = {"answered": "Answered"}, [answered]
    else:
        labels = dict(question["choices"])
        # What an earlier wording of the question offered is shown as it was stored.
        labels |= {key: key for key in given if key not in labels}
        counts = [given[key] for key in labels]
    silent = people - answered
    if question["kind"] == "choices":
        # Answers overlap and add up to nothing, but who did not choose one is a group as well.
        hidden = {place for place, n in enumerate(counts) if is_small(n) or is_small(people - n)}
        hidden |= {len(counts)} if is_small(silent) or is_small(answered) else set()
    else:
        hidden = cells_to_hide([*counts, silent])
    shown = [SUPPRESSED if place in hidden else n for place, n in enumerate([*counts, silent])]
    return {
        "answers": [
            {"key": key, "label": label, "n": n} for (key, label), n in zip(labels.items(), shown, strict=False)
        ],
        NO_ANSWER: shown[-1],
    }


def is_small(n: int) -> bool:
    return 0 < n < LEAST


def cells_to_hide(counts: list[int]) -> set[int]:
    """The places of the small cells, and of as many more as it takes that their sum does not give them away.

    The sum of the hidden cells can be computed from the total. It must not be small itself, and must leave open how it
    is shared out.
    """
    hidden = {place for place, n in enumerate(counts) if is_small(n)}
    # The smallest shown groups go first, empty ones last: an empty cell hides least.
    others = sorted((n == 0, n, place) for place, n in enumerate(counts) if place not in hidden)
    while hidden and others and _tells(counts, hidden):
        hidden.add(others.pop(0)[2])
    return hidden


def _tells(counts: list[int], hidden: set[int]) -> bool:
    total, cells = sum(counts[place] for place in hidden), len(hidden)
    every_cell_small = all(is_small(counts[place]) for place in hidden)
    only_one_way = every_cell_small and total in (cells, cells * (LEAST - 1))
    return cells == 1 or total < LEAST or only_one_way
