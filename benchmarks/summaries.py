"""What `MiniBatchDivergenceClustering` costs and keeps: beside a bare product, and beside the tree of all rows.

    python benchmarks/summaries.py          # a few minutes
    python benchmarks/summaries.py --large  # a million rows as well

prints tables. Times are of two workers, and medians of interleaved repetitions; a ratio is the median of the ratios.
"""

import argparse
import time
import tracemalloc
from statistics import median

import numpy as np
from sklearn.metrics import adjusted_rand_score

from skdiv import DivergenceClustering, MiniBatchDivergenceClustering
from skdiv.cluster._collection import Collection
from skdiv.cluster._reduction import total_information
from skdiv.cluster._summaries import summarised

N_BINS = 64


def planted(n, n_clusters, seed=0):
    """Counts of 200 around centers of a Dirichlet distribution, and the cluster of each row."""
    rng = np.random.default_rng(seed)
    centers, labels = rng.dirichlet(np.full(N_BINS, 0.5), n_clusters), rng.integers(0, n_clusters, n)
    X = np.empty((n, N_BINS))
    for start in range(0, n, 50_000):  # multinomial would take eight times the memory of the result
        some = slice(start, start + 50_000)
        X[some] = rng.multinomial(200, centers[labels[some]])
    return X, labels


def flat(n, n_clusters=0, seed=0):  # noqa: ARG001
    """Rows of a Dirichlet distribution, which has no clusters."""
    return np.random.default_rng(seed).dirichlet(np.full(N_BINS, 0.5), n), None


def text_like(n, n_clusters, n_bins=256, seed=0):
    """Counts of some 85 words, of a vocabulary by Zipf's law, in documents that mix topics."""
    rng = np.random.default_rng(seed)
    zipf = 1 / np.arange(1, n_bins + 1)
    topics = rng.dirichlet(zipf / zipf.sum() * n_bins / 5, n_clusters)
    mixtures = rng.dirichlet(np.full(n_clusters, 0.1), n)
    return rng.multinomial(rng.poisson(80, n) + 5, mixtures @ topics).astype(np.float64), None


def seconds(function):
    """The time that a call takes, and its result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def retained(X, labels):
    """The share of the information that clusters retain, from the definition."""
    P = X / X.sum(axis=1, keepdims=True)

    def of_clusters(labels):
        k = int(labels.max()) + 1
        masses = np.bincount(labels, minlength=k) / len(labels)
        sums = np.array([P[labels == label].sum(axis=0) for label in range(k)]) / len(labels)
        mean = sums.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.nansum(sums * np.log(sums / masses[:, np.newaxis] / mean))

    with np.errstate(divide="ignore", invalid="ignore"):
        total = np.nansum(P * np.log(P / P.mean(axis=0))) / len(P)
    return of_clusters(labels) / total


def one_pass(n=250_000, n_summaries=2000, repetitions=5):
    """The pass that summarises, beside the product of the rows with as many others in single precision."""
    X, _ = planted(n, 50)
    single, rows = X.astype(np.float32), Collection(X, np.ones(n), n_jobs=2)
    out = np.empty((n // 10, n_summaries), np.float32)

    def product():
        for start in range(0, n, len(out)):
            np.matmul(single[start : start + len(out)], single[:n_summaries].T, out=out)

    rows, mean = rows.checked()
    total, taken = total_information(rows, mean), []
    for _ in range(repetitions):
        bare = seconds(product)[0]
        whole = seconds(lambda: summarised(rows, mean, total, n_summaries, np.random.RandomState(0)))[0]
        taken.append((bare, whole, whole / bare))
    bare, whole, ratio = map(median, zip(*taken, strict=True))
    print(f"one pass, {n:,} × {N_BINS}, {n_summaries} summaries: {whole:.2f} s, product {bare:.2f} s, {ratio:.2f} ×")


def beside_the_tree(n=10_000):
    """What is kept and how long it takes, beside the tree of all rows with the same refinement."""
    print(
        f"| {n:,} rows | clusters | information kept | by the tree of all rows | share of that | summaries | seconds "
        "| of the tree | ratio |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for make in (planted, flat, text_like):
        for k in (20, 50, 100, 200):
            X, _ = make(n, k)
            small = MiniBatchDivergenceClustering(k, random_state=0, n_jobs=2)
            whole = DivergenceClustering(k, linkage="information", refine=5, assign="center", n_jobs=2)
            first, _ = seconds(lambda: small.fit(X))  # noqa: B023
            of_tree, _ = seconds(lambda: whole.fit(X))  # noqa: B023
            ours = median([first, *(seconds(lambda: small.fit(X))[0] for _ in range(2))])  # noqa: B023
            kept, expected = small.information_retained_, retained(X, whole.labels_)
            print(
                f"| {make.__name__} | {k} | {kept:.4f} | {expected:.4f} | {kept / expected:.3f} "
                f"| {len(small.summaries_)} | {ours:.2f} | {of_tree:.2f} | {ours / of_tree:.3f} |",
                flush=True,
            )


def streams(n=100_000, n_clusters=50, batch=5000):
    """A stream sorted by cluster, beside a shuffled one, and beside `fit`."""
    X, labels = planted(n, n_clusters)
    whole = MiniBatchDivergenceClustering(n_clusters, random_state=0, n_jobs=2).fit(X)
    print(f"fit: kept {whole.information_retained_:.4f}, ARI {adjusted_rand_score(labels, whole.labels_):.4f}")
    for name, order in [("sorted", np.argsort(labels, kind="stable")), ("shuffled", np.arange(n))]:
        stream = MiniBatchDivergenceClustering(n_clusters, random_state=0, n_jobs=2)
        taken, _ = seconds(lambda: [stream.partial_fit(X[order[k : k + batch]]) for k in range(0, n, batch)])  # noqa: B023
        found = adjusted_rand_score(labels, stream.predict(X))
        print(f"{name} stream: kept {stream.information_retained_:.4f}, ARI {found:.4f}, {taken:.1f} s", flush=True)


def large():
    """All of `fit`, from a hundred thousand rows to a million."""
    print("| all of fit | 100,000 rows | 1,000,000 rows | ratio | information kept | adjusted Rand index |")
    print("| --- | --- | --- | --- | --- | --- |")
    for make, k in [(planted, 50), (planted, 200), (flat, 50)]:
        taken = []
        for n in (100_000, 1_000_000):
            X, labels = make(n, k)
            model = MiniBatchDivergenceClustering(k, random_state=0, n_jobs=2)
            taken.append(seconds(lambda: model.fit(X))[0])  # noqa: B023
        found = "no clusters" if labels is None else f"{adjusted_rand_score(labels, model.labels_):.4f}"
        kept, ratio = f"{model.information_retained_:.4f}", f"{taken[1] / taken[0]:.1f} ×"
        cells = f"{taken[0]:.1f} s | {taken[1]:.1f} s | {ratio} | {kept} | {found}"
        print(f"| {make.__name__}, {k} clusters | {cells} |", flush=True)
    tracemalloc.start()
    MiniBatchDivergenceClustering(50, random_state=0, n_summaries=2000, refine=1, n_jobs=2).fit(X)
    print(f"memory beyond the input: {tracemalloc.get_traced_memory()[1] / 2**20:.0f} MiB")
    tracemalloc.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--large", action="store_true")
    options = parser.parse_args()
    MiniBatchDivergenceClustering(2, random_state=0).fit(planted(2000, 2)[0])  # compiles
    one_pass()
    streams()
    beside_the_tree()
    if options.large:
        large()


if __name__ == "__main__":
    main()
