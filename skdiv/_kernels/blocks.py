"""Blocks of a divergence matrix: normalised rows in, values in nats out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from skdiv._distributions import Distributions
from skdiv._divergence import Divergence
from skdiv._forms import Elementwise, Pair, PairForm, ProductForm, identity
from skdiv._kernels import PairKernel
from skdiv._memory import Workspace
from skdiv._terms import FloatArray

_PAIR_BINS, _PRODUCT_BINS = 512, 1024  # bins at a time, so that copies of rows stay small and in the cache
_SINGLE_BINS = 256  # of single precision, whose sums must be short
_SINGLE_CONDITIONING = 2.0  # single precision has no digits to spare for forms above it, so they are computed in double
_CELL = 65_536  # entries of a temporary array of terms
_DENSE_BLOCK = 2**18  # entries of a block of sparse rows made dense
_LANES = 16  # tiles are a multiple of the numbers in a register
_PAIR_ROWS = 496  # rows of at most 500 numbers are copied into a condensed matrix without letting go of Python's lock
_PAIR_WORK = 2**24  # pairs times bins of a tile: some ten milliseconds, beside which its overhead is small
_CROWDED = 8  # a pair of entries that meet in a sparse product costs as much as so many pairs of bins in a dense one
_overlaps_of_thread, _part_of_thread = Workspace(), Workspace()


def tile_shape(divergence: Divergence, P: Distributions, Q: Distributions, *, square: bool) -> tuple[int, int]:
    """How many rows and columns a tile has: by the kind of divergence, the shapes and the storage alone."""
    n_bins = P.shape[1]
    if isinstance(divergence.fast, ProductForm):
        some_tiles = max(128, -(-len(P) // 4))  # for the threads to share
        most = (min(1024, some_tiles),) * 2 if square else (min(512, some_tiles), 2048)  # BLAS writes long rows faster
    elif isinstance(divergence.fast, PairForm):
        sparse = P.is_sparse and Q.is_sparse
        most = (_PAIR_ROWS if sparse else min(_PAIR_ROWS, max(64, int((_PAIR_WORK / n_bins) ** 0.5))),) * 2
    else:
        most = (max(1, min(128, _DENSE_BLOCK // n_bins)),) * 2
    return _evenly(len(P), most[0]), _evenly(len(Q), most[1])


def _per_bin(rows: Distributions) -> NDArray[np.int64]:
    return np.bincount(rows.values.indices, minlength=rows.shape[1])


def _evenly(n: int, most: int) -> int:
    """All tiles of one size, so that the workers end together."""
    even = -(-n // -(-n // most))
    return -(-even // _LANES) * _LANES if most >= _LANES else even


def nanoseconds(divergence: Divergence, P: Distributions, Q: Distributions) -> float:
    """Roughly how long all pairs take, to tell whether workers are worth while; exact in nothing but its order."""
    cells = float(len(P)) * len(Q) * P.shape[1]
    if isinstance(divergence.fast, ProductForm):
        return 0.04 * cells
    if isinstance(divergence.fast, PairForm):
        if not (P.is_sparse and Q.is_sparse):
            return cells
        return min(cells, _CROWDED * int(_per_bin(P) @ _per_bin(Q)))
    return 30 * cells


def block(
    divergence: Divergence, P: Distributions, Q: Distributions, kernel: PairKernel, *, diagonal: int | None = None,
    out: FloatArray | None = None,
) -> FloatArray:  # fmt: skip
    """D(P[i] ‖ Q[j]) in nats, in ``out`` if it can be made there.

    ``diagonal``: P[i] is Q[i + diagonal]. If it is 0 they are the same rows, and a symmetric result is so to the bit.
    """
    form = divergence.fast
    if isinstance(form, ProductForm):
        values = _product(divergence, form, P, Q, diagonal, out)
    elif isinstance(form, PairForm):
        values = _pairs(divergence, form, P, Q, diagonal, kernel, out)
    else:
        values = divergence.checked(_from_terms(divergence, P, Q))
    if diagonal == 0 and divergence.symmetric:
        for i in range(1, len(P)):
            values[i, :i] = values[:i, i]
    return values


def paired(divergence: Divergence, P: Distributions, Q: Distributions) -> FloatArray:
    """D(P[i] ‖ Q[i]) in nats, term by term, a few rows at a time."""
    values = np.empty(len(P), dtype=P.dtype)
    for rows in few_rows(len(P), P.shape[1]):
        values[rows] = divergence.of_rows(P[rows].dense(), Q[rows].dense())
    return values


def few_rows(n: int, n_bins: int) -> Iterator[slice]:
    step = max(1, _CELL // n_bins)
    return (slice(start, start + step) for start in range(0, n, step))


# --- Sums over pairs ---


def _from_terms(divergence: Divergence, P: Distributions, Q: Distributions) -> FloatArray:
    """A user's own divergence: all terms, a few pairs at a time."""
    left, right = P.dense(), Q.dense()
    values = np.empty(len(P) * len(Q), dtype=P.dtype)
    for some in few_rows(len(values), P.shape[1]):
        i, j = np.divmod(np.arange(len(values))[some], len(Q))
        values[some] = divergence.of_rows(left[i], right[j])
    return values.reshape(len(P), len(Q))


