"""Does `Significance` find clusters where there are none, and does it find those that there are?

    python benchmarks/calibration.py [--quick] [--only NAME] [--n-jobs N]

writes the tables of docs/how_many_clusters.md. The hypothesis is simulated over numbers of bins, totals and skews, and
for blocks over how much they differ, how many a row has, and whether all rows have as many; what counts is the
family-wise rate, of any split at all, which may be alpha at the most. The tables are

- null, power: rows of independent observations, of one distribution or of three
- divided: how often the test divides the rows of one true cluster
- blocks, sizes, digits: rows that are sums of blocks, of one size or not; images of digits
- chi2: tests of two rows
- languages: counts so large that everything is significant
- speed: the times that issue 13 asks for, of two workers (alone on the machine)
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from itertools import product
from pathlib import Path

import marks
import numpy as np
from joblib import Parallel, delayed
from scipy.stats import binomtest
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score

from skdiv import DivergenceClustering, Significance, pairwise_homogeneity
from skdiv.datasets import load_languages

DOCS = Path(__file__).resolve().parents[1] / "docs" / "how_many_clusters.md"
ALPHA = 0.05
N_RESAMPLES = 199
ROWS = 20

TOTALS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "30 each": lambda rng: np.full(ROWS, 30),  # noqa: ARG005
    "300 each": lambda rng: np.full(ROWS, 300),  # noqa: ARG005
    "5 to 5,000": lambda rng: np.exp(rng.uniform(np.log(5), np.log(5000), ROWS)).astype(int),
}
SKEWS = {"even": np.inf, "skewed": 0.3}
MODELS = {
    "ward": {"linkage": "ward"},
    "average": {"linkage": "average"},
    "information": {"linkage": "information"},
}


def distribution(rng: np.random.Generator, n_bins: int, skew: float) -> np.ndarray:
    return np.full(n_bins, 1 / n_bins) if np.isinf(skew) else rng.dirichlet(np.full(n_bins, skew))


def fitted(X: np.ndarray, model: str, seed: int, blocks: list[np.ndarray] | None = None) -> DivergenceClustering:
    rule = Significance(ALPHA, N_RESAMPLES, seed)
    weights = "counts" if model == "information" else None
    with warnings.catch_warnings():  # of totals and sizes that differ, which is what is simulated
        warnings.simplefilter("ignore", UserWarning)
        return DivergenceClustering(rule, **MODELS[model]).fit(X, sample_weight=weights, blocks=blocks)


# --- Nothing to find ---


def splits_homogeneous(model: str, n_bins: int, totals: str, skew: str, seed: int) -> bool:
    rng = np.random.default_rng(seed)
    p = distribution(rng, n_bins, SKEWS[skew])
    X = np.array([rng.multinomial(total, p) for total in TOTALS[totals](rng)])
    return fitted(X, model, seed).n_clusters_ > 1


def null_table(parallel: Parallel, repeats: int) -> str:
    lines = [
        "| bins | skew | observations a row | ward | average | information |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    all_splits = dict.fromkeys(MODELS, 0)
    cases = list(product((5, 50, 500), SKEWS, TOTALS))
    for n_bins, skew, totals in cases:
        cells = []
        for model in MODELS:

            def splits_of(seeds: range, case: tuple[str, int, str, str] = (model, n_bins, totals, skew)) -> int:
                return sum(parallel(delayed(splits_homogeneous)(*case, seed) for seed in seeds))

            splits = splits_of(range(repeats))
            all_splits[model] += splits
            cells.append(rate(splits, repeats))
            interval = binomtest(splits, repeats).proportion_ci()
            if not interval.low <= ALPHA <= interval.high:
                cells[-1] += "; " + rate(splits_of(range(10_000, 12_000)), 2000)
        lines.append(f"| {n_bins} | {skew} | {totals} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    together = " | ".join(rate(splits, repeats * len(cases)) for splits in all_splits.values())
    return "\n".join([*lines, f"| all | | | {together} |"])


def rate(hits: int, of: int) -> str:
    """In per cent, with its 95 % confidence interval (Clopper and Pearson)."""
    interval = binomtest(hits, of).proportion_ci()
    return f"{100 * hits / of:.1f} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


# --- Three clusters to find ---


def found(model: str, distance: float, total: int, seed: int) -> tuple[float, float]:
    """The adjusted Rand index, and whether three clusters were found."""
    rng = np.random.default_rng(seed)
    common, own = rng.dirichlet(np.ones(50)), rng.dirichlet(np.ones(50), 3)
    labels = np.repeat(np.arange(3), 10)
    X = np.array([rng.multinomial(total, (1 - distance) * common + distance * own[label]) for label in labels])
    clustering = fitted(X, model, seed)
    return adjusted_rand_score(labels, clustering.labels_), clustering.n_clusters_ == 3


def power_table(parallel: Parallel, repeats: int) -> str:
    lines = [
        "| share of its own | observations a row | ward | average | information |",
        "| --- | --- | --- | --- | --- |",
    ]
    for distance, total in product((0.2, 0.5, 1.0), (30, 100, 1000)):
        cells = []
        for model in MODELS:
            results = np.array(parallel(delayed(found)(model, distance, total, seed) for seed in range(repeats)))
            ari, three = results.mean(axis=0)
            cells.append(f"{ari:.2f} ({100 * three:.0f} %)".replace("-0.00", "0.00"))
        lines.append(f"| {distance:g} | {total} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


# --- Is one of them divided? ---

SIZES = {"10, 10, 10": (10, 10, 10), "22, 6, 2": (22, 6, 2)}


def divides(model: str, sizes: str, distance: float, total: int, seed: int) -> bool:
    """Whether rows of one true cluster get several labels."""
    rng = np.random.default_rng(seed)
    common, own = rng.dirichlet(np.ones(50)), rng.dirichlet(np.ones(50), 3)
    labels = np.repeat(np.arange(3), SIZES[sizes])
    X = np.array([rng.multinomial(total, (1 - distance) * common + distance * own[label]) for label in labels])
    found = fitted(X, model, seed).labels_
    return any(len(set(found[labels == label])) > 1 for label in range(3))


def divided_table(parallel: Parallel, repeats: int) -> str:
    lines = [
        "| rows of each cluster | share of its own | observations a row | ward | average | information |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for sizes, distance, total in product(SIZES, (0.2, 0.5), (100, 300, 1000)):
        cells = []
        for model in MODELS:
            case = model, sizes, distance, total
            hits = sum(parallel(delayed(divides)(*case, seed) for seed in range(repeats)))
            cells.append(rate(hits, repeats))
        lines.append(f"| {sizes} | {distance:g} | {total:,} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


# --- Blocks ---

CONCENTRATIONS = (2, 10, 50)
NUMBERS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "6": lambda rng: np.full(8, 6),  # noqa: ARG005
    "3 to 12": lambda rng: rng.integers(3, 13, 8),
    "20": lambda rng: np.full(8, 20),  # noqa: ARG005
    "10 to 40": lambda rng: rng.integers(10, 41, 8),
}


def blocks_of(rng: np.random.Generator, p: np.ndarray, concentration: float, totals: np.ndarray) -> np.ndarray:
    """Blocks with these totals, of which each has a distribution of its own around p."""
    own = rng.dirichlet(concentration * p + 1e-6, len(totals))
    return np.array([rng.multinomial(total, q) for total, q in zip(totals, own, strict=True)])


def splits_blocks(model: str, concentration: float, numbers: str, with_blocks: bool, seed: int) -> bool:
    """Whether eight rows of 20 bins are split, whose blocks of 50 observations scatter around one distribution."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(20, 0.5))
    blocks = [blocks_of(rng, p, concentration, np.full(n, 50)) for n in NUMBERS[numbers](rng)]
    X = np.array([each.sum(axis=0) for each in blocks])
    return fitted(X, model, seed, blocks if with_blocks else None).n_clusters_ > 1


