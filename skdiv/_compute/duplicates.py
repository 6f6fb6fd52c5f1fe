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

    def expanded(self, values: FloatArray, groups: Places, rows: Places | None, k: int) -> FloatArray:
        """Return the nearest k rows for each left row, from its nearest groups in ascending order of their divergence.

        ``rows`` are the left rows as positions in this collection, which are left out; None if it is another one. The
        result is an array of shape (2, n, k) with the divergences and the positions.
        """
        n, n_groups = groups.shape
        sizes = self.sizes[groups]
        if rows is not None:
            sizes = sizes - (groups == self.of_row[rows, np.newaxis])
        before = np.cumsum(sizes, axis=1) - sizes
        for t in range(1, n_groups):  # Groups with equal divergences are taken together.
            tie = values[:, t] == values[:, t - 1]
            before[tie, t] = before[tie, t - 1]
        i, place = np.nonzero(before < k)
        group = groups[i, place]
        counts = np.minimum(
            self.sizes[group], k + 1
        )  # The lowest of a group suffice; one of them may be the row itself.
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        j = self.members[np.repeat(self.starts[group], counts) + within]
        i, divergence = np.repeat(i, counts), np.repeat(values[i, place], counts)
        if rows is not None:
            other = j != rows[i]
            i, j, divergence = i[other], j[other], divergence[other]
        return lowest_of_each(i, j, divergence, n, k)


def nearest_rows(
    measure: Measure, P: Distributions, Q: Distributions | None, k: int, *, reverse: bool, n_jobs: int | None
) -> tuple[FloatArray, Places]:
    """Return the divergences of each row of P from its nearest k rows of Q, or without Q of P, and their positions."""
    right = P if Q is None else Q
    groups = EqualRows.of(right) if k and measure.divergence.fast is not None else None
    if groups is None or len(groups.sizes) > _FEW * len(right):
        return nearest(Search.of(measure, P, Q, reverse=reverse), P, k, n_jobs)
    distinct = right[groups.first]
    if Q is not None:
        search = Search.of(measure, P, distinct, reverse=reverse)
        found = nearest(search, P, min(k, len(distinct)), n_jobs)
    else:
        search = Search.of(measure, distinct, None, reverse=reverse)
        values, columns = nearest(search, distinct, min(k, len(distinct) - 1), n_jobs)
        itself = np.arange(len(distinct))[:, np.newaxis]
        zeros = np.zeros((len(distinct), 1), dtype=values.dtype)
        of_group = np.hstack([zeros, values]), np.hstack([itself, columns])
        found = of_group[0][groups.of_row], of_group[1][groups.of_row]
    values, positions = np.empty((len(P), k), dtype=P.dtype), np.empty((len(P), k), dtype=np.intp)
    step = max(1, _CELL // ((k + 1) * (min(k, int(groups.sizes.max())) + 1)))
    for start in range(0, len(P), step):
        some = slice(start, min(start + step, len(P)))
        rows = np.arange(some.start, some.stop) if Q is None else None
        values[some], positions[some] = groups.expanded(found[0][some], found[1][some], rows, k)
    return values, positions
