"""Restricted maximum likelihood where two random factors cross, from the counts and sums of cells.

With V = I + Z Sigma Z', n ratings, p columns of X, V_j = dV / dtheta_j and P = V^-1 - V^-1 X (X' V^-1 X)^-1 X' V^-1,
the deviance is log|V| + log|X' V^-1 X| + (n - p) log(y'Py) and a constant, sigma^2 being profiled out (Searle, Casella
and McCulloch 1992, chapter 6). Its derivatives are sums of tr(P V_j), y'P V_j P y, tr(P V_j P V_l) and
y'P V_j P V_l P y. All of them are computed in closed form, so that Newton's steps, standard errors and degrees of
freedom need no differences of nearby values. A step costs about rows x columns^2, whatever the number of ratings.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import inf, log, pi

import numpy as np

from .crosseddesign import Model

STEPS = 200
# lme4's tolerance: a standard deviation that is smaller, relative to the residual's, counts as zero.
SINGULAR = 1e-4
# Where the effects are so much larger than the residual, there is no residual.
NO_RESIDUAL = 1e5


class Unidentified(Exception):
    """The design does not tell the variances apart; `shares` is each theta's part in what it cannot tell."""

    def __init__(self, shares: np.ndarray):
        super().__init__("the design does not tell the variances apart")
        self.shares = shares


class NoResidual(Exception):
    """The fixed and random effects explain every rating exactly."""


class Unsettled(Exception):
    """Newton's steps did not come to rest."""


