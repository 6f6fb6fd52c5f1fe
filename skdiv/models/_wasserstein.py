"""Wasserstein distances between histograms on ordered bins."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist

from skdiv._compute.run import Work
from skdiv._compute.tiles import IntoMatrix, number_of_tiles, run_tiles, tiles_of
from skdiv._input.checks import MatrixLike
from skdiv._input.distributions import Distributions
from skdiv._input.names import ColumnLabels, Names, labels_of_distribution, names_of, refuse_other_bins
from skdiv._utils.memory import enough_memory
from skdiv._utils.typing import FloatArray, Places
from skdiv.models._matrix import as_finite
from skdiv.pairwise import as_collections

_CELL = 2**18  # the number of entries of the rows of a tile that are made dense and added up
_LARGEST_SIDE = 256  # the largest number of rows and columns of a tile
_NANOSECONDS = 0.5  # of one bin, in each pair of rows


def wasserstein_divergences(
    X: MatrixLike, Y: MatrixLike | None = None, *, positions: ArrayLike | None = None, n_jobs: int | None = None
) -> FloatArray:
    """Compute the matrix of Wasserstein distances between rows whose bins have an order, such as ages or prices.

    Entry [i, j] is the least work that turns X[i] into Y[j]: the probability that has to be moved, times the distance
    by which it is moved. So neighbouring bins are nearer to each other than bins that are far apart, which is not so
    for any of the metrics in `divergences`.

    Parameters
    ----------
    X : {array-like, sparse matrix, frame} of shape (n_X, n_bins)
        Probabilities or counts in bins in ascending order; each row is divided by its sum. The columns of a frame that
        are named by numbers lie at these, and may be in any order.
    Y : {array-like, sparse matrix, frame} of shape (n_Y, n_bins), optional
        A second collection over the same bins; by default X itself.
    positions : array-like of shape (n_bins,), optional
        Where the bins lie, for instance their centers, in ascending order. By default they are the names of the bins
        where these have names, which must be numbers, in any order; else the bins are one unit apart.
    n_jobs : int, optional
        Number of joblib workers, as in `pairwise_divergences`. The result does not depend on it.

    Returns
    -------
    ndarray of shape (n_X, n_Y)
        The distances, in the unit of ``positions``; float32 if X and Y are, else float64. They are at most the distance
        of the outermost bins.

    Raises
    ------
    ValueError
        If ``positions`` does not hold one number for each bin, in strictly ascending order; if it is left out and the
        bins have names that are not numbers, or two of one name; or if a row is not a distribution, or X and Y differ
        in their bins, as in `pairwise_divergences`. The message names the position or the row.
    TypeError
        If X, Y or ``positions`` is masked or holds anything but real numbers.
    MemoryError
        If the matrix does not fit into the memory that is left.

    See Also
    --------
    sample_divergences : Divergences between samples, without bins.
    skdiv.pairwise_divergences : Divergences that do not depend on the order of the bins.
    scipy.stats.wasserstein_distance : The distance of a single pair, of bins in any order.

    Notes
    -----
    This is the 1-Wasserstein distance, or earth mover's distance. On a line it is the area between the cumulative
    distributions: with bins at x_1 < x_2 < … and F(k) = p_1 + … + p_k,

        W(p, q) = sum_k abs(F_p(k) − F_q(k)) (x_(k+1) − x_k).

    It is a metric, and always finite. It is no Euclidean distance, so linkage ``"average"`` or ``"complete"`` suits it,
    and ``"ward"`` does not. Mass within a bin counts as if it were at one point. Bins on a circle, such as the hours of
    a day, have another distance: this one takes the first and the last for the farthest apart.

    The error is that of the cumulative sums, about 1e-16 times the square root of the number of bins, times the
    distance of the outermost bins; equal rows are at exactly 0. Bins that are empty in all rows of sparse X and Y cost
    nothing.

    References
    ----------
    S. S. Vallender, "Calculation of the Wasserstein Distance Between Probability Distributions on the Line", Theory of
    Probability and Its Applications 18(4) (1974), 784–786.

    Examples
    --------
    >>> from skdiv import pairwise_divergences
    >>> from skdiv.models import wasserstein_divergences
    >>> X = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    >>> wasserstein_divergences(X, positions=[20, 30, 60])
    array([[ 0., 10., 40.],
           [10.,  0., 30.],
           [40., 30.,  0.]])
    >>> pairwise_divergences(X).round(2)  # Jensen-Shannon: no two of them share a bin
    array([[0.  , 0.83, 0.83],
           [0.83, 0.  , 0.83],
           [0.83, 0.83, 0.  ]])
    """
    P, Q = as_collections(X, Y, None)
    names = names_of(X) if Y is None or names_of(X).labels.given else names_of(Y, "Y")
    places, order = _places(positions, names, P)
    if order is not None:
        P, Q = _in_order(P, order), None if Q is None else _in_order(Q, order)
    upper, other = Q is None, P if Q is None else Q
    if P.is_sparse and other.is_sparse:
        used = np.unique(np.concatenate([P.values.indices, other.values.indices]))
        P, other = _in_bins(P, used), _in_bins(other, used)
    else:
        used = np.arange(P.shape[1])
    distances = CumulativeDistances(np.diff(used if places is None else places[used]).astype(np.float64))
    shape, side = (len(P), len(other)), max(1, min(_LARGEST_SIDE, _CELL // len(used)))
    n_tiles = number_of_tiles(shape, (side, side), upper=upper)
    work = Work(8 * side * side, lambda: _NANOSECONDS * shape[0] * shape[1] * len(used), n_calls=n_tiles)
    what, remedy = f"The matrix of {shape[0]} × {shape[1]} distances", "Pass some rows as X at a time, and all as Y."
    with enough_memory(shape[0] * shape[1] * P.dtype.itemsize, what, remedy):
        out = np.empty(shape, dtype=P.dtype)
        tiles = tiles_of(shape, (side, side), of_itself=upper, upper=upper)
        run_tiles(distances, P, other, tiles, IntoMatrix(out, upper), work, n_jobs=n_jobs)
    return out


@dataclass(frozen=True)
class CumulativeDistances:
    """The function from two blocks of rows to the city-block distances of their cumulative sums.

    ``widths`` are the distances from each bin to the next.
    """

    widths: FloatArray

    def __call__(
        self,
        P: Distributions,
        Q: Distributions,
        diagonal: int | None,  # noqa: ARG002
        out: FloatArray | None = None,  # noqa: ARG002
    ) -> FloatArray:
        """Return the block of all W(P[i], Q[j]), computed in double precision."""
        values: FloatArray = cdist(self._cumulative(P), self._cumulative(Q), "cityblock")
        return values

    def _cumulative(self, rows: Distributions) -> FloatArray:
        """Return the cumulative sums times the widths; the last sum, which is 1 in every row, is left out."""
        sums = np.cumsum(rows.dense()[:, :-1], axis=1, dtype=np.float64)
        sums *= self.widths
        return sums


def _in_bins(rows: Distributions, used: Places) -> Distributions:
    """Return sparse rows with those bins alone, among which are all that they store."""
    values = rows.values
    bins = np.searchsorted(used, values.indices)
    return Distributions(sp.csr_array((values.data, bins, values.indptr), shape=(len(rows), len(used))))


def _in_order(rows: Distributions, order: Places) -> Distributions:
    """Return rows with their bins in another order."""
    return Distributions(rows.values[:, order])


def _places(positions: ArrayLike | None, names: Names, rows: Distributions) -> tuple[FloatArray | None, Places | None]:
    """Return where the bins lie, in ascending order, and the order into which they have to be put, if another is meant.

    The positions are those of a user, or else the names of the bins; without either they are None, for 0, 1, 2, ….
    """
    labels, n_bins = names.labels, rows.shape[1]
    if positions is not None:
        refuse_other_bins(labels, labels_of_distribution(positions), (names.argument, "positions"), can_align=False)
        return _check_positions(positions, n_bins, rows.dtype), None
    if not (labels.columns and labels.given):
        return None, None
    places = _numbers(labels, names.argument)
    order = np.argsort(places, kind="stable")
    ascending = places[order]
    twice = np.flatnonzero(np.diff(ascending) == 0)
    if twice.size:
        i, k = map(int, order[twice[0] : twice[0] + 2])
        raise ValueError(
            f"{labels.holder.place}s {i} and {k} of {names} are both at {places[i]:g}, but bins must lie at different "
            "positions; add up bins at the same position, or pass positions."
        )
    in_order = bool((order == np.arange(n_bins)).all())
    return _check_positions(ascending, n_bins, rows.dtype), None if in_order else order


def _numbers(labels: ColumnLabels, argument: str) -> FloatArray:
    """Return the names of bins as positions; refuse names that are not finite numbers, and say what to pass."""
    for place, label in enumerate(labels.columns):
        if not isinstance(label, Real) or isinstance(label, bool | np.bool_) or not np.isfinite(float(label)):
            code, n = labels.holder.labels.format(argument), len(labels.columns)
            remedy = f"positions=range({n}) if they are one unit apart"
            if all(hasattr(each, "mid") for each in labels.columns):
                remedy = f"positions={code}.mid"
            elif _are_texts_of_numbers(labels.columns):
                remedy = f"positions=[float(name) for name in {code}]"
            raise ValueError(
                f"{labels.holder.place} {place} of {argument} is {label!r}, which does not say where the bin lies. "
                f"Pass positions, as numbers in ascending order: {remedy}."
            )
    return np.array(labels.columns, dtype=np.float64)


def _are_texts_of_numbers(names: list[Any]) -> bool:
    """Return whether all names are texts of numbers, as the names of a polars frame are, which ascend strictly."""
    try:
        numbers = np.array([float(name) for name in names])
    except (TypeError, ValueError):
        return False
    return bool(np.isfinite(numbers).all() and (np.diff(numbers) > 0).all())


def _check_positions(positions: ArrayLike, n_bins: int, dtype: np.dtype[Any]) -> FloatArray:
    """Return the positions of a user's bins; refuse those that do not ascend or are too far apart for ``dtype``."""
    places = as_finite(positions, "positions")
    if places.shape != (n_bins,):
        raise ValueError(
            f"positions must hold one number for each of the {n_bins} bins (columns), but its shape is {places.shape}."
        )
    with np.errstate(over="ignore"):
        widths = np.diff(places)
        span = places[-1] - places[0]
    wrong = np.flatnonzero(widths <= 0)
    if wrong.size:
        k = int(wrong[0])
        raise ValueError(
            f"positions[{k}] = {places[k]} and positions[{k + 1}] = {places[k + 1]}, but they must ascend strictly. "
            "Sort the bins: with order = numpy.argsort(positions), pass X[:, order] and positions[order]; add up bins "
            "at the same position."
        )
    if span > np.finfo(dtype).max:
        raise ValueError(
            f"positions[0] = {places[0]} and positions[{n_bins - 1}] = {places[-1]}, but their difference must be "
            f"finite in {dtype}, the precision of the rows. Give positions in other units."
        )
    return places
