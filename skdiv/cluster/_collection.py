"""Weighted rows as the user passes them, which are normalised a part at a time: a second copy is never held.

How they are cut into parts depends on shapes alone, and what the parts return is put together in their order, so the
results are the same to the bit for any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

import numpy as np
import scipy.sparse as sp

from skdiv._compute.blocks.termwise import of_pairs
from skdiv._compute.kernels import load
from skdiv._compute.measure import Measure
from skdiv._compute.run import IntoPlaces, Work, run
from skdiv._divergences.registry import resolve
from skdiv._input.checks import Matrix
from skdiv._input.distributions import Distributions, normalise
from skdiv._input.names import UNNAMED, Names
from skdiv._utils.blas import one_blas_thread
from skdiv._utils.memory import Workspace
from skdiv._utils.typing import FloatArray, Labels

_CELL = 2**18  # the number of entries of a part, or of its divergences from centers
_TO_SUM = 2**19  # the number of entries of rows that are summed at once
_CROWDED = 4  # sparse rows with more than one entry in so many are held as dense ones once they are summed
_NANOSECONDS_OF_PRODUCT = 0.04  # the time for one row, one center and one bin, roughly
_NANOSECONDS_OF_TERM = 4.0  # the time for one entry of a row that is normalised and summed or compared with a center
_memory_for_rows, _memory_for_distances = Workspace(), Workspace()  # see `Part.rows`


@dataclass(frozen=True)
class Part:
    """Some rows of a collection, and their sums if they are known; see `Collection`."""

    X: Matrix
    pseudocount: float
    totals: FloatArray | None

    def rows(self) -> Distributions:
        """Return the rows, normalised in double precision; small parts are valid until this thread makes the next.

        Workers of `distributed` give freed memory back to the system at once, and to have it anew for each part took
        them half of the time.
        """
        if self.totals is None:
            return normalise(self.X.astype(np.float64, copy=False), pseudocount=self.pseudocount)
        weights = np.add(self.X, self.pseudocount, dtype=np.float64) if self.pseudocount else self.X
        out = _memory_for_rows.array(self.X.shape) if self.X.size <= _TO_SUM else np.empty(self.X.shape)
        return Distributions(np.divide(weights, self.totals[:, np.newaxis], out=out))


@dataclass(frozen=True)
class Collection:
    """Rows of weights, as a float array or a CSR matrix, and the mass of each row.

    The pseudocount is added to every entry of a row before it is divided by its sum. ``names`` are used in messages.
    ``totals`` are the sums of dense rows that have been checked, with the pseudocounts: to normalise such rows again
    is then a division. It is None for others.
    """

    X: Matrix
    masses: FloatArray
    pseudocount: float = 0.0
    names: Names = UNNAMED
    n_jobs: int | None = None
    kl: Measure = field(default_factory=lambda: Measure(resolve("kl")))
    totals: FloatArray | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.masses)

    @property
    def n_bins(self) -> int:
        """Return the number of bins."""
        return int(self.X.shape[1])

    @property
    def is_sparse(self) -> bool:
        """Return whether means of these rows are worth holding as sparse rows."""
        sparse = sp.issparse(self.X) and not self.pseudocount
        return sparse and _CROWDED * self.X.nnz < len(self) * self.n_bins

    @property
    def _entries_of_row(self) -> int:
        """Return how many entries of a row are computed with: all bins, or those that a sparse row stores."""
        return 1 + self.X.nnz // len(self) if self.is_sparse else self.n_bins

    def some(self, rows: slice) -> Part:
        """Return a part of the rows."""
        return Part(self.X[rows], self.pseudocount, None if self.totals is None else self.totals[rows])

    def parts(self, size: int) -> Iterator[slice]:
        """Yield slices of so many rows, and of fewer at the end."""
        return (slice(start, min(start + size, len(self))) for start in range(0, len(self), size))

    def of_each(
        self,
        function: Callable[..., FloatArray],
        *shared: Any,
        each: tuple[FloatArray | Labels, ...] = (),
        width: int,
        out: FloatArray,
        cell: int = _CELL,
    ) -> Any:
        """Compute numbers for each row, and return them in ``out``, whose last axis is that of the rows.

        ``function`` is called with a part, the same part of each vector in ``each``, and what is ``shared``. ``width``
        is how many numbers it computes on the way for each row; a part has about ``cell`` of them.
        """
        size = max(1, cell // max(width, self._entries_of_row))
        calls = (
            ((..., some), (function, self.some(some), *(vector[some] for vector in each), *shared))
            for some in self.parts(size)
        )
        nanoseconds = len(self) * self._entries_of_row * (width * _NANOSECONDS_OF_PRODUCT + _NANOSECONDS_OF_TERM)
        work = Work(16 * size, lambda: nanoseconds, blas_bound=width > 1)
        run(_on_one_thread, calls, IntoPlaces(out), work, n_jobs=self.n_jobs)
        return out

    def sums(self, labels: Labels, n_clusters: int) -> Matrix:
        """Return the sum of the normalised rows of each cluster, times their masses; in CSR if rows are sparse."""
        size = max(2 * n_clusters, _TO_SUM // self._entries_of_row)  # Else adding up sums would take the longest.
        calls = (
            (k, (self.some(some), labels[some], self.masses[some], n_clusters))
            for k, some in enumerate(self.parts(size))
        )
        sums = _Total()
        work = Work(8 * n_clusters * self.n_bins, lambda: _NANOSECONDS_OF_TERM * len(self) * self._entries_of_row)
        run(_sums_of_part, calls, sums, work, n_jobs=self.n_jobs)
        return sums.total.toarray() if sp.issparse(sums.total) and not self.is_sparse else sums.total

    def means(self, labels: Labels, n_clusters: int) -> Distributions:
        """Return the weighted mean of the rows of each cluster, none of which may be empty."""
        return normalise(self.sums(labels, n_clusters))

    def masses_of(self, labels: Labels, n_clusters: int) -> FloatArray:
        """Return the mass of each cluster."""
        return np.bincount(labels, self.masses, minlength=n_clusters).astype(np.float64)

    def checked(self) -> tuple[Collection, Distributions]:
        """Return the collection with what is faster to know, and the mean of all rows as the row of a collection.

        Rows that are no distributions are refused in a message that names the first by its place among all.
        """
        try:
            mean = self.means(np.zeros(len(self), dtype=np.intp), 1)
        except ValueError:
            normalise(self.X, pseudocount=self.pseudocount, names=self.names)
            raise
        if sp.issparse(self.X):
            return self, mean
        with np.errstate(over="ignore"):
            totals = self.X.sum(axis=1, dtype=np.float64) + self.pseudocount * self.n_bins
        return (replace(self, totals=totals) if np.isfinite(totals).all() else self), mean

    def lost(self, labels: Labels, centers: Distributions) -> float:
        """Return the sum over the rows of their masses times their divergence in nats from the center of their cluster.

        It is what the clusters lose of the information about the bins, times the mass of all rows. Each divergence is
        the sum of terms that are not negative, so the result is as accurate between near duplicates as elsewhere.
        """
        out = np.empty(len(self))
        self.of_each(_from_own_center, centers, self.kl, each=(labels,), width=1, out=out)
        return float(self.masses @ out)

    def nearest(self, labels: Labels, centers: Distributions) -> tuple[Labels, FloatArray]:
        """Return the nearest center of each row by KL(row ‖ center), and the divergence from it.

        A row keeps its label unless another center is nearer.
        """
        out = np.empty((2, len(self)))
        self.of_each(_nearest_center, centers, self.kl, each=(labels,), width=len(centers), out=out)
        return out[0].astype(np.intp), out[1]


def _on_one_thread(function: Callable[..., FloatArray], *arguments: Any) -> FloatArray:
    """Return the result of a task, with BLAS limited to one thread here too: this may be another process."""
    with one_blas_thread():
        return function(*arguments)


class _Total:
    """A store that adds up results in the order of their keys, 0, 1, 2, …, whenever they come."""

    def __init__(self) -> None:
        self.total: Any = None
        self._waiting: dict[int, Any] = {}
        self._next = 0
        self._lock = Lock()

    def target(self, key: int) -> None:  # noqa: ARG002
        """Return None: a result is added to others."""
        return

    def __call__(self, key: int, values: Any) -> None:
        """Add a result, and those that have waited for it."""
        with self._lock:
            self._waiting[key] = values
            while self._next in self._waiting:
                values = self._waiting.pop(self._next)
                self.total = values if self.total is None else self.total + values
                self._next += 1


def _sums_of_part(part: Part, labels: Labels, masses: FloatArray, n_clusters: int) -> Any:
    """Return the sum of the rows of each cluster, times their masses.

    With a pseudocount a sparse row holds the same number in all bins that it does not store. It is added to all bins,
    and what a stored entry exceeds it by is added on top.
    """
    rows = part.rows()
    members = sp.csr_array((masses, (labels, np.arange(len(labels)))), shape=(n_clusters, len(labels)))
    if rows.background is None:
        return members @ rows.values
    values, background = rows.values, rows.background[:, 0]
    excess = values.data - np.repeat(background, np.diff(values.indptr))
    on_top = members @ sp.csr_array((excess, values.indices, values.indptr), shape=values.shape)
    return on_top.toarray() + (members @ background)[:, np.newaxis]


def _from_own_center(part: Part, labels: Labels, centers: Distributions, kl: Measure) -> FloatArray:
    """Return the divergence of each row from the center of its cluster.

    A center of sparse rows stores many more bins than each of them. So these are not compared term by term, but in a
    product, for which the bins of a row are enough.
    """
    rows = part.rows()
    if not (rows.is_sparse and centers.is_sparse):
        return of_pairs(kl.divergence, rows, centers, np.arange(len(rows)), labels, load(kl.kernel), small=False)
    out = np.empty(len(rows))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        out[members] = kl(rows[members], centers[label : label + 1])[:, 0]
    return out


def _nearest_center(part: Part, labels: Labels, centers: Distributions, kl: Measure) -> FloatArray:
    """Return the nearest center of each row, and below it the divergence; see `Collection.nearest`."""
    memory = _memory_for_distances.array((len(labels), len(centers)))
    distances = kl(part.rows(), centers, out=memory)
    places = np.arange(len(labels))
    own, nearest = distances[places, labels], distances.argmin(axis=1)
    lowest = distances[places, nearest]
    return np.stack([np.where(lowest < own, nearest, labels), np.minimum(lowest, own)])
