"""Divergences between the rows of one or two collections: as a matrix, as a condensed vector, row by row."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from skdiv._checks import MatrixLike, as_weights, check_pseudocount, names_of, refuse_other_columns
from skdiv._distributions import Distributions, as_distributions, in_used_bins, normalise
from skdiv._divergence import Divergence, MetricName, resolve
from skdiv._forms import ProductForm
from skdiv._kernels import KernelName, blocks, chosen, load
from skdiv._memory import enough_memory
from skdiv._terms import FloatArray
from skdiv._tiles import (
    IntoCondensed,
    IntoMatrix,
    IntoPlaces,
    Store,
    Tile,
    run,
    run_tiles,
    tiles_of,
)

Symmetrize = Literal["mean", "min", "max"]
SYMMETRIZATIONS: tuple[Symmetrize, ...] = get_args(Symmetrize)
Places = NDArray[np.integer[Any]]
_PAIRED_BLOCK = 2**18  # entries of the row blocks that one worker takes at a time


@dataclass(frozen=True)
class BlockKernel:
    """What a tile computes: a divergence, symmetrised if asked, in the units of ``scale``."""

    divergence: Divergence
    scale: float = 1.0
    symmetrize: Symmetrize | None = None
    kernel: KernelName = field(default_factory=chosen)  # for each worker the same, whatever its own environment

    @property
    def symmetric(self) -> bool:
        """Whether a matrix of rows with themselves is."""
        return self.divergence.symmetric or self.symmetrize is not None

    def __call__(
        self, P: Distributions, Q: Distributions, diagonal: int | None = None, out: FloatArray | None = None
    ) -> FloatArray:
        """The block of D(P[i] ‖ Q[j]), in ``out`` if it can be made there; ``diagonal``: P[i] is Q[i + diagonal]."""
        kernel = load(self.kernel)
        values = blocks.block(self.divergence, P, Q, kernel, diagonal=diagonal, out=out)
        if self.symmetrize is not None and not self.divergence.symmetric:
            back = values if diagonal == 0 else blocks.block(self.divergence, Q, P, kernel)
            values = _combined(values, back.T, self.symmetrize)
        return self._scaled(values)

    def _paired(self, P: Distributions, Q: Distributions, out: FloatArray | None = None) -> FloatArray:  # noqa: ARG002
        kernel = load(self.kernel)
        values = blocks.paired(self.divergence, P, Q, kernel)
        if self.symmetrize is not None and not self.divergence.symmetric:
            values = _combined(values, blocks.paired(self.divergence, Q, P, kernel), self.symmetrize)
        return self._scaled(values)

    def _scaled(self, values: FloatArray) -> FloatArray:
        return values if self.scale == 1 else values / values.dtype.type(self.scale)

    def matrix(
        self,
        P: Distributions,
        Q: Distributions | None = None,
        *,
        n_jobs: int | None = None,
        out: FloatArray | None = None,
    ) -> FloatArray:
        """All D(P[i] ‖ Q[j]); without Q those of P with itself."""
        upper = Q is None and self.symmetric
        P, other = _in_used_bins(P, P if Q is None else Q)
        size = blocks.tile_shape(self.divergence, P, other, square=upper)
        if out is None:
            out = np.empty((len(P), len(other)), dtype=P.dtype)
        tiles = tiles_of(out.shape, size, of_itself=Q is None, upper=upper)
        self._run(P, other, tiles, size, IntoMatrix(out, mirror=upper), n_jobs, triangle=upper)
        return out

    def condensed(self, P: Distributions, *, n_jobs: int | None = None) -> FloatArray:
        """The upper triangle of the matrix of P with itself, as a vector."""
        P, _ = _in_used_bins(P, P)
        n, size = len(P), blocks.tile_shape(self.divergence, P, P, square=True)
        out = np.empty(n * (n - 1) // 2, dtype=P.dtype)
        tiles = tiles_of((n, n), size, of_itself=True, upper=True)
        self._run(P, P, tiles, size, IntoCondensed(out, n), n_jobs, triangle=True)
        return out

    def paired(
        self, P: Distributions, Q: Distributions, i: Places | None = None, j: Places | None = None, *,
        n_jobs: int | None = None,
    ) -> FloatArray:  # fmt: skip
        """D(P[i[k]] ‖ Q[j[k]]), or without i and j D(P[k] ‖ Q[k])."""
        n = len(P) if i is None else len(i)
        of_pair = max(1, P.values.nnz // len(P) + Q.values.nnz // len(Q)) if P.is_sparse and Q.is_sparse else P.shape[1]
        size = max(1, min(n, _PAIRED_BLOCK // of_pair))
        slices = (slice(start, min(start + size, n)) for start in range(0, n, size))
        calls = ((some, (P[some if i is None else i[some]], Q[some if j is None else j[some]])) for some in slices)
        out = np.empty(n, dtype=P.dtype)
        run(
            self._paired, calls, IntoPlaces(out), size * P.dtype.itemsize, n_jobs=n_jobs,
            nanoseconds=lambda: 30.0 * n * of_pair,
        )  # fmt: skip
        return out

    def _run(
        self, P: Distributions, Q: Distributions, tiles: Iterable[Tile], size: tuple[int, int], store: Store[Tile],
        n_jobs: int | None, *, triangle: bool,
    ) -> None:  # fmt: skip
        def nanoseconds() -> float:
            return blocks.nanoseconds(self.divergence, P, Q) / (2 if triangle else 1)

        blas_bound = isinstance(self.divergence.fast, ProductForm)
        run_tiles(self, P, Q, tiles, size, store, n_jobs=n_jobs, nanoseconds=nanoseconds, blas_bound=blas_bound)


def _in_used_bins(P: Distributions, Q: Distributions) -> tuple[Distributions, Distributions]:
    """The same collections without bins in which none has mass, if they are sparse and there are many such bins."""
    if not (P.is_sparse and Q.is_sparse):
        return P, Q
    of_p, of_q = in_used_bins(P.values, Q.values)
    if of_p is P.values:
        return P, Q
    used = Distributions(of_p)
    return used, used if P is Q else Distributions(of_q)


def _combined(forth: FloatArray, back: FloatArray, symmetrize: Symmetrize) -> FloatArray:
    if symmetrize == "mean":
        return forth / 2 + back / 2
    return np.minimum(forth, back) if symmetrize == "min" else np.maximum(forth, back)


def check_symmetrize(divergence: Divergence, symmetrize: str | None) -> Symmetrize | None:
    """The symmetrisation to use: none for a symmetric divergence, and never silently none for another."""
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


def as_pair(X: MatrixLike, Y: MatrixLike, pseudocount: float) -> tuple[Distributions, Distributions]:
    """Two collections over the same bins, in a common dtype from the start: equal weights give equal rows."""
    if isinstance(Y, str):
        raise TypeError(
            f"Y = {Y!r} is not a collection of distributions; pass the name of a divergence as metric={Y!r}."
        )
    names = names_of(X, "X"), names_of(Y, "Y")
    refuse_other_columns(names[0].columns, names[1].columns, ("X", "Y"), ", for instance Y[X.columns]")
    weights = as_weights(X, names[0]), as_weights(Y, names[1])
    if weights[0].shape[1] != weights[1].shape[1]:
        raise ValueError(
            f"X has {weights[0].shape[1]} bins (columns) and Y has {weights[1].shape[1]}, "
            "but their rows must be over the same bins."
        )
    dtype = np.result_type(weights[0].dtype, weights[1].dtype)
    P, Q = (
        normalise(rows.astype(dtype, copy=False), pseudocount=pseudocount, names=of_rows)
        for rows, of_rows in zip(weights, names, strict=True)
    )
    return P, Q


def pairwise_divergences(
    X: MatrixLike,
    Y: MatrixLike | None = None,
    metric: MetricName | Divergence = "js_distance",
    *,
    base: float | None = None,
    pseudocount: float = 0.0,
    n_jobs: int | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """Matrix of divergences between the rows of X, or between the rows of X and those of Y.

    Entry [i, j] is D(X[i] ‖ Y[j]): for ``"kl"`` the information lost when Y[j] is used in place of the truth X[i].
    Each row is a non-negative weight for every bin and is divided by its sum.

    Parameters
    ----------
    X : {array-like, sparse matrix, frame} of shape (n_X, n_bins)
        Probabilities or counts.
    Y : {array-like, sparse matrix, frame} of shape (n_Y, n_bins), optional
        A second collection over the same bins; by default X itself.
    metric : str or Divergence, default="js_distance"
        A name from `divergences`, a record such as ``renyi(2)``, or a `Divergence` of your own.
    base : float, optional
        Base of the logarithm, 2 for bits; by default nats. A distance that is the square root of an information scales
        with the square root. An error for a divergence without a logarithm.
    pseudocount : float, default=0.0
        Added to every entry of X and Y before the rows are normalised, so in their units: for counts 1 is Laplace's
        and 0.5 Jeffreys', for probabilities it is far smaller.
    n_jobs : int, optional
        Number of joblib workers: None is 1 unless in a `joblib.parallel_config` context, -1 all processors. The result
        is the same to the bit for any number and backend.
    out : ndarray of shape (n_X, n_Y), optional
        Receives the result, block by block; a `numpy.memmap` will do. Its dtype must be that of the result.

    Returns
    -------
    ndarray of shape (n_X, n_Y)
        In nats unless ``base`` is given; float32 if X and Y are, else float64. ``inf`` where it is infinite.

    Raises
    ------
    ValueError
        If an entry is negative, NaN, infinite or beyond float64, a row sums to zero, the indices of a sparse matrix are
        broken, X and Y have different bins, or frames whose columns differ in name or order, or an argument is not
        valid. The message names the row, the value and the remedy, rows and columns of a frame by their labels too.
    TypeError
        If X or Y is masked or holds anything but real numbers: text, dates, objects or complex numbers; or if ``out``
        is masked or a matrix.
    MemoryError
        If the matrix does not fit into the memory that is left, before any of it is computed.

    See Also
    --------
    condensed_divergences : Half the memory; what `scipy.cluster.hierarchy` takes.
    paired_divergences : Row by row.
    DivergenceClustering : Clustering on this matrix.

    Notes
    -----
    An entry D is exact to a relative 1e-9 + 1e-15 / √D (for a distance d: 1e-9 + 1e-15 / d), down to D = 1e-30: the
    second part is what rounding the normalised rows may do. Equal rows give 0.
    float32 input takes half the memory, and is computed in single precision where that is accurate enough: right to
    2e-6, absolute up to one nat and relative above (a distance: its square), if no entry is subnormal.

    A pair of sparse rows costs at most what the two store. With a pseudocount that holds for ``kl``, ``jeffreys``,
    ``hellinger``, ``bhattacharyya`` and `renyi` of an order below 1; for the others a few bins at a time are made
    dense. Equal rows are recognised, and cost next to nothing. ``js_*`` and
    ``total_variation`` are compiled where Numba can be imported (``pip install numba``); see `show_versions`.

    References
    ----------
    S. Kullback and R. A. Leibler, "On Information and Sufficiency", Annals of Mathematical Statistics 22 (1951).
    D. M. Endres and J. E. Schindelin, "A new metric for probability distributions", IEEE Transactions on Information
    Theory 49 (2003). Each record of `divergences` names its own source.

    Examples
    --------
    >>> from skdiv import pairwise_divergences
    >>> X = [[0.10, 0.40, 0.50], [0.80, 0.15, 0.05]]
    >>> pairwise_divergences(X, metric="kl", base=2).round(3)
    array([[0.   , 1.927],
           [2.022, 0.   ]])
    >>> pairwise_divergences(X, [[1, 1, 1]], metric="js_distance").round(3)
    array([[0.207],
           [0.355]])
    """
    divergence = resolve(metric)
    block_kernel = BlockKernel(divergence, divergence.scale(base))
    pseudocount = check_pseudocount(pseudocount)
    P, Q = (as_distributions(X, pseudocount=pseudocount), None) if Y is None else as_pair(X, Y, pseudocount)
    shape = len(P), len(P if Q is None else Q)
    if out is not None:
        _check_out(out, shape, P.dtype)
        return block_kernel.matrix(P, Q, n_jobs=n_jobs, out=out)
    others = "condensed_divergences, which keeps each pair once" if Q is None else "fewer rows of X at a time"
    with _memory_for_result(f"The matrix of {shape[0]} × {shape[1]} divergences", shape[0] * shape[1], P.dtype, others):
        return block_kernel.matrix(P, Q, n_jobs=n_jobs)


def condensed_divergences(
    X: MatrixLike,
    metric: MetricName | Divergence = "js_distance",
    *,
    symmetrize: Symmetrize | None = None,
    base: float | None = None,
    pseudocount: float = 0.0,
    n_jobs: int | None = None,
) -> FloatArray:
    """Divergences between all pairs of rows of X as a vector, in the order of `scipy.spatial.distance.pdist`.

    Parameters
    ----------
    X : {array-like, sparse matrix, frame} of shape (n, n_bins)
        Probabilities or counts; each row is divided by its sum.
    metric : str or Divergence, default="js_distance"
        A name from `divergences` or a record.
    symmetrize : {"mean", "min", "max"}, optional
        How the two directions of an asymmetric divergence become one number; it has no effect on a symmetric one.
    base : float, optional
        Base of the logarithm; by default nats.
    pseudocount : float, default=0.0
        Added to every entry before the rows are normalised, in the units of X.
    n_jobs : int, optional
        Number of joblib workers, as in `pairwise_divergences`.

    Returns
    -------
    ndarray of shape (n * (n - 1) // 2,)
        D(X[i] ‖ X[j]) for i < j, in nats unless ``base`` is given; dtype and ``inf`` as in `pairwise_divergences`.

    Raises
    ------
    ValueError
        As `pairwise_divergences`; also if the divergence is asymmetric and ``symmetrize`` is None.
    TypeError
        If X is masked or holds anything but real numbers.
    MemoryError
        If the vector does not fit into the memory that is left, before any of it is computed.

    See Also
    --------
    pairwise_divergences : The square matrix, with both directions.
    scipy.cluster.hierarchy.linkage : Takes this vector.

    References
    ----------
    Each record of `divergences` names the source of its formula.

    Examples
    --------
    >>> from skdiv import condensed_divergences
    >>> condensed_divergences([[1, 1, 0], [2, 1, 1], [0, 1, 3]]).round(3)
    array([0.328, 0.674, 0.489])
    """
    divergence = resolve(metric)
    symmetrization = check_symmetrize(divergence, symmetrize)
    block_kernel = BlockKernel(divergence, divergence.scale(base), symmetrization)
    rows = as_distributions(X, pseudocount=check_pseudocount(pseudocount))
    n_pairs = len(rows) * (len(rows) - 1) // 2
    with _memory_for_result(f"The vector of the {n_pairs} pairs of {len(rows)} rows", n_pairs, rows.dtype):
        return block_kernel.condensed(rows, n_jobs=n_jobs)


def paired_divergences(
    X: MatrixLike,
    Y: MatrixLike,
    metric: MetricName | Divergence = "js_distance",
    *,
    base: float | None = None,
    pseudocount: float = 0.0,
    n_jobs: int | None = None,
) -> FloatArray:
    """Divergences row by row: D(X[i] ‖ Y[i]), predictions against the truth or this week against last week.

    Parameters
    ----------
    X, Y : {array-like, sparse matrix, frame} of shape (n, n_bins)
        Probabilities or counts; each row is divided by its sum.
    metric : str or Divergence, default="js_distance"
        A name from `divergences` or a record.
    base : float, optional
        Base of the logarithm; by default nats.
    pseudocount : float, default=0.0
        Added to every entry before the rows are normalised, in the units of X.
    n_jobs : int, optional
        Number of joblib workers, as in `pairwise_divergences`.

    Returns
    -------
    ndarray of shape (n,)
        D(X[i] ‖ Y[i]), in nats unless ``base`` is given.

    Raises
    ------
    ValueError
        As `pairwise_divergences`; also if X and Y differ in their number of rows.
    TypeError
        If X or Y is masked or holds anything but real numbers.

    See Also
    --------
    pairwise_divergences : All pairs.

    References
    ----------
    Each record of `divergences` names the source of its formula.

    Examples
    --------
    >>> from skdiv import paired_divergences
    >>> truth, prediction = [[1, 0], [1, 1]], [[0.9, 0.1], [0.5, 0.5]]
    >>> paired_divergences(truth, prediction, metric="kl").round(3)
    array([0.105, 0.   ])
    """
    divergence = resolve(metric)
    block_kernel = BlockKernel(divergence, divergence.scale(base))
    P, Q = as_pair(X, Y, check_pseudocount(pseudocount))
    if len(P) != len(Q):
        raise ValueError(f"X has {len(P)} rows and Y has {len(Q)}: paired divergences need one row of Y for each of X.")
    return block_kernel.paired(P, Q, n_jobs=n_jobs)


def _memory_for_result(what: str, n_entries: int, dtype: np.dtype[Any], *others: str) -> AbstractContextManager[None]:
    """Refuse a result that does not fit into memory, before it is computed."""
    remedies = ["pairwise_divergences with a numpy.memmap as out, which keeps the matrix on disk", *others]
    if dtype == np.float64:
        remedies.append("rows of float32, of which the result takes half as much")
    return enough_memory(n_entries * dtype.itemsize, what, f"Use {', or '.join(remedies)}.")


def _check_out(out: FloatArray, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
    if isinstance(out, np.ma.MaskedArray | np.matrix):
        kind, plain = (
            ("a masked array", "out.data") if isinstance(out, np.ma.MaskedArray) else ("a matrix", "numpy.asarray(out)")
        )
        raise TypeError(f"out is {kind}, and must be a plain array; pass {plain}, which shares its memory.")
    if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != dtype or not out.flags.writeable:
        found = type(out).__name__
        if isinstance(out, np.ndarray):
            found = f"{'' if out.flags.writeable else 'read-only '}{out.dtype} array of shape {out.shape}"
        raise ValueError(f"out must be a writeable {dtype} array of shape {shape}, but it is a {found}.")
