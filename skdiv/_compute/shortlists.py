"""Lists of the columns with the lowest scores of each row of a matrix, which is seen some columns at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from skdiv._utils.typing import FloatArray


@dataclass(frozen=True)
class Shortlists:
    """For each row of a matrix, a list of the columns that may be among those with the k lowest values.

    The matrix holds scores, which say within bounds what the values are: a column stays in the list of row i if its
    score is at most stretch · s + offsets[i], where s is the k-th lowest score of the row so far. Where the scores are
    the values themselves, a column that equals the k-th lowest is left out, for of equal values the first count.

    Parameters
    ----------
    exact : bool
        Whether the scores are the values; they have to be finite, and stretch is then 1 and all offsets are 0.
    stretch : float
        The factor of the k-th lowest score.
    offsets : ndarray of shape (n,)
        What is added to it.
    lowest : ndarray of shape (n, k)
        The k lowest scores of each row so far, infinite as long as there are fewer, with the largest of them first.
    limits : ndarray of shape (n,)
        The largest score that is kept: stretch · lowest[i, 0] + offsets[i].
    scores, columns : ndarray of shape (n, capacity)
        The lists.
    lengths : ndarray of shape (n,)
        The lengths of the lists; -1 for a list that has been given up because it was too long.
    """

    exact: bool
    stretch: float
    offsets: FloatArray
    lowest: FloatArray
    limits: FloatArray
    scores: FloatArray
    columns: NDArray[np.int32]
    lengths: NDArray[np.intp]

    @classmethod
    def of(
        cls, n: int, n_lowest: int, capacity: int, dtype: np.dtype[Any], stretch: float = 1.0, offsets: Any = None
    ) -> Self:
        """Return n empty lists; without offsets the scores are the values."""
        return cls(
            offsets is None,
            stretch,
            np.zeros(n) if offsets is None else offsets,
            np.full((n, n_lowest), np.inf),
            np.full(n, np.inf),
            np.empty((n, capacity), dtype=dtype),
            np.empty((n, capacity), dtype=np.int32),
            np.zeros(n, dtype=np.intp),
        )

    @property
    def n_lowest(self) -> int:
        """Return k."""
        return int(self.lowest.shape[1])

    def lower(self, scores: FloatArray) -> None:
        """Take these scores of each row among the lowest, and lower the limits."""
        together = np.concatenate([self.lowest, scores], axis=1)
        together.partition(self.n_lowest - 1, axis=1)
        self.lowest[...] = together[:, self.n_lowest - 1 :: -1]
        self.limits[...] = self.stretch * self.lowest[:, 0] + self.offsets

    def add(
        self, i: NDArray[np.intp], j: NDArray[np.intp], rank: NDArray[np.intp], scores: FloatArray, start: int
    ) -> None:
        """Add scores[i, j] of columns start + j to the lists of the rows i; ``rank`` counts those before in a row."""
        n_more = np.bincount(i, minlength=len(self.lengths))
        self._make_room(n_more)
        is_open = self.lengths[i] >= 0
        i, j, places = i[is_open], j[is_open], (self.lengths[i] + rank)[is_open]
        self.scores[i, places], self.columns[i, places] = scores[i, j], start + j
        self.lengths[self.lengths >= 0] += n_more[self.lengths >= 0]

    def _make_room(self, n_more: NDArray[np.intp]) -> None:
        """Drop the scores above the limit from lists that are too full for so many more, or give such lists up."""
        full = np.flatnonzero((self.lengths >= 0) & (self.lengths + n_more > self.scores.shape[1]))
        for i in full:
            length = self.lengths[i]
            kept = np.flatnonzero(self.scores[i, :length] <= self.limits[i])
            self.scores[i, : len(kept)] = self.scores[i, kept]
            self.columns[i, : len(kept)] = self.columns[i, kept]
            self.lengths[i] = len(kept) if len(kept) + n_more[i] <= self.scores.shape[1] else -1

    def kept(self) -> tuple[NDArray[np.intp], NDArray[np.int32], FloatArray]:
        """Return the rows, columns and scores of all lists, row by row, as far as they are at most at the limits."""
        is_kept = np.arange(self.scores.shape[1]) < self.lengths[:, np.newaxis]
        is_kept &= self.scores <= self.limits[:, np.newaxis]
        i, place = np.nonzero(is_kept)
        return i, self.columns[i, place], self.scores[i, place]
