"""Numbers in, numbers out: no validation, no joblib. `blocks` makes blocks of a matrix, on one of two kernels."""

from __future__ import annotations

import os
from functools import lru_cache
from importlib import import_module
from typing import Any, Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from skdiv._divergences.forms import Pair
from skdiv._divergences.terms import Term
from skdiv._input.distributions import Distributions
from skdiv._utils.typing import FloatArray

KernelName = Literal["numpy", "numba"]
VARIABLE = "SKDIV_KERNEL"


class PairKernel(Protocol):
    """What a kernel has to offer, for the function g of a `Pair` and all pairs of rows, in double precision.

    The overlap of two rows: half the sum over bins of g(p, q) − g(p, 0) − g(0, q). ``out`` is C-contiguous, and filled.
    With ``upper`` P and Q are the same rows and only entries j > i are wanted.
    """

    def overlaps(self, pair: Pair, P: FloatArray, Q: FloatArray, out: FloatArray, *, upper: bool) -> None:
        """Overlaps of dense rows."""

    def sparse_overlaps(self, pair: Pair, P: Any, Q: Any, out: FloatArray, *, upper: bool) -> None:
        """Overlaps of rows in CSC, from the bins that two rows share."""

    def term_sums(
        self, term: Term, P: Distributions, Q: Distributions, i: NDArray[Any], j: NDArray[Any]
    ) -> FloatArray | None:
        """Return the sums over bins of the terms of P[i[k]] and Q[j[k]], in double precision.

        Both collections are dense or both sparse. None is returned for a term that the kernel does not know.
        """

    def weighted_term_sums(
        self, P: Distributions, Q: Distributions, i: NDArray[Any], j: NDArray[Any], v: FloatArray, w: FloatArray
    ) -> FloatArray | None:
        """Return those of the weighted Jensen-Shannon divergence of P[i[k]] / v[k] and Q[j[k]] / w[k].

        v[k] and w[k] are the masses by which the two are weighted; the rows are sums of such masses.
        """

    def add_pooled_overlaps(
        self, values: FloatArray, terms: FloatArray, bins: NDArray[Any], owners: NDArray[Any],
        p: FloatArray, p_terms: FloatArray, start: int, out: FloatArray,
    ) -> None:  # fmt: skip
        """Add the overlaps of one row p with the rows from ``start`` on, for the mixture.

        Each entry of the others comes with its own x ln x, its bin and its row; so do those of p, bin by bin.
        """

    def merging(self, rows: FloatArray) -> MergingRows:
        """Dense rows, copied, that are added together one after another."""


class MergingRows(Protocol):
    """Rows that are added together, and the overlaps of each with others, for the mixture."""

    @property
    def n_bins(self) -> int:
        """Length of a row."""

    def __len__(self) -> int: ...

    def overlaps(self, i: int, start: int) -> FloatArray:
        """Those of row i with the rows from ``start`` on."""

    def merge(self, i: int, j: int) -> None:
        """Row j becomes the sum of both, and row i is no more: what it gives from now on means nothing."""

    def keep(self, places: NDArray[np.intp]) -> None:
        """Forget all other rows, and move these together."""

    def dense(self, places: NDArray[np.intp] | list[int]) -> FloatArray:
        """Some of the rows."""


def load(name: KernelName) -> PairKernel:
    """A kernel by its name; Numba is imported here, at the first use, and not by ``import skdiv``."""
    return cast("PairKernel", import_module(f"skdiv._compute.kernels.{name}"))


def chosen() -> KernelName:
    """The kernel in use: that of the environment variable SKDIV_KERNEL, else Numba's if that can be imported."""
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
    """Why Numba cannot be used; it may be missing, or not know an installed NumPy that is newer than itself."""
    try:
        load("numba")
    except ImportError as error:
        return str(error)
    return ""
