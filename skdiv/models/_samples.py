"""Divergences between distributions of which only samples are known, estimated from nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, gammaln
from sklearn.neighbors import KDTree
from sklearn.utils import check_scalar

from skdiv._compute.measure import Symmetrize
from skdiv._input.names import names_of, refuse_other_bins
from skdiv._utils.typing import FloatArray, Places
from skdiv.models._matrix import ModelMeasure, as_finite, record_of, refuse_named, symmetrization

SampleMetric = Literal["kl", "js_divergence", "js_distance", "jensenshannon"]

_SIDE = 16  # the number of rows and columns of a tile
_ROUNDING = 1e-12  # by which a ball is enlarged, so that it holds the neighbour that lies on its surface
_CHANCE = 1e-4  # the probability below which it is not by chance that a sample has no copy of an observation
_CELL = 2**18  # the number of entries of a temporary array
_EXPONENT = 450  # of 2: the largest number after scaling, of which a sum of squares does not overflow
_EXPONENT_ALONE = 960  # the same in one dimension, where there are no squares, but scikit-learn sums all numbers
_NANOSECONDS = 5_000.0  # of one observation, in each pair of samples


def sample_divergences(
    samples: Sequence[ArrayLike],
    metric: SampleMetric = "kl",
    *,
    n_neighbors: int = 5,
    symmetrize: Symmetrize | None = None,
    base: float | None = None,
    n_jobs: int | None = None,
) -> FloatArray:
    """Estimate the matrix of divergences between distributions from a sample of each, by nearest neighbours.

    Entry [i, j] estimates D(p_i ‖ p_j) for the densities p_i and p_j from which samples i and j were drawn. Neither
    bins nor a model of the densities are needed.

    Parameters
    ----------
    samples : sequence of array-likes of shape (n_observations, n_features) or (n_observations,)
        Independent observations from each distribution; samples may differ in size. Distances are Euclidean, so
        features should be on comparable scales.
    metric : {"kl", "js_divergence", "js_distance", "jensenshannon"}, default="kl"
        The divergence; ``"jensenshannon"`` is another name of ``"js_distance"``.
    n_neighbors : int, default=5
        The number of neighbours within which densities are compared. More of them lower the noise and raise the bias.
    symmetrize : {"mean", "min", "max"}, optional
        How KL(i ‖ j) and KL(j ‖ i) are combined into one number, which `DivergenceClustering` needs; by default the
        matrix holds both.
        It has no effect on the other metrics, which are symmetric.
    base : float, optional
        Base of the logarithm, 2 for bits; by default nats.
    n_jobs : int, optional
        Number of joblib workers, as in `pairwise_divergences`. The result does not depend on it.

    Returns
    -------
    ndarray of shape (n, n)
        The estimates. ``"kl"`` is ``inf`` where a value that is frequent in one sample is missing in the other, see the
        notes on ties. The diagonal is 0, and an estimate below 0, which noise makes of a divergence near 0, is returned
        as 0, after both directions have become one number.

    Raises
    ------
    ValueError
        If an entry is NaN or infinite, a sample has not more than ``n_neighbors`` observations, samples differ in their
        features, or an argument is not valid. The message names the sample and the remedy.
    TypeError
        If a sample is masked or holds anything but real numbers, or ``samples`` is a frame or a dict.
    MemoryError
        If the matrix does not fit into the memory that is left.

    See Also
    --------
    gaussian_divergences : If the distributions are known to be Gaussian.
    mixture_divergences : If Gaussian mixtures fit them.
    wasserstein_divergences : Distances between histograms of samples on ordered bins.

    Notes
    -----
    For ``"kl"``, of n observations x with k-th neighbours at the distances ρ(x) in their own sample (without x) and
    ν(x) in the other one, which has m observations in d dimensions, the estimate is

        d/n Σ ln(ν(x)/ρ(x)) + ln(m/(n − 1)).

    For the Jensen-Shannon divergence the density of x in its own sample is compared with the mean of both densities
    within the ball of radius ρ(x). With l and c observations of the own and of the other sample in the ball,
    a = (n − 1)/m and the digamma function ψ, an estimate of ln(p/m) is

        ln 2 + ψ(l) − ψ(l + a c) − (a − 1) a c / (2 (l + a c)²),

    of which the mean over the observations is taken, and then that of both samples. For equal sizes this is Ross'
    estimator of the information that an observation holds about its sample. The last term corrects it for samples of
    different sizes, to second order, so that both count ½; in the larger sample k is larger in proportion.

    *Bias*. Densities are taken as constant within a ball. Large values of ``"kl"`` are underestimated, because the
    other sample has no observation where the ratio of densities is largest: between Gaussians in one dimension that are
    three standard deviations apart (4.5 nats) 1,000 observations of each give 3.4 on average, and in five dimensions
    2.8; 0.5 nats are given as 0.48 and 0.38. The Jensen-Shannon divergence is bounded and hardly biased: 0.53 nats are
    given as 0.53 in both, and a divergence of 0 with a standard deviation of 0.01 (of 0.02 for 200 observations).

    *Dimensions*. For ``"kl"`` every feature counts as a dimension. One that is constant or follows from the others is
    none, and makes the estimate too large by up to a multiple: leave it out. Jensen-Shannon does not ask for d.

    *Ties*. Rounded, discrete and zero-inflated samples hold equal values, and observations at equal distances. For
    Jensen-Shannon the observations on the surface of a ball are then put into a random order, and the mean over all
    orders is taken, which is the mean over all jitters that leave distances between values as they are. Where more than
    k copies of x make the radius 0, the estimate is that from the counts of copies, so it is as little biased for
    discrete distributions as for continuous ones: 0.030 nats between two Gaussians in whole years are given as 0.030
    from 1,000 observations of each.
    For ``"kl"``, where ρ or ν is 0, the l and c copies of x in both samples (without x) are compared, by
    ψ(l + 1) − ψ(c + 1). If the other sample has no copy, the observations within ν are compared as well, and the larger
    number is taken. The estimate is infinite if that sample lacks x not by chance: of as many observations as it has
    within ν, spread as the own ones are, one would equal x with a probability above 0.9999. So constant and disjoint
    samples are infinitely apart, also if only some values of the first are missing in the second. Rounded
    samples have a finite, underestimated divergence: 0.50 nats between Gaussians in whole years are given as 0.48 from
    1,000 observations of each, and as 0.39 from 200. Both samples must be rounded to the same digits.

    *Scale*. The unit changes no estimate. Two points are equal if they differ by less than 1e-280 of the largest number
    of all samples, and in one dimension by less than 1e-590.

    References
    ----------
    Q. Wang, S. R. Kulkarni and S. Verdú, "Divergence Estimation for Multidimensional Densities Via k-Nearest-Neighbor
    Distances", IEEE Transactions on Information Theory 55(5) (2009), 2392–2405.
    F. Pérez-Cruz, "Kullback-Leibler Divergence Estimation of Continuous Distributions", IEEE International Symposium on
    Information Theory (2008), 1666–1670.
    B. C. Ross, "Mutual Information between Discrete and Continuous Data Sets", PLoS ONE 9(2) (2014), e87357.
    W. Gao, S. Kannan, S. Oh and P. Viswanath, "Estimating Mutual Information for Discrete-Continuous Mixtures",
    Advances in Neural Information Processing Systems 30 (2017), 5986–5997, for counts where a radius is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from skdiv.models import sample_divergences
    >>> rng = np.random.default_rng(0)
    >>> samples = [rng.normal(0, 1, 500), rng.normal(1, 1, 800), rng.normal(0, 1, 300)]
    >>> sample_divergences(samples).round(2)  # the first two differ by 0.5
    array([[0.  , 0.53, 0.03],
           [0.46, 0.  , 0.32],
           [0.01, 0.41, 0.  ]])
    >>> sample_divergences(samples, "js_distance").round(2)  # they are 0.33 apart
    array([[0.  , 0.34, 0.06],
           [0.34, 0.  , 0.32],
           [0.06, 0.32, 0.  ]])
    """
    record = record_of(metric, ("kl", "js_divergence", "js_distance"))
    measure = ModelMeasure(
        Estimates(_kl if record.name == "kl" else _js_divergence, _check_neighbors(n_neighbors)),
        symmetric=record.symmetric,
        symmetrize=symmetrization(record, symmetrize),
    )
    scale = record._scale(base)
    checked = as_samples(samples, n_neighbors)
    nanoseconds = _NANOSECONDS * float(np.mean([len(sample) for sample in checked.members]))
    values = measure.matrix(checked, side=_SIDE, nanoseconds=nanoseconds, n_jobs=n_jobs)
    np.maximum(values, 0, out=values)
    return record.finish(values) / scale


@dataclass(frozen=True)
class Sample:
    """The observations from one distribution, and a tree that finds their neighbours."""

    points: FloatArray
    tree: KDTree

    def __len__(self) -> int:
        """Return the number of observations."""
        return len(self.points)

    def radii(self, points: FloatArray, n_neighbors: int) -> FloatArray:
        """Return the distance from each point to its neighbour of this number."""
        distances: FloatArray = self.tree.query(points, n_neighbors)[0][:, -1]
        return distances

    def within(self, points: FloatArray, radii: FloatArray, *, surface: bool = True) -> Places:
        """Return the number of observations in the ball of this radius around each point, with or without its surface.

        A ball of radius 0 is all surface.
        """
        rounding = _ROUNDING if surface else -_ROUNDING
        counts: Places = self.tree.query_radius(points, radii * (1 + rounding), count_only=True)
        return counts if surface else np.where(radii > 0, counts, 0)

    def surfaces(self, n_neighbors: int) -> tuple[FloatArray, Places, Places]:
        """Return each observation's distance to its neighbour of this number, and how many neighbours are nearer.

        The third result is the number of neighbours that are nearer or at this distance. No observation is its own
        neighbour.
        """
        distances = self.tree.query(self.points, min(n_neighbors + 2, len(self)))[0][:, 1:]
        radii: FloatArray = distances[:, n_neighbors - 1]
        before = (distances < (radii * (1 - _ROUNDING))[:, np.newaxis]).sum(axis=1)
        reached = np.full(len(self), n_neighbors)
        more = distances[:, -1] <= radii * (1 + _ROUNDING)
        if more.any():
            reached[more] = self.within(self.points[more], radii[more]) - 1
        return radii, before, reached


@dataclass(frozen=True)
class Samples:
    """A collection of samples."""

    members: tuple[Sample, ...]

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.members)

    def __getitem__(self, some: slice) -> Self:
        """Return some of the samples."""
        return type(self)(self.members[some])


@dataclass(frozen=True)
class Estimates:
    """The function from two blocks of samples to the estimates of all pairs, each made by ``estimate(P, Q, k)``."""

    estimate: Callable[[Sample, Sample, int], float]
    n_neighbors: int

    def __call__(self, P: Samples, Q: Samples) -> FloatArray:
        """Return the estimates of all D(P[i] ‖ Q[j])."""
        return np.array([[self.estimate(p, q, self.n_neighbors) for q in Q.members] for p in P.members])


def _kl(p: Sample, q: Sample, k: int) -> float:
    """Return the estimate of KL(p ‖ q) in the notes of `sample_divergences`."""
    n, n_features = p.points.shape
    own, other = p.radii(p.points, k + 1), q.radii(p.points, k)
    tied = (own == 0) | (other == 0)
    ratios = np.empty(n)
    ratios[~tied] = n_features * _log_ratio(other[~tied], own[~tied])
    if tied.any():
        ratios[tied] = _kl_of_copies(p, q, p.points[tied], other[tied])
    return float(ratios.mean() + np.log(len(q) / (n - 1)))


def _log_ratio(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return the logarithms of quotients of positive numbers, also of quotients that overflow or underflow."""
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        logarithms: FloatArray = np.log(one / other)
    far = ~np.isfinite(logarithms)
    logarithms[far] = np.log(one[far]) - np.log(other[far])
    return logarithms


