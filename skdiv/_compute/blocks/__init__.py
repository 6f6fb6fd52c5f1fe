"""Blocks of a matrix of divergences: normalised rows in, values in nats out.

Each form of a divergence has a module that makes its blocks, and answers for their shape and their cost.
"""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Any, ClassVar, Protocol

from skdiv._compute.blocks.pairs import PairBlocks
from skdiv._compute.blocks.products import ProductBlocks
from skdiv._compute.blocks.termwise import TermBlocks
from skdiv._compute.kernels import PairKernel
from skdiv._divergences.forms import PairForm, ProductForm
from skdiv._divergences.record import Divergence
from skdiv._input.distributions import Distributions
from skdiv._utils.typing import FloatArray


class Blocks(Protocol):
    """How the blocks of a divergence are made."""

    blas_bound: ClassVar[bool]  # whether BLAS, which has threads of its own, does the work

    def tile_shape(self, P: Distributions, Q: Distributions, *, square: bool) -> tuple[int, int]:
        """Return how many rows and columns a tile has: by the shapes and the storage of the rows alone."""

    def nanoseconds(self, P: Distributions, Q: Distributions) -> float:
        """Return roughly how long all pairs take, to tell whether workers are worth while."""

    def block(
        self, P: Distributions, Q: Distributions, diagonal: int | None, kernel: PairKernel, out: FloatArray | None
    ) -> FloatArray:
        """Return D(P[i] ‖ Q[j]) in nats, in ``out`` if it can be made there.

        ``diagonal`` says that P[i] is Q[i + diagonal]. With a symmetric divergence only what is above that diagonal is
        wanted.
        """


_MAKERS: dict[type, Callable[[Divergence, Any], Blocks]] = {
    NoneType: TermBlocks,
    PairForm: PairBlocks,
    ProductForm: ProductBlocks,
}


def blocks_of(divergence: Divergence) -> Blocks:
    """Return what makes the blocks of a divergence: by its fast form, or by its terms if it has none."""
    return _MAKERS[type(divergence.fast)](divergence, divergence.fast)
