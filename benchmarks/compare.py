"""skdiv beside whatever else computes these matrices: speed, memory and accuracy, in one run.

    pip install '.[bench]'
    python benchmarks/compare.py

writes docs/benchmarks.md and, by `report.py`, docs/benchmarks.png and the README's table; with `--quick` a small part
of it goes to the standard output. The speed of a shared machine drifts, so the contestants of a case take turns, and a
ratio is the median over the turns. Slow ones do a part of the work, and their time is that of the whole: all are linear
in the number of pairs.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import fastjsd
import numkong
import numpy as np
import report
import scipy.sparse as sp
import simsimd
from scipy.spatial.distance import jensenshannon, pdist, squareform
from scipy.special import rel_entr
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import pairwise_distances

from skdiv import DivergenceClustering, condensed_divergences, pairwise_divergences
from skdiv.datasets import load_languages

ROOT = Path(__file__).parent.parent
TURNS = 4
PAUSE = 0.2  # seconds before what uses BLAS; for a tenth of one its idle threads keep the processors busy
WORKERS = 2
AT_LEAST = 8  # rows that a contestant gets
SLOWEST = 0.6e9  # nanoseconds that one turn of a contestant may take, roughly

Run = Callable[[], object]


@dataclass(frozen=True)
class Contestant:
    """``make(X)`` returns what is timed: about ``cost`` nanoseconds a pair and bin, all ``ordered`` pairs or half."""

    name: str
    make: Callable[[np.ndarray], Run]
    cost: float = 1.0
    ordered: bool = False


def skdiv(kernel: str, workers: int, metric: str = "js_distance", *, condensed: bool = True) -> Callable[..., Run]:
    function = condensed_divergences if condensed else pairwise_divergences

    def make(X: np.ndarray) -> Run:
        def run() -> object:
            os.environ["SKDIV_KERNEL"] = kernel
            return function(X, metric=metric, n_jobs=workers)

        return run

    return make


def best_of_fastjsd(X: np.ndarray) -> Run:
    """The faster of its two compiled kernels on these rows."""

    def run(backend: str) -> Run:
        return lambda: fastjsd.jsd_pdist(X, backend=backend, threads=WORKERS)

    runs = [run("numba"), run("numba-sparse")]
    for each in runs:
        each()
    return min(runs, key=seconds)


def logarithms(X: np.ndarray) -> Run:
    """One logarithm, in the cache, for each pair and bin."""
    source, target = np.full((2, 2**15), 0.3, dtype=X.dtype)
    times = max(1, len(X) * (len(X) - 1) // 2 * X.shape[1] // len(source))
    return lambda: [np.log(source, out=target) for _ in range(times)]


def product(X: np.ndarray) -> Run:
    L = np.log(X + (X == 0))
    return lambda: X @ L.T


def formula(X: np.ndarray) -> Run:
    """Kullback-Leibler in four lines of NumPy, without any check."""

    def run() -> object:
        P = X / X.sum(axis=1, keepdims=True)
        L = np.log(P)
        D = P @ L.T
        return np.subtract((P * L).sum(axis=1)[:, np.newaxis], D, out=D)

    return run


US = Contestant("skdiv", skdiv("numba", WORKERS))
JS = [
    US,
    Contestant("skdiv, one worker", skdiv("numba", 1)),
    Contestant("skdiv, NumPy kernel", skdiv("numpy", WORKERS), 2),
    Contestant("np.log alone", logarithms),
    Contestant("SimSIMD", lambda X: lambda: simsimd.cdist(X, X, "jensenshannon", threads=WORKERS), 2, ordered=True),
    Contestant("fastjsd", best_of_fastjsd, 3),
    Contestant("NumKong", lambda X: lambda: numkong.cdist(X, X, "jensenshannon"), 2, ordered=True),
    Contestant("SciPy pdist", lambda X: lambda: pdist(X, "jensenshannon"), 12),
    Contestant("scikit-learn, callable", lambda X: lambda: pairwise_distances(X, metric=jensenshannon), 150),
]
KL = [
    Contestant("skdiv", skdiv("numba", WORKERS, "kl", condensed=False), 0.05, ordered=True),
    Contestant("the bare product X @ L.T", product, 0.05, ordered=True),
    Contestant("the formula in NumPy, unchecked", formula, 0.05, ordered=True),
    Contestant("SimSIMD", lambda X: lambda: simsimd.cdist(X, X, "kullbackleibler", threads=WORKERS), 1, ordered=True),
    Contestant("NumKong", lambda X: lambda: numkong.cdist(X, X, "kullbackleibler"), 1.5, ordered=True),
    Contestant(
        "SciPy rel_entr, row by row", lambda X: lambda: [rel_entr(p, X).sum(axis=1) for p in X], 21, ordered=True
    ),
]


@dataclass(frozen=True)
class Case:
    """A collection of rows, by its size, share of non-zeros and type."""

    n: int
    n_bins: int
    density: float = 1.0
    dtype: type = np.float64

    def rows(self) -> np.ndarray:
        rng = np.random.default_rng(0)
        X = rng.gamma(1.0, size=(self.n, self.n_bins)) * (rng.random((self.n, self.n_bins)) < self.density)
        X[X.sum(axis=1) == 0, 0] = 1
        return (X / X.sum(axis=1, keepdims=True)).astype(self.dtype)

    def __str__(self) -> str:
        of = "" if self.density == 1 else f", {100 * self.density:g} % non-zero"
        return f"n = {self.n:,}, {self.n_bins:,} bins{of}{', float32' if self.dtype is np.float32 else ''}"


def seconds(run: Run, pause: float = 0.0) -> float:
    time.sleep(pause)
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def turns(X: np.ndarray, contestants: list[Contestant]) -> dict[str, np.ndarray]:
    """Seconds for all pairs of rows, by contestant and turn. skdiv gets CSR where most entries are zero."""
    runs, shares = {}, {}
    for each in contestants:
        n = len(X)
        sparse = each.name.startswith("skdiv") and np.count_nonzero(X) < X.size / 4
        if each.name != "skdiv" and not sparse:
            most = SLOWEST / (each.cost * X.shape[1]) * (1 if each.ordered else 2)
            n = min(n, max(AT_LEAST, int(most**0.5)))
        runs[each.name] = each.make(sp.csr_array(X) if sparse else X[:n])
        shares[each.name] = (n / len(X)) ** 2
        runs[each.name]()
    pause = PAUSE if contestants is KL else 0.0
    n_turns = TURNS if len(X) > 100 else 10 * TURNS
    times = [[seconds(run, pause) / shares[name] for name, run in runs.items()] for _ in range(n_turns)]
    return dict(zip(runs, np.array(times).T, strict=True))


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def shown(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def comparison(title: str, cases: list[Case], contestants: list[Contestant]) -> str:
    """What skdiv takes, in all and a pair and bin, and how many times as long each other takes."""
    columns = []
    for case in cases:
        times = turns(case.rows(), contestants)
        ours = times["skdiv"]
        pairs = case.n**2 if contestants[0].ordered else case.n * (case.n - 1) / 2
        nanoseconds = 1e9 * float(np.median(ours)) / (pairs * case.n_bins)
        ratios = [shown(float(np.median(times[each.name] / ours))) + " ×" for each in contestants[1:]]
        columns.append([f"{shown(1000 * float(np.median(ours)))} ms", f"{shown(nanoseconds)} ns", *ratios])
        print(title, case, *columns[-1], sep="; ", flush=True)
    names = ["skdiv takes", "a pair and bin", *(each.name for each in contestants[1:])]
    if len(cases) <= 2:
        rows = [[name, *(column[k] for column in columns)] for k, name in enumerate(names)]
        return table([title, *map(str, cases)], rows)
    return table([title, *names], [[str(case), *column] for case, column in zip(cases, columns, strict=True)])


# --- Whole fits, in processes of their own, for their memory ---


def task(name: str, data: str) -> None:
    """One task in this process, on rows from a file; prints its seconds and the MiB that it added to the peak."""
    X = sp.csr_array(sp.load_npz(data)) if data.endswith(".npz") else np.load(data)
    D = X.toarray() if name == "fastjsd" else None
    tasks: dict[str, Callable[[int], object]] = {
        "fit": lambda n: DivergenceClustering(20, linkage="average", n_jobs=WORKERS).fit(X[:n]),
        "fit scikit-learn": lambda n: AgglomerativeClustering(20, metric="precomputed", linkage="average").fit(
            squareform(pdist(X[:n], "jensenshannon"))
        ),
        "sparse": lambda n: condensed_divergences(X if n == X.shape[0] else X[:n], n_jobs=WORKERS),
        "fastjsd": lambda n: fastjsd.jsd_pdist(D[:n], backend="numba-sparse", threads=WORKERS),
    }
    tasks[name](100)  # compiles, and loads what is loaded at the first use
    before, start = peak_mib(), time.perf_counter()
    tasks[name](X.shape[0])
    print(time.perf_counter() - start, peak_mib() - before)


def peak_mib() -> float:
    """Of this process alone, by Linux; getrusage starts from what its parent held."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def in_process(name: str, data: Path) -> tuple[float, float]:
    command = [sys.executable, str(Path(__file__).resolve()), "--task", name, str(data)]
    took, added = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(took), float(added)


