"""Kernels: the inner loops over pairs of rows, in two versions, of which `chosen` says which is in use.

They take arrays and return arrays, and neither check input nor run anything in parallel.
"""

from __future__ import annotations

import os
from functools import lru_cache
from importlib import import_module
from typing import Any, Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from skdiv._compute.shortlists import Shortlists
from skdiv._divergences.forms import Pair
from skdiv._divergences.terms import Term
from skdiv._input.distributions import Distributions
from skdiv._utils.typing import FloatArray

KernelName = Literal["numpy", "numba"]
VARIABLE = "SKDIV_KERNEL"


class PairKernel(Protocol):
    """The functions that a kernel offers; all results are in double precision.

    The overlap of two rows is half the sum over the bins of g(p, q) − g(p, 0) − g(0, q), for the function g of a
    `Pair`. The first two functions write the overlap of P[i] and Q[j] into out[i, j], where ``out`` is C-contiguous.
    ``upper`` says that P and Q are the same rows and only entries j > i are wanted; the others get some finite number.

    ``ERROR_OF_MIXTURE`` is, for each dtype in which a kernel computes, the largest absolute error of the overlap of two
    distributions for "mixture", in nats, that comes from the logarithm and not from rounding.
    """

    ERROR_OF_MIXTURE: dict[np.dtype[Any], float]

    def overlaps(self, pair: Pair, P: FloatArray, Q: FloatArray, out: FloatArray, *, upper: bool) -> None:
        """Write the overlaps of all pairs of dense rows into ``out``."""

    def sparse_overlaps(self, pair: Pair, P: Any, Q: Any, out: FloatArray, *, upper: bool) -> None:
        """Write the overlaps of all pairs of sparse rows, given in CSC, into ``out``, from the bins that they share."""

    def term_sums(
        self, term: Term, P: Distributions, Q: Distributions, i: NDArray[Any], j: NDArray[Any]
    ) -> FloatArray | None:
        """Return for each k the sum over bins of the terms of P[i[k]] and Q[j[k]]; None for a term it does not know.

        Either both collections are dense or both are sparse.
        """

    def weighted_term_sums(
        self, P: Distributions, Q: Distributions, i: NDArray[Any], j: NDArray[Any], v: FloatArray, w: FloatArray
    ) -> FloatArray | None:
        """Return for each k the Jensen-Shannon divergence of P[i[k]] / v[k] and Q[j[k]] / w[k], weighted by v[k], w[k].

        These are the masses of the rows, which sum to them. A kernel that does not compute it returns None.
        """

    def add_pooled_overlaps(
        self,
        values: FloatArray,
        terms: FloatArray,
        bins: NDArray[Any],
        owners: NDArray[Any],
        p: FloatArray,
        p_terms: FloatArray,
        start: int,
        out: FloatArray,
    ) -> None:
        """Add to out[k] the mixture overlap of one row p with row k, for all sparse rows k from ``start`` on.

        ``values`` are the entries of all these rows in any order, and ``terms`` their x ln x; ``bins`` and ``owners``
        say in which bin and in which row each of them is. ``p`` and ``p_terms`` are the same of row p, dense.
        """

    def add_to_shortlists(self, lists: Shortlists, scores: FloatArray, start: int) -> None:
        """Add to the list of each row those of its scores that are low enough; the first is that of column ``start``.

        ``scores`` holds, for each row that has a list, those of successive columns.
        """

    def mixture_sums(self, P: FloatArray, Q: FloatArray, i: NDArray[Any], j: NDArray[Any]) -> FloatArray:
        """Return for each k the sum over the bins of (p + q) ln(p + q) for the dense rows p = P[i[k]] and q = Q[j[k]].

        A factor of p + q, which is the same in all calls, may be left out.
        """

    def merging(self, rows: FloatArray) -> MergingRows:
        """Return a copy of dense rows as `MergingRows`."""


class MergingRows(Protocol):
    """Rows of which two are again and again replaced by their sum, and their overlaps for the mixture."""

    @property
    def n_bins(self) -> int:
        """Return the number of bins of each row."""

    def __len__(self) -> int:
        """Return the number of rows, those included that have been merged into others since the last `keep`."""

    def overlaps(self, i: int, start: int) -> FloatArray:
        """Return the overlaps of row i with each row from ``start`` on."""

    def merge(self, i: int, j: int) -> None:
        """Replace row j by the sum of rows i and j; row i, and its overlaps, are undefined from then on."""

    def keep(self, places: NDArray[np.intp]) -> None:
        """Keep the rows at these positions alone, and number them anew from 0 on."""

    def some(self, places: NDArray[np.intp]) -> Any:
        """Return the rows at these positions as an array, or as a CSR matrix if that is how they are held."""


def load(name: KernelName) -> PairKernel:
    """Return a kernel by its name; Numba is imported here, at the first use, and not by ``import skdiv``."""
    return cast("PairKernel", import_module(f"skdiv._compute.kernels.{name}"))


def chosen() -> KernelName:
    """Return the name of the kernel in use: SKDIV_KERNEL of the environment, else Numba where it can be imported."""
    wanted = os.environ.get(VARIABLE, "")
    if wanted == "numpy":
        return "numpy"
    if wanted not in ("", "numba"):
        raise ValueError(f"{VARIABLE} = {wanted!r} must be 'numpy' or 'numba', or not be set.")
    obstacle = obstacle_to_numba()
    if obstacle and wanted:
        raise ImportError(f"{VARIABLE} = 'numba', but it cannot be imported: {obstacle}. Try pip install numba.")
    return "numpy" if obstacle else "numba"


@lru_cache(maxsize=1)
def obstacle_to_numba() -> str:
    """Return the reason why Numba cannot be imported, or an empty string if it can.

    It may be missing, or refuse an installed NumPy that is newer than itself.
    """
    try:
        load("numba")
    except ImportError as error:
        return str(error)
    return ""
