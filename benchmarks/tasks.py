"""How long each task takes for how many rows and bins, what makes it faster, and what is slow.

    pip install '.[bench]'
    python benchmarks/tasks.py              # all of it, some ten minutes on two cores
    python benchmarks/tasks.py --only rows  # one table: machine, rows, bins, memory, example, faster or slow

writes the tables of docs/performance.md, and by `tasks_report.py` its chart. Contestants take turns, and times and
ratios are medians of the turns; what takes longer than some seconds gets one turn. What would take too long is measured
with fewer rows, and its time scaled by its growth; such a time is marked by ≈.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import joblib
import marks
import numpy as np
import scipy.sparse as sp
import tasks_report
from compare import ROOT, machine, peak_mib, seconds, table
from sklearn.mixture import GaussianMixture

import skdiv
from skdiv import Divergence, DivergenceClustering, MiniBatchDivergenceClustering, Significance
from skdiv.models import gaussian_divergences, mixture_divergences, sample_divergences

PAGE = ROOT / "docs" / "performance.md"
SIZES = (50, 1000, 10_000, 100_000, 1_000_000)
BINS = (16, 64, 256, 1024)
WORKERS = 2
TURNS = 5
LONG = 1.5  # seconds after which a contestant gets no further turn
LONGEST = 30.0  # seconds that one turn may take; what would take longer is scaled from fewer rows
FITTING = 64.0  # GiB; what needs more gets no time
N_CLUSTERS = 20
ABOUT = "≈\N{NO-BREAK SPACE}"

Rows = np.ndarray | sp.csr_array
Run = Callable[[], object]


def counts(n: int, n_bins: int) -> np.ndarray:
    """Counts around 20 centers, with 32 observations a bin, so that some 3 % of the entries are 0."""
    rng = np.random.default_rng(0)
    means = 32 * n_bins * rng.dirichlet(np.ones(n_bins), N_CLUSTERS)
    X = np.empty((n, n_bins))
    for start in range(0, n, 50_000):  # poisson takes several times the memory of its result
        some = X[start : start + 50_000]
        some[:] = rng.poisson(means[rng.integers(N_CLUSTERS, size=len(some))])
    return X


# --- The tasks ---


@dataclass(frozen=True)
class Task:
    """``run(X)`` is timed, or with ``fitted`` what that returns for a sample of X.

    Time grows with that power of the number of rows, 0 if that is not known; ``gib(n)`` is the memory of n rows.
    """

    run: Callable[[Rows], object]
    growth: str
    power: int = 2
    gib: Callable[[int], float] = lambda _: 0.0
    most: int = 10**6
    fitted: bool = False

    def made(self, X: Rows) -> Run:
        if not self.fitted:
            return lambda: self.run(X)
        model = self.run(X[:1000])
        return lambda: model.predict(X)


def matrix(X: Rows, metric: str | Divergence = "js_distance", workers: int = WORKERS) -> np.ndarray:
    return skdiv.pairwise_divergences(X, metric=metric, n_jobs=workers)


def condensed(X: Rows) -> np.ndarray:
    return skdiv.condensed_divergences(X, n_jobs=WORKERS)


def nearest(X: Rows, metric: str = "js_distance") -> object:
    return skdiv.nearest_divergences(X, n_neighbors=10, metric=metric, n_jobs=WORKERS)


def tree(X: Rows, linkage: str = "auto", **parameters: object) -> DivergenceClustering:
    return DivergenceClustering(N_CLUSTERS, linkage=linkage, n_jobs=WORKERS, **parameters).fit(X)


def mini_batch(X: Rows) -> MiniBatchDivergenceClustering:
    return MiniBatchDivergenceClustering(N_CLUSTERS, random_state=0, n_jobs=WORKERS).fit(X)


def significant(X: Rows, workers: int = 1) -> DivergenceClustering:
    return DivergenceClustering(Significance(random_state=0), n_jobs=workers).fit(X)


def half(n: int) -> float:
    """The GiB of the distances of all pairs."""
    return 4 * n * (n - 1) / 2**30


TASKS = {
    "`pairwise_divergences`": Task(matrix, "n² m", gib=lambda n: 2 * half(n)),
    "`condensed_divergences`": Task(condensed, "n² m", gib=half),
    "`nearest_divergences`": Task(nearest, "n² m"),
    "`DivergenceClustering`": Task(tree, "n² m", gib=lambda n: 2 * half(n)),
    'the same, `linkage="information"`': Task(lambda X: tree(X, "information"), "n² m"),
    'the same, `linkage="single"`': Task(lambda X: tree(X, "single"), "n² m"),
    "`MiniBatchDivergenceClustering`": Task(mini_batch, "n m", 1),
    '`predict`, `assign="center"`': Task(lambda X: tree(X, assign="center"), "n m", 1, fitted=True),
    '`predict`, `assign="member"`': Task(tree, "n m", 1, fitted=True),
    "`Significance`": Task(significant, "see below", 0, most=1000),
    "`divergence_estimates`": Task(
        lambda X: skdiv.divergence_estimates(X, n_jobs=WORKERS), "n² m", gib=lambda n: 12 * half(n)),
    "`pairwise_homogeneity`": Task(
        lambda X: skdiv.pairwise_homogeneity(X, n_jobs=WORKERS, random_state=0), "n² m",
        gib=lambda n: 4.25 * half(n)),
}  # fmt: skip
WITH_BINS = [name for name, task in TASKS.items() if task.most > 1000 and task.gib(10**6) < 4 * half(10**6)]


# --- Turns, and how times are written ---


def interleaved(runs: dict[str, Run], n_turns: int = TURNS) -> dict[str, list[float]]:
    """The seconds of each contestant in its turns; one that has taken long gets no further turn."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(n_turns):
        for name, run in runs.items():
            if sum(times[name]) < LONG:
                times[name].append(seconds(run))
    return times


