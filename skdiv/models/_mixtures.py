"""Divergences between Gaussian mixtures, by simulation or by the variational approximation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal, NamedTuple, Self, TypeAlias, overload

import numpy as np
from scipy.special import expit, logsumexp
from sklearn.exceptions import NotFittedError
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted

from skdiv._compute.measure import Symmetrize
from skdiv._compute.run import IntoPlaces, Work, run
from skdiv._compute.tiles import number_of_tiles, tiles_of
from skdiv._divergences import terms
from skdiv._divergences.record import Divergence
from skdiv._input.names import ColumnLabels, refuse_other_columns
from skdiv._utils.blas import one_blas_thread
from skdiv._utils.memory import enough_memory
from skdiv._utils.typing import FloatArray, Places
from skdiv.models._gaussians import Gaussians, as_gaussians
from skdiv.models._matrix import ModelMeasure, record_of, refuse_named, symmetrization

MixtureMetric = Literal["kl", "js_divergence", "js_distance", "jensenshannon"]
MixtureMethod = Literal["monte_carlo", "variational"]
Mixture: TypeAlias = GaussianMixture | BayesianGaussianMixture

_SIDE = 8  # the number of mixtures in the rows and in the columns of a tile that is simulated
_NANOSECONDS_OF_DENSITY = 25.0  # of one density of one component and one feature, roughly
_NANOSECONDS_OF_ENTRY = 2.0  # of one entry of a covariance matrix, in each pair of components
_FARTHEST = 700.0  # the logarithm of a ratio of densities beyond which the smaller one may underflow as a share of both
_PARAMETERS = ("weights_", "means_", "covariances_")


@overload
def mixture_divergences(
    mixtures: Sequence[Mixture],
    metric: MixtureMetric = "kl",
    *,
    method: MixtureMethod = "monte_carlo",
    n_samples: int = 10_000,
    return_standard_error: Literal[False] = False,
    symmetrize: Symmetrize | None = None,
    base: float | None = None,
    n_jobs: int | None = None,
    random_state: Any = None,
) -> FloatArray: ...
@overload
def mixture_divergences(
    mixtures: Sequence[Mixture],
    metric: MixtureMetric = "kl",
    *,
    method: MixtureMethod = "monte_carlo",
    n_samples: int = 10_000,
    return_standard_error: Literal[True],
    symmetrize: Symmetrize | None = None,
    base: float | None = None,
    n_jobs: int | None = None,
    random_state: Any = None,
) -> tuple[FloatArray, FloatArray]: ...
def mixture_divergences(
    mixtures: Sequence[Mixture],
    metric: MixtureMetric = "kl",
    *,
    method: MixtureMethod = "monte_carlo",
    n_samples: int = 10_000,
    return_standard_error: bool = False,
    symmetrize: Symmetrize | None = None,
    base: float | None = None,
    n_jobs: int | None = None,
    random_state: Any = None,
) -> FloatArray | tuple[FloatArray, FloatArray]:
    """Estimate the matrix of divergences between fitted Gaussian mixtures, for which there is no closed form.

    Entry [i, j] is D(mixtures[i] ‖ mixtures[j]).

    Parameters
    ----------
    mixtures : sequence of GaussianMixture or BayesianGaussianMixture
        Fitted mixtures of scikit-learn over the same features; numbers of components and covariance types may differ. A
        mixture stands for the distribution that its ``sample`` draws from.
    metric : {"kl", "js_divergence", "js_distance", "jensenshannon"}, default="kl"
        The divergence; ``"jensenshannon"`` is another name of ``"js_distance"``.
    method : {"monte_carlo", "variational"}, default="monte_carlo"
        ``"monte_carlo"`` simulates: it tends to the divergence as ``n_samples`` grows, and knows its standard error.
        ``"variational"`` computes a formula from the divergences of all pairs of components, many times faster, for
        ``"kl"`` alone. It is right for single Gaussians, good if components and mixtures lie far from each other, and
        may be wrong by a multiple where they overlap: see the notes.
    n_samples : int, default=10000
        The number of points that are drawn from each mixture, for ``"monte_carlo"``. Four times as many halve
        the error.
    return_standard_error : bool, default=False
        Whether to return the standard errors of ``"monte_carlo"`` as well.
    symmetrize : {"mean", "min", "max"}, optional
        How KL(i ‖ j) and KL(j ‖ i) are combined into one number, which `DivergenceClustering` needs; by default the
        matrix holds both.
        It has no effect on the other metrics, which are symmetric.
    base : float, optional
        Base of the logarithm, 2 for bits; by default nats.
    n_jobs : int, optional
        Number of joblib workers, as in `pairwise_divergences`. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Determines the points that are drawn. Pass an int for reproducible estimates. Those of the mixtures are neither
        used nor changed.

    Returns
    -------
    divergences : ndarray of shape (n, n)
        The estimates, none of which is negative, with a diagonal of 0.
    standard_errors : ndarray of shape (n, n)
        Their standard errors, in the same units; if ``return_standard_error`` is True alone.

    Raises
    ------
    ValueError
        If there is no mixture, the mixtures have different features, a covariance matrix is singular, or an argument is
        not valid; for ``"variational"`` also if the metric is not ``"kl"`` or standard errors are asked for. The
        message names the mixture.
    NotFittedError
        If a mixture is not fitted.
    TypeError
        If an item is no Gaussian mixture of scikit-learn.
    MemoryError
        If the matrices do not fit into the memory that is left.

    See Also
    --------
    gaussian_divergences : Computes divergences between single Gaussians, in closed form.
    sample_divergences : Estimates divergences between samples, without a model.

    Notes
    -----
    *Monte Carlo*. Of each mixture one sample is drawn, which serves for all pairs. With s = p + q,

        D(p ‖ q) = E_p[t(p/s, q/s)] + E_q[t(p/s, q/s)],

    where t(p, q) is the term of the divergence: p ln(p/q) − p + q for KL, ½ p ln(p/m) + ½ q ln(q/m) for Jensen-Shannon.
    Both expectations are means over the samples of p and q. No term is negative, and all vanish where p = q, so the
    standard error of a small divergence is small in proportion: between two Gaussians it is about 1 % of the divergence
    for 10,000 points, however near they are. The plain mean of ln(p/q) over points from p would be lost in noise there,
    and negative half of the time. The standard error of a ``"js_distance"`` is that of its square divided by twice the
    distance.

    *Variational approximation*. With weights π_a and ω_b of the components p_a and q_b,

        KL(p ‖ q) ≈ Σ_a π_a ln (Σ_c π_c exp(−KL(p_a ‖ p_c)) / Σ_b ω_b exp(−KL(p_a ‖ q_b))).

    It is neither an upper nor a lower bound, and its error is that of terms which cancel where mixtures are near. Of
    80 random mixtures of one to five components in one dimension, nine of ten pairs that are 3 to 10 nats apart have an
    approximation between 0.9 and 1.1 times the true value. But half of the pairs that are 0.1 to 0.3 nats apart have
    one outside of 0.54 to 1.92 times the true value, and one in 13 has one below 0. Values below 0 are returned as 0,
    after both directions have been combined. The mean of both directions, by ``symmetrize="mean"``, is better: half of
    the pairs that are 0.1 to 0.3 nats apart are then within 0.98 and 1.43 times the true value, and none is below 0.

    For the Jensen-Shannon divergence the same approximation, of divergences from the mixture ½ p + ½ q, is twice the
    true value between near mixtures, even of single Gaussians. So it is refused.

    References
    ----------
    J. R. Hershey and P. A. Olsen, "Approximating the Kullback Leibler Divergence Between Gaussian Mixture Models", IEEE
    International Conference on Acoustics, Speech and Signal Processing (2007), volume 4, 317–320.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.mixture import GaussianMixture
    >>> from skdiv.models import mixture_divergences
    >>> rng = np.random.default_rng(0)
    >>> samples = [rng.normal(centers, 1, (500, 2)).reshape(-1, 1) for centers in ([0, 5], [0, 6], [9, 0])]
    >>> mixtures = [GaussianMixture(2, random_state=0).fit(sample) for sample in samples]
    >>> D, errors = mixture_divergences(mixtures, return_standard_error=True, random_state=0)
    >>> D.round(2)
    array([[0.  , 0.23, 3.25],
           [0.25, 0.  , 2.21],
           [4.25, 2.3 , 0.  ]])
    >>> errors.round(2)
    array([[0.  , 0.  , 0.03],
           [0.  , 0.  , 0.02],
           [0.05, 0.03, 0.  ]])
    >>> mixture_divergences(mixtures, method="variational").round(2)
    array([[0.  , 0.25, 4.11],
           [0.26, 0.  , 2.36],
           [4.29, 2.31, 0.  ]])
    """
    record = record_of(metric, ("kl", "js_divergence", "js_distance"))
    direction, scale = symmetrization(record, symmetrize), record._scale(base)
    _check_method(method, record, return_standard_error)
    checked = as_mixtures(mixtures)
    if method == "variational":
        components = Components.of(checked)
        measure = ModelMeasure(_variational, symmetric=False, scale=scale, symmetrize=direction)
        nanoseconds = _NANOSECONDS_OF_ENTRY * components.gaussians.entries * components.mean_number**2
        values = measure.matrix(components, side=components.side, nanoseconds=nanoseconds, n_jobs=n_jobs)
        return np.maximum(values, 0, out=values)
    seeds = check_random_state(random_state).randint(np.iinfo(np.int32).max, size=len(checked))
    for mixture, seed in zip(checked, seeds, strict=True):
        mixture.random_state = int(seed)
    simulation = Simulation(record.name == "kl", direction == "mean", _check_n_samples(n_samples))
    values, errors = simulation.matrices(checked, n_jobs)
    if direction in ("min", "max"):
        chosen = values <= values.T if direction == "min" else values >= values.T
        values, errors = np.where(chosen, values, values.T), np.where(chosen, errors, errors.T)
    if record.name == "js_distance":
        values = np.sqrt(values)
        errors = np.divide(errors, 2 * values, out=np.zeros_like(errors), where=values > 0)
    return (values / scale, errors / scale) if return_standard_error else values / scale


# --- Simulation ---


class Density(NamedTuple):
    """The density of a mixture; that of scikit-learn cancels where the means are far from 0."""

    gaussians: Gaussians
    log_weights: FloatArray

    def __call__(self, points: FloatArray) -> FloatArray:
        """Return the logarithms of the density at these points."""
        values: FloatArray = logsumexp(self.gaussians.log_densities(points) + self.log_weights, axis=1)
        return values


class Drawn(NamedTuple):
    """A mixture as a density, points that were drawn from it, and the logarithms of its density there."""

    density: Density
    points: FloatArray
    log_densities: FloatArray


@dataclass(frozen=True)
class Simulation:
    """The function from two blocks of mixtures to estimates of their divergences in both directions.

    Parameters
    ----------
    is_kl : bool
        Whether the divergence is that of Kullback-Leibler; else it is that of Jensen-Shannon.
    mean : bool
        Whether the mean of both directions is estimated in place of each.
    n_samples : int
        The number of points that are drawn from each mixture.
    """

    is_kl: bool
    mean: bool
    n_samples: int

    def __call__(self, P: list[GaussianMixture], Q: list[GaussianMixture], diagonal: int | None) -> FloatArray:
        """Return D(P[i] ‖ Q[j]), D(Q[j] ‖ P[i]) and the variances of both; on the ``diagonal`` for i < j alone."""
        results = np.zeros((4, len(P), len(Q)))
        with one_blas_thread():
            left = [self._drawn(mixture) for mixture in P]
            right = left if diagonal == 0 else [self._drawn(mixture) for mixture in Q]
            for i, j in np.ndindex(len(P), len(Q)):
                if diagonal is None or i < j:
                    results[:, i, j] = self._pair(left[i], right[j])
        return results

    def _drawn(self, mixture: GaussianMixture) -> Drawn:
        """Return the sample of a mixture: the same one each time, because its random state is a number."""
        points = mixture.sample(self.n_samples)[0]
        density = Density(as_gaussians(mixture.means_, _spreads(mixture, full=False)), np.log(mixture.weights_))
        return Drawn(density, points, density(points))

    def _pair(self, p: Drawn, q: Drawn) -> tuple[float, float, float, float]:
        """Return the estimates of D(p ‖ q) and D(q ‖ p), and their variances."""
        of_p, of_q = p.log_densities - q.density(p.points), p.density(q.points) - q.log_densities
        terms_of = self._terms_of
        forth, back = (np.stack([terms_of(of_p), terms_of(of_q)]), np.stack([terms_of(-of_p), terms_of(-of_q)]))
        if self.mean:
            forth = back = forth / 2 + back / 2
        with np.errstate(over="ignore", invalid="ignore"):  # An infinite term gives a variance that is no number.
            values = [float(each.mean(axis=1).sum()) for each in (forth, back)]
            variances = [float(each.var(axis=1, ddof=1).sum()) / self.n_samples for each in (forth, back)]
        return (*values, *(np.inf if np.isnan(variance) else variance for variance in variances))  # type: ignore[return-value]

    def _terms_of(self, log_ratio: FloatArray) -> FloatArray:
        """Return the terms of p/(p + q) and q/(p + q) from ln(p/q)."""
        p, q = expit(log_ratio), expit(-log_ratio)
        if not self.is_kl:
            return terms.jensen_shannon(p, q)
        far = np.abs(log_ratio) > _FARTHEST  # One of the two shares may be 0, which it is not, and the other is 1.
        return np.where(far, np.where(log_ratio > 0, log_ratio - 1, 1), terms.kl(p, np.where(far, 1, q)))

    def matrices(self, mixtures: list[GaussianMixture], n_jobs: int | None) -> tuple[FloatArray, FloatArray]:
        """Return the matrix of the estimates and that of their standard errors."""
        n = len(mixtures)

        def calls() -> Iterator[tuple[Any, tuple[Any, ...]]]:
            """Yield the place of each tile on and above the diagonal, and its mixtures."""
            for tile in tiles_of((n, n), (_SIDE, _SIDE), of_itself=True, upper=True):
                place = (slice(None), tile.rows, tile.columns)
                yield place, (mixtures[tile.rows], mixtures[tile.columns], tile.diagonal)

        size = float(np.mean([mixture.means_.size for mixture in mixtures]))
        with enough_memory(32 * n * n, f"Estimates for {n} × {n} mixtures", "Compare fewer mixtures at a time."):
            out = np.empty((4, n, n))
            n_tiles = number_of_tiles((n, n), (_SIDE, _SIDE), upper=True)
            work = Work(
                32 * _SIDE * _SIDE, lambda: _NANOSECONDS_OF_DENSITY * n * n * self.n_samples * size, n_calls=n_tiles
            )
            run(self, calls(), IntoPlaces(out), work, n_jobs=n_jobs)
            forth, back = np.triu(out[::2], 1), np.triu(out[1::2], 1)
            values, variances = forth + back.swapaxes(1, 2)
        return values, np.sqrt(variances)


# --- The variational approximation ---


@dataclass(frozen=True)
class Components:
    """The components of several mixtures, one mixture after another.

    Those of mixture i are at ``starts[i]`` to ``starts[i + 1]``. For each component, ``log_weights`` has the logarithm
    of its weight, and ``overlaps`` that of the mean of exp(−KL) from it to the components of its own mixture.
    """

    gaussians: Gaussians
    log_weights: FloatArray
    overlaps: FloatArray
    starts: Places

    @classmethod
    def of(cls, mixtures: list[GaussianMixture]) -> Self:
        """Return the components of mixtures; with matrices for all if there is a mixture that has matrices."""
        full = any(mixture.covariance_type in ("full", "tied") for mixture in mixtures)
        means = [mixture.means_ for mixture in mixtures]
        spreads = [_spreads(mixture, full=full) for mixture in mixtures]
        log_weights = [np.log(mixture.weights_) for mixture in mixtures]
        overlaps = []
        with one_blas_thread():
            for center, spread, log_weight in zip(means, spreads, log_weights, strict=True):
                gaussians = as_gaussians(center, spread)
                overlaps.append(logsumexp(log_weight - gaussians.kl(gaussians), axis=1))
        starts = np.cumsum([0, *map(len, means)])
        joined = as_gaussians(np.concatenate(means), np.concatenate(spreads))
        return cls(joined, np.concatenate(log_weights), np.concatenate(overlaps), starts)

    def __len__(self) -> int:
        """Return the number of mixtures."""
        return len(self.starts) - 1

    def __getitem__(self, some: slice) -> Self:
        """Return the components of some of the mixtures."""
        first, last, _ = some.indices(len(self))
        places = slice(self.starts[first], self.starts[last])
        starts = self.starts[first : last + 1] - self.starts[first]
        return type(self)(self.gaussians[places], self.log_weights[places], self.overlaps[places], starts)

    @property
    def mean_number(self) -> float:
        """Return the mean number of components of a mixture."""
        return len(self.log_weights) / len(self)

    @property
    def side(self) -> int:
        """Return the number of rows and columns of a tile."""
        return max(1, int(self.gaussians.side / self.mean_number))


def _variational(P: Components, Q: Components) -> FloatArray:
    """Return the approximations of all KL(P[i] ‖ Q[j]) in the notes of `mixture_divergences`."""
    exponents = Q.log_weights - P.gaussians.kl(Q.gaussians)
    first, sizes = Q.starts[:-1], np.diff(Q.starts)
    largest = np.maximum.reduceat(exponents, first, axis=1)
    largest[np.isneginf(largest)] = 0
    with np.errstate(divide="ignore"):
        sums = np.add.reduceat(np.exp(exponents - np.repeat(largest, sizes, axis=1)), first, axis=1)
        overlaps = np.log(sums) + largest
    gains = np.exp(P.log_weights)[:, np.newaxis] * (P.overlaps[:, np.newaxis] - overlaps)
    values: FloatArray = np.add.reduceat(gains, P.starts[:-1], axis=0)
    return values


def _spreads(mixture: Mixture, *, full: bool) -> FloatArray:
    """Return the covariance matrices of the components, or their variances if these will do and not ``full``."""
    covariances, (n_components, n_features) = np.asarray(mixture.covariances_), mixture.means_.shape
    if mixture.covariance_type in ("full", "tied"):
        return np.broadcast_to(covariances, (n_components, n_features, n_features))
    variances = np.broadcast_to(covariances.reshape(n_components, -1), (n_components, n_features))
    return variances[:, :, np.newaxis] * np.eye(n_features) if full else variances


# --- Checks ---


def _check_method(method: str, record: Divergence, return_standard_error: bool) -> None:
    """Refuse a method that is not known, or that cannot give what is asked for."""
    if method not in ("monte_carlo", "variational"):
        raise ValueError(f"method = {method!r} must be 'monte_carlo' or 'variational'.")
    if method == "monte_carlo":
        return
    if record.name != "kl":
        raise ValueError(
            f"method = 'variational' is for metric 'kl' alone: of {record.name!r} it would be wrong by a factor of 2 "
            "between near mixtures. Use method='monte_carlo'."
        )
    if return_standard_error:
        raise ValueError("method = 'variational' has no standard error; use method='monte_carlo'.")


def _check_n_samples(n_samples: int) -> int:
    """Return the number of points to draw; a variance needs two."""
    return int(check_scalar(n_samples, "n_samples", Integral, min_val=2))


def as_mixtures(mixtures: Sequence[Mixture]) -> list[GaussianMixture]:
    """Check a user's mixtures, and return new ones that hold their distributions and nothing else."""
    if isinstance(mixtures, Mixture):
        raise TypeError("mixtures is a single mixture; pass a list of fitted mixtures.")
    refuse_named(mixtures, "mixtures")
    mixtures = list(mixtures)
    plain = [_plain(mixture, i) for i, mixture in enumerate(mixtures)]
    if not plain:
        raise ValueError("mixtures is empty; pass at least one fitted mixture.")
    n_features, columns = plain[0].means_.shape[1], _columns(mixtures[0])
    for i, mixture in enumerate(plain):
        if mixture.means_.shape[1] != n_features:
            raise ValueError(
                f"mixtures[0] has {n_features} features and mixtures[{i}] has {mixture.means_.shape[1]}, but all must "
                "be over the same ones."
            )
        remedy = f", as after a fit of mixtures[{i}] to X[mixtures[0].feature_names_in_]"
        owners = "mixtures[0]", f"mixtures[{i}]"
        refuse_other_columns(columns, _columns(mixtures[i]), owners, remedy, what="features")
    return plain


