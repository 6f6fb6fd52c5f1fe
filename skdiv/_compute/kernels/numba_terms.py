"""Sums of the terms of single pairs of rows, compiled by Numba.

These are the terms of `skdiv._divergences.terms`, where the formulas are derived, at the speed of the fast forms.

Where the two entries p and q of a bin are near each other, a term is a short series in u = (p − q)/(p + q). A block of
bins in all of which they are near is summed by a loop without branches, which the compiler vectorises. A block with a
bin in which they are far apart is summed bin by bin, with the logarithms of the C library, which are right for
subnormal numbers too.
"""

from __future__ import annotations

from collections.abc import Callable
from math import expm1, log, log1p, sqrt
from typing import Any

import numba
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from skdiv._divergences import terms
from skdiv._divergences.forms import With
from skdiv._divergences.terms import Term
from skdiv._input.distributions import Distributions
from skdiv._utils.typing import FloatArray

Indices = NDArray[np.integer[Any]]

_LANES = 32  # bins of a block; with 16 the compiler unrolls the loop before it vectorises it, and then does not
_NEAR = 0.2  # the largest abs(u) for which the series below are accurate to 1e-12
_TINY = float(np.finfo(np.float64).tiny)  # added to divisors, so that 0 / 0 becomes 0; it changes none that counts
_KL, _JEFFREYS, _JENSEN_SHANNON, _SQUARED_HELLINGER, _TOTAL_VARIATION, _CHI2, _ALPHA, _WEIGHTED = range(8)
_KINDS: dict[Term, int] = {
    terms.kl: _KL,
    terms.jeffreys: _JEFFREYS,
    terms.jensen_shannon: _JENSEN_SHANNON,
    terms.squared_hellinger: _SQUARED_HELLINGER,
    terms.total_variation: _TOTAL_VARIATION,
    terms.chi2: _CHI2,
}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is compiled when it is called first, and cached where a directory can be written."""
    # Python's error model would check for division by zero, and so keep the loops from being vectorised.
    options = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
    try:
        dispatcher = numba.njit(cache=True, **options)(function)
    except RuntimeError:
        dispatcher = numba.njit(**options)(function)
    return dispatcher  # type: ignore[no-any-return]


# --- The term of one bin ---
#
# ``kind`` is a constant when a loop is compiled, so the branches on it vanish. ``beta`` is the order of an
# α-divergence less 1, ``share`` and ``other`` are the weights of p and q in a weighted Jensen-Shannon divergence.


@compiled
def _is_far(kind: int, p: float, q: float, beta: float) -> bool:
    """Return whether p and q are so far apart that `_near_term` would not be accurate for them."""
    if kind in (_SQUARED_HELLINGER, _TOTAL_VARIATION, _CHI2):
        return False
    if kind == _ALPHA:
        return abs(p - q) * max(1.0, 1 + beta) > 0.05 * q
    if kind == _WEIGHTED:
        return abs(p - q) > 0.05 * min(p, q)
    return abs(p - q) > _NEAR * (p + q)


@compiled
def _phi(x: float) -> Any:
    """Return (1 + x) ln(1 + x) − x by its series, for abs(x) up to 0.05."""
    return x * x * (1 / 2 - x * (1 / 6 - x * (1 / 12 - x * (1 / 20 - x * (1 / 30 - x * (1 / 42 - x * (1 / 56 - x * (1 / 72))))))))  # fmt: skip # noqa: E501


@compiled
def _alpha_series(p: float, q: float, beta: float) -> Any:
    """Return `terms.alpha_divergence` by its binomial series in x = (p − q)/q, for abs(x) max(1, α) up to 0.05."""
    x = (p - q) / (q + _TINY)
    tail = 1 + (beta - 9) * x * (1 / 11)
    tail = 1 + (beta - 8) * x * (1 / 10) * tail
    tail = 1 + (beta - 7) * x * (1 / 9) * tail
    tail = 1 + (beta - 6) * x * (1 / 8) * tail
    tail = 1 + (beta - 5) * x * (1 / 7) * tail
    tail = 1 + (beta - 4) * x * (1 / 6) * tail
    tail = 1 + (beta - 3) * x * (1 / 5) * tail
    tail = 1 + (beta - 2) * x * (1 / 4) * tail
    tail = 1 + (beta - 1) * x * (1 / 3) * tail
    return q * x * x * 0.5 * tail


@compiled
def _near_term(kind: int, p: float, q: float, beta: float, share: float, other: float) -> Any:
    """Return the term for p near q, by its series, or for some kinds by a formula that is accurate everywhere."""
    d, s = p - q, p + q
    if kind == _TOTAL_VARIATION:
        return abs(d) * 0.5
    if kind == _CHI2:
        root = d / sqrt(q)
        return root * root if d != 0 else 0.0
    if kind == _SQUARED_HELLINGER:
        root = d / (sqrt(p) + sqrt(q) + _TINY)
        return root * root * 0.5
    if kind == _ALPHA:
        return _alpha_series(p, q, beta)
    if kind == _WEIGHTED:
        m = share * p + other * q
        x = d / (m + _TINY)
        return m * (share * _phi(other * x) + other * _phi(-share * x))
    u = d / (s + _TINY)
    y = u * u
    if kind == _JENSEN_SHANNON:
        return s * y * (1 / 4 + y * (1 / 24 + y * (1 / 60 + y * (1 / 112 + y * (1 / 180 + y * (1 / 264 + y * (1 / 364 + y * (1 / 480))))))))  # fmt: skip # noqa: E501
    # The tail is (artanh(u)/u − 1)/u², so artanh(u) = u (1 + y tail).
    tail = 1 / 3 + y * (1 / 5 + y * (1 / 7 + y * (1 / 9 + y * (1 / 11 + y * (1 / 13 + y * (1 / 15 + y * (1 / 17)))))))
    if kind == _JEFFREYS:
        return d * 2 * u * (1 + y * tail)
    return s * y * (1 + y * tail + u * tail)


@compiled
def _far_phi(x: float) -> Any:
    """Return (1 + x) ln(1 + x) − x for any x ≥ −1; rounding may have left x below −1, which gives the value at −1."""
    if x <= -1:
        return 1.0
    return _phi(x) if abs(x) <= 0.05 else (1 + x) * log1p(x) - x


@compiled
def _far_alpha(p: float, q: float, beta: float) -> Any:
    """Return `terms.alpha_divergence` for p far from q."""
    alpha = 1 + beta
    if p == 0:
        return q / alpha
    if q == 0 and beta < 0:
        return -p / beta
    x = (p - q) / q
    log_ratio = log1p(x) if abs(x) <= 0.5 else log(p) - log(q)
    return (p * expm1(beta * log_ratio) - beta * (p - q)) / (alpha * beta)


@compiled
def _term(kind: int, p: float, q: float, beta: float, share: float, other: float) -> Any:
    """Return the term of any p and q: by its series where that is accurate, else from logarithms."""
    if not _is_far(kind, p, q, beta):
        return _near_term(kind, p, q, beta, share, other)
    if kind == _ALPHA:
        return _far_alpha(p, q, beta)
    if kind == _WEIGHTED:
        m = share * p + other * q
        x = (p - q) / m
        return m * (share * _far_phi(other * x) + other * _far_phi(-share * x))
    if kind == _JENSEN_SHANNON:
        # The larger comes first, so that the sum is the same to the bit with p and q exchanged.
        s, larger, smaller = p + q, max(p, q), min(p, q)
        total = larger * log(2 * (larger / s))
        if smaller > 0:
            total += smaller * log(2 * (smaller / s))
        return total * 0.5
    if kind == _KL:
        return q if p == 0 else p * (log(p) - log(q)) - (p - q)
    return (p - q) * (log(p) - log(q))


@compiled
def _entry(kind: int, weight: float, mass: float) -> Any:
    """Return an entry of a row in double precision, divided by the mass of the row for the weighted kind."""
    return np.float64(weight) / mass if kind == _WEIGHTED else np.float64(weight)


# --- The sums over the bins, for some pairs of rows ---


def _dense_adder(kind: int) -> Callable[..., None]:
    """Compile the loop over dense rows for one kind of term."""

    def add(
        P: FloatArray,
        Q: FloatArray,
        i: Indices,
        j: Indices,
        beta: float,
        v: FloatArray,
        w: FloatArray,
        out: FloatArray,
    ) -> None:
        """Write into out[k] the sum over bins of the terms of P[i[k]], of mass v[k], and Q[j[k]], of mass w[k].

        The sums of a block are kept lane by lane, and added in a fixed order at the end.
        """
        lanes = np.empty(_LANES)
        whole = P.shape[1] - P.shape[1] % _LANES
        for k in range(len(i)):
            p, q, mass, mass_of_q = P[i[k]], Q[j[k]], v[k], w[k]
            share, other = mass / (mass + mass_of_q), mass_of_q / (mass + mass_of_q)
            for lane in range(_LANES):
                lanes[lane] = 0
            for start in range(0, whole, _LANES):
                a, b = p[start : start + _LANES], q[start : start + _LANES]
                n_far = 0
                for lane in range(_LANES):
                    n_far += _is_far(kind, _entry(kind, a[lane], mass), _entry(kind, b[lane], mass_of_q), beta)
                if n_far == 0:
                    for lane in range(_LANES):
                        x, y = _entry(kind, a[lane], mass), _entry(kind, b[lane], mass_of_q)
                        lanes[lane] += _near_term(kind, x, y, beta, share, other)
                else:
                    for lane in range(_LANES):
                        x, y = _entry(kind, a[lane], mass), _entry(kind, b[lane], mass_of_q)
                        lanes[lane] += _term(kind, x, y, beta, share, other)
            width = _LANES
            while width > 1:
                width //= 2
                for lane in range(width):
                    lanes[lane] += lanes[lane + width]
            total = lanes[0]
            for bin_ in range(whole, P.shape[1]):
                x, y = _entry(kind, p[bin_], mass), _entry(kind, q[bin_], mass_of_q)
                total += _term(kind, x, y, beta, share, other)
            out[k] = total

    return compiled(add)


def _sparse_adder(kind: int) -> Callable[..., None]:
    """Compile the loop over sparse rows for one kind of term."""

    def add(
        p_entries: FloatArray,
        p_bins: Indices,
        p_starts: Indices,
        p_empty: FloatArray,
        q_entries: FloatArray,
        q_bins: Indices,
        q_starts: Indices,
        q_empty: FloatArray,
        n_bins: int,
        i: Indices,
        j: Indices,
        beta: float,
        v: FloatArray,
        w: FloatArray,
        out: FloatArray,
    ) -> None:
        """Write into out[k] the same sum for rows in CSR with sorted bins.

        ``p_empty`` and ``q_empty`` are what each row holds in the bins that it does not store. The loop walks through
        the bins that either row stores; all other bins have the same term, which is added once for all of them.
        """
        for k in range(len(i)):
            a, a_stop, b, b_stop = p_starts[i[k]], p_starts[i[k] + 1], q_starts[j[k]], q_starts[j[k] + 1]
            mass, mass_of_q = v[k], w[k]
            share, other = mass / (mass + mass_of_q), mass_of_q / (mass + mass_of_q)
            empty, empty_of_q = np.float64(p_empty[i[k]]), np.float64(q_empty[j[k]])
            total, n_met = 0.0, 0
            while a < a_stop or b < b_stop:
                of_p = b == b_stop or (a < a_stop and p_bins[a] <= q_bins[b])
                of_q = a == a_stop or (b < b_stop and q_bins[b] <= p_bins[a])
                x = _entry(kind, p_entries[a], mass) if of_p else empty
                y = _entry(kind, q_entries[b], mass_of_q) if of_q else empty_of_q
                total += _term(kind, x, y, beta, share, other)
                a, b, n_met = a + of_p, b + of_q, n_met + 1
            if n_met < n_bins and (empty > 0 or empty_of_q > 0):
                total += (n_bins - n_met) * _term(kind, empty, empty_of_q, beta, share, other)
            out[k] = total

    return compiled(add)


_DENSE_ADDERS, _SPARSE_ADDERS = ([make(kind) for kind in range(8)] for make in (_dense_adder, _sparse_adder))


def _kind_of(term: Term) -> tuple[int, float] | None:
    """Return the kind of a term and the order of an α-divergence (else 0), or None if the term is not compiled here."""
    if isinstance(term, With) and term.function is terms.alpha_divergence:
        return _ALPHA, term.argument
    kind = _KINDS.get(term)
    return None if kind is None else (kind, 0.0)


def term_sums(term: Term, P: Distributions, Q: Distributions, i: Indices, j: Indices) -> FloatArray | None:
    """Return for each k the sum over bins of the terms of P[i[k]] and Q[j[k]], or None if the term is not known."""
    kind_and_order = _kind_of(term)
    if kind_and_order is None:
        return None
    kind, alpha = kind_and_order
    beta = alpha - 1
    if kind == _ALPHA and alpha < 0.5:  # The term is the same with p and q exchanged and 1 − α for α, so −α for β.
        P, Q, i, j, beta = Q, P, j, i, -alpha
    one = np.ones(len(i))
    return _sums(kind, P, Q, i, j, beta, one, one)


def weighted_term_sums(
    P: Distributions, Q: Distributions, i: Indices, j: Indices, v: FloatArray, w: FloatArray
) -> FloatArray:
    """Return for each k the Jensen-Shannon divergence of P[i[k]] / v[k] and Q[j[k]] / w[k], weighted by v[k], w[k]."""
    return _sums(_WEIGHTED, P, Q, i, j, 0.0, v, w)


def _sums(
    kind: int, P: Distributions, Q: Distributions, i: Indices, j: Indices, beta: float, v: FloatArray, w: FloatArray
) -> FloatArray:
    """Return for each k the sum over bins of the terms of P[i[k]], of mass v[k], and Q[j[k]], of mass w[k]."""
    out = np.empty(len(i))
    if sp.issparse(P.values):
        _SPARSE_ADDERS[kind](*_arrays(P), *_arrays(Q), P.shape[1], i, j, beta, v, w, out)
    else:
        _DENSE_ADDERS[kind](P.values, Q.values, i, j, beta, v, w, out)
    return out


def _arrays(rows: Distributions) -> tuple[FloatArray, Indices, Indices, FloatArray]:
    """Return the entries, the bins and the starts of CSR rows, and what each row holds in bins it does not store."""
    empty = np.zeros(len(rows), rows.dtype) if rows.background is None else rows.background[:, 0]
    return rows.values.data, rows.values.indices, rows.values.indptr, empty