def in_words(taken: float) -> str:
    """A time with two significant digits, in milliseconds to days, with a space at which no line is broken."""
    for unit, size in (("days", 2 * 86_400), ("h", 5400), ("min", 90), ("s", 1), ("ms", 0)):
        if taken >= size:
            scale = {"days": 86_400, "h": 3600, "min": 60, "s": 1, "ms": 1e-3}[unit]
            return f"{float(f'{taken / scale:.2g}'):,g}\N{NO-BREAK SPACE}{unit}"
    raise ValueError(taken)


def in_bytes(gib: float) -> str:
    unit, scale = next(each for each in (("TiB", 1024), ("GiB", 1), ("MiB", 2**-10)) if gib >= each[1] or each[1] < 1)
    return f"{float(f'{gib / scale:.2g}'):,g}\N{NO-BREAK SPACE}{unit}"


# --- Time by rows, and by bins ---


def by_rows(sizes: tuple[int, ...] = SIZES) -> str:
    """Times of all tasks, a column for each number of rows."""
    X = counts(sizes[-1], 64)
    cells: dict[str, list[str]] = {name: [] for name in TASKS}
    last: dict[str, tuple[int, float]] = {}
    for n in sizes:
        runs = {}
        for name, task in TASKS.items():
            done, took = last.get(name, (n, 0.0))
            expected = took * (n / done) ** task.power
            if task.gib(n) > FITTING:
                cells[name].append(f"needs {in_bytes(task.gib(n))}")
            elif n > task.most:
                cells[name].append("not measured")
            elif expected > LONGEST:
                cells[name].append(f"{ABOUT}{in_words(expected)}")
            else:
                runs[name] = task.made(X[:n])
                if expected < LONG:
                    runs[name]()  # compiles what rows of this number need
        for name, times in interleaved(runs).items():
            last[name] = n, float(np.median(times))
            cells[name].append(in_words(last[name][1]))
            print(name, n, cells[name][-1], times, sep="; ", flush=True)
    rows = [[name, *cells[name], TASKS[name].growth] for name in TASKS]
    return table(["64 bins", *(f"{n:,} rows" for n in sizes), "grows with"], rows)


def by_bins(n: int = 1000, n_bins: tuple[int, ...] = BINS) -> str:
    """Times of those tasks that take seconds, a column for each number of bins."""
    cells: dict[str, list[str]] = {name: [] for name in WITH_BINS}
    for m in n_bins:
        X = counts(n, m)
        for name, times in interleaved({name: TASKS[name].made(X) for name in cells}).items():
            cells[name].append(in_words(float(np.median(times))))
            print(name, m, cells[name][-1], sep="; ", flush=True)
    return table([f"{n:,} rows", *(f"{m:,} bins" for m in n_bins)], [[name, *cells[name]] for name in cells])


# --- Memory ---

FORMULAS = {
    "`condensed_divergences`": ("4 n (n − 1)", half),
    "`pairwise_divergences`": ("8 n²", lambda n: 2 * half(n)),
    '`DivergenceClustering`, `linkage="single"` of a matrix': ("4 n (n − 1)", half),
    "`DivergenceClustering`, other linkages but information": ("8 n (n − 1)", lambda n: 2 * half(n)),
    "the same with `sample_weight`, ward or average": ("12 n (n − 1)", lambda n: 3 * half(n)),
    "`pairwise_homogeneity`": ("17 n²", lambda n: 4.25 * half(n)),
    "`divergence_estimates`": ("48 n²", lambda n: 12 * half(n)),
}


