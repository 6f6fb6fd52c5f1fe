"""The term of each divergence: what one bin adds to the sum, accurate also where p and q nearly agree.

Every term is written as a quantity that is never negative, so that a sum of terms loses nothing to cancellation. Where
the textbook's terms change sign, a multiple of p − q is added, which sums to zero over the bins: for Kullback-Leibler
the term is p ln(p/q) − p + q in place of p ln(p/q). All functions broadcast, keep the dtype, and take 0 ln 0 as 0.

Several terms use u = (p − q)/(p + q), which is small where p and q nearly agree. With s = p + q it gives
p = s (1 + u)/2, q = s (1 − u)/2 and ln(p/q) = 2 artanh(u) = 2 u (1 + u² t), where t is `_artanh_tail` of u².
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, xlog1py

from skdiv._utils.typing import FloatArray

Term = Callable[[FloatArray, FloatArray], FloatArray]


def _ignoring_limits() -> np.errstate:
    """Return a context without floating-point warnings.

    The functions below divide by 0, take logarithms of 0 and overflow on purpose: the results are right, or replaced.
    """
    return np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore")


def _except_where(
    exceptional: NDArray[np.bool_], values: FloatArray, function: Callable[..., FloatArray], *arguments: FloatArray
) -> FloatArray:
    """Replace the exceptional values, in place, by a function of the arguments at their positions, and return all.

    The function, which takes logarithms, is so evaluated only where the series that gave the values is not accurate.
    """
    if exceptional.any():
        values[exceptional] = function(*(argument[exceptional] for argument in arguments))
    return values


def _phi(x: FloatArray) -> FloatArray:
    """Return φ(x) = (1 + x) ln(1 + x) − x.

    Where abs(x) is below 1e-2 the formula would lose more than two digits, and its series in x is used.
    """
    series = x * x * (0.5 - x * (1 / 6 - x * (1 / 12 - x * (1 / 20 - x * (1 / 30 - x * (1 / 42 - x / 56))))))
    return _except_where(np.abs(x) >= 1e-2, series, lambda y: (1 + y) * np.log1p(y) - y, x)


def _psi(x: FloatArray) -> FloatArray:
    """Return ψ(x) = (1 + x) ln(1 + x) + (1 − x) ln(1 − x) for x in [−1, 1]; by its series where abs(x) < 0.05."""
    y = x * x
    series = y * (1 + y * (1 / 6 + y * (1 / 15 + y * (1 / 28 + y * (1 / 45 + y / 66)))))
    return _except_where(np.abs(x) >= 0.05, series, lambda z: xlog1py(1 + z, z) + xlog1py(1 - z, -z), x)


def _artanh_tail(y: FloatArray) -> FloatArray:
    """Return (artanh(u)/u − 1)/u² for y = u², by its series, which is accurate to 1e-13 up to abs(u) = 0.2."""
    return 1 / 3 + y * (1 / 5 + y * (1 / 7 + y * (1 / 9 + y * (1 / 11 + y * (1 / 13 + y * (1 / 15 + y / 17))))))


def kl(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return p ln(p/q) − p + q, the term of the Kullback-Leibler divergence.

    Where p and q are close it is, with u, s and t of this module's docstring,

        p ln(p/q) − (p − q) = s (1 + u) u (1 + u² t) − s u = s u² (1 + u t + u² t),

    in which nothing cancels.
    """
    p, q = np.broadcast_arrays(p, q)
    s = p + q
    with _ignoring_limits():
        u = (p - q) / s
        y = u * u
        tail = _artanh_tail(y)
        term = s * y * (1 + y * tail + u * tail)
        # This takes the difference of two logarithms, because p/q overflows for subnormal q.
        _except_where(~(np.abs(u) <= 0.2), term, lambda a, b: a * (np.log(a) - np.log(b)) - (a - b), p, q)
    return np.where(p == 0, q, term)


