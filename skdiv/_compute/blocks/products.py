"""Blocks of the divergences that are a matrix product of functions of the rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from skdiv._compute.blocks.pairs import bin_chunks, n_meetings_of_rows, power_of_two
from skdiv._compute.blocks.termwise import digits_lost_below, evenly, refine, rounding_of_sum, spread
from skdiv._compute.kernels import PairKernel
from skdiv._divergences.forms import Elementwise, ProductForm, With, identity
from skdiv._divergences.record import Divergence
from skdiv._input.distributions import Distributions, in_used_bins
from skdiv._utils.typing import FloatArray

_BINS = 1024  # bins at a time, so that copies of rows stay small and in the cache
_SINGLE_BINS = 64  # of single precision, whose sums must be short
_SINGLE_ERROR = 1.2e-5  # nats, at the very worst; where it might be more, a block is computed in double precision
_NANOSECONDS = 0.04  # of a pair and bin
_MEETING = 128  # a pair of entries that meet in a sparse product costs as much as so many pairs of bins of a dense one


@dataclass(frozen=True)
class ProductBlocks:
    """Blocks of a divergence in product form."""

    divergence: Divergence
    form: ProductForm
    blas_bound: ClassVar[bool] = True

    def tile_shape(self, P: Distributions, Q: Distributions, *, square: bool) -> tuple[int, int]:
        """Return the shape of a tile: some tiles for the threads to share, with long rows, which BLAS writes faster."""
        some_tiles = max(128, -(-len(P) // 4))
        most = (min(1024, some_tiles),) * 2 if square else (min(512, some_tiles), 2048)
        return evenly(len(P), most[0]), evenly(len(Q), most[1])

    def nanoseconds(self, P: Distributions, Q: Distributions) -> float:
        """Return the time of a product of dense rows, or of sparse ones if that is shorter."""
        of_dense = _NANOSECONDS * len(P) * len(Q) * P.shape[1]
        if not (sp.issparse(P.values) and sp.issparse(Q.values)):
            return of_dense
        return min(of_dense, _NANOSECONDS * _MEETING * n_meetings_of_rows(P, Q))

    def block(
        self, P: Distributions, Q: Distributions, diagonal: int | None, kernel: PairKernel, out: FloatArray | None
    ) -> FloatArray:
        """Return D(P[i] ‖ Q[j]) in nats, in ``out`` if it can be made there."""
        divergence, form = self.divergence, self.form
        sums, error = _sums(divergence, form, P, Q, out)
        totals = sums.of_products
        totals += sums.of_left[:, np.newaxis]
        if form.right_term is not None:
            totals += sums.of_right
        also = _lost(form, totals, Q)
        values = divergence.capped(form.finish(totals)).astype(P.dtype, copy=False)
        below = digits_lost_below(form.conditioning * error, P.dtype, form.power)
        refine(values, divergence, P, Q, diagonal, kernel, below=below, also=also)
        return values


def _lost(form: ProductForm, totals: FloatArray, Q: Distributions) -> NDArray[np.bool_] | None:
    """Find the entries that are not what they should be, for a factor has overflowed or a total has few digits left."""
    lost = None
    if form.finish is not identity:
        limits = np.finfo(totals.dtype)
        lost = (totals > 0) & (totals < limits.tiny / limits.eps)
    if form.smallest is not None:
        columns = _has_entry_below(form.smallest(Q.dtype), Q)
        if columns.any():
            lost = columns | (False if lost is None else lost)
            lost = np.broadcast_to(lost, totals.shape).copy()
    return lost


class _Sums(NamedTuple):
    """Sums over bins of the products, infinite where the divergence is, and of the terms of each row."""

    of_products: FloatArray
    of_left: FloatArray
    of_right: FloatArray


def _sums(
    divergence: Divergence, form: ProductForm, P: Distributions, Q: Distributions, out: FloatArray | None
) -> tuple[_Sums, Any]:
    """Return the sums by the cheapest way that is accurate, and for each row of P how far rounding may move them."""
    if _is_for_stored(form, P, Q):
        return _sums_of_stored(divergence, form, P, Q)
    unit = power_of_two(P.shape[1])
    spreads = spread(P, unit)[:, np.newaxis] if form.is_logarithmic else np.ones((1, 1))
    in_single = P.dtype == np.float32
    if in_single:
        worst = rounding_of_sum(min(_SINGLE_BINS, P.shape[1]), P.dtype) * form.conditioning
        in_single = bool(worst * spreads.max() <= _SINGLE_ERROR)
    width, dtype = (_SINGLE_BINS, np.dtype(np.float32)) if in_single else (_BINS, np.dtype(np.float64))
    error = rounding_of_sum(min(width, P.shape[1]) + P.shape[1] / width, dtype) * spreads
    return _sums_of_dense(divergence, form, P, Q, out, unit, dtype), error


def _is_for_stored(form: ProductForm, P: Distributions, Q: Distributions) -> bool:
    """Tell whether the entries that sparse rows store are summed faster than all bins, and as accurately.

    Where a factor has no bound, what it adds to its value in an empty bin is nothing beside that value.
    """
    if not (sp.issparse(P.values) and sp.issparse(Q.values)) or (P.background is None) != (Q.background is None):
        return False
    if P.background is not None and form.smallest is not None:
        return False
    return _MEETING * n_meetings_of_rows(P, Q) < len(P) * len(Q) * P.shape[1]


# --- Dense rows, or sparse ones that are made dense some bins at a time ---


def _sums_of_dense(
    divergence: Divergence, form: ProductForm, P: Distributions, Q: Distributions, out: FloatArray | None,
    unit: float, dtype: np.dtype[Any],
) -> _Sums:  # fmt: skip
    """Sum over the bins in a precision; many sums of single precision are added in double."""
    of_left, of_right = np.zeros(len(P)), np.zeros(len(Q))
    products = _Products(len(P), len(Q), P.shape[1], dtype, out)
    keeps = Q.shape[1] <= _BINS and not sp.issparse(Q.values) and Q.dtype == dtype
    for p, q in zip(*(_chunks_in(rows, dtype) for rows in (P, Q)), strict=True):
        for of_p, of_q in form.factors:
            right = Q.once(With(of_q, unit)) if keeps else of_q(q, unit)
            products.add(of_p(p, unit), right)
        if form.left_term is not None:
            of_left += form.left_term(p, unit).sum(axis=1)
        if form.right_term is not None:
            of_right += form.right_term(q, unit).sum(axis=1)
        if divergence.infinite_off_support:
            _set_infinite_off_support(products.totals, p, q)
            if divergence.symmetric:
                _set_infinite_off_support(products.totals.T, q, p)
    totals = products.totals
    return _Sums(totals, of_left.astype(totals.dtype, copy=False), of_right.astype(totals.dtype, copy=False))


def _chunks_in(rows: Distributions, dtype: np.dtype[Any]) -> Iterator[FloatArray]:
    """Yield some bins at a time; in double precision rows of single precision are divided by their sums again."""
    if rows.dtype == dtype:
        yield from bin_chunks(rows, _BINS)
        return
    totals = _totals(rows)[:, np.newaxis]
    for chunk in bin_chunks(rows, _BINS):
        yield chunk.astype(np.float64) / totals


def _totals(rows: Distributions) -> FloatArray:
    """Return the sums of rows in double precision: in single precision they are not quite 1."""
    values = rows.values.astype(np.float64) if sp.issparse(rows.values) else rows.values  # SciPy adds in its precision
    totals: FloatArray = np.asarray(values.sum(axis=1, dtype=np.float64))
    if rows.background is None:
        return totals
    totals += rows.background[:, 0].astype(np.float64) * (rows.shape[1] - np.diff(rows.values.indptr))
    return totals


class _Products:
    """The sum of products of chunks of bins.

    In single precision it is made of the sums of few bins, which are added in double precision if there are many.
    """

    def __init__(self, n: int, m: int, n_bins: int, dtype: np.dtype[Any], out: FloatArray | None) -> None:
        in_single = dtype == np.float32
        self._step = _SINGLE_BINS if in_single else _BINS
        in_double = not in_single or n_bins > _BINS
        self.totals = np.empty((n, m), np.float64 if in_double else np.float32)
        if out is not None and out.dtype == self.totals.dtype:
            self.totals = out
        self._direct = self.totals.dtype == dtype
        self._is_empty = True

    def add(self, left: FloatArray, right: FloatArray) -> None:
        """Add the products of the rows of ``left`` with those of ``right``."""
        with np.errstate(over="ignore", invalid="ignore"):  # entries below form.smallest, which are computed again
            for start in range(0, left.shape[1], self._step):
                some = slice(start, start + self._step)
                if self._is_empty and self._direct:
                    np.matmul(left[:, some], right[:, some].T, out=self.totals)
                elif self._is_empty:
                    self.totals[...] = left[:, some] @ right[:, some].T
                else:
                    self.totals += left[:, some] @ right[:, some].T
                self._is_empty = False


def _set_infinite_off_support(totals: FloatArray, p: FloatArray, q: FloatArray) -> None:
    """Put infinity where q = 0 in some bin where p > 0."""
    if not q.min() > 0:
        # A sum of ones and zeros: single precision cannot turn it into zero, and takes half the time.
        totals[(p > 0).astype(np.float32) @ (q == 0).astype(np.float32).T > 0] = np.inf


# --- Sparse rows, by the bins that two of them store ---


def _sums_of_stored(divergence: Divergence, form: ProductForm, P: Distributions, Q: Distributions) -> tuple[_Sums, Any]:
    """Sum over the stored entries in double precision.

    With a background, which is what all other bins of a row hold, a factor is its value there plus a difference that
    vanishes in those bins: the products of the constants with the differences are sums of rows, and what is left is a
    product of sparse rows again.
    """
    n_bins, n_stored = P.shape[1], [np.diff(rows.values.indptr) for rows in (P, Q)]
    unit = power_of_two(max(1.0, float(np.mean(np.concatenate(n_stored)))))
    (p, empty_p), (q, empty_q) = (_stored_in_double(rows) for rows in (P, Q))
    p, q = in_used_bins(p, q)
    totals: FloatArray = np.zeros((len(P), len(Q)))
    for of_p, of_q in form.factors:
        left, left_of_empty = _above_empty(of_p, p, empty_p, unit)
        right, right_of_empty = _above_empty(of_q, q, empty_q, unit)
        totals += (left @ right.T).toarray()
        if left_of_empty is not None and right_of_empty is not None:
            whole_right = _row_sums(right) + n_bins * right_of_empty
            totals += np.stack([left_of_empty, _row_sums(left)], axis=1) @ np.stack([whole_right, right_of_empty])
    if divergence.infinite_off_support and empty_p is None:
        _set_infinite_off_stored(totals, p, q)
        if divergence.symmetric:
            _set_infinite_off_stored(totals.T, q, p)
    of_left = _sums_of_terms(form.left_term, p, empty_p, unit, n_bins)
    of_right = _sums_of_terms(form.right_term, q, empty_q, unit, n_bins)
    error = rounding_of_sum(max(int(lengths.max()) for lengths in n_stored), totals.dtype)
    spreads: Any = spread(P, unit)[:, np.newaxis] if form.is_logarithmic else 1.0
    if form.is_logarithmic and empty_p is not None and empty_q is not None:
        spreads = spreads + max(float(np.abs(np.log(unit * empty)).max()) for empty in (empty_p, empty_q))
    return _Sums(totals, of_left, of_right), error * spreads


def _stored_in_double(rows: Distributions) -> tuple[Any, FloatArray | None]:
    """Return rows in CSR and what their empty bins hold; those of single precision are divided by their sums again."""
    background = None if rows.background is None else rows.background[:, 0]
    if rows.dtype == np.float64:
        return rows.values, background
    totals = _totals(rows)
    data = rows.values.data / np.repeat(totals, np.diff(rows.values.indptr))
    values = sp.csr_array((data, rows.values.indices, rows.values.indptr), shape=rows.shape)
    return values, None if background is None else background / totals


def _above_empty(
    function: Elementwise, rows: Any, empty: FloatArray | None, unit: float
) -> tuple[Any, FloatArray | None]:
    """Return a function of sparse rows less its value in their empty bins, and that value for each row."""
    values = function(rows.data, unit)
    of_empty = None if empty is None else function(empty, unit)
    if of_empty is not None:
        values = values - np.repeat(of_empty, np.diff(rows.indptr))
    return sp.csr_array((values, rows.indices, rows.indptr), shape=rows.shape), of_empty


def _sums_of_terms(
    term: Elementwise | None, rows: Any, empty: FloatArray | None, unit: float, n_bins: int
) -> FloatArray:
    """Return the sum of the terms of each row, those of its empty bins included."""
    if term is None:
        return np.zeros(rows.shape[0])
    sums = _row_sums(sp.csr_array((term(rows.data, unit), rows.indices, rows.indptr), shape=rows.shape))
    return sums if empty is None else sums + (n_bins - np.diff(rows.indptr)) * term(empty, unit)


def _row_sums(rows: Any) -> FloatArray:
    return np.asarray(rows.sum(axis=1))


def _set_infinite_off_stored(totals: FloatArray, p: Any, q: Any) -> None:
    """Do the same for sparse rows: where two rows share fewer bins than p has."""
    of_p, of_q = (sp.csr_array((np.ones(rows.nnz), rows.indices, rows.indptr), shape=rows.shape) for rows in (p, q))
    totals[(of_p @ of_q.T).toarray() < np.diff(p.indptr)[:, np.newaxis]] = np.inf


def _has_entry_below(smallest: float, rows: Distributions) -> NDArray[np.bool_]:
    """Find the rows with a positive entry below a limit."""
    if not sp.issparse(rows.values):
        found: NDArray[np.bool_] = np.any((rows.values > 0) & (rows.values < smallest), axis=1)
        return found
    small = (rows.values.data < smallest).astype(np.float64)
    found = _row_sums(sp.csr_array((small, rows.values.indices, rows.values.indptr), shape=rows.shape)) > 0
    return found if rows.background is None else found | (rows.background[:, 0] < smallest)