def _pairs(
    divergence: Divergence, form: PairForm, P: Distributions, Q: Distributions, diagonal: int | None,
    kernel: PairKernel, out: FloatArray | None,
) -> FloatArray:  # fmt: skip
    overlaps = pair_overlaps(form.pair, P, Q, kernel, upper=diagonal == 0, out=out)
    totals = form.finish(np.subtract(form.top, overlaps, out=overlaps))
    values = np.empty(totals.shape, P.dtype) if out is None else out
    if totals is not values:
        values[...] = totals
    _refine(values, divergence, P, Q, diagonal, below=_refine_below(form, P, Q))
    return divergence.capped(values)


def pair_overlaps(
    pair: Pair, P: Distributions, Q: Distributions, kernel: PairKernel, *, upper: bool = False,
    out: FloatArray | None = None,
) -> FloatArray:  # fmt: skip
    """Overlaps as a `PairKernel` defines them, in ``out`` or in memory that this thread uses again for other tiles."""
    if out is not None and out.dtype == np.float64 and out.flags.c_contiguous:
        overlaps = out
    else:
        overlaps = _overlaps_of_thread.array((len(P), len(Q)))
    if P.is_sparse and Q.is_sparse:
        columns = P.once(_columns), Q.once(_columns)
        if _CROWDED * _meetings(*columns) < len(P) * len(Q) * P.shape[1]:
            kernel.sparse_overlaps(pair, *columns, overlaps, upper=upper)
            return overlaps
    unit = _unit(P)
    for k, (p, q) in enumerate(zip(_bin_chunks(P, _PAIR_BINS), _bin_chunks(Q, _PAIR_BINS), strict=True)):
        part = _part_of_thread.array((len(P), len(Q))) if k else overlaps
        kernel.overlaps(pair, _scaled(p, unit), _scaled(q, unit), part, upper=upper)
        if k:
            overlaps += part
    if unit != 1:
        overlaps /= unit
    return overlaps


def _unit(rows: Distributions) -> float:
    """By what single precision is multiplied: a power of two, about the number of bins.

    Entries are then near 1, where their logarithms are small, and so is what is lost when these are rounded.
    """
    return 1.0 if rows.dtype == np.float64 else 2.0 ** round(np.log2(rows.shape[1]))


def _scaled(rows: Any, unit: float) -> Any:
    return rows if unit == 1 else rows * unit


@dataclass(frozen=True)
class _OfScaled:
    """A function of scaled rows, equal to another of the same."""

    function: Elementwise
    unit: float

    def __call__(self, rows: FloatArray) -> FloatArray:
        return self.function(_scaled(rows, self.unit))


def _columns(rows: Any) -> Any:
    return rows.astype(np.float64, copy=False).tocsc()


def _meetings(P: Any, Q: Any) -> int:
    """How many pairs of entries share a bin, over all pairs of rows, which come in CSC."""
    return int(np.diff(P.indptr).astype(np.int64) @ np.diff(Q.indptr))


