"""What each item, or each position, was given in each arm."""

from __future__ import annotations

import numpy as np

from .intervals import Result, t_interval
from .table import Table


def by_item(table: Table) -> list[Result]:
    """One entry an item in the table's order: `item`, and by arm `n_ratings`, `n_participants`, `mean`, `sd`,
    `interval`.

    The interval is Student's over participants' means on the item, each participant once; it speaks of this item and
    people like these, and is left out where fewer than two participants rated it or all agree.
    """
    cells = table.cells
    size = len(table.arms) * len(table.items)
    place = cells.arm * len(table.items) + cells.item
    means = cells.total / cells.n
    people = np.bincount(place, minlength=size)
    ratings = np.bincount(place, cells.n, minlength=size)
    total = np.bincount(place, cells.total, minlength=size)
    mean_of_means = np.divide(np.bincount(place, means, minlength=size), people, where=people > 0, out=np.zeros(size))
    squares = np.bincount(place, (means - mean_of_means[place]) ** 2, minlength=size)
    return [
        {
            "item": item,
            "arms": {
                arm: _cell(int(people[at]), int(ratings[at]), float(total[at]), float(mean_of_means[at]), squares[at])
                for code, arm in enumerate(table.arms)
                if people[at := code * len(table.items) + column]
            },
        }
        for column, item in enumerate(table.items)
        if people[column :: len(table.items)].any()
    ]


def _cell(people: int, ratings: int, total: float, centre: float, squares: float) -> Result:
    cell: Result = {"n_ratings": ratings, "n_participants": people, "mean": total / ratings}
    if people > 1:
        sd = float(squares / (people - 1)) ** 0.5
        cell["sd"] = sd
        if sd > 0:
            cell["interval"] = t_interval(centre, sd / people**0.5, people - 1)
    return cell
