"""Fast forms of a divergence, for matrices, and the functions of a row that they are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from skdiv._terms import FloatArray

Elementwise = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class With:
    """A function whose last argument is given; unlike a partial it equals another of the same."""

    function: Callable[..., Any]
    argument: float

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments, self.argument)


def identity(total: FloatArray) -> FloatArray:
    return total


@dataclass(frozen=True)
class ProductForm:
    """A divergence as ``finish(left_term(p).sum() + right_term(q).sum() + sum of left(p) · right(q))``.

    ``factors`` lists the pairs (left, right). All functions act entry by entry and map 0 to 0, so they may run over the
    stored entries of a sparse row alone; a pole at q = 0 is the business of `Divergence.infinite_off_support`.
    ``power`` and ``conditioning``: the value is that power of a quantity whose rounding error is absolute, of the order
    of the machine epsilon times ``conditioning``. ``smallest`` says from which entry of q on no factor overflows.
    """

    factors: tuple[tuple[Elementwise, Elementwise], ...]
    left_term: Elementwise | None = None
    right_term: Elementwise | None = None
    finish: Callable[[FloatArray], FloatArray] = identity
    power: float = 1.0
    conditioning: float = 1.0
    smallest: Callable[[np.dtype[Any]], float] | None = None


Pair = Literal["mixture", "difference"]  # (p + q) ln(p + q), and −abs(p − q)


@dataclass(frozen=True)
class PairForm:
    """A divergence as ``finish(top + ½ sum of g(p, 0) + g(0, q) − g(p, q))``, for a function g of two entries.

    Terms of bins in which p or q is 0 vanish, so sparse rows need only the bins they share, and rows that share none
    have the value ``top``. ``pair`` names g, which the kernels evaluate. ``power`` and ``conditioning`` as in
    `ProductForm`.
    """

    pair: Pair
    top: float
    finish: Callable[[FloatArray], FloatArray] = identity
    power: float = 1.0
    conditioning: float = 1.0


# --- Functions of the entries of a row, and from totals, which they may overwrite, to values ---


def log_or_zero(p: FloatArray) -> FloatArray:
    """ln p, and 0 for p = 0: bins without mass are accounted for by their support, not by a logarithm."""
    return np.log(_positive(p))


def _positive(p: FloatArray) -> FloatArray:
    """p, with 1 for 0. The logarithm or a negative power of zero costs several times that of any other number."""
    return p if p.min(initial=1) > 0 else p + (p == 0)


def negated_log(p: FloatArray) -> FloatArray:
    logs = log_or_zero(p)
    return np.negative(logs, out=logs)


def negated(p: FloatArray) -> FloatArray:
    return -p


def entropy_term(p: FloatArray) -> FloatArray:
    """p ln p, and 0 for p = 0."""
    logs = log_or_zero(p)
    return np.multiply(p, logs, out=logs)


def power_or_zero(p: FloatArray, exponent: float) -> FloatArray:
    """p to a power, and 0 for p = 0 whatever the power."""
    with np.errstate(over="ignore", under="ignore"):
        powers: FloatArray = np.power(_positive(p) if exponent < 0 else p, exponent)
    if exponent < 0:
        powers *= p > 0
    return powers


def root(total: FloatArray) -> FloatArray:
    """The root, in place; rounding may have left a zero negative."""
    values = np.asarray(total)
    np.maximum(values, 0, out=values)
    np.sqrt(values, out=values)
    return values


def root_of_complement(affinity: FloatArray) -> FloatArray:
    return root(1 - affinity)


def minus_one(total: FloatArray) -> FloatArray:
    return total - 1


def log_over(total: FloatArray, divisor: float) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.log(total) / divisor


def entry_that_squares(dtype: np.dtype[Any], power: float = 1.0) -> float:
    """Entries q from here on keep q**−power finite, and what underflows beside it under one rounding error."""
    limits = np.finfo(dtype)
    return float(float(limits.tiny / limits.eps) ** (1 / power))
