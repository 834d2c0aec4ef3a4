"""What each participant thought of an arm on average, and whether two arms were rated by the same participants."""

from __future__ import annotations

import numpy as np

from .table import Table


def participant_means(table: Table, arm: str) -> np.ndarray:
    """Each participant's mean in the arm; NaN, inside this package only, where they rated nothing in it."""
    n, total = (by_arm[table.code(arm)] for by_arm in table.by_participant)
    return np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)


def detect_design(means_a: np.ndarray, means_b: np.ndarray) -> str:
    """Paired where at least half of all participants rated both arms; a few who strayed do not make pairs."""
    rated_a, rated_b = ~np.isnan(means_a), ~np.isnan(means_b)
    both, any_ = np.count_nonzero(rated_a & rated_b), np.count_nonzero(rated_a | rated_b)
    return "paired" if both and 2 * both >= any_ else "between"