def _kl_of_copies(p: Sample, q: Sample, points: FloatArray, radii: FloatArray) -> FloatArray:
    """Return the logarithms of ratios of shares at points that one of the samples holds more than k times.

    ``radii`` are the distances to the k-th neighbours in q. They are needed where q holds no copy of the point.
    """
    points, radii, back = _distinct(points, radii)
    at_point = np.zeros(len(points))
    own, other = p.within(points, at_point) - 1, q.within(points, at_point)
    ratios = digamma(own + 1) - digamma(other + 1)
    lone = other == 0
    if lone.any():
        wide_own, wide_other = p.within(points[lone], radii[lone]) - 1, q.within(points[lone], radii[lone])
        by_chance = (1 - own[lone] / (wide_own + 1)) ** wide_other
        finite = np.maximum(ratios[lone], digamma(wide_own + 1) - digamma(wide_other))
        ratios[lone] = np.where(by_chance < _CHANCE, np.inf, finite)
    values: FloatArray = ratios[back]
    return values


def _distinct(points: FloatArray, radii: FloatArray) -> tuple[FloatArray, FloatArray, Places]:
    """Return each point once with its radius, and the place of each given point among them."""
    distinct, first, back = np.unique(points, axis=0, return_index=True, return_inverse=True)
    return distinct, radii[first], back.reshape(-1)