def _bin_chunks(rows: Distributions, width: int) -> Iterator[FloatArray]:
    """The rows as arrays, some bins at a time."""
    values = rows.values.tocsc() if sp.issparse(rows.values) else rows.values
    for start in range(0, rows.shape[1], width):
        chunk = values[:, start : start + width]
        yield Distributions(chunk, rows.background).dense()


# --- Products ---


def _product(
    divergence: Divergence, form: ProductForm, P: Distributions, Q: Distributions, diagonal: int | None,
    out: FloatArray | None,
) -> FloatArray:  # fmt: skip
    if P.dtype == np.float32 and form.conditioning > _SINGLE_CONDITIONING:
        in_double = _product(divergence, form, _in_double(P), _in_double(Q), diagonal, None)
        return in_double.astype(np.float32)
    totals, of_left, of_right = _products(divergence, form, P, Q, out)
    totals += of_left[:, np.newaxis]
    if form.right_term is not None:
        totals += of_right
    limits = np.finfo(totals.dtype)
    subnormal = None if form.finish is identity else (totals > 0) & (totals < limits.tiny / limits.eps)
    values = divergence.capped(form.finish(totals)).astype(P.dtype, copy=False)
    always = None if form.smallest is None else _has_entry_below(form.smallest(Q.dtype), Q)
    _refine(values, divergence, P, Q, diagonal, below=_refine_below(form, P, Q), always=always, too=subnormal)
    return values


def _in_double(rows: Distributions) -> Distributions:
    """The same rows, divided by their sums again, which single precision had rounded."""
    values = rows.values.astype(np.float64)
    background = None if rows.background is None else rows.background.astype(np.float64)
    totals = np.asarray(values.sum(axis=1)).reshape(-1, 1) + (0 if background is None else background * rows.shape[1])
    if sp.issparse(values):
        values.data /= np.repeat(totals[:, 0], np.diff(values.indptr))
    else:
        values /= totals
    return Distributions(values, None if background is None else background / totals)


