"""How often do the intervals of `divergence_estimates` hold the true divergence?

    python benchmarks/intervals.py [--quick] [--only NAME]

writes the tables of docs/how_large.md: for independent observations, also of unequal totals, and where bins of few
counts carry the difference; for blocks, also in bursts; and for the total variation, which is refused, to show why.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import marks
import numpy as np
from joblib import Parallel, delayed
from rare import OF_BLOCKS, REGIMES
from scipy.stats import t as student

from skdiv import divergence_estimates, divergences
from skdiv._compute.estimates import Estimator, Sample
from skdiv._compute.noncentral import limits
from skdiv._input.distributions import Distributions

DOCS = Path(__file__).resolve().parents[1] / "docs" / "how_large.md"
LEVEL = 0.95
SKEWS = ("even", "Zipf", "Dirichlet")
SHARES = {"0": 0.0, "small": 0.1, "large": 1.0}
METRICS = ("js_distance", "kl", "hellinger")
N_DRAWS = 20  # pairs of distributions in a cell


def distribution(rng: np.random.Generator, n_bins: int, skew: str) -> np.ndarray:
    """In random order, so that two of one skew differ."""
    if skew == "Dirichlet":
        return rng.dirichlet(np.full(n_bins, 0.5))
    weights = np.ones(n_bins) if skew == "even" else 1 / np.arange(1, n_bins + 1)
    return rng.permutation(weights / weights.sum())


def two(rng: np.random.Generator, n_bins: int, skew: str, share: float, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """A distribution, and its mixture with another one; of an even one the other is Dirichlet(1/2).

    For kl each bin has at least a tenth of the mean share, for else it is infinite.
    """
    p = distribution(rng, n_bins, skew)
    other = distribution(rng, n_bins, "Dirichlet" if skew == "even" else skew)
    if metric == "kl":
        p, other = (0.9 * each + 0.1 / n_bins for each in (p, other))
    return p, (1 - share) * p + share * other


def intervals(X: np.ndarray, Y: np.ndarray, metric: str, **options: Any) -> np.ndarray:
    """Estimate, corrected, lower limit, upper limit, and whether there was a warning of few counts."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = divergence_estimates(X, Y, metric, paired=True, confidence_level=LEVEL, **options)
    n_few = [int(str(each.message).split()[1]) for each in caught if "too few" in str(each.message)]
    few = np.arange(len(X)) < (n_few[0] if n_few else 0)
    return np.array([result.estimate, result.corrected, *result.confidence_interval, few])


