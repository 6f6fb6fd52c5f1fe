"""Fast forms of a divergence, for matrices, and the functions that they are made of.

The first functions are applied to the entries of rows, the last ones to the sums over the bins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from skdiv._utils.typing import FloatArray

Elementwise = Callable[[FloatArray, float], FloatArray]  # function(entries, unit), see `ProductForm` for the unit


@dataclass(frozen=True)
class With:
    """A function with its last argument fixed.

    Two of the same function and argument are equal, unlike two `functools.partial`, and can be keys of a dictionary.
    """

    function: Callable[..., Any]
    argument: float

    def __call__(self, *arguments: Any) -> Any:
        """Call the function with these arguments and the fixed one."""
        return self.function(*arguments, self.argument)


def identity(total: FloatArray) -> FloatArray:
    """Return the argument."""
    return total


@dataclass(frozen=True)
class ProductForm:
    """A divergence written as ``finish(left_term(p).sum() + right_term(q).sum() + sum of left(p) · right(q))``.

    Kullback-Leibler for instance is sum p ln p + sum p · (−ln q): one matrix product serves all pairs of rows.

    Parameters
    ----------
    factors : tuple of pairs of functions
        The pairs (left, right); their products are summed over the bins and over the pairs. All functions of entries
        map 0 to 0, so they may run over the stored entries of sparse rows alone; that a divergence is infinite where
        q = 0 < p is left to `Divergence.infinite_off_support`. Each takes the entries and a unit, by which the argument
        of a logarithm is multiplied. The value does not depend on the unit, but the sums that cancel are small, and
        with them their rounding errors, if entries times the unit are near 1.
    left_term, right_term : function, optional
        Functions of the entries of p alone and of q alone, whose sums are added; None adds nothing.
    finish : function
        The function from the total to the value in nats. It may overwrite the total.
    power, conditioning : float
        The value is this power of a quantity whose rounding error is absolute, of the order of the machine epsilon
        times ``conditioning``.
    smallest : function, optional
        ``smallest(dtype)`` is the entry of q from which on no factor overflows; None if the factors are bounded.
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
        """Return whether the sums that cancel are entropies, which may be large; other sums are of the order of 1."""
        return self.left_term is not None

    def of_rows(self, p: FloatArray, q: FloatArray) -> FloatArray:
        """Return the values of some rows p and q by the formula; they are NaN if a factor may overflow."""
        if self.smallest is not None and q.min() < self.smallest(q.dtype):
            return np.full(len(p), np.nan)
        total = np.sum([(left(p, 1.0) * right(q, 1.0)).sum(axis=1) for left, right in self.factors], axis=0)
        for term, rows in ((self.left_term, p), (self.right_term, q)):
            total = total if term is None else total + term(rows, 1.0).sum(axis=1)
        return self.finish(total)


Pair = Literal["mixture", "difference"]  # g(p, q) = (p + q) ln(p + q), and g(p, q) = −abs(p − q)


@dataclass(frozen=True)
class PairForm:
    """A divergence written as ``finish(top + ½ sum of g(p, 0) + g(0, q) − g(p, q))``, for a function g of two entries.

    For Jensen-Shannon, with m = (p + q)/2 and g(p, q) = (p + q) ln(p + q),

        ½ sum p ln(p/m) + q ln(q/m) = ½ sum p ln p + q ln q − (p + q) ln(p + q) + ½ ln 2 sum (p + q),

    and the last sum is 2, so ``top`` is ln 2. This takes one logarithm for each pair of entries where the definition
    takes two. For total variation g(p, q) = −abs(p − q), and ``top`` is 1 because ½ sum (p + q) is. A bin in which p or
    q is 0 adds nothing to the sum, so sparse rows need only the bins that they share.

    Parameters
    ----------
    pair : {"mixture", "difference"}
        The name of g, which the kernels evaluate.
    top : float
        The total for two rows that share no bin.
    finish, power, conditioning
        What they are in `ProductForm`.
    """

    pair: Pair
    top: float
    finish: Callable[[FloatArray], FloatArray] = identity
    power: float = 1.0
    conditioning: float = 1.0

    def of_rows(self, p: FloatArray, q: FloatArray) -> FloatArray:
        """Return the values of some rows p and q by the formula."""
        g = _of_mixture if self.pair == "mixture" else _of_difference
        return self.finish(self.top + (g(p, 0 * q) + g(0 * p, q) - g(p, q)).sum(axis=1) / 2)


def _of_mixture(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return (p + q) ln(p + q)."""
    return entropy_term(p + q)


def _of_difference(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return −abs(p − q)."""
    return -np.abs(p - q)


# --- Functions of entries, which avoid logarithms and negative powers of zero: these take several times as long. ---


def itself(p: FloatArray, unit: float) -> FloatArray:  # noqa: ARG001
    """Return p."""
    return p


def negated(p: FloatArray, unit: float) -> FloatArray:  # noqa: ARG001
    """Return −p."""
    return -p


def log_or_zero(p: FloatArray, unit: float) -> FloatArray:
    """Return ln(unit p), and 0 for p = 0, where `Divergence.infinite_off_support` says what an empty bin does."""
    scaled: FloatArray = p * p.dtype.type(unit)
    if not p.min(initial=1) > 0:
        scaled += p == 0  # Adding takes a tenth of the time of an assignment by a mask.
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
    """Return p to the power ``exponent``, and 0 for p = 0 even if the exponent is negative."""
    with np.errstate(over="ignore", under="ignore"):
        if exponent == 2:
            return np.square(p)
        if exponent > 0:
            return np.power(p, exponent)
        filled = np.where(p == 0, 1, p)
        powers: FloatArray = 1 / filled if exponent == -1 else np.power(filled, exponent)
    powers *= p > 0
    return powers


# --- Functions from totals to values in nats; they may overwrite the totals ---


def root(total: FloatArray) -> FloatArray:
    """Return the square root, computed in place; a total that rounding has left below 0 counts as 0."""
    values = np.asarray(total)
    np.maximum(values, 0, out=values)
    np.sqrt(values, out=values)
    return values


def root_of_complement(affinity: FloatArray) -> FloatArray:
    """Return √(1 − affinity)."""
    return root(1 - affinity)


def minus_one(total: FloatArray) -> FloatArray:
    """Return total − 1."""
    return total - 1


def log_over(total: FloatArray, divisor: float) -> FloatArray:
    """Return ln(total) / divisor."""
    with np.errstate(divide="ignore"):
        return np.log(total) / divisor


def least_safe_entry(dtype: np.dtype[Any], power: float = 1.0) -> float:
    """Return the least entry q for which q**−power is small enough to be multiplied safely.

    It is then finite, and a factor that underflows changes its product with q**−power by less than the machine epsilon.
    """
    limits = np.finfo(dtype)
    return float(float(limits.tiny / limits.eps) ** (1 / power))
