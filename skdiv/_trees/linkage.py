"""Build a tree from distances between distributions, by SciPy's algorithms where it has them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from skdiv._utils.progress import Advance, stage
from skdiv._utils.sklearn import tree_of_edges
from skdiv._utils.typing import FloatArray

_COUNTING_MASSES = ("average", "ward")
_BY_ROUNDING = 1e-3  # of the largest distance: what is on the diagonal up to this is the square root of a rounding


def linkage_matrix(condensed: FloatArray, linkage: str, masses: FloatArray | None = None) -> FloatArray:
    """Return the tree of a finite condensed distance matrix, as SciPy's Z.

    ``masses`` are the weights of the leaves in average and ward linkage, by default equal; single and complete linkage
    do not depend on weights.
    """
    if masses is not None and linkage in _COUNTING_MASSES:
        with stage("tree", len(masses) - 1) as advance:
            return _linkage_of_masses(condensed, linkage, masses, advance)
    with stage("tree"):
        tree: FloatArray = hierarchy.linkage(condensed, method=linkage)
    return tree


def bytes_of_linkage(n: int, linkage: str, masses: FloatArray | None = None) -> int:
    """Return the least number of bytes for a tree of n leaves: for the condensed distances as float64 and their copies.

    SciPy copies the condensed distances for every linkage but single. For leaves with masses they become a square
    matrix, which takes as much as two copies.
    """
    copies = 0 if linkage == "single" else 2 if masses is not None and linkage in _COUNTING_MASSES else 1
    return (1 + copies) * 8 * (n * (n - 1) // 2)


def _linkage_of_masses(condensed: FloatArray, linkage: str, masses: FloatArray, advance: Advance) -> FloatArray:
    """Return the tree for average or ward linkage of leaves with masses; SciPy has these for equal masses alone.

    The algorithm follows a chain of nearest neighbours until two clusters are each other's nearest, and merges them
    (F. Murtagh, "A survey of recent advances in hierarchical clustering algorithms", Computer Journal 26, 1983). The
    distances from a merged cluster are those of G. N. Lance and W. T. Williams (1967).

    The ward distance between clusters of masses v and w is √(2 v w / (v + w)) times the distance of their means, which
    for whole masses is what SciPy gives if each leaf is repeated as often as its mass says. Its square is updated.
    """
    D, w = squareform(condensed.astype(np.float64, copy=False)), masses.astype(np.float64)
    ward = linkage == "ward"
    if ward:
        D *= D
        for row, mass in zip(D, w, strict=True):
            row *= 2 * mass * w / (mass + w)
    np.fill_diagonal(D, np.inf)
    pairs: list[tuple[int, int]] = []
    distances: list[float] = []
    chain = [0]
    while len(pairs) < len(D) - 1:
        last, before = chain[-1], chain[-2] if len(chain) > 1 else None
        nearest = int(D[last].argmin())
        if before is None or D[last, nearest] < D[last, before]:
            chain.append(nearest)
            continue
        i, j = before, last
        pairs.append((i, j))
        distances.append(float(D[i, j]))
        advance(1)
        with np.errstate(invalid="ignore"):  # Distances from clusters that have been merged are infinite.
            if ward:
                D[j] = ((w[i] + w) * D[i] + (w[j] + w) * D[j] - w * D[i, j]) / (w[i] + w[j] + w)
            else:
                D[j] = (w[i] * D[i] + w[j] * D[j]) / (w[i] + w[j])
        w[j] += w[i]
        D[i], D[:, i], D[j, j], D[j, i] = np.inf, np.inf, np.inf, np.inf
        D[:, j] = D[j]
        chain = chain[:-2] or [j]
    order = np.argsort(distances, kind="stable")
    heights = np.sqrt(np.maximum(distances, 0)) if ward else np.array(distances)
    return tree_of_merges(np.array(pairs)[order], heights[order])


def tree_of_merges(pairs: NDArray[np.integer[Any]], distances: FloatArray) -> FloatArray:
    """Return the tree as SciPy's Z from its merges in order: a leaf of each of the two clusters, and the distance."""
    # The numbers of the steps stand for the distances, which may fall from one merge to the next.
    steps = np.arange(len(pairs), dtype=np.float64)
    tree = tree_of_edges(np.column_stack([pairs, steps]).astype(np.float64))
    tree[:, :2].sort(axis=1)
    tree[:, 2] = distances
    return tree


def condensed_position(index: int, n: int) -> tuple[int, int]:
    """Return the row and the column in the n × n matrix of the entry at an index of the condensed vector."""
    starts = np.cumsum(np.arange(n - 1, 0, -1)) - np.arange(n - 1, 0, -1)
    row = int(np.searchsorted(starts, index, side="right")) - 1
    return row, row + 1 + index - int(starts[row])


def check_square(D: FloatArray) -> None:
    """Refuse a user's matrix of non-negative entries that is not square or not symmetric, or has no zero diagonal.

    Deviations up to the rounding error of a square root, relative to the largest entry, are accepted.
    """
    n = len(D)
    if D.shape != (n, n):
        raise ValueError(f"A precomputed X must be square, a row and a column for each distribution; got {D.shape}.")
    tolerance = float(np.sqrt(np.finfo(D.dtype).eps)) * float(D.max())
    diagonal = np.abs(np.diagonal(D))
    if (diagonal > tolerance).any():
        i = int(diagonal.argmax())
        remedy = "Is X a similarity? Then pass the distances."
        if diagonal.max() <= _BY_ROUNDING * D.max():
            remedy = "If it is the rounding error of a distance, set it to 0: numpy.fill_diagonal(X, 0), of an array."
        raise ValueError(
            f"Precomputed X[{i}, {i}] = {D[i, i]}, but the distance of a distribution to itself is 0. {remedy}"
        )
    for i in range(n - 1):
        off = np.abs(D[i, i + 1 :] - D[i + 1 :, i])
        if off.max() > tolerance:
            j = i + 1 + int(off.argmax())
            raise ValueError(
                f"Precomputed X is not symmetric: X[{i}, {j}] = {D[i, j]}, X[{j}, {i}] = {D[j, i]}. "
                "Symmetrise it first, for instance with (X + X.T) / 2."
            )


def condensed_of(D: FloatArray) -> FloatArray:
    """Return the upper triangle of a square matrix, in SciPy's order."""
    condensed: FloatArray = squareform(D, force="tovector", checks=False)
    return condensed
