"""Blocks of a divergence matrix: normalised rows in, values in nats out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from skdiv._distributions import Distributions
from skdiv._divergence import Divergence
from skdiv._forms import Elementwise, PairForm, ProductForm
from skdiv._kernels import PairKernel
from skdiv._terms import FloatArray

_BIN_CHUNK = 512  # bins at a time, so that copies of rows stay small and in the cache
_CELL = 65_536  # entries of a temporary array of terms
_DENSE_BLOCK = 2**18  # entries of a block of sparse rows made dense
_LANES = 16  # tiles are a multiple of the numbers in a register
_PAIR_WORK = 2**24  # pairs times bins of a tile: some ten milliseconds, beside which its overhead is small
_CROWDED = 8  # a pair of entries that meet in a sparse product costs as much as so many pairs of bins in a dense one


def tile_rows(divergence: Divergence, rows: Distributions) -> int:
    """How many rows a tile has: by the kind of divergence, the shape and the storage alone."""
    n, n_bins = rows.shape
    if isinstance(divergence.fast, ProductForm):
        most = 1024
    elif isinstance(divergence.fast, PairForm):
        most = 512 if rows.is_sparse else min(512, max(128, int((_PAIR_WORK / n_bins) ** 0.5)))
    else:
        most = 128
        if sp.issparse(rows.values):
            most = min(most, max(1, _DENSE_BLOCK // n_bins))
    n_tiles = -(-n // most)
    even = -(-n // n_tiles)  # all of one size, so that the workers end together
    return -(-even // _LANES) * _LANES if most >= _LANES else even


def nanoseconds(divergence: Divergence, P: Distributions, Q: Distributions) -> float:
    """Roughly how long all pairs take, to tell whether workers are worth while; exact in nothing but its order."""
    cells = float(len(P)) * len(Q) * P.shape[1]
    if isinstance(divergence.fast, ProductForm):
        return 0.05 * cells
    if isinstance(divergence.fast, PairForm):
        return min(cells, _CROWDED * _meetings(P, Q)) if P.is_sparse and Q.is_sparse else cells
    return 30 * cells


def block(
    divergence: Divergence, P: Distributions, Q: Distributions, kernel: PairKernel, *, same: bool = False
) -> FloatArray:
    """D(P[i] ‖ Q[j]) in nats. ``same``: P and Q are the same rows, and a symmetric result is so to the bit."""
    form = divergence.fast
    if isinstance(form, ProductForm):
        values = _product(divergence, form, P, Q)
    elif isinstance(form, PairForm):
        values = _pairs(form, P, Q, kernel, same=same)
    else:
        values = _from_terms(divergence, P, Q)
    if form is not None:
        _refine(values, divergence, form, P, Q, same=same)
    if same and divergence.symmetric:
        np.copyto(values, values.T.copy(), where=np.tri(len(P), k=-1, dtype=bool))
    return divergence.checked(values) if form is None else divergence.capped(values)


def paired(divergence: Divergence, P: Distributions, Q: Distributions) -> FloatArray:
    """D(P[i] ‖ Q[i]) in nats, term by term, a few rows at a time."""
    values = np.empty(len(P), dtype=P.dtype)
    for rows in _few_rows(len(P), P.shape[1]):
        values[rows] = divergence.of_rows(P[rows].dense(), Q[rows].dense())
    return values


def _few_rows(n: int, n_bins: int) -> Iterator[slice]:
    step = max(1, _CELL // n_bins)
    return (slice(start, start + step) for start in range(0, n, step))


# --- Sums over pairs ---


def _from_terms(divergence: Divergence, P: Distributions, Q: Distributions) -> FloatArray:
    """A user's own divergence: all terms, a few pairs at a time."""
    left, right = P.dense(), Q.dense()
    values = np.empty(len(P) * len(Q), dtype=P.dtype)
    for some in _few_rows(len(values), P.shape[1]):
        i, j = np.divmod(np.arange(len(values))[some], len(Q))
        values[some] = divergence.of_rows(left[i], right[j])
    return values.reshape(len(P), len(Q))


def _pairs(form: PairForm, P: Distributions, Q: Distributions, kernel: PairKernel, *, same: bool) -> FloatArray:
    if P.is_sparse and Q.is_sparse and _meetings(P, Q) * _CROWDED < len(P) * len(Q) * P.shape[1]:
        left, right = (rows.values.astype(np.float64, copy=False) for rows in (P, Q))
        totals = form.top - kernel.sparse_overlaps(form.pair, left, right, upper=same)
    else:
        totals = form.top - _sum(
            kernel.overlaps(form.pair, p, q, upper=same) for p, q in zip(_bin_chunks(P), _bin_chunks(Q), strict=True)
        )
    return form.finish(totals).astype(P.dtype, copy=False)


