"""From distances between distributions to a tree. The algorithms are SciPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from skdiv._utils.sklearn import single_linkage_label
from skdiv._utils.typing import FloatArray

_COUNTING_MASSES = ("average", "ward")


def linkage_matrix(condensed: FloatArray, linkage: str, masses: FloatArray | None = None) -> FloatArray:
    """SciPy's Z, from a finite condensed distance matrix, of leaves that count as much as ``masses`` say.

    Single and complete linkage take no notice of them.
    """
    if masses is not None and linkage in _COUNTING_MASSES:
        return _linkage_of_masses(condensed, linkage, masses)
    tree: FloatArray = hierarchy.linkage(condensed, method=linkage)
    return tree


def bytes_of_linkage(n: int, linkage: str, masses: FloatArray | None = None) -> int:
    """Return what a tree of n leaves takes at the least: the condensed distances as float64, and copies of them.

    SciPy copies the condensed distances for all linkages but single; those of leaves with masses become a square.
    """
    copies = 0 if linkage == "single" else 2 if masses is not None and linkage in _COUNTING_MASSES else 1
    return (1 + copies) * 8 * (n * (n - 1) // 2)


def _linkage_of_masses(condensed: FloatArray, linkage: str, masses: FloatArray) -> FloatArray:
    """Average or ward linkage, which SciPy has for equal masses alone: a chain of nearest neighbours.

    F. Murtagh, "A survey of recent advances in hierarchical clustering algorithms", Computer Journal 26 (1983); the
    distances from a new cluster by G. N. Lance and W. T. Williams (1967). Ward's are those of SciPy with equal rows
    in place of whole masses: √(2 v w / (v + w)) times that of the means; it works on their squares.
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
        with np.errstate(invalid="ignore"):  # infinite is what is merged already
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
    """SciPy's Z of merges, from first to last, each given as one member of either cluster."""
    steps = np.arange(len(pairs), dtype=np.float64)  # in place of distances, which may fall
    tree: FloatArray = single_linkage_label(np.column_stack([pairs, steps]).astype(np.float64))
    tree[:, :2].sort(axis=1)
    tree[:, 2] = distances
    return tree


def condensed_position(index: int, n: int) -> tuple[int, int]:
    """Row and column of an entry of a condensed matrix."""
    starts = np.cumsum(np.arange(n - 1, 0, -1)) - np.arange(n - 1, 0, -1)
    row = int(np.searchsorted(starts, index, side="right")) - 1
    return row, row + 1 + index - int(starts[row])


def check_square(D: FloatArray) -> None:
    """Refuse a matrix of a user's, of entries that are distances, if it cannot hold those of rows from each other.

    Symmetry and a zero diagonal are asked for up to the rounding of a square root, relative to the largest entry.
    """
    n = len(D)
    if D.shape != (n, n):
        raise ValueError(f"A precomputed X must be square, a row and a column for each distribution; got {D.shape}.")
    tolerance = float(np.sqrt(np.finfo(D.dtype).eps)) * float(D.max())
    diagonal = np.abs(np.diagonal(D))
    if (diagonal > tolerance).any():
        i = int(diagonal.argmax())
        raise ValueError(
            f"Precomputed X[{i}, {i}] = {D[i, i]}, but the distance of a distribution to itself is 0. "
            "Is X a similarity? Then pass the distances."
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
