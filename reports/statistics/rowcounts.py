"""Counts of ratings, rows (say participants) by columns (items): what nearly all rows share, and the differences.

Where everyone rated everything once but for a few gaps, or where everyone rated a few of very many items, the
differences are sparse, and sums over rows cost next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

# Below this share of differences that are not zero, they are kept as a sparse matrix, unless all is small anyway.
DENSE_SHARE = 0.15
DENSE_SIZE = 100_000
# Numbers in a product of rows that is held at once.
LARGEST_PRODUCT = 4_000_000


@dataclass(frozen=True, eq=False)
class RowCounts:
    """The rows x k matrix 1 common' + rest, whose columns are the `columns` of a wider matrix; its others are zero."""

    columns: np.ndarray
    common: np.ndarray
    rest: np.ndarray | sparse.csr_array

    @classmethod
    def of(cls, counts: sparse.csr_array) -> RowCounts:
        columns = np.unique(counts.indices)
        counts = counts[:, columns]
        common = np.zeros(len(columns))
        size = counts.shape[0] * counts.shape[1]
        if counts.nnz <= DENSE_SHARE * size and size > DENSE_SIZE:
            return cls(columns, common, counts)
        dense = counts.toarray()
        # The value of most rows, if there is one, is the middle one.
        middle = np.sort(dense, axis=0)[len(dense) // 2]
        if np.count_nonzero(dense != middle) > DENSE_SHARE * size or size <= DENSE_SIZE:
            return cls(columns, common, dense)
        return cls(columns, middle, sparse.csr_array(dense - middle))

    @cached_property
    def flipped(self) -> np.ndarray | sparse.csr_array:
        return self.rest.T if isinstance(self.rest, np.ndarray) else sparse.csr_array(self.rest.T)

    def times(self, right: np.ndarray) -> np.ndarray:
        """rows x any, for k x any."""
        return self.rest @ right + self.common @ right

    def summed(self, values: np.ndarray) -> np.ndarray:
        """k x any: the sum over rows of the row times its values (rows x any)."""
        return self.flipped @ values + np.outer(self.common, values.sum(axis=0))

    def crossed(self, weight: np.ndarray, other: RowCounts) -> np.ndarray:
        """k x other's k: the sum over rows of weight times the row of this by the row of the other."""
        mine, theirs = self.flipped @ weight, other.flipped @ weight
        whole = np.outer(self.common, theirs + weight.sum() * other.common) + np.outer(mine, other.common)
        product = self.flipped @ _scaled(other.rest, weight)
        return whole + (product if isinstance(product, np.ndarray) else product.toarray())

    def quadratic(self, middle: np.ndarray, other: RowCounts) -> np.ndarray:
        """For each row: the row of this, times middle (k x other's k), times the row of the other."""
        size = max(1, LARGEST_PRODUCT // max(middle.shape[1], 1))
        parts = [slice(at, at + size) for at in range(0, self.rest.shape[0], size)]
        shared = self.common @ middle
        return np.concatenate([self._quadratic(self.rest[part], shared, middle, other, part) for part in parts])

    def _quadratic(
        self, rest: np.ndarray | sparse.csr_array, shared: np.ndarray, middle: np.ndarray, other: RowCounts, part: slice
    ) -> np.ndarray:
        left = rest @ middle + shared
        theirs = other.rest[part]
        own = np.einsum("pk,pk->p", left, theirs) if isinstance(theirs, np.ndarray) else _row_sums(theirs, left)
        return own + left @ other.common


def _row_sums(rows: sparse.csr_array, times: np.ndarray) -> np.ndarray:
    return np.asarray(rows.multiply(times).sum(axis=1)).ravel()


def _scaled(rows: np.ndarray | sparse.csr_array, weight: np.ndarray) -> np.ndarray | sparse.csr_array:
    if isinstance(rows, np.ndarray):
        return rows * weight[:, None]
    values = rows.data * np.repeat(weight, np.diff(rows.indptr))
    return sparse.csr_array((values, rows.indices, rows.indptr), shape=rows.shape)