def by_formula(sizes: tuple[int, ...] = (1000, 10_000, 30_000, 100_000)) -> str:
    """The memory of what holds all pairs, which is not measured here, but in `compare.py` and LOG.md."""
    rows = [[name, text, *(in_bytes(gib(n)) for n in sizes)] for name, (text, gib) in FORMULAS.items()]
    return table(["all pairs of n rows", "bytes", *(f"{n:,} rows" for n in sizes)], rows)


# --- An example, each task in a process of its own for its memory ---

IN_EXAMPLE = {  # the tasks, of how many of the rows, and the GiB of all of them if there is a formula
    "nearest": ("`nearest_divergences`", 1, None),
    "mini": ("`MiniBatchDivergenceClustering`", 1, None),
    "single": ('`DivergenceClustering`, `linkage="single"`', 1, None),
    "information": ('`DivergenceClustering`, `linkage="information"`', 10, None),
    "tree": ("`DivergenceClustering`", 10, lambda n: 2 * half(n)),
    "condensed": ("`condensed_divergences`", 10, half),
    "condensed32": ("the same, rows in float32", 10, lambda n: half(n) / 2),
}
CALLS = {
    "nearest": nearest, "mini": mini_batch, "single": lambda X: tree(X, "single"), "condensed": condensed,
    "condensed32": lambda X: condensed(X.astype(np.float32)), "tree": tree,
    "information": lambda X: tree(X, "information"),
}  # fmt: skip


