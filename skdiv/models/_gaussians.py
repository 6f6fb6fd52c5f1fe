"""Divergences between Gaussian distributions, in closed form."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import solve_triangular

from skdiv._compute.measure import Symmetrize
from skdiv._utils.typing import FloatArray
from skdiv.models._matrix import as_finite, measure_of

GaussianMetric = Literal["kl", "jeffreys", "hellinger", "bhattacharyya"]

_CELL = 2**18  # the number of entries of a temporary array
_LARGEST_SIDE = 256  # the largest number of rows and columns of a tile
_NEAR = 3e-3  # nats; below it what depends on the covariances is computed again from eigenvalues
_ASYMMETRY = 1e-8  # the largest difference of mirrored entries, in units of the two standard deviations
_LARGEST_MEAN = 1e200  # so that no mean in units of a standard deviation overflows
_LARGEST_VARIANCE = 1e150  # and its inverse is the smallest, so that no ratio of variances overflows
_NANOSECONDS = 2.0  # of one entry of a covariance matrix, in each pair of Gaussians


def gaussian_divergences(
    means: ArrayLike,
    covariances: ArrayLike,
    metric: GaussianMetric = "kl",
    *,
    symmetrize: Symmetrize | None = None,
    base: float | None = None,
    n_jobs: int | None = None,
) -> FloatArray:
    """Compute the matrix of divergences between Gaussian distributions, in closed form.

    Entry [i, j] is the divergence of Gaussian i from Gaussian j, D(N(means[i], covariances[i]) ‖ N(means[j],
    covariances[j])), in nats unless ``base`` is given.

    Parameters
    ----------
    means : array-like of shape (n, n_features)
        The mean of each Gaussian.
    covariances : array-like of shape (n, n_features, n_features), (n, n_features) or (n,)
        The covariance matrix of each Gaussian; or the variances of the features, for diagonal matrices; or one
        variance for all features, for spherical Gaussians.
    metric : {"kl", "jeffreys", "hellinger", "bhattacharyya"}, default="kl"
        The divergence. The notes have the formulas.
    symmetrize : {"mean", "min", "max"}, optional
        How KL(i ‖ j) and KL(j ‖ i) are combined into one number, which `DivergenceClustering` needs; by default the
        matrix holds both.
        It has no effect on the other metrics, which are symmetric.
    base : float, optional
        Base of the logarithm, 2 for bits; by default nats. It is an error for ``"hellinger"``.
    n_jobs : int, optional
        Number of joblib workers, as in `pairwise_divergences`. The result does not depend on it.

    Returns
    -------
    ndarray of shape (n, n)
        The divergences, which are never negative; those of equal Gaussians are 0.

    Raises
    ------
    ValueError
        If an entry is NaN or infinite, the shapes do not fit together, a covariance matrix is not symmetric or not
        positive definite (or so near to singular that its inverse has no correct digit), a variance is not from 1e-150
        to 1e150 or a mean beyond ±1e200, or an argument is not valid. The message names the Gaussian and the remedy.
    TypeError
        If an array is masked or holds anything but real numbers.
    MemoryError
        If the matrix does not fit into the memory that is left.

    See Also
    --------
    mixture_divergences : Estimates divergences between Gaussian mixtures, where a single Gaussian does not fit.
    sample_divergences : Estimates divergences between samples, without a model.

    Notes
    -----
    With Σ = covariances, μ = means and d = n_features,

    - KL(i ‖ j) = ½ [tr(Σ_j⁻¹ Σ_i) − d − ln det(Σ_j⁻¹ Σ_i) + (μ_i − μ_j)ᵀ Σ_j⁻¹ (μ_i − μ_j)],
    - Bhattacharyya(i, j) = ⅛ (μ_i − μ_j)ᵀ Σ⁻¹ (μ_i − μ_j) + ½ ln(det Σ / √(det Σ_i det Σ_j)) with Σ = (Σ_i + Σ_j)/2,
    - Hellinger(i, j) = √(1 − exp(−Bhattacharyya(i, j))).

    All is computed from Cholesky factors by the solution of triangular systems. Where covariances nearly agree, what
    depends on them alone is small beside the rounding errors of the factors. It is then computed again from the
    eigenvalues λ of L⁻¹ (Σ_i − Σ_j) L⁻ᵀ, where L is the Cholesky factor of one of the two, as a sum of terms that are
    not negative. So each entry is right to a relative error of about n_features times 1e-13, plus 1e-16 times the
    condition number of the correlation matrices.

    References
    ----------
    S. Kullback, "Information Theory and Statistics", Wiley (1959), chapter 9, for Kullback-Leibler and Jeffreys.
    T. Kailath, "The Divergence and Bhattacharyya Distance Measures in Signal Selection", IEEE Transactions on
    Communication Technology 15(1) (1967), 52–60, for Bhattacharyya, from which Hellinger follows.

    Examples
    --------
    >>> from skdiv.models import gaussian_divergences
    >>> means = [[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]
    >>> covariances = [[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.5], [0.5, 1.0]]]
    >>> gaussian_divergences(means, covariances).round(3)
    array([[0.   , 0.5  , 0.137],
           [0.5  , 0.   , 0.423],
           [0.22 , 0.72 , 0.   ]])
    >>> gaussian_divergences(means, [1.0, 1.0, 2.0], "hellinger").round(3)  # spherical
    array([[0.   , 0.343, 0.239],
           [0.343, 0.   , 0.364],
           [0.239, 0.364, 0.   ]])
    """
    measure = measure_of(metric, _BLOCKS, symmetrize=symmetrize, base=base)
    gaussians = as_gaussians(means, covariances)
    return measure.matrix(gaussians, side=gaussians.side, nanoseconds=_NANOSECONDS * gaussians.entries, n_jobs=n_jobs)


class Gaussians(ABC):
    """A number of Gaussian distributions over the same features."""

    means: FloatArray

    def __len__(self) -> int:
        """Return the number of Gaussians."""
        return len(self.means)

    @property
    @abstractmethod
    def entries(self) -> int:
        """Return the number of entries that describe the spread of one Gaussian."""

    @property
    def side(self) -> int:
        """Return the number of rows and columns of a tile; what a column needs for a time then fits into the cache."""
        return int(min(_LARGEST_SIDE, max(1, _CELL // self.entries)))

    @abstractmethod
    def __getitem__(self, some: slice) -> Self:
        """Return some of the Gaussians."""

    @abstractmethod
    def kl(self, other: Self) -> FloatArray:
        """Return all KL(i ‖ j), for Gaussians i of this collection and j of the other."""

    @abstractmethod
    def bhattacharyya(self, other: Self) -> FloatArray:
        """Return all −ln ∫ √(p_i q_j), for Gaussians i of this collection and j of the other."""

    @abstractmethod
    def log_densities(self, points: FloatArray) -> FloatArray:
        """Return the logarithm of the density of each Gaussian (column) at each point (row)."""


@dataclass(frozen=True)
class DiagonalGaussians(Gaussians):
    """Gaussians with the variances of their features, or with a single one for all features, in the rows of an array.

    Everything is a sum over features of terms that are accurate for near variances as well as for distant ones.
    """

    means: FloatArray
    variances: FloatArray

    @property
    def entries(self) -> int:
        """Return the number of features."""
        return int(self.means.shape[1])

    def __getitem__(self, some: slice) -> Self:
        """Return some of the Gaussians."""
        return type(self)(self.means[some], self.variances[some])

    @property
    def _features_of_variance(self) -> int:
        """Return for how many features each variance stands."""
        return int(self.means.shape[1] // self.variances.shape[1])

    def kl(self, other: Self) -> FloatArray:
        """Return all KL(i ‖ j), of which each feature adds half of x − 1 − ln x, for x = σ_i²/σ_j²."""
        values = np.empty((len(self), len(other)))
        with np.errstate(over="ignore"):
            for j, (mean, variances) in enumerate(zip(other.means, other.variances, strict=True)):
                spread = _excess_of_ratio(self.variances, variances).sum(axis=1)
                shift = np.square((self.means - mean) / np.sqrt(variances)).sum(axis=1)
                values[:, j] = (self._features_of_variance * spread + shift) / 2
        return values

    def bhattacharyya(self, other: Self) -> FloatArray:
        """Return all −ln ∫ √(p_i q_j): with x = σ_i²/σ_j² the ratio of means is (1 + x)/(2 √x) = √(1 + (1 − x)²/4x)."""
        values = np.empty((len(self), len(other)))
        with np.errstate(over="ignore"):
            for j, (mean, variances) in enumerate(zip(other.means, other.variances, strict=True)):
                difference = self.variances - variances
                spread = np.log1p(difference / self.variances * (difference / variances) / 4).sum(axis=1) / 4
                shift = np.square((self.means - mean) / np.sqrt(self.variances + variances)).sum(axis=1) / 4
                values[:, j] = self._features_of_variance * spread + shift
        return values

    def log_densities(self, points: FloatArray) -> FloatArray:
        """Return the logarithms of the densities, by differences from the means; their squares would lose digits."""
        values = np.empty((len(points), len(self)))
        log_determinants = self._features_of_variance * np.log(self.variances).sum(axis=1)
        with np.errstate(over="ignore"):
            for j, (mean, variances) in enumerate(zip(self.means, self.variances, strict=True)):
                standardised = (points - mean) / np.sqrt(variances)
                values[:, j] = np.einsum("ik,ik->i", standardised, standardised) + log_determinants[j]
        values += self.entries * np.log(2 * np.pi)
        return values / -2


@dataclass(frozen=True)
class FullGaussians(Gaussians):
    """Gaussians with their covariance matrices, and the lower Cholesky factors of these."""

    means: FloatArray
    covariances: FloatArray
    factors: FloatArray

    @property
    def entries(self) -> int:
        """Return the number of entries of a covariance matrix."""
        return int(self.means.shape[1] ** 2)

    def __getitem__(self, some: slice) -> Self:
        """Return some of the Gaussians."""
        return type(self)(self.means[some], self.covariances[some], self.factors[some])

    def kl(self, other: Self) -> FloatArray:
        """Return all KL(i ‖ j).

        With L = L_j⁻¹ L_i, tr(Σ_j⁻¹ Σ_i) is the sum of the squared entries of L, and det(Σ_j⁻¹ Σ_i) the product of the
        squares on its diagonal. So the entries l beside the diagonal add l², and those on it l² − 1 − ln l². No such
        term is negative, and none depends on the scale of the covariances.
        """
        n, n_features = self.means.shape
        values = np.empty((n, len(other)))
        side_by_side = np.moveaxis(self.factors, 0, 1).reshape(n_features, -1)
        squares, of_other = np.square(_diagonals(self.factors)), np.square(_diagonals(other.factors))
        with np.errstate(over="ignore"):
            for j, factor in enumerate(other.factors):
                relative = _solved(factor, side_by_side).reshape(n_features, n, n_features)
                np.einsum("kik->ik", relative)[...] = 0
                of_diagonal = _excess_of_ratio(squares, of_other[j]).sum(axis=1)
                spread = np.einsum("kil,kil->i", relative, relative) + of_diagonal
                near = np.flatnonzero(spread < _NEAR)
                if near.size:
                    x = _eigenvalues(factor, self.covariances[near] - other.covariances[j])
                    spread[near] = _excess_of_logarithm(x, np.log1p(x)).sum(axis=1)
                shift = np.square(_solved(factor, (self.means - other.means[j]).T)).sum(axis=0)
                values[:, j] = (spread + shift) / 2
        return values

    def bhattacharyya(self, other: Self) -> FloatArray:
        """Return all −ln ∫ √(p_i q_j), with the Cholesky factor of (Σ_i + Σ_j)/2 for each pair.

        The logarithm of the determinants is a sum over the diagonals of the factors, of ln(m²/(l_i l_j)). No such term
        is negative, and none depends on the scale of the covariances.
        """
        values = np.empty((len(self), len(other)))
        diagonals, of_other = _diagonals(self.factors), _diagonals(other.factors)
        with np.errstate(over="ignore"):
            for j, factor in enumerate(other.factors):
                middle = np.linalg.cholesky(self.covariances / 2 + other.covariances[j] / 2)
                of_middle = _diagonals(middle)
                spread = np.log(of_middle / diagonals * (of_middle / of_other[j])).sum(axis=1) / 2
                near = np.flatnonzero(spread < _NEAR)
                if near.size:
                    x = _eigenvalues(factor, self.covariances[near] - other.covariances[j])
                    spread[near] = np.log1p(x * x / (4 * (1 + x))).sum(axis=1) / 4
                shift = np.square(_forward_substituted(middle, self.means - other.means[j])).sum(axis=1)
                values[:, j] = spread + shift / 8
        return values

    def log_densities(self, points: FloatArray) -> FloatArray:
        """Return the logarithms of the densities, by the solution of a triangular system for each Gaussian."""
        values = np.empty((len(points), len(self)))
        log_determinants = 2 * np.log(_diagonals(self.factors)).sum(axis=1)
        with np.errstate(over="ignore"):
            for j, (mean, factor) in enumerate(zip(self.means, self.factors, strict=True)):
                standardised = _solved(factor, (points - mean).T)
                values[:, j] = np.einsum("ki,ki->i", standardised, standardised) + log_determinants[j]
        values += points.shape[1] * np.log(2 * np.pi)
        return values / -2


def _solved(factor: FloatArray, right: FloatArray) -> FloatArray:
    """Return L⁻¹ R for a lower triangular matrix L."""
    solution: FloatArray = solve_triangular(factor, right, lower=True, check_finite=False)
    return solution


def _diagonals(factors: FloatArray) -> FloatArray:
    """Return the diagonals of matrices, as rows."""
    return np.diagonal(factors, axis1=1, axis2=2)


def _eigenvalues(factor: FloatArray, differences: FloatArray) -> FloatArray:
    """Return the eigenvalues of L⁻¹ Δ L⁻ᵀ for each symmetric Δ: those of Σ_j⁻¹ Σ_i − 1 for Δ = Σ_i − Σ_j."""
    n, n_features, _ = differences.shape
    from_left = _solved(factor, np.moveaxis(differences, 0, 1).reshape(n_features, -1))
    transposed = from_left.reshape(n_features, n, n_features).transpose(2, 1, 0).reshape(n_features, -1)
    relative = _solved(factor, transposed).reshape(n_features, n, n_features)
    return np.linalg.eigvalsh(np.moveaxis(relative, 0, 1))


def _excess_of_ratio(variances: FloatArray, of_other: FloatArray) -> FloatArray:
    """Return x − 1 − ln x for the ratios x of variances; a difference of their logarithms would depend on the scale."""
    return _excess_of_logarithm((variances - of_other) / of_other, np.log(variances / of_other))


def _excess_of_logarithm(x: FloatArray, logs: FloatArray) -> FloatArray:
    """Return x − ln(1 + x), by its series where x is small; ``logs`` are the logarithms.

    With u = x/(2 + x) one has ln(1 + x) = 2 artanh(u) and x − 2 u = x u, so the value is x u − 2 (u³/3 + u⁵/5 + …).
    """
    u = x / (2 + x)
    y = u * u
    series = x * u - 2 * u * y * (1 / 3 + y * (1 / 5 + y * (1 / 7 + y * (1 / 9 + y / 11))))
    return np.where(np.abs(x) < 0.1, series, x - logs)


def _forward_substituted(factors: FloatArray, right: FloatArray) -> FloatArray:
    """Return L⁻¹ r for each lower triangular matrix L and row r, feature by feature for all of them at once."""
    solution = np.empty_like(right)
    for k in range(right.shape[1]):
        known = np.einsum("il,il->i", factors[:, k, :k], solution[:, :k])
        solution[:, k] = (right[:, k] - known) / factors[:, k, k]
    return solution


# --- The metrics, as functions of two blocks of Gaussians ---


def _kl(P: Gaussians, Q: Gaussians) -> FloatArray:
    """Return all KL(P[i] ‖ Q[j])."""
    return P.kl(Q)


def _jeffreys(P: Gaussians, Q: Gaussians) -> FloatArray:
    """Return all KL(P[i] ‖ Q[j]) + KL(Q[j] ‖ P[i])."""
    return P.kl(Q) + Q.kl(P).T


def _bhattacharyya(P: Gaussians, Q: Gaussians) -> FloatArray:
    """Return all −ln ∫ √(pq)."""
    return P.bhattacharyya(Q)


def _hellinger(P: Gaussians, Q: Gaussians) -> FloatArray:
    """Return all √(1 − ∫ √(pq))."""
    return np.sqrt(-np.expm1(-P.bhattacharyya(Q)))


_BLOCKS: dict[GaussianMetric, Callable[[Any, Any], FloatArray]] = {
    "kl": _kl,
    "jeffreys": _jeffreys,
    "bhattacharyya": _bhattacharyya,
    "hellinger": _hellinger,
}


# --- Checks ---


def as_gaussians(means: ArrayLike, covariances: ArrayLike) -> Gaussians:
    """Check a user's means and covariances."""
    centers, spreads = as_finite(means, "means"), as_finite(covariances, "covariances")
    if centers.ndim != 2 or 0 in centers.shape:
        raise ValueError(
            f"means must be of shape (n, n_features), but its shape is {centers.shape}; for one feature, "
            "numpy.reshape(means, (-1, 1)) makes a column of it."
        )
    n, n_features = centers.shape
    if spreads.shape not in ((n, n_features, n_features), (n, n_features), (n,)):
        raise ValueError(
            f"covariances must be of shape {(n, n_features, n_features)} (full), {(n, n_features)} (diagonal) or "
            f"{(n,)} (spherical) for means of shape {centers.shape}, but its shape is {spreads.shape}."
        )
    _refuse_extremes(centers, spreads)
    if spreads.ndim == 3:
        return FullGaussians(centers, *_with_factors(spreads))
    _check_variances(spreads)
    return DiagonalGaussians(centers, spreads.reshape(n, -1))


