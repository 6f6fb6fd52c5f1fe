"""Ward's linkage without the matrix, beside the matrix and SciPy's or fastcluster's `ward`.

    pip install '.[bench]'
    python benchmarks/ward.py          # half an hour
    python benchmarks/ward.py --quick  # a minute, at sizes that show nothing but that it works

prints a table; without `--quick` it also writes it between its marks in docs/scale.md and docs/a_million_rows.md. The
contestants take turns, and a ratio is the median over the turns. The memory is that of a process of its own, and so is
the time where the matrix does not take part.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import fastcluster
import numpy as np
from compare import ROOT, machine, peak_mib, seconds, shown, table
from marks import between
from scale import COLLECTIONS, WORKERS, beside, turns
from scipy.cluster import hierarchy

from skdiv import DivergenceClustering, condensed_divergences

BINS = 64
CASES = [("planted", 20_000), ("Dirichlet(½)", 20_000), ("text-like", 20_000), ("planted", 50_000),
         ("Dirichlet(½)", 50_000), ("planted", 100_000)]  # fmt: skip
QUICK = [("planted", 9000)]
WITH_MATRIX = 20_000  # up to so many rows the matrix takes part


def fit(X: np.ndarray) -> DivergenceClustering:
    return DivergenceClustering(n_jobs=WORKERS).fit(X)


def in_a_process(data: str) -> None:
    """Fit rows from a file in this process, and print the seconds that it took and the MiB that it added."""
    X = np.load(data)
    fit(X[:9000])  # compiles, and loads what is loaded at the first use
    Path("/proc/self/clear_refs").write_text("5")  # The peak from here on counts.
    before = peak_mib()
    took = seconds(lambda: fit(X))
    print(took, peak_mib() - before)


def in_another_process(X: np.ndarray) -> tuple[float, float]:
    """The seconds and the MiB of a fit in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "rows.npy"
        np.save(data, X)
        command = [sys.executable, str(Path(__file__).resolve()), "--task", str(data)]
        took, added = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        return float(took), float(added)


def one_case(name: str, n: int, n_turns: int) -> list[str]:
    X = COLLECTIONS[name](n, BINS)
    took, added = in_another_process(X)
    others = ["–", "–"]
    if n <= WITH_MATRIX:
        fit(X[:9000])  # compiles
        runs = {
            "ours": lambda: fit(X),
            "SciPy": lambda: hierarchy.ward(condensed_divergences(X, n_jobs=WORKERS)),
            "fastcluster": lambda: fastcluster.linkage(condensed_divergences(X, n_jobs=WORKERS), "ward"),
        }
        times = turns(runs, n_turns)
        others = [beside(times[peer], times["ours"]) for peer in ("SciPy", "fastcluster")]
        took = float(np.median(times["ours"]))
    return [f"{name}, {n:,} × {BINS}", f"{shown(took)} s", *others, f"{added:.0f} MiB"]


def measured(*, quick: bool) -> str:
    """The table."""
    rows = []
    for name, n in QUICK if quick else CASES:
        rows.append(one_case(name, n, 1 if quick else 3))
        print(*rows[-1], sep="; ", flush=True)
    header = ["Ward's linkage", "takes", "matrix and SciPy take", "matrix and fastcluster take", "adds to its peak"]
    return table(header, rows).rstrip("\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, nothing is written")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        in_a_process(arguments.task)
        return
    found = measured(quick=arguments.quick)
    print(f"{found}\n\n{machine()}, {WORKERS} threads")
    if not arguments.quick:
        for page in ("a_million_rows.md", "scale.md"):
            path = ROOT / "docs" / page
            path.write_text(between(path.read_text("utf-8"), "ward", found), encoding="utf-8")


if __name__ == "__main__":
    main()