def whole_tasks(folder: Path) -> str:
    """skdiv three times, the median; its peers, which take long, once."""
    dense, sparse = folder / "dense.npy", folder / "sparse.npz"
    rng = np.random.default_rng(0)
    np.save(dense, rng.dirichlet(np.ones(64), 10_000))
    S = sp.csr_array(sp.random_array((3000, 20_000), density=0.01, rng=rng, format="csr"))
    sp.save_npz(sparse, S)
    size = (S.data.nbytes + S.indices.nbytes + S.indptr.nbytes) / 2**20
    what = {
        ("fit", "fit scikit-learn", dense): (
            "`fit`, n = 10,000, 64 bins", "`squareform(pdist)`, `AgglomerativeClustering`"),
        ("sparse", "fastjsd", sparse): (
            f"`condensed_divergences`, CSR, 3,000 × 20,000, 1 %: {size:.1f} MiB in, 34.3 MiB out",
            "fastjsd, on the rows made dense beforehand"),
    }  # fmt: skip
    rows = []
    for (name, peer, data), (task_name, peer_name) in what.items():
        ours, theirs = np.median([in_process(name, data) for _ in range(3)], axis=0), in_process(peer, data)
        rows.append([task_name, f"{ours[0]:.2g} s", f"{ours[1]:.0f} MiB", peer_name,
                     f"{theirs[0] / ours[0]:.3g} ×", f"{theirs[1]:.0f} MiB"])  # fmt: skip
    return table(["a process of its own", "takes", "adds to its peak", "the peer", "takes", "adds"], rows)


