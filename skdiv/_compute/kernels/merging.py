"""The `MergingRows` of sparse rows, which are never made dense as a whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from skdiv._compute.kernels import PairKernel
from skdiv._divergences.forms import entropy_term
from skdiv._utils.typing import FloatArray


class SparseMergingRows:
    """Sparse rows whose entries lie in one pool, at whose end the entries of each merged row are appended.

    When the pool is full, the entries of rows that are gone are removed. A merged row has no more entries than the two
    that it replaces, so the number of entries in use never grows.
    """

    def __init__(self, rows: Any, kernel: PairKernel) -> None:
        self._kernel = kernel
        self.n_bins: int = rows.shape[1]
        self._n: int = rows.shape[0]
        owners = np.repeat(np.arange(self._n), np.diff(rows.indptr))
        self._fill(rows.data, rows.indices, owners, 0)

    def _fill(self, values: FloatArray, bins: NDArray[Any], owners: NDArray[np.intp], wanted: int) -> None:
        """Make a new pool of entries that are sorted by their rows, ``owners``.

        It has room for as many entries again, and for ``wanted`` more. Each entry comes with its x ln x, the ``terms``.
        """
        self._used = len(values)
        room = np.zeros(self._used + wanted)
        self._values, self._terms = np.append(values, room), np.append(entropy_term(values), room)
        self._bins, self._owners = (np.append(some, room.astype(some.dtype)) for some in (bins, owners))
        self._stops = np.searchsorted(owners, np.arange(self._n), side="right")
        self._starts = np.append(0, self._stops[:-1])

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._n

    def _row(self, i: int) -> slice:
        """Return where in the pool the entries of row i lie."""
        return slice(self._starts[i], self._stops[i])

    def overlaps(self, i: int, start: int) -> FloatArray:
        """Return the overlaps of row i with each row from ``start`` on."""
        row, used = self._row(i), slice(self._used)
        p_of_bin, term_of_bin = np.zeros((2, self.n_bins))
        p_of_bin[self._bins[row]], term_of_bin[self._bins[row]] = self._values[row], self._terms[row]
        pool = self._values[used], self._terms[used], self._bins[used], self._owners[used]
        out = np.zeros(self._n)
        self._kernel.add_pooled_overlaps(*pool, p_of_bin, term_of_bin, start, out)
        return out[start:]

    def merge(self, i: int, j: int) -> None:
        """Replace row j by the sum of rows i and j; row i is undefined from then on."""
        parts = [np.arange(self._starts[k], self._stops[k]) for k in (i, j)]
        entries = np.concatenate(parts)
        bins, place = np.unique(self._bins[entries], return_inverse=True)
        values: FloatArray = np.bincount(place, self._values[entries]).astype(np.float64)
        self._owners[entries] = -1  # which marks entries that belong to no row any more
        if self._used + len(bins) > len(self._values):
            self._sweep(len(bins))
        new = slice(self._used, self._used + len(bins))
        self._bins[new], self._values[new], self._terms[new], self._owners[new] = bins, values, entropy_term(values), j
        self._starts[j], self._stops[j], self._used = new.start, new.stop, new.stop
        self._stops[i] = self._starts[i]

    def _sweep(self, wanted: int = 0) -> None:
        """Remove the entries that belong to no row, and make room for ``wanted`` new ones at least."""
        entries = np.flatnonzero(self._owners[: self._used] >= 0)
        entries = entries[np.argsort(self._owners[entries], kind="stable")]
        self._fill(self._values[entries], self._bins[entries], self._owners[entries], wanted)

    def keep(self, places: NDArray[np.intp]) -> None:
        """Keep the rows at these positions alone, and number them anew from 0 on."""
        new_place = np.full(self._n, -1)
        new_place[places] = np.arange(len(places))
        owners = self._owners[: self._used]
        self._owners[: self._used] = np.where(owners >= 0, new_place[owners], -1)
        self._n = len(places)
        self._sweep()

    def some(self, places: NDArray[np.intp]) -> Any:
        """Return the rows at these positions as a CSR matrix."""
        lengths = self._stops[places] - self._starts[places]
        stops = np.cumsum(lengths)
        entries = np.arange(lengths.sum()) + np.repeat(self._starts[places] - stops + lengths, lengths)
        indptr = np.append(0, stops)
        return sp.csr_array((self._values[entries], self._bins[entries], indptr), shape=(len(places), self.n_bins))
