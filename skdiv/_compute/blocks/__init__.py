"""Blocks of a matrix of divergences, in nats, from blocks of normalised rows.

Each form of a divergence has a module that makes its blocks, and says what shape they should have and how long they
take.
"""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Any, ClassVar, Protocol

from skdiv._compute.blocks.pairs import PairBlocks, mixture_values
from skdiv._compute.blocks.products import ProductBlocks
from skdiv._compute.blocks.termwise import TermBlocks, of_pairs
from skdiv._compute.kernels import PairKernel
from skdiv._divergences.forms import PairForm, ProductForm
from skdiv._divergences.record import Divergence
from skdiv._input.distributions import Distributions
from skdiv._utils.typing import FloatArray, Places


class Blocks(Protocol):
    """The interface of a form: how blocks of a divergence in this form are made."""

    blas_bound: ClassVar[bool]  # whether most of the work is matrix products, done by BLAS

    def tile_shape(self, P: Distributions, Q: Distributions, *, square: bool) -> tuple[int, int]:
        """Return the number of rows and of columns of a tile.

        They depend on the shapes and the storage of P and Q alone, not on the workers. ``square`` says that the tiles
        have to be square, because only those of one half of the matrix are computed.
        """

    def nanoseconds(self, P: Distributions, Q: Distributions) -> float:
        """Return roughly how long the divergences of all pairs take, to decide whether workers are worth while."""

    def block(
        self, P: Distributions, Q: Distributions, diagonal: int | None, kernel: PairKernel, out: FloatArray | None
    ) -> FloatArray:
        """Return D(P[i] ‖ Q[j]) in nats for all pairs, in ``out`` if it is given and can be used.

        ``diagonal`` is None unless both are blocks of one collection that overlap: P[i] is then Q[i + diagonal], and
        for a symmetric divergence only the values above that diagonal are wanted.
        """


_MAKERS: dict[type, Callable[[Divergence, Any], Blocks]] = {
    NoneType: TermBlocks,
    PairForm: PairBlocks,
    ProductForm: ProductBlocks,
}


def of_candidates(
    divergence: Divergence, P: Distributions, Q: Distributions, i: Places, j: Places, kernel: PairKernel
) -> FloatArray:
    """Return D(P[i[k]] ‖ Q[j[k]]) in nats for each k, for some pairs of dense rows."""
    form = divergence.fast
    if isinstance(form, PairForm) and form.pair == "mixture":
        return mixture_values(divergence, form, P, Q, i, j, kernel)
    return of_pairs(divergence, P, Q, i, j, kernel, small=False)


def blocks_of(divergence: Divergence) -> Blocks:
    """Return the object that makes the blocks of a divergence, in its fast form or, if it has none, from its terms."""
    return _MAKERS[type(divergence.fast)](divergence, divergence.fast)
