"""The ratings of a study as the tables that every statistical method reads."""

from __future__ import annotations

import numpy as np

from ratings.frames import RatingColumns
from reports.statistics.table import Table, tables_from_codes


def tables_of(columns: RatingColumns, rows: np.ndarray | slice = slice(None), by: str = "item") -> dict[str, Table]:
    """Tables of these rows; `by="position"` puts the position at which a reply was shown in the item's place."""
    item, items = columns.item, columns.items
    if by == "position":
        last = int(columns.position.max(initial=0))
        item, items = columns.position, tuple(map(str, range(last + 1)))
    return tables_from_codes(
        columns.criterion[rows],
        columns.participant[rows],
        item[rows],
        columns.arm[rows],
        columns.rating[rows],
        criteria=columns.criteria,
        participants=columns.participants,
        items=items,
        arms=columns.arms,
    )
