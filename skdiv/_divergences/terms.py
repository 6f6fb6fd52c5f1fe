"""What one bin adds to a divergence, accurate also where p and q nearly agree.

Every term is written as a quantity that is never negative, so that a sum of terms loses nothing to cancellation. Where
the textbook's terms change sign, the difference of the masses, which sums to zero, is added: for Kullback-Leibler
p ln(p/q) − p + q in place of p ln(p/q). All functions broadcast, keep the dtype, and take 0 ln 0 = 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, xlog1py

from skdiv._utils.typing import FloatArray

Term = Callable[[FloatArray, FloatArray], FloatArray]


def _ignoring_limits() -> np.errstate:
    """0/0, x/0, log 0 and overflow are met on purpose below, and their results replaced or right."""
    return np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore")


def _except_where(
    exceptional: NDArray[np.bool_], values: FloatArray, function: Callable[..., FloatArray], *arguments: FloatArray
) -> FloatArray:
    """Put in what a function gives where the values are not accurate; only there are its logarithms taken."""
    if exceptional.any():
        values[exceptional] = function(*(argument[exceptional] for argument in arguments))
    return values


def _phi(x: FloatArray) -> FloatArray:
    """(1 + x) ln(1 + x) − x; below 1e-2 its series, for there the formula loses more than two digits."""
    series = x * x * (0.5 - x * (1 / 6 - x * (1 / 12 - x * (1 / 20 - x * (1 / 30 - x * (1 / 42 - x / 56))))))
    return _except_where(np.abs(x) >= 1e-2, series, lambda y: (1 + y) * np.log1p(y) - y, x)


def _psi(x: FloatArray) -> FloatArray:
    """(1 + x) ln(1 + x) + (1 − x) ln(1 − x) on [−1, 1], by its series below 0.05."""
    y = x * x
    series = y * (1 + y * (1 / 6 + y * (1 / 15 + y * (1 / 28 + y * (1 / 45 + y / 66)))))
    return _except_where(np.abs(x) >= 0.05, series, lambda z: xlog1py(1 + z, z) + xlog1py(1 - z, -z), x)


def _artanh_tail(y: FloatArray) -> FloatArray:
    """(artanh(u)/u − 1)/u², y = u², by its series: right to 1e-13 up to abs(u) = 0.2."""
    return 1 / 3 + y * (1 / 5 + y * (1 / 7 + y * (1 / 9 + y * (1 / 11 + y * (1 / 13 + y * (1 / 15 + y / 17))))))


def kl(p: FloatArray, q: FloatArray) -> FloatArray:
    """p ln(p/q) − p + q; where the two are close by u = (p − q)/(p + q), for ln(p/q) = 2 artanh(u)."""
    p, q = np.broadcast_arrays(p, q)
    s = p + q
    with _ignoring_limits():
        u = (p - q) / s
        y = u * u
        tail = _artanh_tail(y)
        term = s * y * (1 + y * tail + u * tail)
        # The difference of logarithms, not the logarithm of p/q, which overflows for subnormal q.
        _except_where(~(np.abs(u) <= 0.2), term, lambda a, b: a * (np.log(a) - np.log(b)) - (a - b), p, q)
    return np.where(p == 0, q, term)


def jeffreys(p: FloatArray, q: FloatArray) -> FloatArray:
    """(p − q) ln(p/q), with ln(p/q) = 2 artanh((p − q)/(p + q)) where the two are close."""
    p, q = np.broadcast_arrays(p, q)
    with _ignoring_limits():
        u = (p - q) / (p + q)
        y = u * u
        term = 2 * (p - q) * u * (1 + y * _artanh_tail(y))
        _except_where(~(np.abs(u) <= 0.2), term, lambda a, b: (a - b) * (np.log(a) - np.log(b)), p, q)
    return np.where((p == 0) & (q == 0), 0, term)


def jensen_shannon(p: FloatArray, q: FloatArray) -> FloatArray:
    """½ p ln(p/m) + ½ q ln(q/m), m = (p + q)/2, as (p + q)/4 · ψ((p − q)/(p + q))."""
    s = p + q
    with _ignoring_limits():
        return s / 4 * _psi(np.where(s == 0, 0, (p - q) / s))


def weighted_jensen_shannon(p: FloatArray, q: FloatArray, share: FloatArray, other: FloatArray) -> FloatArray:
    """share · p ln(p/m) + other · q ln(q/m), m = share · p + other · q, by φ of p and q relative to m.

    The other share is 1 − share, which subtracted would lose the digits of a small one.
    """
    with _ignoring_limits():
        m = share * p + other * q
        x = (p - q) / m
        # Where one is far larger than the other, rounding may put the smaller below nothing.
        of_p, of_q = (np.where(y <= -1, 1, _phi(y)) for y in (other * x, -share * x))
        term = m * (share * of_p + other * of_q)
    return np.where(m == 0, 0, term)


def squared_hellinger(p: FloatArray, q: FloatArray) -> FloatArray:
    """½ (√p − √q)², the difference of the roots taken as (p − q)/(√p + √q)."""
    with _ignoring_limits():
        root_difference = (p - q) / (np.sqrt(p) + np.sqrt(q))
        term = root_difference * root_difference / 2
    return np.where((p == 0) & (q == 0), 0, term)


def total_variation(p: FloatArray, q: FloatArray) -> FloatArray:
    """½ abs(p − q)."""
    return np.abs(p - q) / 2


def chi2(p: FloatArray, q: FloatArray) -> FloatArray:
    """(p − q)² / q, as ((p − q)/√q)²: (p − q)/q overflows for subnormal q."""
    with _ignoring_limits():
        term = np.square((p - q) / np.sqrt(q))
    return np.where((p == 0) & (q == 0), 0, term)


def alpha_divergence(p: FloatArray, q: FloatArray, alpha: float) -> FloatArray:
    """(p^α q^(1−α) − α p − (1 − α) q) / (α (α − 1)), the generator of the α-divergences (Cressie & Read 1984).

    With β = α − 1 and L = ln(p/q) it is (p expm1(β L) − β (p − q)) / (α β), which stays accurate as α tends to 1. It is
    the same with p and q exchanged and 1 − α, which is for α near 0.
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
    """ln sum p^α q^(1−α) over the last axis, in logarithms, so that no power overflows."""
    with _ignoring_limits():
        exponent = alpha * np.log(p) + (1 - alpha) * np.log(q)
        exponent = np.where(p == 0, -np.inf, exponent)
        total: FloatArray = np.asarray(logsumexp(exponent, axis=-1))
    return total.astype(exponent.dtype, copy=False)