def _js_divergence(p: Sample, q: Sample, k: int) -> float:
    """Return the estimate of the Jensen-Shannon divergence in the notes of `sample_divergences`."""
    return (_from_mixture(p, q, k) + _from_mixture(q, p, k)) / 2


def _from_mixture(p: Sample, q: Sample, k: int) -> float:
    """Return the estimate of KL(p ‖ (p + q)/2); the own observations in a ball are counted without its center."""
    ratio = (len(p) - 1) / len(q)
    nearest = min(len(p) - 1, round(k * max(1, len(p) / len(q))))
    radii, before, own = p.surfaces(nearest)
    inside, other = q.within(p.points, radii, surface=False), q.within(p.points, radii)
    tied = (own - before > 1) | (other > inside)
    terms = np.empty(len(p))
    terms[~tied] = _log_share(nearest, other[~tied], ratio)
    if tied.any():
        counts = np.stack([before, own - before, inside, other - inside], axis=1)[tied]
        terms[tied] = _mean_over_orders(counts, nearest, ratio)
    return float(np.log(2) + terms.mean())


def _log_share(own: int, other: Places, ratio: float) -> FloatArray:
    """Return estimates of ln(p/(p + q)) in balls with these numbers of own observations and others."""
    weighted = ratio * other
    total = own + weighted
    values: FloatArray = digamma(own) - digamma(total) - (ratio - 1) * weighted / (2 * total * total)
    return values


