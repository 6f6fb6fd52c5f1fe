"""Blocks of the divergences in product form, see `skdiv._divergences.forms.ProductForm`.

The sum over the bins for all pairs of rows is a matrix product of functions of the entries. It is computed in one of
two ways: for dense rows some bins at a time, or for sparse rows from the entries that they store.

The sums are in double precision, also those of rows in single precision: where many entries are equal, as after label
smoothing, all roundings of a sum in single precision go the same way, and 31 bins are enough to be off by 9e-6 nats.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from skdiv._compute.blocks.centered import centered_sums
from skdiv._compute.blocks.pairs import bin_chunks, n_meetings_of_rows, power_of_two
from skdiv._compute.blocks.termwise import Refinement, digits_lost_below, evenly, in_precision, rounding_of_sum, spread
from skdiv._compute.kernels import PairKernel
from skdiv._divergences.forms import Elementwise, ProductForm, With, entropy_term, identity
from skdiv._divergences.record import Divergence
from skdiv._input.distributions import Distributions, in_used_bins
from skdiv._utils.typing import FloatArray

_BINS = 1024  # the number of bins of a chunk of rows, so that its copies stay in the cache
_NANOSECONDS = 0.04  # the time for one pair and one bin, roughly
_MEETING = 128  # two entries of sparse rows that share a bin take as long as this number of bins of dense rows


@dataclass(frozen=True)
class ProductBlocks:
    """Blocks of a divergence in product form."""

    divergence: Divergence
    form: ProductForm
    blas_bound: ClassVar[bool] = True

    def tile_shape(self, P: Distributions, Q: Distributions, *, square: bool) -> tuple[int, int]:
        """Return the shape of a tile: wide, for BLAS writes long rows faster, and small enough for threads to share."""
        some_tiles = max(128, -(-len(P) // 4))
        most = (min(1024, some_tiles),) * 2 if square else (min(512, some_tiles), 2048)
        return evenly(len(P), most[0]), evenly(len(Q), most[1])

    def nanoseconds(self, P: Distributions, Q: Distributions) -> float:
        """Return roughly how long the product of dense rows takes, or that of sparse rows if it is faster."""
        of_dense = _NANOSECONDS * len(P) * len(Q) * P.shape[1]
        if not (sp.issparse(P.values) and sp.issparse(Q.values)):
            return of_dense
        return min(of_dense, _NANOSECONDS * _MEETING * n_meetings_of_rows(P, Q))

    def block(
        self, P: Distributions, Q: Distributions, diagonal: int | None, kernel: PairKernel, out: FloatArray | None
    ) -> FloatArray:
        """Return D(P[i] ‖ Q[j]) in nats for all pairs, in ``out`` if it is given and of the right dtype."""
        divergence, form = self.divergence, self.form
        sums = self._sums(P, Q, out)
        totals = sums.of_products
        totals += sums.of_left[:, np.newaxis]
        if form.right_term is not None:
            totals += sums.of_right
        lost = _lost(form, totals, Q)
        values = in_precision(divergence._capped(form.finish(totals)), P.dtype)
        below = digits_lost_below(form.conditioning * sums.error, P.dtype, form.power)
        below = self._of_deviations(P, Q, values, below, kernel)
        Refinement(divergence, P, Q, diagonal, kernel).apply(values, below=below, lost=lost)
        return values

    def _of_deviations(
        self, P: Distributions, Q: Distributions, values: FloatArray, below: Any, kernel: PairKernel
    ) -> Any:
        """Where many values lie below the limit, compute these by deviations from centers, in place.

        Returns the limits below which values have still lost digits.
        """
        small, is_any = values < below, False
        for group in centered_sums(self.divergence, P, Q, small, kernel):
            some: Any = np.ix_(group.rows, group.columns) if group.sums.shape != values.shape else slice(None)
            small_ones = small[some]
            accurate = group.accurate & small_ones
            values[some] = np.where(accurate, self.divergence.finish(group.sums), values[some])
            small[some], is_any = small_ones & ~accurate, True
        return np.where(small, below, 0) if is_any else below

    def _sums(self, P: Distributions, Q: Distributions, out: FloatArray | None) -> _Sums:
        """Return the sums over the bins, by the fastest way that is accurate enough."""
        if _is_for_stored(self.form, P, Q):
            return self._sums_of_stored(P, Q)
        n_bins = P.shape[1]
        unit = power_of_two(n_bins)
        spreads: Any = spread(P, unit)[:, np.newaxis] if self.form.is_logarithmic else 1.0
        error = rounding_of_sum(min(_BINS, n_bins) + n_bins / _BINS, np.dtype(np.float64)) * spreads
        return _Sums(*self._sums_of_dense(P, Q, out, unit), error)

    def _sums_of_dense(
        self, P: Distributions, Q: Distributions, out: FloatArray | None, unit: float
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the three sums of `_Sums` over the bins of dense rows, or of sparse rows made dense chunk by chunk.

        ``unit`` is that of `ProductForm`.
        """
        form, of_left, of_right = self.form, np.zeros(len(P)), np.zeros(len(Q))
        products = _Products(len(P), len(Q), out)
        for p, q in zip(*(_chunks_in_double(rows) for rows in (P, Q)), strict=True):
            for left, right in form.factors:
                products.add(left(p, unit), _right_factor(right, q, Q, unit))
            if form.left_term is not None:
                of_left += form.left_term(p, unit).sum(axis=1)
            if form.right_term is not None:
                of_right += form.right_term(q, unit).sum(axis=1)
            if self.divergence.infinite_off_support:
                _set_infinite_off_support(products.totals, p, q)
                if self.divergence.symmetric:
                    _set_infinite_off_support(products.totals.T, q, p)
        return products.totals, of_left, of_right

    def _sums_of_stored(self, P: Distributions, Q: Distributions) -> _Sums:
        """Return the sums over the bins (see `_Sums`), in double precision, from the stored entries of sparse rows.

        Without a background, entries that are not stored are 0 and contribute nothing, so one product of sparse
        matrices for each pair of factors is enough.

        With a background, a row p has the same entry e in all bins that it does not store, and a row q has e'. A left
        factor f is split into f(p) = f(e) + (f(p) − f(e)), where the difference is 0 in the bins that are not stored
        and is therefore a sparse matrix; a right factor g is split in the same way. The sum of f(p) g(q) over all bins
        is then

            sum (f(p) − f(e)) (g(q) − g(e'))  +  f(e) sum g(q)  +  g(e') sum (f(p) − f(e)),

        a product of two sparse matrices plus two outer products of vectors that hold one number for each row.
        """
        form, n_bins, n_stored = self.form, P.shape[1], [np.diff(rows.values.indptr) for rows in (P, Q)]
        # Entries times the mean number of stored entries are near 1, so the logarithms that are to cancel are small.
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
        if self.divergence.infinite_off_support and empty_p is None:
            _set_infinite_off_stored(totals, p, q)
            if self.divergence.symmetric:
                _set_infinite_off_stored(totals.T, q, p)
        of_left = _sums_of_terms(form.left_term, p, empty_p, unit, n_bins)
        of_right = _sums_of_terms(form.right_term, q, empty_q, unit, n_bins)
        error = rounding_of_sum(max(int(lengths.max()) for lengths in n_stored), totals.dtype)
        # The error is relative to the size of the terms that cancel: about 1, unless they contain logarithms.
        sizes: Any = 1.0
        if form.is_logarithmic:
            sizes = 1 + _sums_of_terms(_size_of_entropy_term, p, None, unit, n_bins)[:, np.newaxis]
            sizes = sizes + max(_size_of_log(empty, unit) for empty in (empty_p, empty_q))
        return _Sums(totals, of_left, of_right, error * sizes)