def languages() -> str:
    data = load_languages().data
    dense = data.toarray().astype(float)
    runs = {"skdiv": skdiv("numba", 1)(data), "NumPy": skdiv("numpy", 1)(data), "fastjsd": best_of_fastjsd(dense)}
    runs["pdist"] = lambda: pdist(dense, "jensenshannon")
    for run in runs.values():
        run()
    times = {name: np.array([seconds(run)]) for name, run in runs.items()}
    for _ in range(20):
        times = {name: np.append(times[name], seconds(run)) for name, run in runs.items()}
    ours = times["skdiv"]
    row = [shown(float(np.median(times[name] / ours))) + " ×" for name in list(runs)[1:]]
    row = [f"{1000 * np.median(ours):.3g} ms", *row]
    return table(["JS, CSR", "skdiv, one worker", "skdiv, NumPy kernel", "fastjsd (dense)", "SciPy pdist (dense)"],
                 [["55 languages, 26,427 bigrams, 4 % non-zero", *row]])  # fmt: skip


# --- Accuracy ---


def regimes() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    base = rng.dirichlet(np.ones(40))
    zeros = rng.dirichlet(np.ones(40), 6) * (rng.random((6, 40)) < 0.5)
    return {
        "dense": rng.dirichlet(np.ones(40), 6),
        "half zeros": zeros / zeros.sum(axis=1, keepdims=True),
        "near duplicates, 1e-5 apart": base * (1 + 1e-5 * rng.uniform(-1, 1, (6, 40))),
        "down to 1e-300": 10.0 ** rng.uniform(-300, 0, (6, 40)),
    }