def cell(metric: str, n_bins: int, skew: str, sizes: tuple[int, int], share: float, repeats: int) -> np.ndarray:
    """Coverage where the limits are finite, the share of these, of warnings, and means: bias, corrected, width."""
    rng, found = np.random.default_rng([n_bins, *sizes, SKEWS.index(skew), int(100 * share)]), []
    for _ in range(N_DRAWS):
        p, q = two(rng, n_bins, skew, share, metric)
        X, Y = (rng.multinomial(size, each, size=repeats // N_DRAWS) for size, each in zip(sizes, (p, q), strict=True))
        estimate, corrected, low, high, few = intervals(X, Y, metric)
        true = divergences()[metric](p, q) if share else 0.0
        hits = (low <= true) & (true <= high)
        found.append(np.array([hits, np.isfinite(high), few, estimate - true, corrected - true, high - low]))
    hits, finite, few, bias, corrected, width = np.hstack(found)
    finite = finite.astype(bool)
    means = [each[finite].mean() if finite.any() else np.nan for each in (hits, bias, corrected, width)]
    return np.array([means[0], finite.mean(), few.mean(), *means[1:]])


def coverage(found: np.ndarray) -> str:
    """In per cent; in parentheses where most pairs were warned about."""
    if found[1] < 0.5:
        return "∞"
    text = f"{100 * found[0]:.0f}"
    return f"({text})" if found[2] >= 0.5 else text


def table_of_counts(parallel: Parallel, repeats: int) -> str:
    """Each cell: coverage where the truth is 0, small and large."""
    head = [f"`{metric}`: 0, small, large" for metric in METRICS]
    lines = [
        f"| bins | skew | observations | {' | '.join(head)} | bias of `js_distance` | corrected | width |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for n_bins, skew, size in product((5, 20, 50), SKEWS, (100, 300, 1000, 10_000)):
        cases = list(product(METRICS, SHARES.values()))
        results = parallel(delayed(cell)(metric, n_bins, skew, (size, size), share, repeats) for metric, share in cases)
        by_metric = np.array(results).reshape(len(METRICS), len(SHARES), -1)
        cells = [", ".join(map(coverage, each)) for each in by_metric]
        bias, corrected, width = by_metric[0, 1, 3:]
        lines.append(
            f"| {n_bins} | {skew} | {size:,} | {' | '.join(cells)} | {bias:+.3f} | {corrected:+.3f} | {width:.3f} |"
        )
        print(lines[-1], flush=True)
    return "\n".join(lines)


def table_of_unequal(parallel: Parallel, repeats: int) -> str:
    """Of js_distance: few bins, and rows of unequal totals."""
    both = [(100, 100), (100, 10_000), (10_000, 100), (1000, 10_000), (10_000, 1000)]
    head = " | ".join(f"{one:,} and {other:,}" for one, other in both)
    lines = [f"| bins | skew | {head} |", "| --- | --- |" + " --- |" * len(both)]
    for n_bins, skew in product((2, 5, 20), SKEWS):
        cases = list(product(both, SHARES.values()))
        results = parallel(delayed(cell)("js_distance", n_bins, skew, sizes, share, repeats) for sizes, share in cases)
        by_sizes = np.array(results).reshape(len(both), len(SHARES), -1)
        lines.append(f"| {n_bins} | {skew} | {' | '.join(', '.join(map(coverage, each)) for each in by_sizes)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


# --- Bins of few counts, and bursts ---

OF_RARE: dict[str, tuple[str, float]] = {
    **{f"`{metric}`": (metric, 0.0) for metric in METRICS},
    **{f"`{metric}`, pseudocount ½": (metric, 0.5) for metric in ("kl", "jeffreys", "chi2")},
}


def cell_of_rare(name: str, size: int, metric: str, pseudocount: float, repeats: int) -> np.ndarray:
    """The shares of intervals that hold the truth, that are finite, and that have a warning of few counts."""
    two_of = REGIMES[name][0] if name in REGIMES else OF_BLOCKS[name][0]
    rng, found = np.random.default_rng([len(name), size]), []
    for _ in range(N_DRAWS):
        p, q = two_of(rng)
        options: dict[str, Any] = {"pseudocount": pseudocount} if pseudocount else {}
        n = max(2, repeats // N_DRAWS)
        if name in REGIMES:
            X, Y = (rng.multinomial(size, each, size=n) for each in (p, q))
        else:
            options["blocks"], options["Y_blocks"] = (OF_BLOCKS[name][1](each, (n, size), rng) for each in (p, q))
            X, Y = (options[each].sum(axis=1) for each in ("blocks", "Y_blocks"))
        _, _, low, high, few = intervals(X, Y, metric, **options)
        true = 0.0 if p is q else divergences()[metric](p, q)
        found.append(np.array([(low <= true) & (true <= high), np.isfinite(high), few]))
    shares: np.ndarray = np.hstack(found).mean(axis=1)
    return shares


def text_of_rare(found: np.ndarray) -> str:
    """In per cent; in parentheses where most pairs were warned about, and with ∞ where most intervals reach there."""
    text = f"{100 * found[0]:.0f}{' ∞' if found[1] < 0.5 else ''}"
    return f"({text})" if found[2] >= 0.5 else text


def table_of_rare(parallel: Parallel, repeats: int) -> str:
    lines = [
        f"| distributions | observations | {' | '.join(OF_RARE)} |",
        "| --- | --- |" + " --- |" * len(OF_RARE),
    ]
    for name, (two_of, sizes) in REGIMES.items():
        many = len(two_of(np.random.default_rng(0))[0]) > 100
        for size in sizes:
            cells = parallel(
                delayed(cell_of_rare)(name, size, *of, repeats // 5 if many else repeats) for of in OF_RARE.values()
            )
            lines.append(f"| {name} | {size:,} | {' | '.join(map(text_of_rare, cells))} |")
            print(lines[-1], flush=True)
    return "\n".join(lines)


def table_of_bursts(parallel: Parallel, repeats: int) -> str:
    metrics = ("js_distance", "hellinger")
    lines = [
        f"| distributions | blocks | {' | '.join(f'`{each}`' for each in metrics)} |",
        "| --- | --- |" + " --- |" * len(metrics),
    ]
    for name, (_, _, sizes) in OF_BLOCKS.items():
        for size in sizes:
            cells = parallel(delayed(cell_of_rare)(name, size, each, 0.0, repeats) for each in metrics)
            lines.append(f"| {name} | {size} | {' | '.join(map(text_of_rare, cells))} |")
            print(lines[-1], flush=True)
    return "\n".join(lines)


# --- Blocks ---


def bootstrap(X: np.ndarray, Y: np.ndarray, seed: int, n_resamples: int = 399) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the Jensen-Shannon terms, and their values when blocks are drawn with replacement."""
    rng, term = np.random.default_rng(seed), divergences()["js_divergence"].term

    def rows(blocks: np.ndarray, weights: np.ndarray) -> np.ndarray:
        sums = np.einsum("nrb,nbk->nrk", weights, blocks)
        return sums / sums.sum(axis=-1, keepdims=True)

    drawn = [
        rng.multinomial(each.shape[1], np.full(each.shape[1], 1 / each.shape[1]), size=(len(each), n_resamples))
        for each in (X, Y)
    ]
    total = term(*(rows(each, np.ones((len(each), 1, each.shape[1]))) for each in (X, Y))).sum(axis=-1)[:, 0]
    return total, term(rows(X, drawn[0]), rows(Y, drawn[1])).sum(axis=-1)


def of_bootstrap(X: np.ndarray, Y: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The basic interval, and the one of the noncentral chi-squared by the moments of the bootstrap."""
    total, values = bootstrap(X, Y, seed)
    ends = np.quantile(values, [(1 + LEVEL) / 2, (1 - LEVEL) / 2], axis=1)
    n_blocks, n_bins = X.shape[1:]
    more = n_blocks / (n_blocks - 1)  # a bootstrap of so few blocks varies by as much less
    bias, variance = more * (values.mean(axis=1) - total), more * values.var(axis=1)
    # Of c |z|² it finds 4 c T + 2 c B, where the jackknife finds 4 c T.
    variance *= 4 * total / (4 * total + 2 * np.maximum(bias, 0))
    quantile = np.full(len(X), student.isf((1 - LEVEL) / 2, n_blocks - 1))
    basic = tuple(np.maximum(2 * total - each, 0) for each in ends)
    return [basic, limits(total, bias, variance, np.full(len(X), n_bins), quantile)]


def cell_of_blocks(n_bins: int, n_blocks: int, concentration: float, share: float, repeats: int) -> np.ndarray:
    """Coverage by the jackknife of blocks, two bootstraps of them, and the jackknife of observations."""
    rng, hits = np.random.default_rng([n_bins, n_blocks, int(concentration), int(100 * share)]), []
    for draw in range(N_DRAWS):
        p = rng.dirichlet(np.ones(n_bins))
        q = (1 - share) * p + share * rng.dirichlet(np.ones(n_bins))
        true = divergences()["js_divergence"](p, q) if share else 0.0
        shape = repeats // N_DRAWS, n_blocks
        X, Y = (rng.multinomial(50, rng.dirichlet(concentration * each + 1e-3, shape)) for each in (p, q))
        rows = X.sum(axis=1), Y.sum(axis=1)
        by_blocks = intervals(*rows, "js_divergence", blocks=X, Y_blocks=Y)[2:4]
        by_observations = intervals(*rows, "js_divergence")[2:4]
        all_ends = [by_blocks, *of_bootstrap(X, Y, draw), by_observations]
        hits.append([((low <= true) & (true <= high)).mean() for low, high in all_ends])
    return np.mean(hits, axis=0)


def table_of_blocks(parallel: Parallel, repeats: int) -> str:
    methods = "jackknife of blocks | bootstrap, basic | bootstrap, χ² | jackknife of observations"
    lines = [
        f"| bins | blocks | concentration | {methods} |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for n_bins, n_blocks, concentration in product((5, 20), (6, 10, 30), (20.0, 200.0)):
        cells = parallel(
            delayed(cell_of_blocks)(n_bins, n_blocks, concentration, share, repeats) for share in SHARES.values()
        )
        columns = [", ".join(f"{100 * each:.0f}" for each in column) for column in np.transpose(cells)]
        lines.append(f"| {n_bins} | {n_blocks} | {concentration:g} | {' | '.join(columns)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


# --- A kink ---


def cell_of_kink(n_bins: int, size: int, share: float, repeats: int) -> float:
    estimator = Estimator(divergences()["total_variation"], 1.0, LEVEL, 0.0)
    rng, hits = np.random.default_rng([n_bins, size, int(100 * share)]), []
    for _ in range(N_DRAWS):
        p, q = two(rng, n_bins, "Dirichlet", share, "total_variation")
        X, Y = (rng.multinomial(size, each, size=repeats // N_DRAWS).astype(float) for each in (p, q))
        low, high = estimator.pairs(Sample(Distributions(X)), Sample(Distributions(Y)))[3:5]
        true = np.abs(p - q).sum() / 2
        hits.append(((low <= true) & (true <= high)).mean())
    return float(np.mean(hits))


def table_of_kink(parallel: Parallel, repeats: int) -> str:
    lines = ["| bins | observations | 0 | small | large |", "| --- | --- | --- | --- | --- |"]
    for n_bins, size in product((5, 50), (1000, 10_000)):
        cells = parallel(delayed(cell_of_kink)(n_bins, size, share, repeats) for share in SHARES.values())
        lines.append(f"| {n_bins} | {size:,} | {' | '.join(f'{100 * each:.0f}' for each in cells)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few repeats, nothing written")
    parser.add_argument("--only", metavar="NAME", help="one table: counts, unequal, rare, blocks, bursts or kink")
    arguments = parser.parse_args()
    tables: list[tuple[str, Callable[[Parallel, int], str], int]] = [
        ("counts", table_of_counts, 2000),
        ("unequal", table_of_unequal, 2000),
        ("rare", table_of_rare, 2000),
        ("blocks", table_of_blocks, 800),
        ("bursts", table_of_bursts, 400),
        ("kink", table_of_kink, 2000),
    ]
    with Parallel(n_jobs=-1) as parallel:
        for name, make, repeats in tables:
            if arguments.only not in (None, name):
                continue
            start = time.perf_counter()
            table = make(parallel, 40 if arguments.quick else repeats)
            print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
            if not arguments.quick:
                marks.write(DOCS, name, table)


if __name__ == "__main__":
    main()
