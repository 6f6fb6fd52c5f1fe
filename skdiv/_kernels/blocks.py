"""Blocks of a divergence matrix: normalised rows in, values in nats out."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from skdiv._distributions import Distributions
from skdiv._divergence import Divergence
from skdiv._forms import PairForm, ProductForm
from skdiv._kernels import PairKernel
from skdiv._kernels.overlaps import CROWDED, block_of_pair_form, n_meetings_of_rows
from skdiv._kernels.products import block_of_product_form
from skdiv._kernels.termwise import of_pairs
from skdiv._terms import FloatArray

_DENSE_BLOCK = 2**18  # entries of a block of sparse rows made dense
_LANES = 16  # tiles are a multiple of the numbers in a register
_PAIR_ROWS = 496  # rows of at most 500 numbers are copied into a condensed matrix without letting go of Python's lock
_PAIR_WORK = 2**24  # pairs times bins of a tile: some ten milliseconds, beside which its overhead is small


def tile_shape(divergence: Divergence, P: Distributions, Q: Distributions, *, square: bool) -> tuple[int, int]:
    """Return how many rows and columns a tile has: by the kind of divergence, the shapes and the storage alone."""
    n_bins = P.shape[1]
    if isinstance(divergence.fast, ProductForm):
        some_tiles = max(128, -(-len(P) // 4))  # for the threads to share
        most = (min(1024, some_tiles),) * 2 if square else (min(512, some_tiles), 2048)  # BLAS writes long rows faster
    elif isinstance(divergence.fast, PairForm):
        sparse = P.is_sparse and Q.is_sparse
        most = (_PAIR_ROWS if sparse else min(_PAIR_ROWS, max(64, int((_PAIR_WORK / n_bins) ** 0.5))),) * 2
    else:
        most = (max(1, min(128, _DENSE_BLOCK // n_bins)),) * 2
    return _evenly(len(P), most[0]), _evenly(len(Q), most[1])


def _evenly(n: int, most: int) -> int:
    """Return a size at which all tiles are alike, so that the workers end together."""
    even = -(-n // -(-n // most))
    return -(-even // _LANES) * _LANES if most >= _LANES else even


def nanoseconds(divergence: Divergence, P: Distributions, Q: Distributions) -> float:
    """Return roughly how long all pairs take, to tell whether workers are worth while."""
    cells = float(len(P)) * len(Q) * P.shape[1]
    sparse = sp.issparse(P.values) and sp.issparse(Q.values)
    if isinstance(divergence.fast, ProductForm):
        return min(0.04 * cells, 5.0 * n_meetings_of_rows(P, Q)) if sparse else 0.04 * cells
    if isinstance(divergence.fast, PairForm):
        sparse = P.is_sparse and Q.is_sparse
        return min(cells, CROWDED * n_meetings_of_rows(P, Q)) if sparse else cells
    return 30 * cells


def block(
    divergence: Divergence, P: Distributions, Q: Distributions, kernel: PairKernel, *, diagonal: int | None = None,
    out: FloatArray | None = None,
) -> FloatArray:  # fmt: skip
    """Return D(P[i] ‖ Q[j]) in nats, in ``out`` if it can be made there.

    ``diagonal``: P[i] is Q[i + diagonal]. If it is 0 they are the same rows, and a symmetric result is so to the bit.
    """
    form = divergence.fast
    if isinstance(form, ProductForm):
        values = block_of_product_form(divergence, form, P, Q, diagonal, kernel, out)
    elif isinstance(form, PairForm):
        values = block_of_pair_form(divergence, form, P, Q, diagonal, kernel, out)
    else:
        i, j = np.divmod(np.arange(len(P) * len(Q)), len(Q))
        values = of_pairs(divergence, P, Q, i, j, kernel).reshape(len(P), len(Q))
    if diagonal == 0 and divergence.symmetric:
        for k in range(1, len(P)):
            values[k, :k] = values[:k, k]
    return values


def paired(divergence: Divergence, P: Distributions, Q: Distributions, kernel: PairKernel) -> FloatArray:
    """Return D(P[i] ‖ Q[i]) in nats, term by term."""
    places = np.arange(len(P))
    return of_pairs(divergence, P, Q, places, places, kernel)