def blocks_table(parallel: Parallel, repeats: int) -> str:
    lines = [
        "| concentration | blocks a row | ward | average | information | ward, without blocks |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    all_splits = dict.fromkeys(MODELS, 0)
    cases = list(product(CONCENTRATIONS, NUMBERS))
    for concentration, numbers in cases:

        def splits_of(
            model: str, seeds: range, with_blocks: bool = True, case: tuple[float, str] = (concentration, numbers)
        ) -> int:
            return sum(parallel(delayed(splits_blocks)(model, *case, with_blocks, seed) for seed in seeds))

        cells = []
        for model in MODELS:
            splits = splits_of(model, range(repeats))
            all_splits[model] += splits
            cells.append(rate(splits, repeats))
            interval = binomtest(splits, repeats).proportion_ci()
            if not interval.low <= ALPHA <= interval.high:
                cells[-1] += "; " + rate(splits_of(model, range(10_000, 10_000 + 7 * repeats)), 7 * repeats)
        cells.append(rate(splits_of("ward", range(repeats), False), repeats))
        lines.append(f"| {concentration} | {numbers} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    together = " | ".join(rate(splits, repeats * len(cases)) for splits in all_splits.values())
    return "\n".join([*lines, f"| all | | {together} | |"])


BLOCK_SIZES = {
    "50 in all rows": [50] * 8,
    "50 and 75, in half of the rows each": [50, 75] * 4,
    "50 and 100": [50, 100] * 4,
    "50 and 250": [50, 250] * 4,
    "250 in one row, 50 in the others": [250] + [50] * 7,
    "50 in one row, 100 in the others": [50] + [100] * 7,
    "20 in one row, 100 in the others": [20] + [100] * 7,
}


def splits_sizes(model: str, sizes: str, seed: int) -> bool:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(20, 0.5))
    blocks = [blocks_of(rng, p, 30, np.full(6, total)) for total in BLOCK_SIZES[sizes]]
    return fitted(np.array([each.sum(axis=0) for each in blocks]), model, seed, blocks).n_clusters_ > 1


def sizes_table(parallel: Parallel, repeats: int) -> str:
    lines = ["| observations a block | ward | average | information |", "| --- | --- | --- | --- |"]
    for sizes in BLOCK_SIZES:
        hits = [sum(parallel(delayed(splits_sizes)(model, sizes, seed) for seed in range(repeats))) for model in MODELS]
        lines.append(f"| {sizes} | {' | '.join(rate(each, repeats) for each in hits)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def digits(model: str, with_blocks: bool, seed: int) -> tuple[int, float]:
    """The number of clusters of 30 rows of 20 images of one digit each, and the adjusted Rand index with the digits."""
    images, digit_of = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(np.flatnonzero(digit_of == digit))[:60] for digit in range(10)]
    blocks = images[np.concatenate(drawn)].reshape(30, 20, -1)
    clustering = fitted(blocks.sum(axis=1), model, seed, blocks if with_blocks else None)
    return clustering.n_clusters_, adjusted_rand_score(np.repeat(np.arange(10), 3), clustering.labels_)


def digits_table(parallel: Parallel, repeats: int) -> str:
    lines = [
        "| linkage | what is exchanged | clusters | mean adjusted Rand index | 10 clusters with .95 or more |",
        "| --- | --- | --- | --- | --- |",
    ]
    for with_blocks, model in product((True, False), MODELS):
        results = parallel(delayed(digits)(model, with_blocks, seed) for seed in range(repeats))
        numbers, scores = np.array(results).T
        good = np.count_nonzero((numbers == 10) & (scores >= 0.95))
        span = f"{numbers.min():.0f}" + ("" if numbers.min() == numbers.max() else f" to {numbers.max():.0f}")
        what = "images" if with_blocks else "grey levels, one by one"
        lines.append(f"| {model} | {what} | {span} | {scores.mean():.2f} | {good} of {repeats} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


# --- Tests of two rows ---

PAIRS: dict[str, tuple[Callable[[np.random.Generator], np.ndarray], tuple[int, int]]] = {
    "50 skewed bins, 30 observations each": (lambda rng: rng.dirichlet(np.full(50, 0.3)), (30, 30)),
    "50 skewed bins, 100 each": (lambda rng: rng.dirichlet(np.full(50, 0.3)), (100, 100)),
    "50 skewed bins, 1,000 each": (lambda rng: rng.dirichlet(np.full(50, 0.3)), (1000, 1000)),
    "50 skewed bins, 10,000 each": (lambda rng: rng.dirichlet(np.full(50, 0.3)), (10_000, 10_000)),
    "5,000 bins as words in a text (Zipf), 5,000 each": (lambda rng: zipf(5000), (5000, 5000)),  # noqa: ARG005
    "the same, 50,000 each": (lambda rng: zipf(5000), (50_000, 50_000)),  # noqa: ARG005
    "500 even bins, 100 and 100,000": (lambda rng: np.full(500, 1 / 500), (100, 100_000)),  # noqa: ARG005
}


def zipf(n_bins: int) -> np.ndarray:
    weights = 1 / np.arange(1, n_bins + 1)
    return weights / weights.sum()


def rejects(pair: str, seed: int) -> tuple[bool, bool]:
    rng = np.random.default_rng(seed)
    draw, totals = PAIRS[pair]
    p = draw(rng)
    X = np.array([rng.multinomial(total, p) for total in totals])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        by_chi2 = pairwise_homogeneity(X, method="chi2").pvalue[0, 1]
    by_permutation = pairwise_homogeneity(X, n_resamples=N_RESAMPLES, random_state=seed).pvalue[0, 1]
    return by_chi2 <= ALPHA, by_permutation <= ALPHA


def chi2_table(parallel: Parallel, repeats: int) -> str:
    lines = ['| two rows of one distribution | `method="chi2"` | `method="permutation"` |', "| --- | --- | --- |"]
    for pair in PAIRS:
        hits = np.array(parallel(delayed(rejects)(pair, seed) for seed in range(repeats))).sum(axis=0)
        lines.append(f"| {pair} | {' | '.join(rate(int(each), repeats) for each in hits)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


# --- Time ---


def speed(_: Parallel, n_jobs: int) -> str:
    """The seconds of the fits that issue 13 names, after one that compiles and starts the workers."""
    rng = np.random.default_rng(0)
    five, all_differ = rng.dirichlet(np.ones(50), 5), rng.dirichlet(np.ones(50), 300)
    cases = {
        "1,000 rows of 50 bins, five clusters": [five[i % 5] for i in range(1000)],
        "300 rows of 50 bins, all of which differ": list(all_differ),
    }
    lines = ["| rows | clusters | seconds |", "| --- | --- | --- |"]
    for name, distributions in cases.items():
        X = np.array([rng.multinomial(1000, p) for p in distributions])
        DivergenceClustering(Significance(random_state=0), n_jobs=n_jobs).fit(X[:60])
        start = time.perf_counter()
        clustering = DivergenceClustering(Significance(random_state=0), n_jobs=n_jobs).fit(X)
        lines.append(f"| {name} | {clustering.n_clusters_} | {time.perf_counter() - start:.1f} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


# --- Counts so large that everything is significant ---


def languages(_: Parallel, n_resamples: int) -> str:
    rule = Significance(ALPHA, n_resamples, random_state=0)
    with warnings.catch_warnings():  # of totals that differ
        warnings.simplefilter("ignore", UserWarning)
        clustering = DivergenceClustering(rule, linkage="average", n_jobs=-1).fit(load_languages().data)
    n_tested = np.count_nonzero(np.isfinite(clustering.node_pvalues_))
    return (
        f"`Significance(n_resamples={n_resamples}, random_state=0)` with average linkage finds "
        f"{clustering.n_clusters_} clusters: of {n_tested} merges tested {clustering.n_clusters_ - 1} are significant."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few repeats, nothing written")
    parser.add_argument("--only", metavar="NAME", help="one table, by its name")
    parser.add_argument("--n-jobs", type=int, default=-1, help="the number of workers; all cores by default")
    arguments = parser.parse_args()
    quick = arguments.quick
    tables: dict[str, tuple[Callable[[Parallel, int], str], int]] = {
        "chi2": (chi2_table, 20 if quick else 2000),
        "blocks": (blocks_table, 5 if quick else 300),
        "sizes": (sizes_table, 5 if quick else 300),
        "digits": (digits_table, 2 if quick else 10),
        "null": (null_table, 5 if quick else 300),
        "power": (power_table, 3 if quick else 40),
        "divided": (divided_table, 3 if quick else 100),
        "languages": (languages, 9 if quick else 99),
        "speed": (speed, 2),
    }
    with Parallel(n_jobs=arguments.n_jobs) as parallel:
        for name, (make, repeats) in tables.items():
            if arguments.only not in (None, name):
                continue
            start = time.perf_counter()
            table = make(parallel, repeats)
            print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
            if not quick:
                marks.write(DOCS, name, table)


if __name__ == "__main__":
    main()
