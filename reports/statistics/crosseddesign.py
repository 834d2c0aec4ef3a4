"""Two crossed factors and their arms, as counts and sums of cells; what a mixed model needs to know of them.

A rating of row r (say a participant), column c (an item) and arm k is a fixed effect, plus the row's effect on that
arm, plus the column's, plus a residual. Effects of one row on the arms have the covariance sigma^2 Sigma, and so have
those of one column. Given the columns, rows are independent, so that they can be eliminated one small block at a time;
what is left are the m equations of the columns and the fixed effects.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from .rowcounts import RowCounts


class Aliased(Exception):
    """The fixed effects cannot be told apart."""


@dataclass(frozen=True, eq=False)
class Covariance:
    """How one factor's effects on the arms vary together: Sigma = Lambda Lambda', Lambda = sum of theta_j basis_j.

    `features` (arms x r) says which of the factor's r effects act in which arm, `basis` is q x r x any, and `bounded`
    are the places of those theta that vanish when the fit is singular.
    """

    features: np.ndarray
    basis: np.ndarray
    bounded: tuple[int, ...]

    @property
    def start(self) -> np.ndarray:
        start = np.zeros(len(self.basis))
        start[list(self.bounded)] = 0.5
        return start

    def sigma(self, theta: np.ndarray) -> np.ndarray:
        root = np.tensordot(theta, self.basis, 1)
        return root @ root.T

    def directions(self, theta: np.ndarray) -> np.ndarray:
        """q x r x r: the derivatives of Sigma."""
        half = self.basis @ np.tensordot(theta, self.basis, 1).T
        return half + half.transpose(0, 2, 1)

    @cached_property
    def curvatures(self) -> np.ndarray:
        """q x q x r x r: its second derivatives."""
        half = np.einsum("jac,lbc->jlab", self.basis, self.basis)
        return half + half.transpose(1, 0, 2, 3)


@dataclass(frozen=True, eq=False)
class Cells:
    """The filled cells: codes of row, column and arm, number and sum of ratings; and the sum of all squares."""

    row: np.ndarray
    column: np.ndarray
    arm: np.ndarray
    n: np.ndarray
    total: np.ndarray
    squares: float
    n_rows: int
    n_columns: int
    n_arms: int


class Model:
    """Cross-products of a model's design.

    `fixed` is (columns x arms) x p, the arms of a column in a row; without `columns` their effects are not random.
    Among the m unknowns the random columns' effects come first, one stretch for each feature, then the fixed effects.
    """

    def __init__(self, cells: Cells, rows: Covariance, columns: Covariance | None, fixed: np.ndarray):
        self.rows, self.columns = rows, columns
        self.n = int(cells.n.sum())
        self.n_fixed = fixed.shape[1]
        self.n_random = columns.features.shape[1] * cells.n_columns if columns else 0
        place = cells.column * cells.n_arms + cells.arm
        design = self._design(cells, fixed)
        self.counts = []
        for feature in rows.features.T:
            weight = cells.n * feature[cells.arm]
            here = weight != 0
            shape = (cells.n_rows, len(fixed))
            counts = sparse.csr_array((weight[here], (cells.row[here], place[here])), shape=shape)
            self.counts.append(RowCounts.of(sparse.csr_array(counts @ design)))

        sizes, sums = (
            np.bincount(cells.row * cells.n_arms + cells.arm, of, minlength=cells.n_rows * cells.n_arms).reshape(
                cells.n_rows, cells.n_arms
            )
            for of in (cells.n, cells.total)
        )
        self.row_sizes = np.einsum("pk,ka,kb->pab", sizes, rows.features, rows.features)
        self.row_sums = sums @ rows.features
        sizes, sums = (np.bincount(place, of, minlength=len(fixed)) for of in (cells.n, cells.total))
        self.products = (design.T @ (design * sizes[:, None])).toarray()
        self.sums = design.T @ sums
        self.squares = cells.squares
        scale = np.sqrt(np.diag(x := self.products[self.n_random :, self.n_random :]))
        if not scale.all() or np.linalg.eigvalsh(x / np.outer(scale, scale))[0] < 1e-9:
            raise Aliased

    def _design(self, cells: Cells, fixed: np.ndarray) -> sparse.csr_array:
        if self.columns is None:
            return sparse.csr_array(fixed)
        parts = [
            sparse.kron(sparse.eye_array(cells.n_columns), feature[:, None]) for feature in self.columns.features.T
        ]
        return sparse.csr_array(sparse.hstack([*parts, sparse.csr_array(fixed)]))

    def reshaped(self, rows: Covariance, columns: Covariance | None) -> Model | None:
        """The same design under other covariances, if they have the same features."""
        for mine, other in ((self.rows, rows), (self.columns, columns)):
            if (mine is None) != (other is None) or (
                mine and other and not np.array_equal(mine.features, other.features)
            ):
                return None
        other_model = copy(self)
        other_model.rows, other_model.columns = rows, columns
        return other_model

    @property
    def start(self) -> np.ndarray:
        return np.concatenate([factor.start for factor in (self.rows, self.columns) if factor])

    def split(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return theta[: len(self.rows.basis)], theta[len(self.rows.basis) :]

    def crossed(self, weight: np.ndarray) -> np.ndarray:
        """The sum over rows of C' weight C (m x m); `weight` is rows x r x r."""
        crossed = np.zeros_like(self.products)
        for a, b in self._pairs():
            one, other = self.counts[a], self.counts[b]
            block = one.crossed(weight[:, a, b], other)
            crossed[np.ix_(one.columns, other.columns)] += block
            if a != b:
                crossed[np.ix_(other.columns, one.columns)] += block.T
        return crossed

    def quadratic(self, middle: np.ndarray) -> np.ndarray:
        """C middle C' of each row (rows x r x r)."""
        quadratic = np.empty_like(self.row_sizes)
        for a, b in self._pairs():
            one, other = self.counts[a], self.counts[b]
            quadratic[:, a, b] = quadratic[:, b, a] = one.quadratic(middle[np.ix_(one.columns, other.columns)], other)
        return quadratic

    def by_row(self, vectors: np.ndarray) -> np.ndarray:
        """C times each of the vectors (m x any), rows x r x any."""
        return np.stack([counts.times(vectors[counts.columns]) for counts in self.counts], axis=1)

    def over_rows(self, values: np.ndarray) -> np.ndarray:
        """The sum over rows of C' values (m x any); `values` is rows x r x any."""
        total = np.zeros((len(self.products), values.shape[2]))
        for a, counts in enumerate(self.counts):
            total[counts.columns] += counts.summed(values[:, a])
        return total

    def _pairs(self) -> Iterator[tuple[int, int]]:
        r = len(self.counts)
        return ((a, b) for a in range(r) for b in range(a, r))
