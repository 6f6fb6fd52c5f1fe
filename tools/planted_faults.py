"""Plant faults in the source one at a time, and say which tests notice each: those of the default run, or only all.

python tools/planted_faults.py [--only TEXT] [--likely]

The faults are listed in planted_faults.toml. Each is planted in a temporary copy of what git tracks here, as it lies on
the disk. The test files that are likely to notice it run first, then the default command, then the exhaustive one, each
until a test fails. The command fails if a fault survives all tests, or more than five survive the default command.
"""

import argparse
import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_suffix(".toml")
MOST = 5  # the number of faults that may be left to the exhaustive run
OWN_TEST = "tests/test_planted_faults.py"  # which notices each fault, because its source does not occur any more
RUNS = {  # whether only the likely files run, and the options, from the fastest run to the slowest
    "default, likely files": (True, []),
    "default": (False, []),
    "exhaustive, likely files": (True, ["-m", ""]),
    "exhaustive": (False, ["-m", ""]),
}


@dataclass(frozen=True)
class Fault:
    """A fault: ``planted`` in place of ``source`` in a module, and the names of the test files that should notice."""

    what: str
    module: str
    source: str
    planted: str
    tests: list[str]

    @property
    def files(self) -> list[str]:
        return [f"tests/test_{name}.py" for name in self.tests]

    def obstacles(self, text: str) -> Iterator[str]:
        """Say why the fault cannot be planted in the text of its module."""
        if (n := text.count(self.source)) != 1:
            yield f"{self.module} holds {self.source!r} {n} times, not once"
        if self.planted == self.source:
            yield f"{self.module}: {self.source!r} is replaced by itself"
        try:
            ast.parse(text.replace(self.source, self.planted))
        except SyntaxError as error:
            yield f"{self.module} with {self.planted!r} is no Python: {error}"


def faults() -> list[Fault]:
    return [Fault(**each) for each in tomllib.loads(LIST.read_text("utf-8"))["fault"]]


@contextmanager
def copy_of_checkout() -> Iterator[Path]:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    with tempfile.TemporaryDirectory(prefix="planted-faults-") as folder:
        for name in filter(None, tracked.split("\0")):
            if (ROOT / name).exists():
                (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, Path(folder) / name)
        yield Path(folder)


@contextmanager
def planted(fault: Fault, folder: Path) -> Iterator[None]:
    path = folder / "skdiv" / fault.module
    text, times = path.read_text("utf-8"), path.stat()
    path.write_text(text.replace(fault.source, fault.planted), "utf-8")
    try:
        yield
    finally:
        path.write_text(text, "utf-8")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # so that Numba's compiled functions remain valid


def failing_test(folder: Path, files: list[str], options: list[str], *, compile_anew: bool = False) -> str | None:
    """Return the first test that fails, of some files or of all, or None."""
    shutil.rmtree(folder / ".hypothesis", ignore_errors=True)  # else examples that failed earlier would be tried first
    command = [sys.executable, "-m", "pytest", "--quiet", "-x", "--tb=no", f"--ignore={OWN_TEST}", *options, *files]
    command += [] if files else ["--numprocesses", "auto"]
    seconds = 600 if files else 3600
    with tempfile.TemporaryDirectory() as cache:
        # Numba does not see a change in a module whose functions are compiled into those of another one.
        environment = {**os.environ, "PYTHONPATH": str(folder)} | ({"NUMBA_CACHE_DIR": cache} if compile_anew else {})
        pipe, same = subprocess.PIPE, subprocess.STDOUT
        with subprocess.Popen(
            command, cwd=folder, env=environment, stdout=pipe, stderr=same, text=True, start_new_session=True
        ) as process:
            try:
                output = process.communicate(timeout=seconds)[0]
            except subprocess.TimeoutExpired:
                return f"none ends within {seconds} s"
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
    if process.returncode == 5:
        raise RuntimeError(f"{' '.join(command)} selects no test.")
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", output, flags=re.MULTILINE)
    return None if process.returncode == 0 else found[1] if found else output.strip().splitlines()[-1]


def killed(fault: Fault, folder: Path, runs: list[str]) -> tuple[str, str]:
    """Return the first run that notices the fault, and the test that does."""
    with planted(fault, folder):
        for run in runs:
            likely, options = RUNS[run]
            test = failing_test(folder, fault.files if likely else [], options, compile_anew="numba" in fault.module)
            if test is not None:
                return run, test
    return "survived", ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="plant the faults whose module or description contains this text")
    parser.add_argument("--likely", action="store_true", help="run the test files that are likely to notice, no others")
    given = parser.parse_args()
    texts = {fault.module: (ROOT / "skdiv" / fault.module).read_text("utf-8") for fault in faults()}
    if obstacles := [each for fault in faults() for each in fault.obstacles(texts[fault.module])]:
        sys.exit("\n".join(["Mend tools/planted_faults.toml:", *obstacles]))
    chosen = [fault for fault in faults() if given.only in f"{fault.module}: {fault.what}"]
    runs, results = list(RUNS)[: 1 if given.likely else None], []
    with copy_of_checkout() as folder:
        files = sorted({file for fault in chosen for file in fault.files}) if given.likely else []
        if test := failing_test(folder, files, []):
            sys.exit(f"Without any fault {test} fails.")
        for fault in chosen:
            start = time.perf_counter()
            results.append(killed(fault, folder, runs))
            seconds = time.perf_counter() - start
            print(f"{results[-1][0]:24} {seconds:6.0f} s  {fault.module}: {fault.what}  {results[-1][1]}", flush=True)
    survived = sum(run == "survived" for run, _ in results)
    left = sum(not run.startswith("default") for run, _ in results)
    print(f"{len(results)} faults, {left} survive the default run, {survived} survive all runs that were tried")
    sys.exit(survived > 0 or left > MOST)


if __name__ == "__main__":
    main()
