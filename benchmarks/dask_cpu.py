"""What a cluster costs: the CPU time of a fit on two processes of Dask beside that of the same fit in one process.

    python benchmarks/dask_cpu.py [n_rows [n_blocks [n_repetitions]]]

The rows lie in a file, which each task opens. The ratio is of the CPU time of all processes, that of the scheduler and
the client included, without starting the workers; so is the wall-clock time.

Workers of distributed are started with a setting of glibc by which freed memory goes back to the system at once, and
has to be had anew for each array. So it is measured with that setting, which saves memory, and without it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import dask
import numpy as np
from distributed import Client, LocalCluster

from skdiv.dask import MiniBatchDivergenceClustering, from_npy

N_BINS, N_CLUSTERS = 64, 50
KEEPING = {"MALLOC_TRIM_THRESHOLD_": str(2**28), "MALLOC_MMAP_THRESHOLD_": str(2**25)}  # bytes


def write_rows(path: Path, n: int) -> None:
    """Counts around planted centers, a part at a time."""
    rng = np.random.default_rng(0)
    centers = rng.dirichlet(np.full(N_BINS, 0.5), N_CLUSTERS)
    rows = np.lib.format.open_memmap(path, "w+", np.float64, (n, N_BINS))
    for start in range(0, n, 10_000):
        some = rows[start : start + 10_000]
        some[:] = rng.poisson(200 * centers[rng.integers(N_CLUSTERS, size=len(some))]) + 1e-3
    rows.flush()


def fitted(path: Path, rows_of_block: int) -> MiniBatchDivergenceClustering:
    """Fit to the rows of the file."""
    return MiniBatchDivergenceClustering(N_CLUSTERS, random_state=0).fit(from_npy(path, rows_of_block))


def in_one_process(path: Path, rows_of_block: int) -> tuple[float, float, bytes]:
    """Return CPU time, wall-clock time and centers of a loop over the blocks."""
    cpu, wall = time.process_time(), time.perf_counter()
    with dask.config.set(scheduler="synchronous"):
        centers = fitted(path, rows_of_block).cluster_centers_
    return time.process_time() - cpu, time.perf_counter() - wall, centers.tobytes()


def on_cluster(client: Client, path: Path, rows_of_block: int) -> tuple[float, float, bytes]:
    """Return CPU time, wall-clock time and centers of a fit by the workers."""

    def cpu_time() -> float:
        return time.process_time() + sum(client.run(time.process_time).values())

    cpu, wall = cpu_time(), time.perf_counter()
    with client.as_current():
        centers = fitted(path, rows_of_block).cluster_centers_
    return cpu_time() - cpu, time.perf_counter() - wall, centers.tobytes()


def measured(path: Path, rows_of_block: int, repetitions: int) -> None:
    """Measure both ways in turn, and print medians and the median of the ratios."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        on_cluster(client, path, rows_of_block)  # The workers import what they need, and Numba loads its kernels.
        in_one_process(path, rows_of_block)
        pairs = [
            (in_one_process(path, rows_of_block), on_cluster(client, path, rows_of_block)) for _ in range(repetitions)
        ]
    assert all(one[2] == many[2] for one, many in pairs)
    for name, k in (("one process", 0), ("two workers", 1)):
        cpu, wall = (median(pair[k][j] for pair in pairs) for j in (0, 1))
        print(f"{name}: {cpu:.1f} s of CPU, {wall:.1f} s")
    ratios = [many[0] / one[0] for one, many in pairs]
    print(f"CPU time of two workers / one process: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def main(n: int = 1_000_000, n_blocks: int = 10, repetitions: int = 3) -> None:
    """Write the rows, and measure with workers as they are and with workers that keep their memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        write_rows(path, n)
        print(f"{n} rows x {N_BINS} bins in {n_blocks} blocks, {N_CLUSTERS} clusters")
        print("-- workers as distributed sets them")
        measured(path, -(-n // n_blocks), repetitions)
        os.environ.update(KEEPING)  # Workers get what is set here; distributed has set the first for the workers above.
        print("-- workers that keep their memory")
        measured(path, -(-n // n_blocks), repetitions)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
