"""Blocks of a divergence matrix with NumPy and SciPy alone: normalised rows in, values in nats out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from skdiv._distributions import Distributions
from skdiv._divergence import Divergence
from skdiv._forms import Elementwise, MixtureForm, ProductForm, entropy_term
from skdiv._terms import FloatArray

_CELL = 65_536  # entries of an elementwise buffer: two of them, 1 MiB, stay in the L2 cache
_BIN_CHUNK = 512  # bins of a matrix product at a time, so that the transformed rows stay small
_DENSE_BLOCK = 2**18  # entries of a block of sparse rows made dense

Cell = Callable[[FloatArray, FloatArray], FloatArray]


def tile_rows(divergence: Divergence, rows: Distributions) -> int:
    """How many rows a tile has: by the kind of kernel, the shape and the storage alone."""
    n, n_bins = rows.shape
    product = isinstance(divergence.fast, ProductForm)
    most = 1024 if product else 128
    if sp.issparse(rows.values) and not (product and rows.is_sparse):
        most = min(most, max(1, _DENSE_BLOCK // n_bins))
    n_tiles = -(-n // most)
    return -(-n // n_tiles)  # all of one size, so that the workers end together


def block(divergence: Divergence, P: Distributions, Q: Distributions, *, same: bool = False) -> FloatArray:
    """D(P[i] ‖ Q[j]) in nats. ``same``: P and Q are the same rows, and a symmetric result is so to the bit."""
    form = divergence.fast
    if isinstance(form, ProductForm):
        values = _product(divergence, form, P, Q)
    elif isinstance(form, MixtureForm):
        values = _mixture(form, P, Q, same=same)
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


# --- Elementwise ---


def _cells(n_left: int, n_right: int, n_bins: int, width: int, *, upper: bool) -> Iterator[tuple[slice, slice, slice]]:
    """Cut (left rows) × (right rows) × (bins) into cells of some `_CELL` entries; ``upper``: only j ≥ i is wanted."""
    right_step = max(1, min(n_right, _CELL // width))
    left_step = max(1, min(n_left, _CELL // (width * right_step)))
    for bin_start in range(0, n_bins, width):
        bins = slice(bin_start, min(bin_start + width, n_bins))
        for i in range(0, n_left, left_step):
            for j in range(i if upper else 0, n_right, right_step):
                yield slice(i, min(i + left_step, n_left)), slice(j, min(j + right_step, n_right)), bins


def _accumulate(
    cell: Cell, P: FloatArray, Q: FloatArray, *, width: int | None = None, upper: bool = False
) -> FloatArray:
    """Sum ``cell(p, q)`` over chunks of bins, p of shape (i, 1, bins) and q of shape (1, j, bins)."""
    n_bins = P.shape[1]
    totals = np.zeros((len(P), len(Q)), dtype=P.dtype)
    width = width or min(n_bins, max(_BIN_CHUNK, _CELL // totals.size))
    for rows, columns, bins in _cells(len(P), len(Q), n_bins, width, upper=upper):
        totals[rows, columns] += cell(P[rows, np.newaxis, bins], Q[np.newaxis, columns, bins])
    return totals


def _from_terms(divergence: Divergence, P: Distributions, Q: Distributions) -> FloatArray:
    left, right = P.dense(), Q.dense()
    if divergence.rows is not None:
        return _accumulate(divergence.rows, left, right, width=P.shape[1])
    return divergence.finish(_accumulate(lambda p, q: divergence.term(p, q).sum(axis=-1), left, right))


def _mixture(form: MixtureForm, P: Distributions, Q: Distributions, *, same: bool) -> FloatArray:
    """One addition, logarithm and dot product per entry, in buffers that are reused."""
    left, right = P.dense(), Q.dense()
    # Less than half a unit in the last place of any entry that counts, and no logarithm of zero is taken.
    tiny = np.finfo(left.dtype).tiny
    sums, logs = np.empty((2, _CELL), dtype=left.dtype)

    def cell(p: FloatArray, q: FloatArray) -> FloatArray:
        shape = (p.shape[0], q.shape[1], p.shape[2])
        size = shape[0] * shape[1] * shape[2]
        s, log_s = sums[:size].reshape(shape), logs[:size].reshape(shape)
        np.add(p + tiny, q, out=s)
        np.log(s, out=log_s)
        totals: FloatArray = np.vecdot(s, log_s)
        return totals

    totals = _accumulate(cell, left, right, upper=same)
    totals *= -0.5
    totals += 0.5 * _negative_entropy(P)[:, np.newaxis]
    totals += 0.5 * _negative_entropy(Q) + np.log(2).astype(left.dtype)
    return form.finish(totals)


def _negative_entropy(rows: Distributions) -> FloatArray:
    (chunks,) = _bin_chunks(rows)
    return _sum(_row_sums(_mapped(entropy_term, chunk)) for chunk in chunks)


# --- Products ---


def _product(divergence: Divergence, form: ProductForm, P: Distributions, Q: Distributions) -> FloatArray:
    left, right = _bin_chunks(P, Q)
    with np.errstate(over="ignore", invalid="ignore"):  # rows below form.smallest, which _refine computes again
        totals = _sum(
            _times(_mapped(of_p, p), _mapped(of_q, q))
            for p, q in zip(left, right, strict=True)
            for of_p, of_q in form.factors
        )
    if form.left_term is not None:
        totals += _sum(_row_sums(_mapped(form.left_term, p)) for p in left)[:, np.newaxis]
    if form.right_term is not None:
        totals += _sum(_row_sums(_mapped(form.right_term, q)) for q in right)
    if divergence.infinite_off_support:
        for p, q in zip(left, right, strict=True):
            totals[_off_support(p, q)] = np.inf
            if divergence.symmetric:
                totals[_off_support(q, p).T] = np.inf
    return form.finish(totals).astype(P.dtype, copy=False)


def _bin_chunks(*blocks: Distributions) -> list[list[Any]]:
    """Each block a few bins at a time, or in one piece if all are sparse.

    Sparse ones become double, for SciPy sums a sparse product term after term in the precision of its data.
    """
    n_bins = blocks[0].shape[1]
    step = max(_BIN_CHUNK, _CELL // max(map(len, blocks)))
    if all(rows.is_sparse for rows in blocks):
        step = n_bins
    starts = range(0, n_bins, step)
    arrays = [rows.values.astype(np.float64).tocsc() if rows.is_sparse else rows.dense() for rows in blocks]
    return [[array[:, start : start + step] for start in starts] for array in arrays]


def _sum(parts: Iterator[FloatArray]) -> FloatArray:
    """Their sum, in the memory of the first."""
    total = next(parts)
    for part in parts:
        total += part
    return total


def _mapped(function: Elementwise, rows: Any) -> Any:
    if not sp.issparse(rows):
        return function(rows)
    return type(rows)((function(rows.data), rows.indices, rows.indptr), shape=rows.shape)


def _times(left: Any, right: Any) -> FloatArray:
    product = left @ right.T
    return product.toarray() if sp.issparse(product) else product  # type: ignore[no-any-return]


def _row_sums(rows: Any) -> FloatArray:
    return np.asarray(rows.sum(axis=1))


def _off_support(p: Any, q: Any) -> NDArray[np.bool_]:
    """Whether q = 0 in some bin where p > 0."""
    if not sp.issparse(p) and not sp.issparse(q):
        if q.min() > 0:
            return np.zeros((len(p), len(q)), dtype=bool)
        # A sum of ones and zeros: single precision cannot turn it into zero, and takes half the time.
        counts: FloatArray = (p > 0).astype(np.float32) @ (q == 0).astype(np.float32).T
        return counts > 0
    p_support, q_support = (_mapped(_indicator, rows) for rows in (p, q))
    uncovered: NDArray[np.bool_] = _times(p_support, q_support) < _row_sums(p_support)[:, np.newaxis]
    return uncovered


def _indicator(entries: FloatArray) -> FloatArray:
    return (entries > 0).astype(np.float64)


# --- What cancellation would spoil ---


def _refine(
    values: FloatArray, divergence: Divergence, form: ProductForm | MixtureForm, P: Distributions, Q: Distributions,
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


def _refine_below(form: ProductForm | MixtureForm, P: Distributions, Q: Distributions) -> float:
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
