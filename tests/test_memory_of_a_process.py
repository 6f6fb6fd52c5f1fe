"""What the system sees of the memory of a process of its own, which chooses its kernel."""

import subprocess
import sys
from textwrap import dedent

import pytest


def output_of(program):
    """What a program prints in a process of its own."""
    ended = subprocess.run([sys.executable, "-c", dedent(program)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("metric", "dtype", "linkage", "times"),
    [
        ("js_distance", "float64", "ward", 2),
        ("js_distance", "float32", "ward", 2),
        ("total_variation", "float64", "single", 1),
        ("total_variation", "float32", "single", 1.5),
        ("js_distance", "float64", "single", 0),
        ("js_distance", "float32", "single", 0),
    ],
)
def test_fit_needs_its_distances_and_the_copy_of_scipy(metric, dtype, linkage, times):
    """Single linkage of dense rows by Jensen-Shannon needs neither.

    The copy is seen by the system, not by tracemalloc, in a process in which nothing larger was compiled before.
    """
    program = f"""
        import os
        os.environ["SKDIV_KERNEL"] = "numpy"
        import numpy as np
        from skdiv import DivergenceClustering
        from skdiv._trees import build

        build._MANY_ROWS = {6000 if linkage == "ward" else 5000}

        def peak():
            return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))

        X = np.random.default_rng(0).dirichlet(np.ones(4), 5000).astype(np.{dtype})
        clustering = DivergenceClustering(linkage={linkage!r}, metric={metric!r}).fit(X[:500])
        before = peak()
        clustering.fit(X)
        print(peak() - before)
    """
    condensed = 8 * 5000 * 4999 // 2
    assert (times - 0.3) * condensed < int(output_of(program)) < (times + 0.3) * condensed


@pytest.mark.exhaustive
def test_a_limit_of_the_address_space_is_seen():
    """In a process of its own, whose limit stands as long as it lives."""
    program = """
        import resource
        import numpy as np
        from skdiv import DivergenceClustering, barycenter, condensed_divergences
        from skdiv._utils.memory import available_memory

        X = np.random.default_rng(0).dirichlet(np.ones(4), 10_000)
        condensed_divergences(X[:100])
        used = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize"))
        resource.setrlimit(resource.RLIMIT_AS, (used * 1024 + 2**29, resource.RLIM_INFINITY))
        assert 2**28 < available_memory() < 2**29 + 2**20, available_memory()
        condensed_divergences(X)
        for attempt in (lambda: DivergenceClustering(linkage="average").fit(X), lambda: np.empty(2**30)):
            try:
                attempt()
            except MemoryError as error:
                print(error)
    """
    printed = output_of(program)
    assert "fit with X of 10000 rows and linkage='average' needs 0.74 GiB of memory, and 0." in printed
    assert "Unable to allocate 8.00 GiB" in printed