def _columns(mixture: Mixture) -> ColumnLabels:
    """Return the names of the features of a mixture, if it was fitted to a frame."""
    return ColumnLabels(list(getattr(mixture, "feature_names_in_", [])), given=True)


def _plain(mixture: Any, i: int) -> GaussianMixture:
    """Return a mixture with the parameters of a user's, after checks; ``i`` is its place.

    It has no random state of the user, which would change, and no component without weight. Matrices that were fitted
    in single precision are symmetric to its rounding alone, and are made so.
    """
    if not isinstance(mixture, Mixture):
        raise TypeError(
            f"mixtures[{i}] is of type {type(mixture).__name__}, and must be a fitted GaussianMixture or "
            "BayesianGaussianMixture of sklearn.mixture."
        )
    try:
        check_is_fitted(mixture, _PARAMETERS)
    except NotFittedError as error:
        raise NotFittedError(f"mixtures[{i}] is not fitted; call its method fit first.") from error
    plain = GaussianMixture(len(mixture.weights_), covariance_type=mixture.covariance_type)
    weights, means, covariances = (np.asarray(getattr(mixture, name), dtype=np.float64) for name in _PARAMETERS)
    if not (weights >= 0).all() or not np.isclose(weights.sum(), 1):
        raise ValueError(f"mixtures[{i}].weights_ = {weights.tolist()} must not be negative, and must sum to 1.")
    if np.asarray(mixture.covariances_).dtype == np.float32 and mixture.covariance_type in ("full", "tied"):
        covariances = (covariances + covariances.swapaxes(-1, -2)) / 2
    used = weights > 0  # The smallest weights of a Bayesian mixture underflow.
    plain.weights_, plain.means_ = weights[used] / weights.sum(), means[used]
    plain.covariances_ = covariances if mixture.covariance_type == "tied" else covariances[used]
    try:
        as_gaussians(plain.means_, _spreads(plain, full=False))
    except ValueError as error:
        raise ValueError(f"mixtures[{i}]: {error}") from error
    return plain
