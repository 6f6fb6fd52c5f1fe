"""Search for the nearest rows of a collection that holds equal rows, each of which is looked at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skdiv._compute.blocks.termwise import labels_of_equal_rows
from skdiv._compute.measure import Measure
from skdiv._compute.search import Search, lowest_of_each, nearest
from skdiv._input.distributions import Distributions
from skdiv._utils.typing import FloatArray, Places

_FEW = 0.98  # with more distinct rows than this share, a copy of them would gain little
_CELL = 2**20  # the number of neighbours that are sorted at a time, roughly


@dataclass(frozen=True)
class EqualRows:
    """The groups of equal rows of a collection, in the order of their first rows.

    ``of_row`` is the group of each row, ``members`` are the rows group by group, each group in ascending order, and
    ``starts`` and ``sizes`` say where a group starts among them and how many it has.
    """

    of_row: Places
    members: Places
    starts: Places
    sizes: Places

    @classmethod
    def of(cls, rows: Distributions) -> EqualRows:
        """Find the groups of equal rows."""
        labels, _ = labels_of_equal_rows(rows, rows)
        _, first, of_row = np.unique(labels, return_index=True, return_inverse=True)
        rank = np.empty(len(first), dtype=np.intp)
        rank[np.argsort(first)] = np.arange(len(first))
        of_row = rank[of_row]
        sizes = np.bincount(of_row)
        return cls(of_row, np.argsort(of_row, kind="stable"), np.cumsum(sizes) - sizes, sizes)

    @property
    def first(self) -> Places:
        """Return the first row of each group."""
        return self.members[self.starts]

    def expanded(self, values: FloatArray, groups: Places, k: int) -> tuple[FloatArray, Places]:
        """Return the nearest k rows for each left row, from its nearest groups in ascending order of their divergence.

        The results are two arrays of shape (n, k) with the divergences and the positions.
        """
        found, positions = np.empty((len(groups), k), dtype=values.dtype), np.empty((len(groups), k), dtype=np.intp)
        step = max(1, _CELL // (k * min(k, int(self.sizes.max()))))
        for start in range(0, len(groups), step):
            some = slice(start, start + step)
            found[some], positions[some] = self._few_expanded(values[some], groups[some], k)
        return found, positions

    def _few_expanded(self, values: FloatArray, groups: Places, k: int) -> FloatArray:
        """Return what `expanded` does as one array, for few left rows."""
        n, n_groups = groups.shape
        sizes = self.sizes[groups]
        before = np.cumsum(sizes, axis=1) - sizes
        for t in range(1, n_groups):  # Groups with equal divergences are taken together.
            tie = values[:, t] == values[:, t - 1]
            before[tie, t] = before[tie, t - 1]
        i, place = np.nonzero(before < k)
        group = groups[i, place]
        counts = np.minimum(self.sizes[group], k)  # The lowest of a group suffice.
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        j = self.members[np.repeat(self.starts[group], counts) + within]
        rows, of_each = np.repeat(i, counts), np.repeat(values[i, place], counts)
        order = np.lexsort((j, rows))
        return lowest_of_each(rows[order], j[order], of_each[order], n, k)


def nearest_rows(
    measure: Measure, P: Distributions, Q: Distributions | None, k: int, *, reverse: bool, n_jobs: int | None
) -> tuple[FloatArray, Places]:
    """Return the divergences of each row of P from its nearest k rows of Q, or without Q of P, and their positions."""
    right = P if Q is None else Q
    groups = EqualRows.of(right) if k and measure.divergence.fast is not None else None
    if groups is None or len(groups.sizes) > _FEW * len(right):
        return nearest(Search.of(measure, P, Q, reverse=reverse), P, k, n_jobs)
    left, distinct = groups if Q is None else EqualRows.of(P), right[groups.first]
    if Q is not None:
        rows = P[left.first]
        of_groups = nearest(Search.of(measure, rows, distinct, reverse=reverse), rows, min(k, len(distinct)), n_jobs)
        values, positions = groups.expanded(*of_groups, k)
        return values[left.of_row], positions[left.of_row]
    others = nearest(Search.of(measure, distinct, None, reverse=reverse), distinct, min(k, len(distinct) - 1), n_jobs)
    itself = np.arange(len(distinct))[:, np.newaxis]
    zeros = np.zeros((len(distinct), 1), dtype=P.dtype)
    values, positions = groups.expanded(np.hstack([zeros, others[0]]), np.hstack([itself, others[1]]), k + 1)
    return _of_rows_without_itself(values, positions, groups.of_row)


def _of_rows_without_itself(values: FloatArray, positions: Places, of_row: Places) -> tuple[FloatArray, Places]:
    """Return the nearest k rows for each row, from the nearest k + 1 of each distinct row, which may hold the row."""
    n, k = len(of_row), values.shape[1] - 1
    of_all, positions_of_all = np.empty((n, k), dtype=values.dtype), np.empty((n, k), dtype=np.intp)
    step = max(1, _CELL // (k + 1))
    for start in range(0, n, step):
        some = of_row[start : start + step]
        is_itself = positions[some] == np.arange(start, start + len(some))[:, np.newaxis]
        is_itself[:, -1] |= ~is_itself.any(axis=1)  # If the row is not there, the last is one too many.
        of_all[start : start + step] = values[some][~is_itself].reshape(-1, k)
        positions_of_all[start : start + step] = positions[some][~is_itself].reshape(-1, k)
    return of_all, positions_of_all
