"""The blocks that rows are the sums of: what a user passes is checked, and blocks are arranged anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln
from scipy.stats import kruskal, mannwhitneyu

from skdiv._input.checks import (
    Matrix,
    MatrixLike,
    as_weights,
    refuse_empty_rows,
    refuse_masked,
    refuse_what_is_no_weight,
)
from skdiv._input.names import Names, names_of, refuse_other_bins, refuse_other_rows
from skdiv._utils.typing import FloatArray
from skdiv._utils.warnings import warn_caller

BlocksLike: TypeAlias = ArrayLike | Sequence[MatrixLike]

_ROUNDING = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-5}  # of sums of blocks, relative to the row's total
_UNEQUAL = 2  # times as many observations in the mean block of a row as of another, if chance is not why
_BY_CHANCE = 0.05  # the level of the test of whether it is
_FORM = (
    "Pass an array of shape (n_samples, n_blocks, n_bins), or a sequence of a matrix of shape (n_blocks, n_bins) for "
    "each row of X. skdiv.preprocessing.sum_blocks makes X and blocks of a table with a row for each block."
)


@dataclass(frozen=True)
class Blocks:
    """Blocks of rows: ``values``, an array or CSR matrix with the ``sizes[0]`` blocks of the first row, and so on."""

    values: Matrix
    sizes: NDArray[np.intp]

    def __len__(self) -> int:
        """Return the number of rows that are sums of the blocks."""
        return len(self.sizes)

    def of(self, rows: NDArray[np.integer[Any]]) -> Blocks:
        """Return the blocks of some rows."""
        sizes, starts = self.sizes[rows], (np.cumsum(self.sizes) - self.sizes)[rows]
        places = np.arange(sizes.sum()) + np.repeat(starts - np.cumsum(sizes) + sizes, sizes)
        return Blocks(self.values[places], sizes)

    def in_bins_with_mass(self) -> Blocks:
        """Return the blocks in the bins alone in which one of them has mass."""
        return Blocks(self.values[:, np.asarray(self.values.sum(axis=0)).ravel() > 0], self.sizes)

    def dense(self) -> Blocks:
        """Return the blocks as an array."""
        return Blocks(self.values.toarray(), self.sizes) if sp.issparse(self.values) else self

    def totals(self) -> FloatArray:
        """Return the total of each block."""
        return np.asarray(self.values.sum(axis=1)).ravel()

    def arranged(self, orders: NDArray[np.intp]) -> Matrix:
        """Return the rows that the blocks give in some orders, of shape (n_orders, n_blocks), one under another.

        The first blocks of an order belong to the first row, and so on; each row keeps its number of blocks.
        """
        ends = np.cumsum(self.sizes) + orders.shape[1] * np.arange(len(orders))[:, np.newaxis]
        parts = orders.ravel(), np.append(0, ends.ravel())
        which = sp.csr_array((np.ones(orders.size), *parts), shape=(ends.size, orders.shape[1]))
        return which @ self.values

    def share_of_one_arrangement(self, *, rows_alike: bool) -> float:
        """Return the share of all orders that give the same rows, whatever the blocks hold.

        ``rows_alike`` says that the rows may be in another order: those with equal numbers of blocks can be exchanged.
        """
        log_share = gammaln(self.sizes + 1).sum() - gammaln(self.sizes.sum() + 1)
        if rows_alike:
            log_share += gammaln(np.unique(self.sizes, return_counts=True)[1] + 1).sum()
        return float(np.exp(log_share))


def checked_blocks(blocks: BlocksLike, X: Matrix, names: Names, argument: str = "blocks") -> Blocks:
    """Return a user's blocks, if they are some weights for each row of X, of which the row is the sum.

    ``argument`` is what messages call them.
    """
    refuse_what_is_no_weight(X, names)
    matrices = _matrices(blocks, X.shape[0], names, argument)
    refuse_other_rows(blocks, names.frame, (argument, names.argument))
    labels, parts = names.labels, []
    for i, matrix in enumerate(matrices):
        named = names_of(matrix, f"{argument}[{i}]")
        shape = matrix.shape if hasattr(matrix, "shape") else np.shape(matrix)
        if len(shape) != 2 or not shape[0]:
            raise ValueError(f"{named} has the shape {shape}, and not one block or more of some bins. {_FORM}")
        refuse_other_bins(labels, named.labels, (names.argument, named.argument))
        weights = as_weights(matrix, named)
        if weights.shape[1] != X.shape[1]:
            raise ValueError(f"{named} has {weights.shape[1]} bins, but {names} has {X.shape[1]}. {_FORM}")
        refuse_what_is_no_weight(weights, named)
        totals = np.asarray(weights.sum(axis=1, dtype=np.float64)).ravel()
        refuse_empty_rows(totals, named, "Leave the block out.")
        parts.append(weights.astype(np.float64, copy=False))
    is_sparse = any(map(sp.issparse, parts))
    values = sp.csr_array(sp.vstack(parts, format="csr")) if is_sparse else np.vstack(parts)
    checked = Blocks(values, np.array([part.shape[0] for part in parts]))
    _refuse_other_sums(checked, X, names, argument)
    return checked


def _matrices(blocks: BlocksLike, n: int, names: Names, argument: str) -> list[Any]:
    """Return a matrix of blocks for each of the n rows, unchecked."""
    refuse_masked(blocks, argument)
    of_blocks: Any = blocks
    is_table = sp.issparse(of_blocks) or names_of(of_blocks, argument).frame is not None
    if is_table or (isinstance(of_blocks, np.ndarray) and of_blocks.dtype != object and of_blocks.ndim != 3):
        raise ValueError(f"{argument} has the shape {of_blocks.shape}, which does not tell whose a block is. {_FORM}")
    if not isinstance(of_blocks, Iterable) or isinstance(of_blocks, str | Mapping):
        raise TypeError(f"{argument} is of the type {type(of_blocks).__name__}. {_FORM}")
    matrices = list(of_blocks)
    if len(matrices) != n:
        raise ValueError(f"{argument} has blocks of {len(matrices)} rows, but {names} has {n} rows. {_FORM}")
    return matrices


def _refuse_other_sums(blocks: Blocks, X: Matrix, names: Names, argument: str) -> None:
    """Refuse blocks whose sums are not the rows of X, and name the first row and bin where they differ."""
    sums = blocks.arranged(np.arange(blocks.values.shape[0])[np.newaxis])
    totals = np.asarray(sums.sum(axis=1)).ravel()
    apart = abs(sums - X)
    off = np.asarray(apart.max(axis=1).todense()).ravel() if sp.issparse(apart) else np.asarray(apart).max(axis=1)
    wrong = np.flatnonzero(~(off <= _ROUNDING[X.dtype] * totals))
    if wrong.size:
        i = int(wrong[0])
        bins = apart[[i]].toarray() if sp.issparse(apart) else np.asarray(apart)[[i]]
        j = int(bins.argmax())
        raise ValueError(
            f"{names.entry(i, j)} = {X[i, j]:g}, but the blocks of this row, {argument}[{i}], sum to {sums[i, j]:g} "
            "in this bin. A row has to be the sum of its blocks."
        )


def warn_of_sizes(blocks: Blocks, names: Names) -> None:
    """Warn if the blocks of some rows are larger than those of others: they cannot be exchanged then."""
    totals, starts = blocks.totals(), np.cumsum(blocks.sizes) - blocks.sizes
    means = np.add.reduceat(totals, starts) / blocks.sizes
    low, high = int(means.argmin()), int(means.argmax())
    if means[high] >= _UNEQUAL * means[low] and _differ(np.split(totals, starts[1:]), low, high):
        warn_caller(
            f"The blocks of {names.row(low)} hold {means[low]:g} observations on average, those of {names.row(high)} "
            f"{means[high]:g}. The test exchanges blocks, and so may find what only tells small ones from large ones. "
            "Make blocks of about one size; where that cannot be, linkage='information' with sample_weight='counts' is "
            "misled the least."
        )


def _differ(totals: list[FloatArray], low: int, high: int) -> bool:
    """Return whether the totals of the blocks of some rows differ by more than chance.

    All rows are tested together, and those of the smallest and the largest blocks against all others: a single row
    among many is lost in the first test.
    """
    pvalue = kruskal(*totals).pvalue
    for i in (low, high):
        others = np.concatenate(totals[:i] + totals[i + 1 :])
        pvalue = min(pvalue, len(totals) * mannwhitneyu(totals[i], others, method="asymptotic").pvalue)
    return bool(pvalue < _BY_CHANCE)