class Point:
    """The deviance of a model at one theta, and all that follows from it there."""

    def __init__(self, model: Model, theta: np.ndarray):
        self.model, self.theta = model, theta
        self.free = model.n - model.n_fixed
        sigma = model.rows.sigma(model.split(theta)[0])
        # Of each row, (1 + Sigma N)^-1, N being the numbers of its ratings: how far they shrink its effects.
        self.shrunk = np.linalg.inv(np.eye(len(sigma)) + sigma @ model.row_sizes)
        posterior = self.shrunk @ sigma
        guess = np.einsum("pab,pb->pa", posterior, model.row_sums)
        products = model.products - model.crossed(posterior)
        sums = model.sums - model.over_rows(guess[:, :, None])[:, 0]
        squares = model.squares - float(np.vdot(model.row_sums, guess))

        # The columns' products among themselves and with X and y; then theirs, once the columns are eliminated as well.
        m = model.n_random
        self.products, self.fixed_border, self.sums = products[:m, :m], products[:m, m:], sums[:m]
        self.gain, logdet = self._column_gain()
        fixed = products[m:, m:] - self.fixed_border.T @ self.gain @ self.fixed_border
        fixed_sums = sums[m:] - self.fixed_border.T @ self.gain @ self.sums
        self.covariance = np.linalg.inv(fixed)
        self.beta = self.covariance @ fixed_sums
        self.rss = squares - float(self.sums @ self.gain @ self.sums) - float(fixed_sums @ self.beta)
        self.logdet = logdet + _logdet(fixed) - float(np.linalg.slogdet(self.shrunk)[1].sum())

    def _column_gain(self) -> tuple[np.ndarray, float]:
        """(S^-1 + A)^-1, also where S is singular, and log|1 + S A|: S the columns' covariance, A their products."""
        if not (columns := self.model.columns):
            return np.zeros((0, 0)), 0.0
        values, vectors = np.linalg.eigh(columns.sigma(self.model.split(self.theta)[1]))
        root = np.kron(vectors * np.sqrt(np.maximum(values, 0)), np.eye(self.model.n_random // len(values)))
        middle = np.eye(len(root)) + root.T @ self.products @ root
        return root @ np.linalg.inv(middle) @ root.T, _logdet(middle)

    @property
    def sigma2(self) -> float:
        return self.rss / self.free

    @property
    def deviance(self) -> float:
        """-2 log of the restricted likelihood."""
        return self.logdet + self.free * (1 + log(2 * pi * self.sigma2)) if self.rss > 0 else -inf

    @cached_property
    def directions(self) -> tuple[np.ndarray, np.ndarray]:
        """dSigma / dtheta_j of the rows and of the columns."""
        rows, columns = self.model.split(self.theta)
        none = np.zeros((0, 0, 0))
        return self.model.rows.directions(rows), self.model.columns.directions(columns) if self.model.columns else none

    @cached_property
    def inverse(self) -> np.ndarray:
        """Psi (m x m): the inverse of the equations of the columns and the fixed effects."""
        spread = self.gain @ self.fixed_border
        across = -spread @ self.covariance
        return np.block([[self.gain - across @ spread.T, across], [across.T, self.covariance]])

    @cached_property
    def column_factor(self) -> np.ndarray:
        """(1 + A S)^-1."""
        return np.eye(len(self.gain)) - self.products @ self.gain

    @cached_property
    def across(self) -> np.ndarray:
        """Z'V^-1 X (X' V^-1 X)^-1 of the columns."""
        return self.column_factor @ self.fixed_border @ self.covariance

    @cached_property
    def moments(self) -> Moments:
        return Moments(self)

    @property
    def gradient(self) -> np.ndarray:
        return self.moments.trace - self.moments.square / self.sigma2

    @property
    def hessian(self) -> np.ndarray:
        """Of the deviance in theta, sigma^2 profiled out."""
        slope = self.moments.square / self.sigma2
        return self._hessian_at_fixed_sigma() - np.outer(slope, slope) / self.free

    def full_hessian(self) -> np.ndarray:
        """Of the deviance in (theta, log sigma^2)."""
        slope = (self.moments.square / self.sigma2)[:, None]
        return np.block([[self._hessian_at_fixed_sigma(), slope], [slope.T, np.array([[self.free]])]])

    def information(self) -> np.ndarray:
        """Twice the expected information on (theta, log sigma^2); singular where the design cannot tell them."""
        trace = self.moments.trace[:, None]
        return np.block([[self.moments.traces, trace], [trace.T, np.array([[float(self.free)]])]])

    def variance(self, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """The variance of weights'beta, and its gradient in (theta, log sigma^2)."""
        vectors = self.inverse[:, self.model.n_random :] @ weights[:, None]
        rows = np.einsum("pba,pb->pa", self.shrunk, self.model.by_row(vectors)[:, :, 0])
        row_way, column_way = self.directions
        columns = _by_feature(self.across @ weights, column_way)
        relative = float(weights @ self.covariance @ weights)
        slopes = _contracted(row_way, rows.T @ rows), _contracted(column_way, columns @ columns.T), np.array([relative])
        return self.sigma2 * relative, self.sigma2 * np.concatenate(slopes)

    def _hessian_at_fixed_sigma(self) -> np.ndarray:
        moments = self.moments
        return moments.bend - moments.traces + (2 * moments.squares - moments.bend_square) / self.sigma2


class Moments:
    """The sums that make up the derivatives of the deviance, the rows' theta first.

    `trace` tr(P V_j) and `traces` tr(P V_j P V_l); `square` y'P V_j P y and `squares` y'P V_j P V_l P y; `bend` and
    `bend_square` tr(P V_jl) and y'P V_jl P y, V_jl being second derivatives.
    """

    def __init__(self, point: Point):
        self.point = point
        self.row_way, self.column_way = point.directions
        self.q = len(self.row_way)
        self._prepare_rows()
        self._prepare_columns()
        # Gradients in Sigma itself, of log|V| + log|X' V^-1 X| and of -y'Py.
        of_rows = (self.inner - self.outer).sum(axis=0), self.row_left.T @ self.row_left
        of_columns = np.einsum("aibi->ab", self.blocks), self.column_left @ self.column_left.T
        self.trace, self.square = (
            np.concatenate([_contracted(self.row_way, one), _contracted(self.column_way, other)])
            for one, other in zip(of_rows, of_columns, strict=True)
        )
        columns = point.model.columns
        self.bend, self.bend_square = (
            _block_diagonal(_bent(point.model.rows.curvatures, one), _bent(columns.curvatures, other))
            if columns
            else _bent(point.model.rows.curvatures, one)
            for one, other in zip(of_rows, of_columns, strict=True)
        )
        self.traces, self.squares = np.zeros((2, len(self.trace), len(self.trace)))
        self._among_rows()
        self._among_columns()
        self._between_rows_and_columns()

    def _prepare_rows(self) -> None:
        """T = Z'PZ among the rows is `inner` of each row minus `outer`-like products of any two, never formed."""
        point, model = self.point, self.point.model
        self.inner = model.row_sizes @ point.shrunk
        shrunk_t = point.shrunk.transpose(0, 2, 1)
        self.outer = shrunk_t @ model.quadratic(point.inverse) @ point.shrunk
        effects = np.concatenate([point.gain @ (point.sums - point.fixed_border @ point.beta), point.beta])
        residual = model.row_sums - model.by_row(effects[:, None])[:, :, 0]
        # Z'Py of each row (rows x r), V_j's part of it, and that carried over to the columns.
        self.row_left = np.einsum("pba,pb->pa", point.shrunk, residual)
        self.moved = np.einsum("jab,pb->pja", self.row_way, self.row_left)
        self.carried = model.over_rows(np.einsum("pab,pjb->paj", point.shrunk, self.moved))
        self.pushed = [model.crossed(point.shrunk @ way @ shrunk_t) for way in self.row_way]

    def _prepare_columns(self) -> None:
        """T = Z'PZ among the columns, what reaches them from the other unknowns, and Z'Py."""
        point = self.point
        border = point.column_factor @ point.fixed_border
        self.between = point.column_factor @ point.products - point.across @ border.T
        self.reach = np.hstack(
            [point.column_factor + point.across @ (point.gain @ point.fixed_border).T, -point.across]
        )
        self.column_left = _by_feature(point.column_factor @ point.sums - border @ point.beta, self.column_way)
        r, size = self.column_left.shape
        self.blocks = self.between.reshape(r, size, r, size)

    def _among_rows(self) -> None:
        psi = self.point.inverse
        reached = [psi @ pushed for pushed in self.pushed]
        for j in range(self.q):
            turned = self.inner @ self.row_way[j]
            crossed = (turned @ self.outer).sum(axis=0)
            near = (turned @ self.inner).sum(axis=0) - crossed - crossed.T
            for k in range(j, self.q):
                self._set(self.traces, j, k, np.vdot(near, self.row_way[k]) + np.vdot(reached[j], reached[k].T))
                own = np.einsum("pa,pab,pb->", self.moved[:, j], self.inner, self.moved[:, k])
                self._set(self.squares, j, k, own - self.carried[:, j] @ psi @ self.carried[:, k])

    def _among_columns(self) -> None:
        turned = [np.einsum("ab,bicj->aicj", way, self.blocks).reshape(self.between.shape) for way in self.column_way]
        for j, one in enumerate(self.column_way):
            for k in range(j, len(self.column_way)):
                shifted, other = ((way @ self.column_left).ravel() for way in (one, self.column_way[k]))
                self._set(self.traces, self.q + j, self.q + k, np.vdot(turned[j], turned[k].T))
                self._set(self.squares, self.q + j, self.q + k, shifted @ self.between @ other)

    def _between_rows_and_columns(self) -> None:
        for k, way in enumerate(self.column_way):
            turned = np.tensordot(way, self.reach.reshape(len(way), -1, self.reach.shape[1]), 1)
            mixed = self.reach.T @ turned.reshape(self.reach.shape)
            shifted = (way @ self.column_left).ravel() @ self.reach
            for j in range(self.q):
                self._set(self.traces, j, self.q + k, np.vdot(mixed, self.pushed[j]))
                self._set(self.squares, j, self.q + k, shifted @ self.carried[:, j])

    def _set(self, matrix: np.ndarray, j: int, k: int, value: float) -> None:
        matrix[j, k] = matrix[k, j] = value


@dataclass(frozen=True, eq=False)
class Fit:
    point: Point
    iterations: int

    @property
    def log_likelihood(self) -> float:
        return -self.point.deviance / 2

    def vanished(self) -> tuple[list[int], list[int]]:
        """Places of the rows' and of the columns' theta that are zero; if there are any, the fit is singular."""
        model = self.point.model
        rows, columns = model.split(np.abs(self.point.theta))
        return _small(rows, model.rows.bounded), _small(columns, model.columns.bounded if model.columns else ())

    @cached_property
    def _uncertainty(self) -> np.ndarray:
        """Twice the inverse Hessian, over the directions in which the deviance has a minimum (as lmerTest does)."""
        hessian = self.point.full_hessian()
        scale = np.sqrt(np.maximum(np.diag(hessian), 0))
        scale[scale <= 1e-8 * scale.max()] = inf
        values, vectors = np.linalg.eigh(hessian / np.outer(scale, scale))
        sure = values > 1e-8
        vectors = vectors[:, sure] / scale[:, None]
        return 2 * (vectors / values[sure]) @ vectors.T

    def combination(self, weights: np.ndarray) -> tuple[float, float, float]:
        """Estimate, standard error and Satterthwaite's df 2 v^2 / (g' A g) of weights'beta.

        v is its variance, g the gradient of v and A the covariance of the variance parameters, in (theta, log sigma^2);
        at the optimum the df is the same in any other parameters (Kuznetsova, Brockhoff and Christensen 2017).
        """
        variance, slopes = self.point.variance(weights)
        df = 2 * variance**2 / float(slopes @ self._uncertainty @ slopes)
        return float(weights @ self.point.beta), variance**0.5, df


def fit(model: Model, start: np.ndarray | None = None) -> Fit:
    """Newton's method on the profiled deviance, turned towards descent where the deviance curves the wrong way.

    A variance of zero needs no bounds: the deviance is even in theta, so that there it has an ordinary minimum. A start
    is given where a larger model was identified, so that this one is.
    """
    point = Point(model, model.start if start is None else start)
    promised = inf
    for iteration in range(1, STEPS + 1):
        if point.sigma2 <= 1e-12 * model.squares / model.n or np.abs(point.theta).max() > NO_RESIDUAL:
            raise NoResidual
        if iteration == 1 and start is None:
            _check_identified(point)
        step, promise = _newton(point)
        if promise < 1e-20 or (promise < 1e-8 and promise > promised / 4):
            return Fit(point, iteration)
        promised = promise
        # So near to the optimum differences of the deviance are rounding.
        point = Point(model, point.theta + step) if promise < 1e-8 else _descend(point, step)
    raise _unsettled(point)


def _newton(point: Point) -> tuple[np.ndarray, float]:
    """The step, and about twice the fall of the deviance that it promises."""
    values, vectors = np.linalg.eigh(point.hessian)
    sizes = np.abs(values)
    step = -vectors @ (vectors.T @ point.gradient / np.maximum(sizes, max(1e-12 * sizes.max(), 1e-300)))
    promise = -float(point.gradient @ step)
    longest = 1 + float(np.linalg.norm(point.theta))
    return step * min(1.0, longest / max(float(np.linalg.norm(step)), 1e-300)), promise


def _descend(point: Point, step: np.ndarray) -> Point:
    """Halves the step until the deviance falls by a fair share of what its slope promises (Armijo)."""
    slack = 1e-13 * (abs(point.deviance) + point.free)
    slope = float(point.gradient @ step)
    for halved in 0.5 ** np.arange(40):
        following = Point(point.model, point.theta + halved * step)
        if following.deviance <= point.deviance + 0.1 * halved * slope + slack:
            return following
    raise _unsettled(point)


def _unsettled(point: Point) -> Exception:
    """Towards a residual of zero the deviance falls without end, until rounding hides the way."""
    return NoResidual() if point.sigma2 < 1e-5 * point.model.squares / point.model.n else Unsettled()


def _check_identified(point: Point) -> None:
    information = point.information()
    known = np.diag(information)
    unknown = known < 1e-10 * known.max()
    if unknown.any():
        raise Unidentified(unknown[:-1].astype(float))
    scale = np.sqrt(known)
    values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    if values[0] < 1e-8:
        raise Unidentified(np.abs(vectors[:-1, 0]))


def _small(theta: np.ndarray, bounded: tuple[int, ...]) -> list[int]:
    return [j for j in bounded if theta[j] < SINGULAR]


def _logdet(matrix: np.ndarray) -> float:
    return float(np.linalg.slogdet(matrix)[1])


def _by_feature(effects: np.ndarray, way: np.ndarray) -> np.ndarray:
    return effects.reshape(way.shape[1], -1) if way.size else np.zeros((0, 0))


def _contracted(way: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    return np.einsum("jab,ab->j", way, gradient)


def _bent(curvatures: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    return np.einsum("jkab,ab->jk", curvatures, gradient)


def _block_diagonal(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    across = np.zeros((len(one), len(other)))
    return np.block([[one, across], [across.T, other]])