def _mean_over_orders(counts: Places, nearest: int, ratio: float) -> FloatArray:
    """Return the mean of `_log_share` over all orders in which ties on the surface of a ball can be broken.

    A row of ``counts`` has the own observations inside of a ball and on its surface, and then those of the other
    sample. In a random order of the s own and the t other ones on the surface, the number x of others before the j-th
    own one has the negative hypergeometric distribution, C(j - 1 + x, x) C(s - j + t - x, t - x) / C(s + t, t).
    """
    distinct, back = np.unique(counts, axis=0, return_inverse=True)
    means = np.empty(len(distinct))
    for start, stop in pairwise(_blocks_of(distinct[:, 3] + 1)):
        block = distinct[start:stop]
        sizes = block[:, 3] + 1
        before, s, inside, t = np.repeat(block, sizes, axis=0).T
        starts = np.cumsum(sizes) - sizes
        x, j = np.arange(sizes.sum()) - np.repeat(starts, sizes), nearest - before
        logarithms = (gammaln(j + x) - gammaln(x + 1) - gammaln(j)) + (
            gammaln(s - j + t - x + 1) - gammaln(t - x + 1) - gammaln(s - j + 1)
        )
        weights = np.exp(logarithms - np.repeat(np.maximum.reduceat(logarithms, starts), sizes))
        sums = np.add.reduceat(weights * _log_share(nearest, inside + x, ratio), starts)
        means[start:stop] = sums / np.add.reduceat(weights, starts)
    values: FloatArray = means[back.reshape(-1)]
    return values