def _lost(form: ProductForm, totals: FloatArray, Q: Distributions) -> NDArray[np.bool_] | None:
    """Return a mask of the totals that are useless, or None if there are none.

    They are those for which a factor may have overflowed, and those with few digits left, since they are subnormal or
    nearly so, from which ``finish`` would compute a value that need not be small.
    """
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
    """The sums over the bins of which the total of a pair of rows consists.

    ``of_products``, of shape (n_P, n_Q), sums the products of factors, and is infinite where the divergence is.
    ``of_left``, of shape (n_P,), and ``of_right``, of shape (n_Q,), sum the terms of single rows. ``error`` bounds the
    rounding error of a total: one number, or a column of one for each row of P.
    """

    of_products: FloatArray
    of_left: FloatArray
    of_right: FloatArray
    error: Any


def _is_for_stored(form: ProductForm, P: Distributions, Q: Distributions) -> bool:
    """Return whether it is faster, and as accurate, to sum over the stored entries of sparse rows than over all bins.

    With a background it is not accurate for a factor without a bound: the factor of a bin that is not stored may be so
    large that the difference of another bin from it is lost to rounding.
    """
    if not (sp.issparse(P.values) and sp.issparse(Q.values)) or (P.background is None) != (Q.background is None):
        return False
    if P.background is not None and form.smallest is not None:
        return False
    return _MEETING * n_meetings_of_rows(P, Q) < len(P) * len(Q) * P.shape[1]


# --- Dense rows, or sparse rows that are made dense some bins at a time ---


def _right_factor(function: Elementwise, q: FloatArray, Q: Distributions, unit: float) -> FloatArray:
    """Return a function of a chunk of Q; if the chunk is all of Q, it is kept for the other tiles that use Q."""
    is_whole = q.shape == Q.shape and q.dtype == Q.dtype and not sp.issparse(Q.values)
    return Q.once(With(function, unit)) if is_whole else function(q, unit)


def _chunks_in_double(rows: Distributions) -> Iterator[FloatArray]:
    """Yield the rows as dense arrays of `_BINS` bins at a time, in double precision.

    Rows in single precision do not quite sum to one; when they are converted to double they are divided by their sums.
    """
    if rows.dtype == np.float64:
        yield from bin_chunks(rows, _BINS)
        return
    totals = _totals(rows)[:, np.newaxis]
    for chunk in bin_chunks(rows, _BINS):
        yield chunk.astype(np.float64) / totals