def _refuse_extremes(centers: FloatArray, spreads: FloatArray) -> None:
    """Refuse means and variances of which squares or ratios are beyond the range of double precision."""
    full = spreads.ndim == 3
    variances = np.diagonal(spreads, axis1=1, axis2=2) if full else spreads
    far = np.argwhere(np.abs(centers) > _LARGEST_MEAN)
    extreme = np.argwhere((variances > _LARGEST_VARIANCE) | ((variances > 0) & (variances < 1 / _LARGEST_VARIANCE)))
    remedy = "Measure the feature in other units."
    if far.size:
        i, k = map(int, far[0])
        raise ValueError(f"means[{i}, {k}] = {centers[i, k]}, but a mean must be within ±{_LARGEST_MEAN:g}. {remedy}")
    if extreme.size:
        place = tuple(map(int, extreme[0]))
        name = ", ".join(map(str, (*place, place[1]) if full else place))
        raise ValueError(
            f"covariances[{name}] = {variances[place]}, but a variance must be from {1 / _LARGEST_VARIANCE:g} to "
            f"{_LARGEST_VARIANCE:g}. {remedy}"
        )


def _check_variances(variances: FloatArray) -> None:
    """Refuse a variance that is not above 0."""
    if not (variances > 0).all():
        place = tuple(map(int, np.argwhere(variances <= 0)[0]))
        raise ValueError(
            f"covariances[{', '.join(map(str, place))}] = {variances[place]}, but a variance must be above 0; leave "
            "out a feature that is constant, or add a small number to all variances."
        )


