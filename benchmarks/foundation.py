"""Speed and memory beside what a user would otherwise write, as ratios within one run.

    python benchmarks/foundation.py

prints a Markdown table. Repetitions of the two sides are interleaved and the median of their ratios is shown, for the
speed of a shared machine drifts.
"""

import platform
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from scipy.spatial.distance import jensenshannon, pdist
from scipy.special import rel_entr
from sklearn.metrics import pairwise_distances

from skdiv import condensed_divergences, pairwise_divergences

REPETITIONS = 5
PAUSE = 0.2  # seconds; for a tenth of one after a product, OpenBLAS' idle threads keep the processors busy
X = np.random.default_rng(0).dirichlet(np.ones(256), 2000)
LOG_X = np.log(X)
BUFFER = np.empty(2**15)

MEMORY = """
import resource, sys
import numpy as np
from scipy.spatial.distance import pdist, squareform
from sklearn.cluster import AgglomerativeClustering
from skdiv import DivergenceClustering

X = np.random.default_rng(0).dirichlet(np.ones(16), 8000)
DivergenceClustering(2).fit(X[:300])
AgglomerativeClustering(2, metric="precomputed", linkage="average").fit(squareform(pdist(X[:300], "jensenshannon")))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if sys.argv[1] == "skdiv":
    DivergenceClustering(20, linkage="average").fit(X)
else:
    D = squareform(pdist(X, "jensenshannon"))
    AgglomerativeClustering(20, metric="precomputed", linkage="average").fit(D)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(1024 * peak / (8 * 8000 * 7999 / 2))
"""

IMPORT = """
import time, sklearn.cluster
start = time.perf_counter()
import skdiv
print(1000 * (time.perf_counter() - start))
"""


def logarithms() -> None:
    """One logarithm, in cache, for each of the 400 · 399 / 2 pairs and 256 bins."""
    buffer = np.full(2**15, 0.3)
    for _ in range(400 * 399 // 2 * 256 // len(buffer)):
        np.log(buffer, out=BUFFER)


def seconds(function: Callable[[], object]) -> float:
    time.sleep(PAUSE)
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def ratio(peer: Callable[[], object], ours: Callable[[], object], share: float = 1.0) -> tuple[float, float]:
    """Median of peer / ours over interleaved repetitions, and our median time; the peer does ``share`` of the work."""
    ours()
    times = [(seconds(peer) / share, seconds(ours)) for _ in range(REPETITIONS)]
    return float(np.median([theirs / mine for theirs, mine in times])), float(np.median([mine for _, mine in times]))


def printed(code: str, *arguments: str) -> float:
    run = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return float(run.stdout)


def main() -> None:
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}\n")
    print("| what | beside | skdiv takes | which is |")
    print("| --- | --- | --- | --- |")

    def row(what: str, beside: str, measured: tuple[float, float]) -> None:
        faster, took = measured
        verdict = f"{faster:.3g} × faster" if faster > 1 else f"{1 / faster:.2g} × the time"
        print(f"| {what} | {beside} | {1000 * took:.0f} ms | {verdict} |", flush=True)

    def kl() -> object:
        return pairwise_divergences(X, metric="kl")

    row("`kl`, n = 2000, 256 bins", "`scipy.special.rel_entr`, row by row",
        ratio(lambda: [rel_entr(p, X).sum(axis=1) for p in X[:100]], kl, share=1 / 20))  # fmt: skip
    row("the same", "the bare matrix product `X @ L.T`", ratio(lambda: X @ LOG_X.T, kl))
    row("`js_distance`, n = 2000, 256 bins, one worker", '`scipy` `pdist(X, "jensenshannon")`',
        ratio(lambda: pdist(X, "jensenshannon"), lambda: condensed_divergences(X, n_jobs=1)))  # fmt: skip
    for n_bins in (16, 256):
        row(f"`js_distance`, n = 400, {n_bins} bins", "`pairwise_distances(X, metric=jensenshannon)`",
            ratio(lambda: pairwise_distances(X[:400, :n_bins], metric=jensenshannon),  # noqa: B023
                  lambda: pairwise_divergences(X[:400, :n_bins])))  # noqa: B023 # fmt: skip
    row("(its limit: as many logarithms alone)", "`pairwise_distances(X, metric=jensenshannon)`",
        ratio(lambda: pairwise_distances(X[:400], metric=jensenshannon), logarithms))  # fmt: skip
    memory = [printed(MEMORY, who) for who in ("skdiv", "scikit-learn")]
    print(
        "| peak memory of `fit`, n = 8000, in units of the condensed matrix "
        f"| `squareform(pdist)`, `AgglomerativeClustering` | {memory[0]:.2g} | {memory[1] / memory[0]:.2g} × less |"
    )
    milliseconds = float(np.median([printed(IMPORT) for _ in range(REPETITIONS)]))
    print(f"| `import skdiv` | beyond `import sklearn.cluster` | {milliseconds:.2g} ms | |")


if __name__ == "__main__":
    main()