def _totals(rows: Distributions) -> FloatArray:
    """Return the sums of the rows in double precision; those of rows in single precision are not quite 1."""
    # SciPy would add the entries of a sparse matrix in their own precision.
    values = rows.values.astype(np.float64) if sp.issparse(rows.values) else rows.values
    totals: FloatArray = np.asarray(values.sum(axis=1, dtype=np.float64))
    if rows.background is None:
        return totals
    totals += rows.background[:, 0].astype(np.float64) * (rows.shape[1] - np.diff(rows.values.indptr))
    return totals


class _Products:
    """A matrix in double precision to which matrix products over chunks of bins are added, ``totals``."""

    def __init__(self, n: int, m: int, out: FloatArray | None) -> None:
        self.totals = out if out is not None and out.dtype == np.float64 else np.empty((n, m))
        self._is_empty = True

    def add(self, left: FloatArray, right: FloatArray) -> None:
        """Add the product of each row of ``left`` with each row of ``right``."""
        with np.errstate(over="ignore", invalid="ignore"):  # Totals of entries below form.smallest are computed again.
            if self._is_empty:
                np.matmul(left, right.T, out=self.totals)
            else:
                self.totals += left @ right.T
        self._is_empty = False


def _set_infinite_off_support(totals: FloatArray, p: FloatArray, q: FloatArray) -> None:
    """Set totals[i, j] to infinity where row j of ``q`` is 0 in some bin in which row i of ``p`` is not."""
    if not q.min() > 0:
        # A product of ones and zeros counts such bins. Single precision takes half the time, and cannot give 0 for 1.
        totals[(p > 0).astype(np.float32) @ (q == 0).astype(np.float32).T > 0] = np.inf


# --- Sparse rows, by the entries that they store ---


def _stored_in_double(rows: Distributions) -> tuple[Any, FloatArray | None]:
    """Return the stored entries as a CSR matrix, and what each row holds in bins it does not store, or None for 0.

    Both are in double precision; rows in single precision are divided by their sums again.
    """
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
    """Return a function of sparse rows less its value in the bins that a row does not store, and that value.

    ``empty`` is what each row holds in those bins; if it is None the function is 0 there, and its value None.
    """
    values = function(rows.data, unit)
    of_empty = None if empty is None else function(empty, unit)
    if of_empty is not None:
        values = values - np.repeat(of_empty, np.diff(rows.indptr))
    return sp.csr_array((values, rows.indices, rows.indptr), shape=rows.shape), of_empty


def _sums_of_terms(
    term: Elementwise | None, rows: Any, empty: FloatArray | None, unit: float, n_bins: int
) -> FloatArray:
    """Return the sum of a term over all bins of each row, in the bins that it does not store too; 0 for no term."""
    if term is None:
        return np.zeros(rows.shape[0])
    sums = _row_sums(sp.csr_array((term(rows.data, unit), rows.indices, rows.indptr), shape=rows.shape))
    return sums if empty is None else sums + (n_bins - np.diff(rows.indptr)) * term(empty, unit)


def _size_of_entropy_term(p: FloatArray, unit: float) -> FloatArray:
    """Return p abs(ln(unit p))."""
    return np.abs(entropy_term(p, unit))


def _size_of_log(empty: FloatArray | None, unit: float) -> float:
    """Return the largest abs(ln(unit p)) of what rows hold in bins that they do not store; 0 where that is nothing."""
    if empty is None or not empty.any():
        return 0.0
    return float(np.abs(np.log(unit * empty[empty > 0])).max())


def _row_sums(rows: Any) -> FloatArray:
    """Return the sums of the rows of a sparse matrix, as a vector."""
    return np.asarray(rows.sum(axis=1))


def _set_infinite_off_stored(totals: FloatArray, p: Any, q: Any) -> None:
    """Set totals[i, j] to infinity where row j of ``q`` lacks a bin that row i of ``p`` stores; both are in CSR.

    That is so where the two rows share fewer bins than the row of ``p`` stores.
    """
    of_p, of_q = (sp.csr_array((np.ones(rows.nnz), rows.indices, rows.indptr), shape=rows.shape) for rows in (p, q))
    totals[(of_p @ of_q.T).toarray() < np.diff(p.indptr)[:, np.newaxis]] = np.inf


def _has_entry_below(smallest: float, rows: Distributions) -> NDArray[np.bool_]:
    """Return which rows have a positive entry below a limit."""
    if not sp.issparse(rows.values):
        found: NDArray[np.bool_] = np.any((rows.values > 0) & (rows.values < smallest), axis=1)
        return found
    small = (rows.values.data < smallest).astype(np.float64)
    found = _row_sums(sp.csr_array((small, rows.values.indices, rows.values.indptr), shape=rows.shape)) > 0
    return found if rows.background is None else found | (rows.background[:, 0] < smallest)