def _blocks_of(sizes: Places) -> list[int]:
    """Return the bounds of blocks, each of which has one member or sizes whose sum is not above ``_CELL``."""
    bounds, total = [0], 0
    for place, size in enumerate(sizes.tolist()):
        if total and total + size > _CELL:
            bounds.append(place)
            total = 0
        total += size
    return [*bounds, len(sizes)]


# --- Checks ---


def _check_neighbors(n_neighbors: int) -> int:
    """Return the number of neighbours, and refuse one that is not a positive integer."""
    return int(check_scalar(n_neighbors, "n_neighbors", Integral, min_val=1))


def as_samples(samples: Sequence[Any], n_neighbors: int) -> Samples:
    """Check a user's samples, and build their trees.

    All are scaled by one power of 2, which changes no estimate: the squares of distances then do not overflow, nor do
    they become 0. In one dimension the largest difference of coordinates is the Euclidean distance to the bit, and
    nothing is squared.
    """
    refuse_named(samples, "samples")
    samples = list(samples)
    arrays = [_as_observations(sample, f"samples[{i}]", n_neighbors) for i, sample in enumerate(samples)]
    if not arrays:
        raise ValueError("samples is empty; pass at least one sample.")
    n_features, labels = arrays[0].shape[1], [names_of(sample).labels for sample in samples]
    first = next((i for i, each in enumerate(labels) if each.columns), 0)
    for i, array in enumerate(arrays):
        if array.shape[1] != n_features:
            raise ValueError(
                f"samples[0] has {n_features} features and samples[{i}] has {array.shape[1]}, but all must have the "
                "same ones."
            )
        owners = f"samples[{first}]", f"samples[{i}]"
        refuse_other_bins(labels[first], labels[i], owners, what="features", can_align=False)
    metric, largest = ("chebyshev", _EXPONENT_ALONE) if n_features == 1 else ("euclidean", _EXPONENT)
    exponent = largest - int(np.frexp(max(np.abs(array).max() for array in arrays))[1])
    scaled = [np.ldexp(array, exponent) for array in arrays]
    return Samples(tuple(Sample(array, KDTree(array, metric=metric)) for array in scaled))


def _as_observations(sample: ArrayLike, name: str, n_neighbors: int) -> FloatArray:
    """Return a user's sample with one observation a row."""
    points = as_finite(sample, name)
    if points.ndim not in (1, 2) or 0 in points.shape[1:]:
        raise ValueError(
            f"{name} must be of shape (n_observations, n_features) or (n_observations,), but its shape is "
            f"{points.shape}."
        )
    if len(points) <= n_neighbors:
        raise ValueError(
            f"{name} has {len(points)} observations, but n_neighbors = {n_neighbors} needs more than that many; pass a "
            "smaller n_neighbors, or leave the sample out."
        )
    return np.ascontiguousarray(points.reshape(len(points), -1))
