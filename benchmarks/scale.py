"""What does without the matrix of all pairs: neighbours, single linkage and summaries, beside what they replace.

    pip install '.[bench]'
    python benchmarks/scale.py          # an hour or two
    python benchmarks/scale.py --quick  # some minutes, at sizes that show nothing but that it works

prints tables; without `--quick` it also writes them to docs/scale.md. The speed of a shared machine drifts, so the
contestants of a case take turns, and a ratio is the median over the turns; indices of other packages take long, and are
measured once. Recall is that of the neighbours by Jensen-Shannon, which skdiv finds exactly: a row counts as found if
it is no farther than the last true neighbour.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import version
from io import StringIO
from itertools import groupby
from pathlib import Path

import faiss
import hnswlib
import numpy as np
import scale_report
import summaries
from compare import ROOT, machine, peak_mib, seconds, shown, table
from pynndescent import NNDescent
from scipy.cluster import hierarchy

from skdiv import (
    DivergenceClustering,
    condensed_divergences,
    nearest_divergences,
    paired_divergences,
    pairwise_divergences,
)
from skdiv._compute import search

K = 10  # neighbours of a row
WORKERS = 2
RECALL = 0.98  # what an approximate index is tuned for
NEARLY = 0.005  # so near to what an exact index on √p has, an approximate one need not have more
LONG = 5  # what takes so many times as long as skdiv is not given a setting that takes longer
PAUSE = 0.2  # seconds, after which the idle threads of BLAS do not keep the processors busy any more
JUDGED = 5000  # rows whose recall is taken
SLICE = 1024  # rows of the bare product at a time
SQUARE = 5000  # rows whose matrix stands for that of all: its time grows with the square
Run = Callable[[], np.ndarray]


# --- Collections ---


def planted(n: int, n_bins: int) -> np.ndarray:
    """Counts of 500 around 200 centers."""
    rng = np.random.default_rng(0)
    centers = rng.dirichlet(np.full(n_bins, 0.5), 200)
    return rng.multinomial(500, centers[rng.integers(200, size=n)]).astype(np.float64)


def flat(n: int, n_bins: int) -> np.ndarray:
    """Rows of a Dirichlet distribution of concentration 1/2, which has no clusters."""
    return np.random.default_rng(0).dirichlet(np.full(n_bins, 0.5), n)


def text_like(n: int, n_bins: int) -> np.ndarray:
    """Counts of some 85 words, in documents that mix 50 topics."""
    return summaries.text_like(n, 50, n_bins)[0]


COLLECTIONS = {"planted": planted, "Dirichlet(½)": flat, "text-like": text_like}


@dataclass(frozen=True)
class Sizes:
    """How many rows each part has."""

    neighbours: int = 50_000
    numpy: int = 10_000
    memory: int = 200_000
    single: tuple[int, ...] = (20_000, 50_000)
    with_matrix: int = 20_000  # up to so many rows, single linkage is also computed from the matrix
    turns: int = 3


QUICK = Sizes(neighbours=2000, numpy=1000, memory=10_000, single=(5000,), turns=1)


# --- Neighbours: who finds them, and how well ---


def ours(X: np.ndarray) -> Run:
    return lambda: nearest_divergences(X, n_neighbors=K, n_jobs=WORKERS)[1]


def blocks(X: np.ndarray) -> Run:
    """The nearest of a part of the rows by the matrix of that part."""

    def run() -> np.ndarray:
        D = pairwise_divergences(X[:SQUARE], n_jobs=WORKERS)
        np.fill_diagonal(D, np.inf)
        nearest = np.argpartition(D, K, axis=1)[:, :K]
        order = np.take_along_axis(D, nearest, axis=1).argsort(axis=1)
        return np.take_along_axis(nearest, order, axis=1)

    return run


def product(X: np.ndarray) -> Run:
    """The product of all rows with all, some at a time."""
    single = X.astype(np.float32)
    out = np.empty((min(SLICE, len(X)), len(X)), dtype=np.float32)

    def run() -> np.ndarray:
        for start in range(0, len(X), SLICE):
            rows = single[start : start + SLICE]
            np.matmul(rows, single.T, out=out[: len(rows)])
        return out

    return run


def roots(X: np.ndarray) -> np.ndarray:
    """√p, whose Euclidean distances are √2 times those of Hellinger."""
    return np.sqrt(X / X.sum(axis=1, keepdims=True), dtype=np.float32, casting="same_kind")


def without_itself(found: np.ndarray) -> np.ndarray:
    """The first neighbours of each row that are not the row itself."""
    itself = found == np.arange(len(found))[:, np.newaxis]
    itself[~itself.any(axis=1), -1] = True
    return found[~itself].reshape(len(found), -1)[:, :K]


def pynndescent(X: np.ndarray, n_neighbors: int) -> Run:
    P = (X / X.sum(axis=1, keepdims=True)).astype(np.float32)
    settings = {"metric": "jensen_shannon", "n_neighbors": n_neighbors, "n_jobs": WORKERS, "random_state": 0}
    return lambda: without_itself(NNDescent(P, **settings).neighbor_graph[0])


def hnsw(X: np.ndarray, ef: int) -> Run:
    features = roots(X)

    def run() -> np.ndarray:
        index = hnswlib.Index(space="l2", dim=features.shape[1])
        index.init_index(len(features), ef_construction=200, M=16, random_seed=0)
        index.set_num_threads(WORKERS)
        index.add_items(features)
        index.set_ef(ef)
        return without_itself(index.knn_query(features, k=K + 1)[0].astype(np.intp))

    return run


def flat_faiss(X: np.ndarray, _: int) -> Run:
    features = roots(X)

    def run() -> np.ndarray:
        index = faiss.IndexFlatL2(features.shape[1])
        index.add(features)
        return without_itself(index.search(features, K + 1)[1])

    return run


# What makes an index, what its setting is called, and the settings in the order in which they are tried.
PEERS = {
    "faiss IndexFlatL2 on √p": (flat_faiss, "exact", (None,)),
    "hnswlib on √p": (hnsw, "ef", (20, 40, 80, 160, 320)),
    "pynndescent, Jensen-Shannon": (pynndescent, "n_neighbors", (15, 20, 30, 45)),
}


def recall(X: np.ndarray, found: np.ndarray, farthest: np.ndarray) -> float:
    """The share of the found rows that are no farther than the last true neighbour."""
    some = np.arange(0, len(X), max(1, len(X) // JUDGED))
    distances = paired_divergences(X[np.repeat(some, K)], X[found[some].ravel()], n_jobs=WORKERS)
    return float((distances.reshape(-1, K) <= farthest[some, np.newaxis] * (1 + 1e-9)).mean())


def of_peers(X: np.ndarray, farthest: np.ndarray, of_ours: float) -> list[str]:
    """How many times as long as we each peer takes, with the first setting that has the recall that it can have."""
    cells, wanted = [], dict.fromkeys(PEERS, RECALL)
    for name, (make, setting_name, settings) in PEERS.items():
        make(X[:1000], settings[0])()  # compiles
        for setting in settings:
            run, found = make(X, setting), []
            took = seconds(lambda: found.append(run()), PAUSE)  # noqa: B023
            share = recall(X, found[0], farthest)
            if share >= wanted[name] or took > LONG * of_ours:
                break
        if make is flat_faiss:
            wanted["hnswlib on √p"] = min(RECALL, share - NEARLY)
        chosen = setting_name if setting is None else f"{setting_name} {setting}"
        cells.append(f"{shown(took / of_ours)} × ({chosen}, recall {share:.3f})")
    return cells


def exact_of_a_row(X: np.ndarray) -> float:
    """How many divergences are computed exactly for a row."""
    computed, values = [], search.of_candidates

    def counted(*arguments: object) -> np.ndarray:
        computed.append(len(arguments[3]))
        return values(*arguments)

    search.of_candidates = counted
    try:
        ours(X)()
    finally:
        search.of_candidates = values
    return sum(computed) / len(X)


def turns(runs: dict[str, Run], n_turns: int) -> dict[str, np.ndarray]:
    """Seconds of each contestant in each turn."""
    times = [[seconds(run, PAUSE) for run in runs.values()] for _ in range(n_turns)]
    return dict(zip(runs, np.array(times).T, strict=True))


def beside(times: np.ndarray, others: np.ndarray) -> str:
    """How many times as long as others something takes."""
    return f"{shown(float(np.median(times / others)))} ×"


def one_case(X: np.ndarray, n_turns: int, *, with_peers: bool) -> list[str]:
    """Our time, what is computed exactly, and how many times as long the others take."""
    ours(X[:5000])()  # compiles
    farthest = nearest_divergences(X, n_neighbors=K, n_jobs=WORKERS)[0][:, -1]
    times = turns({"ours": ours(X), "blocks": blocks(X), "product": product(X)}, n_turns)
    times["blocks"] *= (len(X) / min(SQUARE, len(X))) ** 2
    of_ours = float(np.median(times["ours"]))
    return [
        f"{shown(of_ours)} s",
        f"{exact_of_a_row(X):.0f}",
        beside(times["blocks"], times["ours"]),
        beside(times["ours"], times["product"]),
        *(of_peers(X, farthest, of_ours) if with_peers else []),
    ]


def neighbours(sizes: Sizes, kernel: str) -> str:
    """The table of one kernel; peers take part beside the compiled one."""
    with_peers = kernel == "numba"
    n = sizes.neighbours if with_peers else sizes.numpy
    os.environ["SKDIV_KERNEL"] = kernel
    rows = []
    for name, make in COLLECTIONS.items():
        for n_bins in (64, 256):
            rows.append([f"{name}, {n_bins} bins", *one_case(make(n, n_bins), sizes.turns, with_peers=with_peers)])
            print(kernel, *rows[-1], sep="; ", flush=True)
    del os.environ["SKDIV_KERNEL"]
    ours_takes = [
        "skdiv takes",
        "exact divergences a row",
        "blocks and argpartition take",
        "skdiv, of the bare product",
    ]
    return table([f"n = {n:,}", *ours_takes, *(f"{name} takes" for name in PEERS if with_peers)], rows)


# --- Memory, in processes of their own ---

TASKS = {
    "nearest": lambda X: nearest_divergences(X, n_neighbors=K, n_jobs=WORKERS),
    "single": lambda X: DivergenceClustering(linkage="single", n_jobs=WORKERS).fit(X),
}


def task(name: str, data: str) -> None:
    """One task in this process, on rows from a file; prints its seconds and the MiB that it added to the peak."""
    X = np.load(data)
    TASKS[name](X[:5000])  # compiles, and loads what is loaded at the first use
    Path("/proc/self/clear_refs").write_text("5")  # The peak from here on counts.
    before = peak_mib()
    took = seconds(lambda: TASKS[name](X))
    print(took, peak_mib() - before)


def memory(sizes: Sizes) -> str:
    rows, n_bins = [], 64
    single_mib = sizes.memory * n_bins * 4 / 2**20
    with tempfile.TemporaryDirectory() as folder:
        for dtype in (np.float64, np.float32):
            data = Path(folder) / f"{np.dtype(dtype)}.npy"
            np.save(data, flat(sizes.memory, n_bins).astype(dtype))
            for name, title in [("nearest", f"{K} nearest"), ("single", "single linkage")]:
                command = [sys.executable, str(Path(__file__).resolve()), "--task", name, str(data)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                took, added = map(float, done.stdout.split())
                what = f"{title}, {sizes.memory:,} × {n_bins}, {np.dtype(dtype)}"
                rows.append([what, f"{shown(took)} s", f"{added:.0f} MiB", f"{added / single_mib:.2f} ×"])
                print(*rows[-1], sep="; ", flush=True)
    return table(["a process of its own", "takes", "adds to its peak", "of the input in single precision"], rows)


# --- Single linkage ---


def single_linkage(sizes: Sizes) -> str:
    rows = []
    for name, make in COLLECTIONS.items():
        for n in sizes.single:
            X = make(n, 64)
            DivergenceClustering(linkage="single", n_jobs=WORKERS).fit(X[:5000])  # compiles
            runs = {
                "ours": lambda X=X: DivergenceClustering(linkage="single", n_jobs=WORKERS).fit(X),
                "neighbours": ours(X),
            }
            if n <= sizes.with_matrix:
                runs["matrix"] = lambda X=X: hierarchy.linkage(condensed_divergences(X, n_jobs=WORKERS), "single")
            times = turns(runs, sizes.turns)
            of_neighbours = beside(times["ours"], times["neighbours"])
            of_matrix = beside(times["matrix"], times["ours"]) if "matrix" in times else "does not fit"
            took = f"{shown(float(np.median(times['ours'])))} s"
            rows.append([f"{name}, {n:,} × 64", took, of_neighbours, of_matrix])
            print(*rows[-1], sep="; ", flush=True)
    header = ["single linkage", "takes", f"of the time of {K} nearest", "matrix and SciPy's linkage take"]
    return table(header, rows)


# --- Ward's linkage and summaries, which are measured in files of their own ---


def of_ward(*, quick: bool) -> str:
    import ward  # imports this file

    return f"<!-- ward -->\n{ward.measured(quick=quick)}\n<!-- /ward -->\n"


def printed(measure: Callable[..., None], *arguments: int) -> str:
    """What a measurement prints: tables as they are, and other lines as a list."""
    out = StringIO()
    with redirect_stdout(out):
        measure(*arguments)
    print(out.getvalue(), flush=True)
    lines = (line if line.startswith("|") else f"- {line}" for line in out.getvalue().splitlines())
    return "\n\n".join("\n".join(group) for _, group in groupby(lines, key=lambda line: line[0]))


def of_summaries(*, quick: bool) -> str:
    if quick:
        parts = [printed(summaries.one_pass, 20_000, 200, 1), printed(summaries.streams, 5000, 5, 1000)]
    else:
        parts = [
            printed(m) for m in (summaries.one_pass, summaries.streams, summaries.beside_the_tree, summaries.large)
        ]
    return "\n\n".join(parts) + "\n"


# --- Output ---

NEIGHBOURS = f"""\
The {K} nearest other rows of each row by Jensen-Shannon, in double precision: how long `nearest_divergences` takes,
and how many divergences a row it computes exactly. Then *how many times as long as skdiv* the others take. "Blocks
and argpartition" is the matrix of {SQUARE:,} rows by `pairwise_divergences`, and the nearest in it by `argpartition`,
times the square of the ratio of rows, for a whole matrix would not fit. "The bare product" is that of all rows with
each other in single precision, {SLICE} at a time, and the number says how many times as long as it skdiv takes. The
time of an index includes that to build it. Settings were tried one after another until {RECALL:.0%} of the neighbours
were found, or until one took more than {LONG} times as long as skdiv. √p stands for the distance of Hellinger, whose
neighbours are not those of Jensen-Shannon: faiss's index is exact, and hnswlib's had to find nearly as many.
"""


def page(sizes: Sizes, *, quick: bool) -> str:
    peers = ", ".join(f"{package} {version(package)}" for package in ("pynndescent", "hnswlib", "faiss-cpu"))
    return "\n".join([
        "# Many rows\n",
        f"All of this is `python benchmarks/scale.py`, one run, on {machine()}, {peers}. Each has {WORKERS} threads; "
        f"times are medians of {sizes.turns} interleaved turns, and ratios those of the ratios.\n",
        "## Neighbours\n", NEIGHBOURS, neighbours(sizes, "numba"),
        "With NumPy alone (`SKDIV_KERNEL=numpy`):\n", neighbours(sizes, "numpy"),
        "## Single linkage\n", single_linkage(sizes),
        "## Ward's linkage\n", of_ward(quick=quick),
        "## Memory\n", memory(sizes),
        "## Summaries\n", of_summaries(quick=quick),
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "docs", help="folder for scale.md")
    parser.add_argument("--quick", action="store_true", help="small sizes, nothing is written")
    parser.add_argument("--task", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        task(*arguments.task)
        return
    faiss.omp_set_num_threads(WORKERS)
    text = page(QUICK if arguments.quick else Sizes(), quick=arguments.quick)
    print(text)
    if not arguments.quick:
        (arguments.output / "scale.md").write_text(text, encoding="utf-8")
        scale_report.write(arguments.output)


if __name__ == "__main__":
    main()