def _sum(parts: Iterator[FloatArray]) -> FloatArray:
    """Their sum, in the memory of the first."""
    total = next(parts)
    for part in parts:
        total += part
    return total


def _meetings(P: Distributions, Q: Distributions) -> int:
    """How many pairs of entries share a bin, over all pairs of rows."""
    left, right = (np.bincount(rows.values.indices, minlength=rows.shape[1]) for rows in (P, Q))
    return int(left @ right)


def _bin_chunks(rows: Distributions) -> Iterator[FloatArray]:
    """The rows as arrays, some bins at a time."""
    values = rows.values.tocsc() if sp.issparse(rows.values) else rows.values
    for start in range(0, rows.shape[1], _BIN_CHUNK):
        chunk = values[:, start : start + _BIN_CHUNK]
        yield (
            chunk
            if rows.background is None and not sp.issparse(chunk)
            else Distributions(chunk, rows.background).dense()
        )


# --- Products ---


def _product(divergence: Divergence, form: ProductForm, P: Distributions, Q: Distributions) -> FloatArray:
    """Sparse rows in double precision, for SciPy sums a sparse product term after term in that of its data."""
    if P.is_sparse and Q.is_sparse:
        chunks = iter([(P.values.astype(np.float64), Q.values.astype(np.float64))])
    else:
        chunks = zip(_bin_chunks(P), _bin_chunks(Q), strict=True)
    totals = _sum(_product_of_chunk(divergence, form, p, q) for p, q in chunks)
    return form.finish(totals).astype(P.dtype, copy=False)


def _product_of_chunk(divergence: Divergence, form: ProductForm, p: Any, q: Any) -> FloatArray:
    with np.errstate(over="ignore", invalid="ignore"):  # rows below form.smallest, which _refine computes again
        (of_p, of_q), *others = form.factors
        totals = _times(_mapped(of_p, p), _mapped(of_q, q))
        for of_p, of_q in others:
            totals += _times(_mapped(of_p, p), _mapped(of_q, q))
    if form.left_term is not None:
        totals += _row_sums(_mapped(form.left_term, p))[:, np.newaxis]
    if form.right_term is not None:
        totals += _row_sums(_mapped(form.right_term, q))
    if divergence.infinite_off_support:
        _set_infinite_off_support(totals, p, q)
        if divergence.symmetric:
            _set_infinite_off_support(totals.T, q, p)
    return totals


def _mapped(function: Elementwise, rows: Any) -> Any:
    if not sp.issparse(rows):
        return function(rows)
    return type(rows)((function(rows.data), rows.indices, rows.indptr), shape=rows.shape)


def _times(left: Any, right: Any) -> FloatArray:
    product = left @ right.T
    return product.toarray() if sp.issparse(product) else product  # type: ignore[no-any-return]


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
    values: FloatArray, divergence: Divergence, form: ProductForm | PairForm, P: Distributions, Q: Distributions,
    *, same: bool,
) -> None:  # fmt: skip
    """Compute again, term by term, the entries whose digits the fast form has lost; on the diagonal D(p ‖ p) = 0."""
    wanted = values < _refine_below(form, P, Q)
    if isinstance(form, ProductForm) and form.smallest is not None:
        wanted[:, _has_entry_below(form.smallest(Q.dtype), Q)] = True
    if same:
        np.fill_diagonal(values, 0)
        np.fill_diagonal(wanted, False)
        if divergence.symmetric:
            wanted = np.triu(wanted)
    if wanted.any():
        rows, columns = np.nonzero(wanted)
        for some in _few_rows(len(rows), P.shape[1]):
            i, j = rows[some], columns[some]
            values[i, j] = divergence.of_rows(P[i].dense(), Q[j].dense())


def _refine_below(form: ProductForm | PairForm, P: Distributions, Q: Distributions) -> float:
    """Below this the error of a fast form shows.

    It is absolute, and grows with the entropies, so with ln(n_bins); and where SciPy sums a sparse product term after
    term, with the number of terms.
    """
    absolute = (1e-5 if P.dtype == np.float64 else 2e-3) * (1 + np.log(P.shape[1]))
    if isinstance(form, ProductForm):
        most_terms = max(int(np.diff(rows.values.indptr).max()) if rows.is_sparse else 0 for rows in (P, Q))
        absolute *= max(1, most_terms / 2_000)
    return float((absolute * form.conditioning) ** form.power)


def _has_entry_below(smallest: float, rows: Distributions) -> NDArray[np.bool_]:
    if rows.is_sparse:
        small = _mapped(lambda entries: (entries < smallest).astype(np.float64), rows.values)
        return _row_sums(small) > 0
    entries = rows.dense()
    found: NDArray[np.bool_] = np.any((entries > 0) & (entries < smallest), axis=1)
    return found
