"""Does `Significance` find clusters where there are none, and does it find those that there are?

    python benchmarks/calibration.py [--quick] [--only NAME]

writes the tables of docs/how_many_clusters.md. The hypothesis is simulated over numbers of bins, totals and skews; what
counts is the family-wise rate, of any split at all, which may be alpha at the most.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import binomtest
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


def fitted(X: np.ndarray, model: str, seed: int) -> DivergenceClustering:
    rule = Significance(ALPHA, N_RESAMPLES, seed)
    weights = X.sum(axis=1) if model == "information" else None
    return DivergenceClustering(rule, **MODELS[model]).fit(X, sample_weight=weights)


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
            cells.append(f"{ari:.2f} ({100 * three:.0f} %)")
        lines.append(f"| {distance:g} | {total} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


# --- Tests of two rows ---


def rejects(total: int, seed: int) -> tuple[bool, bool]:
    rng = np.random.default_rng(seed)
    X = rng.multinomial(total, rng.dirichlet(np.full(50, SKEWS["skewed"])), size=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        by_chi2 = pairwise_homogeneity(X, method="chi2").pvalue[0, 1]
    by_permutation = pairwise_homogeneity(X, n_resamples=N_RESAMPLES, random_state=seed).pvalue[0, 1]
    return by_chi2 <= ALPHA, by_permutation <= ALPHA


def chi2_table(parallel: Parallel, repeats: int) -> str:
    lines = ['| observations a row | `method="chi2"` | `method="permutation"` |', "| --- | --- | --- |"]
    for total in (30, 100, 1000, 10_000):
        hits = np.array(parallel(delayed(rejects)(total, seed) for seed in range(repeats))).sum(axis=0)
        lines.append(f"| {total:,} | {' | '.join(rate(int(each), repeats) for each in hits)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


# --- Counts so large that everything is significant ---


def languages(_: Parallel, n_resamples: int) -> str:
    rule = Significance(ALPHA, n_resamples, random_state=0)
    clustering = DivergenceClustering(rule, linkage="average", n_jobs=-1).fit(load_languages().data)
    tested = clustering.node_pvalues_[np.isfinite(clustering.node_pvalues_)]
    return (
        f"`Significance(n_resamples={n_resamples}, random_state=0)` with average linkage finds "
        f"{clustering.n_clusters_} clusters: of {len(tested)} merges tested the highest p-value is {tested.max():.2g}."
    )


def write(name: str, table: str) -> None:
    """Between the marks of that name."""
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, rest = DOCS.read_text(encoding="utf-8").split(start)
    DOCS.write_text(f"{before}{start}{table}\n{end}{rest.split(end)[1]}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few repeats, nothing written")
    parser.add_argument("--only", metavar="NAME", help="one table: chi2, null, power or languages")
    arguments = parser.parse_args()
    quick = arguments.quick
    tables: Iterator[tuple[str, Callable[[Parallel, int], str], int]] = iter([
        ("chi2", chi2_table, 20 if quick else 2000),
        ("null", null_table, 5 if quick else 300),
        ("power", power_table, 3 if quick else 40),
        ("languages", languages, 9 if quick else 99),
    ])  # fmt: skip
    with Parallel(n_jobs=-1) as parallel:
        for name, make, repeats in tables:
            if arguments.only not in (None, name):
                continue
            start = time.perf_counter()
            table = make(parallel, repeats)
            print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
            if not quick:
                write(name, table)


if __name__ == "__main__":
    main()
