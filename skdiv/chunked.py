"""The matrix of divergences, some rows at a time: for what needs each entry once, and not the matrix."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Generator
from numbers import Real
from typing import Any, TypeVar, overload

import numpy as np
from sklearn.utils import check_scalar, gen_batches

from skdiv._compute.measure import Measure
from skdiv._compute.run import check_n_jobs
from skdiv._divergences.record import Divergence
from skdiv._divergences.registry import MetricName, resolve
from skdiv._input.checks import MatrixLike, check_pseudocount
from skdiv._input.distributions import Distributions
from skdiv._utils.sklearn import get_chunk_n_rows
from skdiv._utils.typing import FloatArray
from skdiv.pairwise import as_collections

Reduced = TypeVar("Reduced")


@overload
def divergences_chunked(
    X: MatrixLike,
    Y: MatrixLike | None = None,
    metric: MetricName | Divergence = "js_distance",
    *,
    reduce_func: None = None,
    working_memory: float | None = None,
    base: float | None = None,
    pseudocount: float = 0.0,
    n_jobs: int | None = None,
) -> Generator[FloatArray]: ...
@overload
def divergences_chunked(
    X: MatrixLike,
    Y: MatrixLike | None = None,
    metric: MetricName | Divergence = "js_distance",
    *,
    reduce_func: Callable[[FloatArray, int], Reduced],
    working_memory: float | None = None,
    base: float | None = None,
    pseudocount: float = 0.0,
    n_jobs: int | None = None,
) -> Generator[Reduced]: ...
def divergences_chunked(
    X: MatrixLike,
    Y: MatrixLike | None = None,
    metric: MetricName | Divergence = "js_distance",
    *,
    reduce_func: Callable[[FloatArray, int], Any] | None = None,
    working_memory: float | None = None,
    base: float | None = None,
    pseudocount: float = 0.0,
    n_jobs: int | None = None,
) -> Generator[Any]:
    """Compute the matrix of divergences in chunks of rows, each of which may be reduced at once.

    It does for divergences what `sklearn.metrics.pairwise_distances_chunked` does for distances. No more than one chunk
    is in memory at a time, so the matrix may be larger than the memory.

    Parameters
    ----------
    X : {array-like, sparse matrix, frame} of shape (n_X, n_bins)
        Probabilities or counts; each row is divided by its sum.
    Y : {array-like, sparse matrix, frame} of shape (n_Y, n_bins), optional
        A second collection over the same bins; by default X itself.
    metric : str or Divergence, default="js_distance"
        The name of a divergence, which is one of those that `divergences` lists, or a `Divergence`.
    reduce_func : callable, optional
        ``reduce_func(chunk, start)`` is called with the divergences of some successive rows of X, the first of which is
        row ``start``, from all rows of Y. It returns None; or an array, a list or a sparse matrix with an entry or a
        row for each row of the chunk; or a tuple of these. It may change the chunk. By default chunks are passed on as
        they are.
    working_memory : float, optional
        The number of MiB that a chunk should take; by default that of `sklearn.get_config` at the time of the call. A
        chunk has at least one row.
    base : float, optional
        Base of the logarithm, 2 for bits; by default nats.
    pseudocount : float, default=0.0
        The number that is added to every entry before the rows are normalised, in the units of X.
    n_jobs : int, optional
        Number of joblib workers within a chunk, as in `pairwise_divergences`. The result does not depend on it.

    Returns
    -------
    generator
        It yields the chunks in the order of the rows, each an array of shape (n_rows, n_Y) with the entries
        D(X[i] ‖ Y[j]) in nats unless ``base`` is given, or else what ``reduce_func`` returns for them. Arguments are
        checked at the call; a chunk is computed when it is asked for.

    Raises
    ------
    ValueError
        For the same reasons as in `pairwise_divergences`; also if ``working_memory`` is negative or not finite, or,
        when a chunk is asked for, if ``reduce_func`` returns something with another number of rows than the chunk.
    TypeError
        For the same reasons as in `pairwise_divergences`; also if ``reduce_func`` is not callable or, when a chunk is
        asked for, if it returns something that has no rows.

    Warns
    -----
    UserWarning
        If one row takes more than ``working_memory``.

    See Also
    --------
    pairwise_divergences : Computes the whole matrix, which may be kept on disk.
    nearest_divergences : Finds the nearest rows of each row in a fraction of the time that all divergences take.
    divergences_within : Finds all pairs of rows within a radius, in a fraction of the time as well.

    Notes
    -----
    The divergences are as accurate as those of `pairwise_divergences`. If all rows fit into one chunk, it equals that
    matrix to the last bit. With several chunks the last bits may differ, also between D[i, j] and D[j, i]; and a
    symmetric divergence takes up to twice as long, because both halves of the matrix are computed.

    References
    ----------
    The formulas of the divergences and their sources are those of `divergences`.

    Examples
    --------
    The row that is farthest from each row, and how far it is:

    >>> import numpy as np
    >>> from skdiv import divergences_chunked
    >>> X = [[8, 1, 1], [7, 2, 1], [1, 2, 7], [1, 1, 8]]
    >>> def farthest(chunk, start):
    ...     return chunk.argmax(axis=1), chunk.max(axis=1)
    >>> for indices, distances in divergences_chunked(X, reduce_func=farthest, working_memory=0.0001):
    ...     print(indices, distances.round(3))
    [3 3 0] [0.557 0.539 0.539]
    [0] [0.557]
    """
    divergence = resolve(metric)
    measure = Measure(divergence, divergence._scale(base))
    if not (reduce_func is None or callable(reduce_func)):
        raise TypeError(f"reduce_func = {reduce_func!r} must be callable, as reduce_func(chunk, start), or None.")
    check_n_jobs(n_jobs)
    _check_working_memory(working_memory)
    P, Q = as_collections(X, Y, check_pseudocount(pseudocount))
    row_bytes = len(P if Q is None else Q) * P.dtype.itemsize
    n_rows = get_chunk_n_rows(row_bytes, max_n_rows=len(P), working_memory=working_memory)
    return _chunks(measure, P, Q, n_rows, reduce_func, n_jobs)


def _chunks(
    measure: Measure,
    P: Distributions,
    Q: Distributions | None,
    n_rows: int,
    reduce_func: Callable[[FloatArray, int], Any] | None,
    n_jobs: int | None,
) -> Generator[Any]:
    """Yield the divergences of ``n_rows`` rows of P at a time from Q, or without Q from P, or what they reduce to.

    Neither has a name here, for it would then be kept while the next chunk is computed.
    """
    whole_of_itself = Q is None and n_rows == len(P)  # of which half is computed and mirrored
    right = None if whole_of_itself else P if Q is None else Q
    for rows in gen_batches(len(P), n_rows):
        if reduce_func is None:
            yield measure.matrix(P[rows], right, n_jobs=n_jobs)
        else:
            yield _checked(reduce_func(measure.matrix(P[rows], right, n_jobs=n_jobs), rows.start), rows)


def _check_working_memory(working_memory: float | None) -> None:
    """Refuse a number of MiB that is negative or not finite."""
    if working_memory is None:
        return
    if not 0 <= check_scalar(working_memory, "working_memory", Real) < np.inf:
        raise ValueError(f"working_memory = {working_memory} must be a number of MiB that is finite and not negative.")


def _checked(reduced: Any, rows: slice) -> Any:
    """Return what a chunk was reduced to: None, or one or a tuple of things with an entry for each row of the chunk."""
    chunk = f"for {rows.stop - rows.start} rows, starting at row {rows.start}"
    for part in reduced if isinstance(reduced, tuple) else (reduced,):
        length = _length(part)
        if length is None and reduced is not None:
            raise TypeError(
                f"reduce_func returned {reprlib.repr(part)} {chunk}. It must return None; or an array, a list or a "
                "sparse matrix with one entry or row for each of these rows; or a tuple of such objects."
            )
        if length is not None and length != rows.stop - rows.start:
            raise ValueError(
                f"reduce_func returned an object of length {length} {chunk}. "
                "What it returns must have one entry or row for each of these rows."
            )
    return reduced


def _length(part: Any) -> int | None:
    """Return the number of entries or rows of an array, a list, a frame or a sparse matrix, and None of all else."""
    if hasattr(part, "shape"):
        return int(part.shape[0]) if len(part.shape) else None
    return len(part) if hasattr(part, "__len__") and not isinstance(part, tuple) else None