def accuracy() -> str:
    """The largest relative error of the JS divergence against 50-digit arithmetic."""
    sys.path.insert(0, str(ROOT / "tests"))
    import oracle

    above = np.triu_indices(6, 1)
    answers: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "skdiv": lambda X: skdiv("numba", 1)(X)() ** 2,
        "skdiv, NumPy kernel": lambda X: skdiv("numpy", 1)(X)() ** 2,
        "SciPy pdist": lambda X: pdist(X, "jensenshannon") ** 2,
        "fastjsd": lambda X: fastjsd.jsd_pdist(X, base=np.e, squared=True),
        "NumKong": lambda X: np.asarray(numkong.cdist(X, X, "jensenshannon"))[above] ** 2,
        "SimSIMD": lambda X: np.asarray(simsimd.cdist(X, X, "jensenshannon"))[above] ** 2,
    }
    rows = []
    for name, answer in answers.items():
        row = [name]
        for X in regimes().values():
            exact = [oracle.exact(X[i], X[j], oracle.DEFINITIONS["js_divergence"]) for i, j in zip(*above, strict=True)]
            with np.errstate(all="ignore"):
                values = answer(X / X.sum(axis=1, keepdims=True))
            errors = [float(abs(value - truth) / truth) for value, truth in zip(values.tolist(), exact, strict=True)]
            row.append("NaN" if np.isnan(errors).any() else f"{max(errors):.1g}")
        rows.append(row)
    return table(["largest relative error of JS", *regimes()], rows)


# --- Output ---


def machine() -> str:
    name = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            name = line.split(":")[1].strip()
    packages = ("numpy", "scipy", "scikit-learn", "joblib", "numba", "fastjsd", "numkong", "simsimd")
    flags = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    simd = "with AVX-512" if any("AVX512" in flag or "X86_V4" in flag for flag in flags) else "without AVX-512"
    return (
        f"{os.cpu_count()} cores of a shared {name} ({simd}), {platform.system()}, Python {platform.python_version()}, "
        + ", ".join(f"{package} {version(package)}" for package in packages)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--output", type=Path, default=ROOT / "docs", help="folder for benchmarks.md and benchmarks.png"
    )
    parser.add_argument("--quick", action="store_true", help="one case and the table of errors, nothing is written")
    parser.add_argument("--task", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        task(*arguments.task)
        return
    main_case = Case(2000, 256)
    if arguments.quick:
        print(comparison("JS", [Case(500, 256)], JS), accuracy(), sep="\n")
        return
    js = comparison("JS", [main_case, Case(2000, 256, dtype=np.float32)], JS)
    kl = comparison("KL", [main_case, Case(2000, 256, dtype=np.float32)], KL)
    sparse = comparison("JS", [Case(1000, 5000, 0.1), Case(2000, 10_000, 0.01)], JS)
    small = [US, *(each for each in JS if each.name in ("skdiv, one worker", "fastjsd", "NumKong", "SciPy pdist"))]
    grid = comparison("JS", [Case(n, d) for n in (50, 400, 3000) for d in (2, 16, 256)]
                         + [Case(10_000, 16), Case(2000, 1000), Case(100, 20_000)], small)  # fmt: skip
    kl_grid = comparison("KL", [Case(n, d) for n in (400, 3000) for d in (16, 1000)], KL)
    arguments.output.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        whole = whole_tasks(Path(folder))
    text = PAGE.format(machine=machine(), js=js, kl=kl, sparse=sparse, languages=languages(), grid=grid,
                       kl_grid=kl_grid, whole=whole, accuracy=accuracy())  # fmt: skip
    (arguments.output / "benchmarks.md").write_text(text, encoding="utf-8")
    report.write(arguments.output)


PAGE = """# Benchmarks

All of this is `python benchmarks/compare.py`, one run, on {machine}.

skdiv has two joblib workers, fastjsd and SimSIMD have two threads; NumKong and SciPy have no way to use more than one.
The tables give the time of skdiv and *how many times as long* each contestant takes: medians over interleaved turns.
Rows are random histograms. What makes the difference, and what did not, is in [the log](../benchmarks/LOG.md).

![How many times as long as skdiv each contestant takes](benchmarks.png)

## Jensen-Shannon, dense

{js}
## Kullback-Leibler, dense

{kl}
## Jensen-Shannon, mostly zeros

skdiv gets CSR rows; the others take dense ones, and are not charged for making them.

{sparse}
{languages}
## Few and many, narrow and wide

{grid}
{kl_grid}
## Whole tasks, with their memory

{whole}
## Accuracy

Against 50-digit arithmetic, on six rows of 40 bins each.

{accuracy}"""


if __name__ == "__main__":
    main()