def _with_factors(covariances: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return covariance matrices that are symmetric to the bit, and their lower Cholesky factors."""
    variances = np.diagonal(covariances, axis1=1, axis2=2)
    scale = np.sqrt(np.abs(variances[:, :, np.newaxis] * variances[:, np.newaxis, :]))
    mirrored = covariances.swapaxes(1, 2)
    skewed = np.argwhere(np.abs(covariances - mirrored) > _ASYMMETRY * scale)
    if skewed.size:
        i, k, m = map(int, skewed[0])
        raise ValueError(
            f"covariances[{i}] is not symmetric: its entry [{k}, {m}] is {covariances[i, k, m]} and [{m}, {k}] is "
            f"{covariances[i, m, k]}. If that is rounding, pass (C + C.T) / 2 for each matrix C."
        )
    covariances = covariances / 2 + mirrored / 2
    factors = np.array([_factor(covariance, i) for i, covariance in enumerate(covariances)])
    return covariances, factors


def _factor(covariance: FloatArray, i: int) -> FloatArray:
    """Return the lower Cholesky factor of the covariance matrix of Gaussian i, and refuse one that is singular.

    The square of a diagonal entry of the factor is the variance of a feature that the features before it do not
    explain; where it is the rounding error of the variance, the matrix may as well be singular.
    """
    n_features = len(covariance)
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        factor = np.zeros_like(covariance)
    unexplained, rounding = np.square(np.diagonal(factor)), n_features * np.finfo(np.float64).eps
    if not (unexplained > 4 * rounding * np.diagonal(covariance)).all():
        smallest = np.linalg.eigvalsh(covariance)[0]
        raise ValueError(
            f"covariances[{i}] is not positive definite: its smallest eigenvalue is {smallest:.3g}. Leave out features "
            "that are constant or follow from the others, estimate it from more observations or with shrinkage "
            "(sklearn.covariance.ledoit_wolf), or add a small number to its diagonal."
        )
    return factor
