"""Rows whose difference lies in bins of few counts, or in blocks that come in bursts, for benchmarks/intervals.py."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Two = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]


def tail(of_tail: float, n_rare: int = 2000) -> np.ndarray:
    """Ten common bins, and rare ones that share some mass."""
    return np.r_[np.full(10, (1 - of_tail) / 10), np.full(n_rare, of_tail / n_rare)]


def zipf(n_bins: int, exponent: float = 1.0) -> np.ndarray:
    weights = np.arange(1.0, n_bins + 1) ** -exponent
    return weights / weights.sum()


def same(p: np.ndarray) -> Two:
    return lambda rng: (p, p)  # noqa: ARG005


def tilted(p: np.ndarray, by: float) -> Two:
    """The second one has each bin of the first times exp(± by)."""

    def two(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        q = p * np.exp(by * rng.choice([-1.0, 1.0], len(p)))
        return p, q / q.sum()

    return two


def own_tails(of_tail: float, n_rare: int = 2000) -> Two:
    """The common bins are equal, and each row has half of the rare bins for itself, but for a thousandth."""
    one = np.r_[np.full(n_rare // 2, 0.999), np.full(n_rare // 2, 0.001)] * of_tail / (n_rare // 2)
    common = np.full(10, (1 - of_tail) / 10)
    return lambda rng: (np.r_[common, one], np.r_[common, one[::-1]])  # noqa: ARG005


def rates(one: float, other: float) -> Two:
    return lambda rng: (np.array([1 - one, one]), np.array([1 - other, other]))  # noqa: ARG005


def sparse(share: float) -> Two:
    """From a Dirichlet distribution with the parameter .15 over 40 bins, and the mixture with another one."""

    def two(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        p, other = rng.dirichlet(np.full(40, 0.15), 2)
        return p, (1 - share) * p + share * other

    return two


def shuffled(p: np.ndarray) -> Two:
    return lambda rng: (p, rng.permutation(p))


def apart(n_bins: int) -> Two:
    """Without a common bin."""
    even, none = np.full(n_bins, 1 / n_bins), np.zeros(n_bins)
    return lambda rng: (np.r_[even, none], np.r_[none, even])  # noqa: ARG005


REGIMES: dict[str, tuple[Two, tuple[int, ...]]] = {
    "10 common bins, 2,000 rare ones with 2 %, p = q": (same(tail(0.02)), (500, 2000)),
    "the same with 5 %, p = q": (same(tail(0.05)), (500, 2000)),
    "the same with 10 %, p = q": (same(tail(0.1)), (500, 2000)),
    "the same with 5 %, each row has rare bins of its own": (own_tails(0.05), (500, 2000)),
    "Zipf over 1,000 bins, p = q": (same(zipf(1000)), (5000, 20_000)),
    "Zipf over 1,000 bins, near": (tilted(zipf(1000), 0.3), (5000, 20_000)),
    "Zipf over 3,000 bins with the exponent 1.5, p = q": (same(zipf(3000, 1.5)), (2000,)),
    "2 bins, rates .001 and .001": (rates(0.001, 0.001), (1000,)),
    "2 bins, rates .002 and .002": (rates(0.002, 0.002), (1000,)),
    "2 bins, rates .02 and .02": (rates(0.02, 0.02), (100, 1000)),
    "2 bins, rates .001 and .005": (rates(0.001, 0.005), (1000,)),
    "2 bins, rates .001 and .02": (rates(0.001, 0.02), (1000,)),
    "2 bins, rates .02 and .1": (rates(0.02, 0.1), (100,)),
    "40 bins of Dirichlet(.15), mixed with a tenth": (sparse(0.1), (300,)),
    "40 bins of Dirichlet(.15), far": (sparse(1.0), (300,)),
    "20 bins by Zipf's law, far": (shuffled(zipf(20)), (300, 1000)),
    "50 bins by Zipf's law, far": (shuffled(zipf(50)), (1000,)),
    "2 × 10 bins, none of them common": (apart(10), (1000,)),
}


def bursts(p: np.ndarray, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Blocks of 50 observations, of which half fall into one bin that is drawn anew for each block."""
    blocks, which = rng.multinomial(25, p, size=shape), rng.choice(len(p), (*shape, 1), p=p)
    np.put_along_axis(blocks, which, np.take_along_axis(blocks, which, 2) + 25, 2)
    return blocks


def overdispersed(p: np.ndarray, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Blocks of 50 observations, around p with the concentration 5."""
    return rng.multinomial(50, rng.dirichlet(5 * p + 1e-3, shape))


Drawn = Callable[[np.ndarray, tuple[int, int], np.random.Generator], np.ndarray]


def sixty(share: float) -> Two:
    def two(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        p, other = rng.dirichlet(np.ones(60), 2)
        return p, (1 - share) * p + share * other

    return two


def rare_bursts(p: np.ndarray, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Blocks of 50 observations; those in rare bins of a block fall into one of them."""
    common = p[:10].sum()
    n_rare = rng.binomial(50, 1 - common, shape)
    blocks = np.zeros((*shape, len(p)), dtype=int)
    blocks[..., :10] = rng.multinomial(50 - n_rare, p[:10] / common)
    which = rng.integers(10, len(p), (*shape, 1))
    np.put_along_axis(blocks, which, n_rare[..., np.newaxis], 2)
    return blocks


OF_BLOCKS: dict[str, tuple[Two, Drawn, tuple[int, ...]]] = {
    "60 bins, concentration 5, p = q": (sixty(0.0), overdispersed, (10, 30)),
    "60 bins, concentration 5, near": (sixty(0.3), overdispersed, (10, 30)),
    "200 bins by Zipf's law, half of a block in one bin, p = q": (same(zipf(200)), bursts, (20,)),
    "10 common bins, 500 rare ones with 5 %, of which a block has one, p = q": (
        same(tail(0.05, 500)),
        rare_bursts,
        (20,),
    ),
}
