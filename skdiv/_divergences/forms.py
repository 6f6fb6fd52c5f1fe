"""Fast forms of a divergence, for matrices, and the functions of a row that they are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from skdiv._utils.typing import FloatArray

Elementwise = Callable[[FloatArray, float], FloatArray]  # of entries, and of the unit of the logarithm's argument


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
    stored entries of a sparse row alone; a pole at q = 0 is the business of `Divergence.infinite_off_support`. They get
    a unit beside the entries, by which the argument of a logarithm is multiplied: the value does not depend on it, but
    the sums that cancel are small if entries times the unit are near 1.
    ``power`` and ``conditioning``: the value is that power of a quantity whose rounding error is absolute, of the order
    of the machine epsilon times ``conditioning``. ``smallest`` says from which entry of q on no factor overflows; None
    is for factors that are bounded.
    """

    factors: tuple[tuple[Elementwise, Elementwise], ...]
    left_term: Elementwise | None = None
    right_term: Elementwise | None = None
    finish: Callable[[FloatArray], FloatArray] = identity
    power: float = 1.0
    conditioning: float = 1.0
    smallest: Callable[[np.dtype[Any]], float] | None = None

    @property
    def is_logarithmic(self) -> bool:
        """Whether the sums that cancel are entropies; else they are of the order of 1."""
        return self.left_term is not None


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


# --- Functions of the entries of a row. A logarithm or a negative power of zero would cost several times the time. ---


def itself(p: FloatArray, unit: float) -> FloatArray:  # noqa: ARG001
    """Return p."""
    return p


def negated(p: FloatArray, unit: float) -> FloatArray:  # noqa: ARG001
    """Return −p."""
    return -p


def log_or_zero(p: FloatArray, unit: float) -> FloatArray:
    """Return ln(unit p), and 0 for p = 0: empty bins are accounted for by their support, not by a logarithm."""
    scaled: FloatArray = p * p.dtype.type(unit)
    if not p.min(initial=1) > 0:
        scaled += p == 0  # A sum takes a tenth of the time of an assignment to some places.
    return np.log(scaled, out=scaled)


def negated_log(p: FloatArray, unit: float) -> FloatArray:
    """Return −ln(unit p), and 0 for p = 0."""
    logs = log_or_zero(p, unit)
    return np.negative(logs, out=logs)


def entropy_term(p: FloatArray, unit: float = 1.0) -> FloatArray:
    """Return p ln(unit p), and 0 for p = 0."""
    logs = log_or_zero(p, unit)
    return np.multiply(p, logs, out=logs)


def root_of_entry(p: FloatArray, unit: float) -> FloatArray:  # noqa: ARG001
    """Return √p."""
    return np.sqrt(p)


def power_or_zero(p: FloatArray, unit: float, exponent: float) -> FloatArray:  # noqa: ARG001
    """Return p to a power, and 0 for p = 0 whatever the power."""
    with np.errstate(over="ignore", under="ignore"):
        if exponent == 2:
            return np.square(p)
        if exponent > 0:
            return np.power(p, exponent)
        filled = np.where(p == 0, 1, p)
        powers: FloatArray = 1 / filled if exponent == -1 else np.power(filled, exponent)
    powers *= p > 0
    return powers


# --- Functions from totals, which they may overwrite, to values ---


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