def _products(
    divergence: Divergence, form: ProductForm, P: Distributions, Q: Distributions, out: FloatArray | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Sums over bins: of the products, infinite where it is, in ``out``; of the left terms; of the right ones.

    Sparse rows in double precision, for SciPy sums a sparse product term after term in that of its data.
    """
    width, unit = (_PRODUCT_BINS if P.dtype == np.float64 else _SINGLE_BINS), _unit(P)
    if P.is_sparse and Q.is_sparse:
        chunks, unit = iter([(P.values.astype(np.float64), Q.values.astype(np.float64))]), 1.0
    else:
        chunks = zip(_bin_chunks(P, width), _bin_chunks(Q, width), strict=True)
    factors = [(_OfScaled(of_p, unit), _OfScaled(of_q, unit)) for of_p, of_q in form.factors]
    of_left, of_right = np.zeros(len(P)), np.zeros(len(Q))
    totals = None
    for p, q in chunks:
        whole = Q if Q.shape[1] <= width and not sp.issparse(Q.values) else None
        rights = [whole.once(of_q) if whole is not None else _mapped(of_q, q) for _, of_q in factors]
        product = _product_of_chunk([_mapped(of_p, p) for of_p, _ in factors], rights, out if totals is None else None)
        if totals is not None:
            totals += product
        else:  # many chunks are summed in double precision
            totals = product if P.shape[1] <= width else product.astype(np.float64, copy=False)
        if form.left_term is not None:
            of_left += _row_sums(_mapped(_OfScaled(form.left_term, unit), p))
        if form.right_term is not None:
            of_right += _row_sums(_mapped(_OfScaled(form.right_term, unit), q))
        if divergence.infinite_off_support:
            _set_infinite_off_support(totals, p, q)
            if divergence.symmetric:
                _set_infinite_off_support(totals.T, q, p)
    assert totals is not None
    if unit != 1:
        totals /= unit
    of_rows = (of_left / unit).astype(totals.dtype, copy=False), (of_right / unit).astype(totals.dtype, copy=False)
    return totals, *of_rows


def _product_of_chunk(lefts: list[Any], rights: list[Any], out: FloatArray | None) -> FloatArray:
    with np.errstate(over="ignore", invalid="ignore"):  # rows below form.smallest, which _refine computes again
        product = _times(lefts[0], rights[0], out)
        for left, right in zip(lefts[1:], rights[1:], strict=True):
            product += _times(left, right)
    return product


def _mapped(function: Elementwise, rows: Any) -> Any:
    if not sp.issparse(rows):
        return function(rows)
    return type(rows)((function(rows.data), rows.indices, rows.indptr), shape=rows.shape)


def _times(left: Any, right: Any, out: FloatArray | None = None) -> FloatArray:
    if not sp.issparse(left):
        return np.matmul(left, right.T, out=out)
    product: FloatArray = (left @ right.T).toarray()
    return product


def _row_sums(rows: Any) -> FloatArray:
    return np.asarray(rows.sum(axis=1))


def _set_infinite_off_support(totals: FloatArray, p: Any, q: Any) -> None:
    """Where q = 0 in some bin where p > 0."""
    if sp.issparse(p):
        p_support, q_support = (_mapped(_indicator, rows) for rows in (p, q))
        totals[_times(p_support, q_support) < _row_sums(p_support)[:, np.newaxis]] = np.inf
    elif not q.min() > 0:
        # A sum of ones and zeros: single precision cannot turn it into zero, and takes half the time.
        totals[_times((p > 0).astype(np.float32), (q == 0).astype(np.float32)) > 0] = np.inf


def _indicator(entries: FloatArray) -> FloatArray:
    return (entries > 0).astype(np.float64)


# --- What cancellation would spoil ---


def _refine(
    values: FloatArray, divergence: Divergence, P: Distributions, Q: Distributions, diagonal: int | None, *,
    below: float, always: NDArray[np.bool_] | None = None, too: NDArray[np.bool_] | None = None,
) -> None:  # fmt: skip
    """Compute again, term by term, the entries whose digits the fast form has lost; on the diagonal D(p ‖ p) = 0.

    Those are all ``below`` some value, ``always`` some columns, and some others ``too``.
    """
    if diagonal is not None:
        i = np.arange(max(0, -diagonal), min(len(P), len(Q) - diagonal))
        values[i, i + diagonal] = np.inf
    if always is not None or values.min() < below or (too is not None and too.any()):
        wanted = values < below
        if too is not None:
            wanted |= too
        if always is not None:
            wanted[:, always] = True
        if diagonal is not None:
            wanted[i, i + diagonal] = False
            if divergence.symmetric:
                wanted = np.triu(wanted, diagonal)
        rows, columns = np.nonzero(wanted)
        for some in few_rows(len(rows), P.shape[1]):
            values[rows[some], columns[some]] = divergence.of_rows(P[rows[some]].dense(), Q[columns[some]].dense())
    if diagonal is not None:
        values[i, i + diagonal] = 0


def _refine_below(form: ProductForm | PairForm, P: Distributions, Q: Distributions) -> float:
    """Below this the error of a fast form shows.

    It is absolute, and grows with the entropies, so with ln(n_bins); and where sparse rows are summed term after term,
    with the number of terms.
    """
    absolute = (1e-5 if P.dtype == np.float64 else 2e-3) * (1 + np.log(P.shape[1]))
    most_terms = max(int(np.diff(rows.values.indptr).max()) if rows.is_sparse else 0 for rows in (P, Q))
    absolute *= max(1, most_terms / (200 if isinstance(form, ProductForm) else 2_000))
    return float((absolute * form.conditioning) ** form.power)


def _has_entry_below(smallest: float, rows: Distributions) -> NDArray[np.bool_]:
    if rows.is_sparse:
        small = _mapped(lambda entries: (entries < smallest).astype(np.float64), rows.values)
        return _row_sums(small) > 0
    if rows.background is not None and sp.issparse(rows.values):  # no entry is smaller than that of an empty bin
        in_empty_bin: NDArray[np.bool_] = rows.background[:, 0] < smallest
        return in_empty_bin
    entries = rows.dense()
    found: NDArray[np.bool_] = np.any((entries > 0) & (entries < smallest), axis=1)
    return found
