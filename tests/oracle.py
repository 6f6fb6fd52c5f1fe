"""The divergences by their definitions, in 50-digit arithmetic, from the exact values of the given floats."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import mpmath
from mpmath import mp, mpf

DIGITS = 50


def kl(p: list[Any], q: list[Any]) -> Any:
    if any(a > 0 and b == 0 for a, b in zip(p, q, strict=True)):
        return mpmath.inf
    return mpmath.fsum(a * mpmath.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def js_divergence(p: list[Any], q: list[Any]) -> Any:
    m = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return (kl(p, m) + kl(q, m)) / 2


def affinity(p: list[Any], q: list[Any], alpha: Any) -> Any:
    if alpha > 1 and any(a > 0 and b == 0 for a, b in zip(p, q, strict=True)):
        return mpmath.inf
    return mpmath.fsum(
        mpmath.exp(alpha * mpmath.log(a) + (1 - alpha) * mpmath.log(b))
        for a, b in zip(p, q, strict=True)
        if a > 0 and b > 0
    )


def renyi(p: list[Any], q: list[Any], alpha: float) -> Any:
    total = affinity(p, q, mpf(alpha))
    if total == 0:
        return mpmath.inf
    return mpmath.log(total) / (mpf(alpha) - 1)


def chi2(p: list[Any], q: list[Any]) -> Any:
    if any(a > 0 and b == 0 for a, b in zip(p, q, strict=True)):
        return mpmath.inf
    return mpmath.fsum((a - b) ** 2 / b for a, b in zip(p, q, strict=True) if b > 0)


def squared_hellinger(p: list[Any], q: list[Any]) -> Any:
    return mpmath.fsum((mpmath.sqrt(a) - mpmath.sqrt(b)) ** 2 for a, b in zip(p, q, strict=True)) / 2


DEFINITIONS: dict[str, Callable[[list[Any], list[Any]], Any]] = {
    "kl": kl,
    "jeffreys": lambda p, q: kl(p, q) + kl(q, p),
    "js_divergence": js_divergence,
    "js_distance": lambda p, q: mpmath.sqrt(abs(js_divergence(p, q))),
    "hellinger": lambda p, q: mpmath.sqrt(squared_hellinger(p, q)),
    "bhattacharyya": lambda p, q: renyi(p, q, 0.5) / 2,
    "total_variation": lambda p, q: mpmath.fsum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2,
    "chi2": chi2,
    "renyi": partial(renyi, alpha=2),
}


def exact(x: Sequence[float], y: Sequence[float], definition: Callable[[list[Any], list[Any]], Any]) -> Any:
    """A divergence of two vectors of weights as a 50-digit number."""
    with mp.workdps(DIGITS):
        p, q = ([mpf(float(weight)) for weight in weights] for weights in (x, y))
        p_total, q_total = mpmath.fsum(p), mpmath.fsum(q)
        value = definition([weight / p_total for weight in p], [weight / q_total for weight in q])
        return value if abs(value) > mpf(10) ** (5 - DIGITS) else mpf(0)


def relative_error(value: float, truth: Any) -> float:
    """Of a float against a 50-digit number; two infinities agree."""
    if mpmath.isinf(truth):
        return 0.0 if math.isinf(value) else math.inf
    if truth == 0:
        return 0.0 if value == 0 else math.inf
    with mp.workdps(DIGITS):
        return float(abs(mpf(value) - truth) / truth)
