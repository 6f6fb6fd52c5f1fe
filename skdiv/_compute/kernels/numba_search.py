"""The loops of a search for neighbours, compiled by Numba: see `skdiv._compute.kernels.PairKernel`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdiv._compute.kernels.numba_log import log2
from skdiv._compute.kernels.numba_terms import compiled
from skdiv._compute.shortlists import Shortlists
from skdiv._utils.typing import FloatArray

Indices = NDArray[np.integer[Any]]

_LANES = 32  # entries of a block, which are looked at together
_RUN = 64 * _LANES  # the number of bins whose terms are added up in lanes before these join the total
_LN2 = float(np.log(2))


def add_to_shortlists(lists: Shortlists, scores: FloatArray, start: int) -> None:
    """Add to the list of each row those of its scores that are low enough; the first score is that of column start."""
    _add_to_shortlists(
        lists.exact,
        lists.stretch,
        lists.offsets,
        lists.lowest,
        lists.limits,
        lists.scores,
        lists.columns,
        lists.lengths,
        scores,
        start,
    )


@compiled
def _add_to_shortlists(
    exact: bool,
    stretch: float,
    offsets: FloatArray,
    lowest: FloatArray,
    limits: FloatArray,
    kept: FloatArray,
    columns: Indices,
    lengths: Indices,
    scores: FloatArray,
    start: int,
) -> None:
    """Do what `add_to_shortlists` does; ``lowest`` holds for each row a heap with the largest of its scores first."""
    n_columns = scores.shape[1]
    whole = n_columns - n_columns % _LANES
    for i in range(len(scores)):
        row, heap = scores[i], lowest[i]
        if lengths[i] < 0:
            continue
        for block in range(0, n_columns, _LANES):
            limit = limits[i]
            some = row[block : block + _LANES]
            if block < whole:
                n_low = 0
                for lane in range(_LANES):
                    n_low += some[lane] <= limit
                if n_low == 0:
                    continue
            for lane in range(len(some)):
                score = some[lane]
                if score > limits[i] or (exact and score == limits[i]):
                    continue
                if lengths[i] == kept.shape[1]:
                    _shorten(i, limits, kept, columns, lengths)
                    if lengths[i] < 0:
                        break
                kept[i, lengths[i]] = score
                columns[i, lengths[i]] = start + block + lane
                lengths[i] += 1
                if score < heap[0]:
                    _replace_largest(heap, score)
                    limits[i] = heap[0] * stretch + offsets[i]
            if lengths[i] < 0:
                break


@compiled
def _replace_largest(heap: FloatArray, score: float) -> None:
    """Replace the first, which is the largest, element of a heap."""
    place, n = 0, len(heap)
    while True:
        child = 2 * place + 1
        if child + 1 < n and heap[child + 1] > heap[child]:
            child += 1
        if child >= n or heap[child] <= score:
            break
        heap[place] = heap[child]
        place = child
    heap[place] = score


@compiled
def _shorten(i: int, limits: FloatArray, kept: FloatArray, columns: Indices, lengths: Indices) -> None:
    """Drop the scores above the limit from the list of row i; a list that stays more than half full is given up."""
    length = 0
    for place in range(lengths[i]):
        if kept[i, place] <= limits[i]:
            kept[i, length], columns[i, length] = kept[i, place], columns[i, place]
            length += 1
    lengths[i] = length if 2 * length <= kept.shape[1] else -1


def mixture_sums(P: FloatArray, Q: FloatArray, i: Indices, j: Indices) -> FloatArray:
    """Return for each k the sum over the bins of (p + q) ln(p + q) for the rows p = P[i[k]] and q = Q[j[k]]."""
    out = np.empty(len(i))
    _mixture_sums(P, Q, i, j, out)
    return out


@compiled
def _mixture_sums(P: FloatArray, Q: FloatArray, i: Indices, j: Indices, out: FloatArray) -> None:
    """Write into out[k] what `mixture_sums` returns, up to a constant factor of the argument of the logarithm."""
    n_bins = P.shape[1]
    whole = n_bins - n_bins % _LANES
    lanes = np.empty(_LANES)
    for k in range(len(i)):
        p, q = P[i[k]], Q[j[k]]
        total = 0.0
        for run in range(0, whole, _RUN):
            for lane in range(_LANES):
                lanes[lane] = 0
            for start in range(run, min(run + _RUN, whole), _LANES):
                a, b = p[start : start + _LANES], q[start : start + _LANES]
                for lane in range(_LANES):
                    s = np.float64(a[lane]) + np.float64(b[lane])
                    lanes[lane] += s * log2(s)
            of_run = 0.0
            for lane in range(_LANES):
                of_run += lanes[lane]
            total += of_run
        for t in range(whole, n_bins):
            s = np.float64(p[t]) + np.float64(q[t])
            total += s * log2(s)
        out[k] = total * _LN2