def jeffreys(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return (p − q) ln(p/q), the term of Jeffreys' divergence.

    Where p and q are close, ln(p/q) is 2 u (1 + u² t), with u and t of this module's docstring.
    """
    p, q = np.broadcast_arrays(p, q)
    with _ignoring_limits():
        u = (p - q) / (p + q)
        y = u * u
        term = 2 * (p - q) * u * (1 + y * _artanh_tail(y))
        _except_where(~(np.abs(u) <= 0.2), term, lambda a, b: (a - b) * (np.log(a) - np.log(b)), p, q)
    return np.where((p == 0) & (q == 0), 0, term)


def jensen_shannon(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return ½ p ln(p/m) + ½ q ln(q/m), m = (p + q)/2, the term of the Jensen-Shannon divergence.

    With s and u of this module's docstring p/m = 1 + u and q/m = 1 − u, so the term is s/4 · ψ(u), see `_psi`.
    """
    s = p + q
    with _ignoring_limits():
        return s / 4 * _psi(np.where(s == 0, 0, (p - q) / s))


def weighted_jensen_shannon(p: FloatArray, q: FloatArray, share: FloatArray, other: FloatArray) -> FloatArray:
    """Return share · p ln(p/m) + other · q ln(q/m), m = share · p + other · q, a weighted Jensen-Shannon term.

    With x = (p − q)/m one has p/m = 1 + other · x and q/m = 1 − share · x, because the shares sum to one. So the term
    is m (share · φ(other · x) + other · φ(−share · x)): `_phi` leaves out linear parts, and their sum is zero.
    ``other`` is 1 − share and passed beside it, because the subtraction would lose the digits of a small one.
    """
    with _ignoring_limits():
        m = share * p + other * q
        x = (p - q) / m
        # If p is far larger than q, or the reverse, rounding may give an argument below −1, where φ ends with 1.
        of_p, of_q = (np.where(y <= -1, 1, _phi(y)) for y in (other * x, -share * x))
        term = m * (share * of_p + other * of_q)
    return np.where(m == 0, 0, term)


def squared_hellinger(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return ½ (√p − √q)², the term of the squared Hellinger distance, with √p − √q as (p − q)/(√p + √q)."""
    with _ignoring_limits():
        root_difference = (p - q) / (np.sqrt(p) + np.sqrt(q))
        term = root_difference * root_difference / 2
    return np.where((p == 0) & (q == 0), 0, term)


def total_variation(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return ½ abs(p − q), the term of the total variation."""
    return np.abs(p - q) / 2


def chi2(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return (p − q)² / q, the term of Pearson's χ², as ((p − q)/√q)²: (p − q)/q would overflow for subnormal q."""
    with _ignoring_limits():
        term = np.square((p - q) / np.sqrt(q))
    return np.where((p == 0) & (q == 0), 0, term)


def alpha_divergence(p: FloatArray, q: FloatArray, alpha: float) -> FloatArray:
    """Return (p^α q^(1−α) − α p − (1 − α) q) / (α (α − 1)), the term of the α-divergences (Cressie & Read 1984).

    With β = α − 1 and L = ln(p/q), p^α q^(1−α) = p exp(β L), so the term is (p expm1(β L) − β (p − q)) / (α β), which
    stays accurate as α tends to 1. The term does not change if p and q are exchanged and α becomes 1 − α; this serves
    for α near 0. Where x = (p − q)/q is small, the binomial series of (1 + x)^α gives q x²/2 (1 + (α − 2) x/3 (1 + …)).
    """
    beta = alpha - 1
    if alpha < 0.5:
        p, q, alpha, beta = q, p, -beta, -alpha
    with _ignoring_limits():
        x = (p - q) / q
        log_ratio = np.where(np.abs(x) <= 0.5, np.log1p(x), np.log(p) - np.log(q))
        far = (p * np.expm1(beta * log_ratio) - beta * (p - q)) / (alpha * beta)
        tail = 1 + (beta - 4) * x / 6
        for k in (5, 4, 3):
            tail = 1 + (beta - k + 2) * x / k * tail
        near = q * x * x / 2 * tail
        term = np.where(np.abs(x) * max(1.0, alpha) < 1e-3, near, far)
    return np.where(p == 0, q / alpha, np.where((q == 0) & (alpha < 1), -p / beta, term))


def log_affinity(p: FloatArray, q: FloatArray, alpha: float) -> FloatArray:
    """Return ln sum p^α q^(1−α), summed over the last axis by way of logarithms, so that no power overflows."""
    with _ignoring_limits():
        exponent = alpha * np.log(p) + (1 - alpha) * np.log(q)
        exponent = np.where(p == 0, -np.inf, exponent)
        total: FloatArray = np.asarray(logsumexp(exponent, axis=-1))
    return total.astype(exponent.dtype, copy=False)
