"""A divergence between the rows of collections, symmetrised and converted to other units where that is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from skdiv._compute.blocks import Blocks, blocks_of
from skdiv._compute.blocks.termwise import of_pairs
from skdiv._compute.kernels import KernelName, chosen, load
from skdiv._compute.run import IntoPlaces, Store, Work, run
from skdiv._compute.tiles import IntoCondensed, IntoMatrix, Tile, number_of_tiles, run_tiles, tiles_of
from skdiv._divergences.record import Divergence
from skdiv._input.distributions import Distributions, in_used_bins
from skdiv._utils.typing import FloatArray, Places

Symmetrize = Literal["mean", "min", "max"]
SYMMETRIZATIONS: tuple[Symmetrize, ...] = get_args(Symmetrize)

_PAIRED_BLOCK = 2**18  # the number of entries of the rows in one call, when rows are compared pair by pair
_NANOSECONDS_OF_TERM = 30.0  # the time of one term, roughly


@dataclass(frozen=True)
class Measure:
    """A divergence between the rows of collections, which it computes as a matrix, a condensed vector or pair by pair.

    Parameters
    ----------
    divergence : Divergence
        The record of the divergence.
    scale : float
        The number by which values in nats are divided.
    symmetrize : {"mean", "min", "max"} or None
        How the two directions of an asymmetric divergence become one number; None keeps D(P[i] ‖ Q[j]).
    kernel : {"numpy", "numba"}
        The kernel that computes; it is chosen once, so that all workers use the same whatever their environment.
    """

    divergence: Divergence
    scale: float = 1.0
    symmetrize: Symmetrize | None = None
    kernel: KernelName = field(default_factory=chosen)

    @property
    def symmetric(self) -> bool:
        """Return whether the matrix of a collection with itself is symmetric."""
        return self.divergence.symmetric or self.symmetrize is not None

    def __call__(
        self, P: Distributions, Q: Distributions, diagonal: int | None = None, out: FloatArray | None = None
    ) -> FloatArray:
        """Return the block of all D(P[i] ‖ Q[j]), in ``out`` if it is given and can be used.

        ``diagonal`` says that P[i] is Q[i + diagonal]; it is None if the rows have nothing to do with each other.
        """
        values = self._one_way(P, Q, diagonal, out)
        if self.symmetrize is not None and not self.divergence.symmetric:
            back = values if diagonal == 0 else self._one_way(Q, P, None, None)
            values = combined(values, back.T, self.symmetrize)
        return self.scaled(values)

    def _one_way(self, P: Distributions, Q: Distributions, diagonal: int | None, out: FloatArray | None) -> FloatArray:
        """Return the block of all D(P[i] ‖ Q[j]) in nats.

        For the same rows and a symmetric divergence the half above the diagonal is mirrored, for equal bits.
        """
        values = self._blocks.block(P, Q, diagonal, load(self.kernel), out)
        if diagonal == 0 and self.divergence.symmetric:
            for i in range(1, len(P)):
                values[i, :i] = values[:i, i]
        return values

    def _paired(self, P: Distributions, Q: Distributions) -> FloatArray:
        """Return D(P[k] ‖ Q[k]) for each k, computed here and now: a task of `paired`."""
        kernel, places = load(self.kernel), np.arange(len(P))
        values = of_pairs(self.divergence, P, Q, places, places, kernel, small=False)
        if self.symmetrize is not None and not self.divergence.symmetric:
            back = of_pairs(self.divergence, Q, P, places, places, kernel, small=False)
            values = combined(values, back, self.symmetrize)
        return self.scaled(values)

    def scaled(self, values: FloatArray) -> FloatArray:
        """Convert values in nats to the units of the measure."""
        if self.scale == 1:
            return values
        with np.errstate(over="ignore"):  # of values near the largest of single precision
            return values / values.dtype.type(self.scale)

    @property
    def _blocks(self) -> Blocks:
        """Return the object that makes blocks of the divergence."""
        return blocks_of(self.divergence)

    def matrix(
        self,
        P: Distributions,
        Q: Distributions | None = None,
        *,
        n_jobs: int | None = None,
        out: FloatArray | None = None,
    ) -> FloatArray:
        """Return the matrix of all D(P[i] ‖ Q[j]), or without Q that of P with itself, in ``out`` if it is given."""
        upper = Q is None and self.symmetric
        P, other = _in_used_bins(P, P if Q is None else Q)
        size = self._blocks.tile_shape(P, other, square=upper)
        if out is None:
            out = np.empty((len(P), len(other)), dtype=P.dtype)
        tiles = tiles_of(out.shape, size, of_itself=Q is None, upper=upper)
        self._run(P, other, tiles, size, IntoMatrix(out, mirror=upper), n_jobs)
        return out

    def condensed(self, P: Distributions, *, n_jobs: int | None = None) -> FloatArray:
        """Return the upper triangle of the matrix of P with itself, as a vector in the order of SciPy's ``pdist``."""
        P, _ = _in_used_bins(P, P)
        n, size = len(P), self._blocks.tile_shape(P, P, square=True)
        out = np.empty(n * (n - 1) // 2, dtype=P.dtype)
        self._run(P, P, tiles_of((n, n), size, of_itself=True, upper=True), size, IntoCondensed(out, n), n_jobs)
        return out

    def paired(
        self,
        P: Distributions,
        Q: Distributions,
        i: Places | None = None,
        j: Places | None = None,
        *,
        n_jobs: int | None = None,
    ) -> FloatArray:
        """Return D(P[i[k]] ‖ Q[j[k]]) for each k; without i and j these are D(P[k] ‖ Q[k])."""
        n = len(P) if i is None else len(i)
        of_pair = P.shape[1]
        if P.is_sparse and Q.is_sparse:
            of_pair = max(1, P.values.nnz // len(P) + Q.values.nnz // len(Q))
        size = max(1, min(n, _PAIRED_BLOCK // of_pair))
        slices = (slice(start, min(start + size, n)) for start in range(0, n, size))
        calls = ((some, (P[some if i is None else i[some]], Q[some if j is None else j[some]])) for some in slices)
        out = np.empty(n, dtype=P.dtype)
        work = Work(size * P.dtype.itemsize, lambda: _NANOSECONDS_OF_TERM * n * of_pair, n_calls=-(-n // size))
        run(self._paired, calls, IntoPlaces(out), work, n_jobs=n_jobs)
        return out

    def _run(
        self,
        P: Distributions,
        Q: Distributions,
        tiles: Iterable[Tile],
        size: tuple[int, int],
        store: Store[Tile],
        n_jobs: int | None,
    ) -> None:
        """Compute the blocks of all tiles, of ``size`` rows and columns, and store them."""
        of_half = P is Q and self.symmetric  # The tiles are then those above the diagonal alone.

        def nanoseconds() -> float:
            """Return roughly how long the tiles take."""
            return self._blocks.nanoseconds(P, Q) / (2 if of_half else 1)

        n_tiles = number_of_tiles((len(P), len(Q)), size, upper=of_half)
        work = Work(size[0] * size[1] * P.dtype.itemsize, nanoseconds, self._blocks.blas_bound, n_tiles)
        run_tiles(self, P, Q, tiles, store, work, n_jobs=n_jobs)


def _in_used_bins(P: Distributions, Q: Distributions) -> tuple[Distributions, Distributions]:
    """Drop the bins in which no row of either collection has mass, if both are sparse and there are many such bins."""
    if not (P.is_sparse and Q.is_sparse):
        return P, Q
    of_p, of_q = in_used_bins(P.values, Q.values)
    if of_p is P.values:
        return P, Q
    used = Distributions(of_p)
    return used, used if P is Q else Distributions(of_q)


def combined(forth: FloatArray, back: FloatArray, symmetrize: Symmetrize) -> FloatArray:
    """Return the mean, the minimum or the maximum of the divergences in both directions."""
    if symmetrize == "mean":
        return forth / 2 + back / 2
    return np.minimum(forth, back) if symmetrize == "min" else np.maximum(forth, back)


def check_symmetrize(divergence: Divergence, symmetrize: str | None) -> Symmetrize | None:
    """Return the symmetrisation to use for one number for each pair of rows: None for a symmetric divergence.

    A ``symmetrize`` that is not known, or None for an asymmetric divergence, is refused.
    """
    if symmetrize is not None and symmetrize not in SYMMETRIZATIONS:
        raise ValueError(f"symmetrize = {symmetrize!r} must be one of {SYMMETRIZATIONS} or None.")
    if divergence.symmetric:
        return None
    if symmetrize is None:
        raise ValueError(
            f"metric {divergence.name!r} is not symmetric, and a condensed matrix holds one number for a pair: pass "
            "symmetrize='mean', 'min' or 'max', or use pairwise_divergences for both directions."
        )
    return symmetrize