def in_this_process(name: str, data: str, part: int) -> None:
    """Run a task on rows from a file, and print its seconds and the GiB that it added to the peak of memory."""
    X = np.load(data)
    X = X[: len(X) // part]
    CALLS[name](X[:500])  # compiles
    Path("/proc/self/clear_refs").write_text("5")  # the peak from here on counts
    before = peak_mib()
    took = seconds(lambda: CALLS[name](X))
    print(took, (peak_mib() - before) / 1024)


def example(n: int = 30_000, n_bins: int = 500) -> str:
    """Time and memory for one collection; of some tasks by a tenth of the rows, times a hundred."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "rows.npy"
        np.save(data, counts(n, n_bins))
        for name, (title, part, formula) in IN_EXAMPLE.items():
            command = [sys.executable, str(Path(__file__).resolve()), "--task", name, str(data), str(part)]
            took, gib = map(float, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
            about = "" if part == 1 else ABOUT
            memory = about + in_bytes(gib * part) if formula is None else f"{in_bytes(formula(n))} by the formula"
            rows.append([title, about + in_words(took * part**2), memory])
            print(*rows[-1], sep="; ", flush=True)
    return table([f"{n:,} rows of {n_bins} bins", "takes", "memory in addition"], rows)


# --- What makes it faster, and what is slow ---


def with_kernel(name: str, X: Rows) -> None:
    os.environ["SKDIV_KERNEL"] = name
    try:
        matrix(X)
    finally:
        del os.environ["SKDIV_KERNEL"]


def by_processes(X: Rows, metric: str | Divergence = "js_distance") -> None:
    with joblib.parallel_config(backend="loky"):
        matrix(X, metric)


def sorted_matrix(X: Rows) -> np.ndarray:
    """The ten nearest of each row by the whole matrix."""
    D = matrix(X)
    np.fill_diagonal(D, np.inf)
    return np.argpartition(D, 10, axis=1)[:, :10]


def chunked(X: Rows) -> list[np.ndarray]:
    reduced = skdiv.divergences_chunked(
        X, reduce_func=lambda chunk, _: chunk.mean(axis=1), working_memory=4, n_jobs=WORKERS)  # fmt: skip
    return list(reduced)


def triangular(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return (p - q) ** 2 / (p + q + (p + q == 0))


TRIANGULAR = Divergence(name="triangular", term=triangular, symmetric=True)
Beside = tuple[str, str, Run, str, Run]  # what, and two contestants with their names


def faster(cache: str) -> list[Beside]:
    X, tall, some = counts(2000, 256), counts(5000, 64), counts(1000, 256)
    S = sp.random_array((2000, 5000), density=0.01, rng=np.random.default_rng(0), format="csr")
    dense = S.toarray()
    alike = np.repeat(counts(500, 64), 10, axis=0)
    sample, model = counts(20_000, 64), tree(tall[:2000])
    of_center = tree(tall[:2000], assign="center")
    wide = counts(2000, 1024)
    cached = DivergenceClustering(N_CLUSTERS, memory=cache).fit(X)
    single, positive = X.astype(np.float32), X + 1
    return [
        ("float32, Jensen-Shannon", "float64", lambda: matrix(X), "float32", lambda: matrix(single)),
        ("float32, Kullback-Leibler", "float64", lambda: matrix(positive, "kl"),
         "float32", lambda: matrix(positive.astype(np.float32), "kl")),
        ("CSR, 5,000 bins of which 1 % are not 0", "dense", lambda: matrix(dense), "CSR", lambda: matrix(S)),
        ("Numba", 'SKDIV_KERNEL="numpy"', lambda: with_kernel("numpy", X),
         'SKDIV_KERNEL="numba"', lambda: with_kernel("numba", X)),
        ("two workers", "n_jobs=1", lambda: matrix(X, workers=1), "n_jobs=2", lambda: matrix(X)),
        ("threads", 'parallel_config(backend="loky")', lambda: by_processes(X), "threads", lambda: matrix(X)),
        ("processes, for a `Divergence` of your own", "threads", lambda: matrix(some, TRIANGULAR),
         'parallel_config(backend="loky")', lambda: by_processes(some, TRIANGULAR)),
        ("`Significance`, whose workers are processes, 50 rows of 64 bins", "n_jobs=2",
         lambda: significant(tall[:50], 2), "n_jobs=1", lambda: significant(tall[:50])),
        ("another metric", "js_distance", lambda: matrix(X), "hellinger", lambda: matrix(X, "hellinger")),
        ("each pair once, 5,000 rows of 64 bins", "pairwise_divergences", lambda: matrix(tall), "condensed_divergences",
         lambda: condensed(tall)),
        ("fewer bins, 2,000 rows", "1,024 bins", lambda: matrix(wide), "256 bins", lambda: matrix(X)),
        ("neighbours, 5,000 rows of 64 bins", "matrix and argpartition", lambda: sorted_matrix(tall),
         "nearest_divergences", lambda: nearest(tall)),
        ("neighbours, each row ten times", "rows that differ", lambda: nearest(tall),
         "rows of which ten are equal", lambda: nearest(alike)),
        ("summaries, 5,000 rows of 64 bins", "DivergenceClustering", lambda: tree(tall),
         "MiniBatchDivergenceClustering", lambda: mini_batch(tall)),
        ("labels of 20,000 rows, fitted on 2,000", 'assign="member"', lambda: model.predict(sample),
         'assign="center"', lambda: of_center.predict(sample)),
        ("another number of clusters", "without memory=", lambda: DivergenceClustering(9).fit(X),
         "with memory=", lambda: cached.set_params(n_clusters=9).fit(X)),
    ]  # fmt: skip


def slow(_: str) -> list[Beside]:
    X, positive, tall = counts(1000, 256), counts(1000, 256) + 1, counts(10_000, 64) + 1
    near = positive[:1] * (1 + 1e-6 * np.random.default_rng(0).uniform(-1, 1, X.shape))
    P = positive / positive.sum(axis=1, keepdims=True)

    rng = np.random.default_rng(0)
    samples = [rng.normal(k % 5, 1, (200, 3)) for k in range(20)]
    means = np.array([each.mean(axis=0) for each in samples])
    covariances = np.array([np.cov(each.T) for each in samples])
    mixtures = [GaussianMixture(3, random_state=0).fit(each) for each in samples]

    def formula() -> np.ndarray:
        L = np.log(P)
        return (P * L).sum(axis=1)[:, np.newaxis] - P @ L.T

    return [
        ("a `Divergence` of your own", "js_distance", lambda: matrix(X), "your own", lambda: matrix(X, TRIANGULAR)),
        ("neighbours by `chi2`, 10,000 rows of 64 bins", "js_distance", lambda: nearest(tall),
         "chi2", lambda: nearest(tall, "chi2")),
        ("the same by `renyi`", "js_distance", lambda: nearest(tall), "renyi", lambda: nearest(tall, "renyi")),
        ("the same by `total_variation`", "js_distance", lambda: nearest(tall),
         "total_variation", lambda: nearest(tall, "total_variation")),
        ("20 samples of 200 points", "gaussian_divergences", lambda: gaussian_divergences(means, covariances),
         "sample_divergences", lambda: sample_divergences(samples, n_jobs=WORKERS)),
        ("20 mixtures of 3 Gaussians", 'mixture_divergences(method="variational")',
         lambda: mixture_divergences(mixtures, "kl", method="variational"),
         "mixture_divergences", lambda: mixture_divergences(mixtures, "kl", random_state=0, n_jobs=WORKERS)),
        ("barycenter by Jensen-Shannon", 'barycenter(X, "mean")', lambda: skdiv.barycenter(X),
         'barycenter(X, "js")', lambda: skdiv.barycenter(X, "js")),
        ("some rows at a time", "pairwise_divergences", lambda: matrix(X), "divergences_chunked", lambda: chunked(X)),
        ("Kullback-Leibler of near duplicates", "rows that differ", lambda: matrix(positive, "kl"),
         "rows 1e-6 apart", lambda: matrix(near, "kl")),
        ("checks of Kullback-Leibler", "the formula in NumPy, unchecked", formula, "skdiv", lambda: matrix(P, "kl")),
    ]  # fmt: skip


def beside(make: Callable[[str], list[Beside]], header: list[str], *, faster: bool) -> str:
    """How long two contestants take in turns, and the median of how many times as fast, or as long, the second is."""
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        for what, *names_and_runs in make(cache):
            names, runs = names_and_runs[::2], dict(enumerate(names_and_runs[1::2]))
            for run in runs.values():
                run()
            times = interleaved(runs)
            n = min(map(len, times.values()))
            ratio = float(np.median(np.array(times[0][:n]) / times[1][:n]))
            cells = [f"{name}: {in_words(float(np.median(times[k])))}" for k, name in enumerate(names)]
            rows.append([what, *cells, f"{float(f'{ratio if faster else 1 / ratio:.2g}'):,g} ×"])
            print(*rows[-1], sep="; ", flush=True)
    return table(header, rows)


# --- The machine, and the page ---


def first_calls() -> dict[str, float]:
    """How long the first call takes that compiles, and the first of a later process, which loads what was compiled."""
    code = (
        "import time, numpy as np, skdiv; X = np.random.default_rng(0).random((50, 16)); start = time.perf_counter(); "
        "skdiv.pairwise_divergences(X); print(time.perf_counter() - start)"
    )
    with tempfile.TemporaryDirectory() as cache:
        command, variables = [sys.executable, "-c", code], {**os.environ, "NUMBA_CACHE_DIR": cache}
        runs = [subprocess.run(command, capture_output=True, text=True, check=True, env=variables) for _ in range(2)]
    names = "the first `pairwise_divergences` of all, which compiles", "the same in a later process"
    return {name: float(run.stdout) for name, run in zip(names, runs, strict=True)}


def of_machine() -> str:
    """What the machine is, and how fast it does what is at the bottom of all tasks."""
    X = np.random.default_rng(0).dirichlet(np.ones(256), 2000)
    source, target = np.full((2, 2**15), 0.3)
    runs = {
        "a logarithm by `np.log`, on one core": (lambda: [np.log(source, out=target) for _ in range(500)], 500 * 2**15),
        "a pair and bin of Jensen-Shannon, `n_jobs=1`": (
            lambda: skdiv.condensed_divergences(X), len(X) * (len(X) - 1) / 2 * 256),
        "the same with `n_jobs=2`": (lambda: condensed(X), len(X) * (len(X) - 1) / 2 * 256),
        "a multiplication and addition of `X @ X.T` in double precision": (lambda: X @ X.T, len(X) ** 2 * 256),
    }  # fmt: skip
    condensed(X)
    times = interleaved({name: run for name, (run, _) in runs.items()})
    rows = [[name, f"{1e9 * np.median(times[name]) / size:.2g} ns"] for name, (_, size) in runs.items()]
    rows += [[name, in_words(taken)] for name, taken in first_calls().items()]
    load = f"Other programs ran on the same cores; the load average was {os.getloadavg()[1]:.0f}."
    return f"{machine()}. {load}\n\n" + table(["2,000 rows of 256 bins", "takes"], rows)


PARTS: dict[str, Callable[[], str]] = {
    "machine": of_machine,
    "rows": by_rows,
    "bins": by_bins,
    "memory": by_formula,
    "example": example,
    "faster": lambda: beside(faster, ["", "before", "after", "times as fast"], faster=True),
    "slow": lambda: beside(slow, ["", "beside", "takes", "times as long"], faster=False),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PARTS, help="one table")
    parser.add_argument("--task", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        name, data, part = arguments.task
        in_this_process(name, data, int(part))
        return
    matrix(counts(50, 16))  # compiles
    for name, measure in PARTS.items():
        if arguments.only in (None, name):
            start = time.perf_counter()
            marks.write(PAGE, name, measure().rstrip())
            print(f"{name}: {in_words(time.perf_counter() - start)}", flush=True)
    tasks_report.write(PAGE)


if __name__ == "__main__":
    main()
