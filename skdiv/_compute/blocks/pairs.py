"""Blocks of the divergences in pair form: Jensen-Shannon and total variation.

A kernel evaluates a function of both entries for each pair of rows and each bin, see `forms.PairForm`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from skdiv._compute.blocks.termwise import (
    Refinement,
    digits_lost_below,
    evenly,
    in_precision,
    of_pairs,
    rounding_of_sum,
    spread,
)
from skdiv._compute.kernels import PairKernel
from skdiv._divergences.forms import Pair, PairForm
from skdiv._divergences.record import Divergence
from skdiv._input.distributions import Distributions, in_used_bins
from skdiv._utils.memory import Workspace
from skdiv._utils.typing import FloatArray, Places

_TILE = 496  # the largest number of rows of a tile; to copy a row of up to 500 numbers NumPy does not release the GIL
_WORK = 2**24  # the largest number of pairs times bins of a tile
_BINS = 512  # the number of bins of a chunk of rows, so that its copies stay in the cache
_RUN = 64  # the largest number of terms that a kernel adds one after another within a chunk
_SINGLE_RUN = 16  # the same for terms in single precision
_SINGLE_ERROR = 4e-6  # nats; a block whose error might be larger in single precision is computed in double precision
_STORED = 100  # the term of an entry that a row stores takes as long as this number of bins of dense rows
_CROWDED = 8  # two entries of sparse rows that share a bin take as long as this number of bins of dense rows
_LANES = 32  # the number of sums in which a compiled kernel adds the terms of a single pair, or fewer at the end
_LANE_RUN = 64  # the largest number of terms in each of them, before all of them join the total
_memory_for_overlaps, _memory_for_part = Workspace(), Workspace()


@dataclass(frozen=True)
class PairBlocks:
    """Blocks of a divergence in pair form, made of overlaps (see `PairKernel`)."""

    divergence: Divergence
    form: PairForm
    blas_bound: ClassVar[bool] = False

    def tile_shape(self, P: Distributions, Q: Distributions, *, square: bool) -> tuple[int, int]:  # noqa: ARG002
        """Return the shape of a tile that takes some ten milliseconds, so that its overhead does not count."""
        most = _TILE if P.is_sparse and Q.is_sparse else min(_TILE, max(64, int((_WORK / P.shape[1]) ** 0.5)))
        return evenly(len(P), most), evenly(len(Q), most)

    def nanoseconds(self, P: Distributions, Q: Distributions) -> float:
        """Return the time of one logarithm for each pair and bin, or for each bin that sparse rows share if less."""
        of_dense = float(len(P)) * len(Q) * P.shape[1]
        return min(of_dense, _CROWDED * n_meetings_of_rows(P, Q)) if P.is_sparse and Q.is_sparse else of_dense

    def block(
        self, P: Distributions, Q: Distributions, diagonal: int | None, kernel: PairKernel, out: FloatArray | None
    ) -> FloatArray:
        """Return D(P[i] ‖ Q[j]) in nats for all pairs, in ``out`` if that is given."""
        divergence, form = self.divergence, self.form
        refinement = Refinement(divergence, P, Q, diagonal, kernel)
        if _is_for_terms(P, Q):
            values = np.empty((len(P), len(Q)), P.dtype) if out is None else out
            refinement.apply(values, below=0.0, lost=np.ones(values.shape, dtype=bool))
            return values
        overlaps = pair_overlaps(form.pair, P, Q, kernel, upper=diagonal == 0, out=out)
        totals = form.finish(np.subtract(form.top, overlaps, out=overlaps))
        values = np.empty(totals.shape, P.dtype) if out is None else out
        if totals is not values:
            values[...] = in_precision(totals, P.dtype)
        below = digits_lost_below(form.conditioning * _error(form.pair, P, Q, kernel), P.dtype, form.power)
        refinement.apply(values, below=below)
        return divergence._capped(values)


def mixture_values(
    divergence: Divergence, form: PairForm, P: Distributions, Q: Distributions, i: Places, j: Places, kernel: PairKernel
) -> FloatArray:
    """Return D(P[i[k]] ‖ Q[j[k]]) in nats for each k, for dense rows, by one logarithm a bin where that is accurate."""
    of_left, of_right = (rows.once(_SumsOfRows(kernel)) for rows in (P, Q))
    overlaps = (kernel.mixture_sums(P.values, Q.values, i, j) - of_left[i] - of_right[j]) / 2
    values = divergence._capped(form.finish(form.top - overlaps))
    n_in_turn = min(P.shape[1] / _LANES, _LANE_RUN) + 2 * _LANES + P.shape[1] / (_LANES * _LANE_RUN)
    in_lanes = rounding_of_sum(n_in_turn, np.dtype(np.float64)) * (1 + float(np.log(P.shape[1])))
    of_log = kernel.ERROR_OF_MIXTURE[np.dtype(np.float64)]
    error = form.conditioning * max(_error(form.pair, P, Q, kernel), in_lanes + of_log)
    small = values < digits_lost_below(error, P.dtype, form.power)
    if small.any():
        values[small] = of_pairs(divergence, P, Q, i[small], j[small], kernel, small=True)
    return in_precision(values, P.dtype)


@dataclass(frozen=True)
class _SumsOfRows:
    """The function from rows to the sums that `PairKernel.mixture_sums` gives for each row and an empty one."""

    kernel: PairKernel

    def __call__(self, values: FloatArray) -> FloatArray:
        """Return the sums."""
        nothing = np.zeros((1, values.shape[1]), dtype=values.dtype)
        places = np.arange(len(values))
        return self.kernel.mixture_sums(values, nothing, places, np.zeros_like(places))


def _is_for_terms(P: Distributions, Q: Distributions) -> bool:
    """Return whether sparse rows with a background store so few entries that all pairs are summed term by term."""
    if P.background is None or Q.background is None:
        return False
    return bool(_STORED * (P.values.nnz / len(P) + Q.values.nnz / len(Q)) < P.shape[1])


def _error(pair: Pair, P: Distributions, Q: Distributions, kernel: PairKernel) -> float:
    """Return a bound of the error of an overlap, in nats.

    That of rounding grows with the number of terms of a sum, and with the entropies that cancel, so with ln(n_bins).
    """
    n_bins = P.shape[1]
    if P.dtype == np.float32:
        relative = rounding_of_sum(_SINGLE_RUN, P.dtype)
    else:
        stored = max(int(np.diff(rows.values.indptr).max()) if rows.is_sparse else 0 for rows in (P, Q))
        relative = rounding_of_sum(max(_RUN, stored) + n_bins / _BINS, P.dtype)
    of_log = kernel.ERROR_OF_MIXTURE[P.dtype] if pair == "mixture" else 0.0
    return relative * (1 + float(np.log(n_bins))) + of_log


def pair_overlaps(
    pair: Pair, P: Distributions, Q: Distributions, kernel: PairKernel, *, upper: bool, out: FloatArray | None = None
) -> FloatArray:
    """Return the overlaps of all pairs of rows, as `PairKernel` defines them, in double precision.

    They are made in ``out`` if that is possible, else in memory that is valid until this thread makes the next ones.
    """
    if out is not None and out.dtype == np.float64 and out.flags.c_contiguous:
        overlaps = out
    else:
        overlaps = _memory_for_overlaps.array((len(P), len(Q)))
    if P.is_sparse and Q.is_sparse:
        columns = P.once(columns_in_double), Q.once(columns_in_double)
        if _CROWDED * n_meetings(*columns) < len(P) * len(Q) * P.shape[1]:
            kernel.sparse_overlaps(pair, *columns, overlaps, upper=upper)
            return overlaps
    unit = _unit(pair, P, Q)
    for k, (p, q) in enumerate(zip(*(_chunks(rows, unit) for rows in (P, Q)), strict=True)):
        part = _memory_for_part.array((len(P), len(Q))) if k else overlaps
        kernel.overlaps(pair, p, q, part, upper=upper)
        if k:
            overlaps += part
    if unit is not None:
        overlaps /= unit
    return overlaps


def _unit(pair: Pair, P: Distributions, Q: Distributions) -> float | None:
    """Return the factor by which rows are scaled for the kernels in single precision, or None to use double precision.

    The factor is a power of two near the number of bins, so that the scaled entries of a nearly uniform row are near 1,
    where logarithms, and hence their rounding errors, are small. The scaled entries of a row that concentrates on few
    bins are far above 1; None is returned if single precision is then not accurate enough for "mixture". For
    "difference" it always is, since no logarithm is taken. P and Q have the same dtype.
    """
    if P.dtype == np.float64:
        return None
    unit = power_of_two(P.shape[1])
    if pair == "difference":
        return unit
    largest_spread = max(float(spread(rows, unit).max()) for rows in (P, Q))
    return unit if largest_spread * rounding_of_sum(_SINGLE_RUN, P.dtype) <= _SINGLE_ERROR else None


def power_of_two(number: float) -> float:
    """Return the power of two nearest to a number, by ratio; to multiply by it is exact."""
    return float(2.0 ** round(np.log2(number)))


def _chunks(rows: Distributions, unit: float | None) -> Iterator[FloatArray]:
    """Yield the rows as dense arrays of some bins at a time, in double precision or multiplied by ``unit``."""
    for chunk in bin_chunks(rows, _BINS):
        yield chunk.astype(np.float64, copy=False) if unit is None else chunk * chunk.dtype.type(unit)


def bin_chunks(rows: Distributions, width: int) -> Iterator[FloatArray]:
    """Yield the rows as dense arrays of ``width`` bins at a time."""
    values = rows.values.tocsc() if sp.issparse(rows.values) else rows.values
    for start in range(0, rows.shape[1], width):
        chunk = values[:, start : start + width]
        yield Distributions(chunk, rows.background).dense()


def columns_in_double(rows: Any) -> Any:
    """Return sparse rows as a CSC matrix in double precision."""
    return rows.astype(np.float64, copy=False).tocsc()


def n_meetings(P: Any, Q: Any) -> int:
    """Return in how many bins two rows share mass, summed over all pairs of rows; both matrices are in CSC."""
    return int(np.diff(P.indptr).astype(np.int64) @ np.diff(Q.indptr))


def n_meetings_of_rows(P: Distributions, Q: Distributions) -> int:
    """Return in how many bins two rows share stored entries, summed over all pairs of rows; both are in CSR."""
    of_p, of_q = (np.bincount(rows.indices, minlength=rows.shape[1]) for rows in in_used_bins(P.values, Q.values))
    return int(of_p @ of_q)
