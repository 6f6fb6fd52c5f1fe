"""Report how far long work has come, to whoever asks for it: callbacks of scikit-learn, or joblib's ``verbose``.

Work is divided into stages that follow each other. A stage inside another one is part of it and reports nothing. The
reporter is that of the calling thread, so what workers do reports nothing either; the caller counts their results.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock
from time import perf_counter
from typing import Any, Protocol

from joblib import Parallel

Advance = Callable[[float], None]  # advance(amount) says that so much more is done, from any thread

_ALMOST = 1e-9  # amounts are summed, and rounding must not hide that all is done


class Reporter(Protocol):
    """The interface of what shows progress."""

    def stage(self, name: str, total: float | None, /) -> AbstractContextManager[Advance]:
        """Return a context for one stage, in which ``total`` is to be done, or None if that is not known before."""


def silent(amount: float, /) -> None:
    """Report nothing: the `Advance` of a stage that nobody follows."""


def verbosity(advance: Advance) -> dict[str, Any]:
    """Return arguments for `joblib.Parallel`, by which it prints nothing of its own if somebody follows the stage."""
    return {} if advance is silent else {"verbose": 0}


_NOTHING = nullcontext(silent)
_INSIDE = object()  # stands for the reporter inside a stage
_reporter: ContextVar[Any] = ContextVar("reporter", default=None)  # where it is None, joblib's verbose decides


@contextmanager
def reporting_to(reporter: Reporter | None) -> Iterator[None]:
    """Return a context in which this thread reports to a reporter; None changes nothing."""
    token = _reporter.set(reporter or _reporter.get())
    try:
        yield
    finally:
        _reporter.reset(token)


def stage(name: str, total: float | None = None) -> AbstractContextManager[Advance]:
    """Return a context for one stage, which gives the function by which its progress is reported.

    Where nobody follows, that function is `silent`. ``total`` is None where nobody can know how much there is to do.
    """
    reporter = _reporter.get()
    if reporter is None and total != 1:  # A single step is not worth asking.
        reporter = _asked_of_joblib()
    return _NOTHING if reporter in (None, _INSIDE) else _followed(reporter, name, total)


@contextmanager
def _followed(reporter: Reporter, name: str, total: float | None) -> Iterator[Advance]:
    """Return a context for a stage that a reporter follows."""
    token = _reporter.set(_INSIDE)
    try:
        with reporter.stage(name, total) as advance:
            yield advance
    finally:
        _reporter.reset(token)


@dataclass
class Parts:
    """Counts what is done, and calls ``report(k)`` each time that part k of a number of equal parts is complete.

    However many steps there are, so few reports are made; amounts may be added by several threads at once.
    """

    total: float
    number: int
    report: Callable[[int], None]
    _done: float = field(default=0.0, init=False)
    _reported: int = field(default=0, init=False)
    _lock: AbstractContextManager[Any] = field(default_factory=Lock, init=False)

    def __call__(self, amount: float) -> None:
        """Add an amount to what is done."""
        with self._lock:
            self._done += amount
            complete = math.floor(self._done / self.total * self.number + _ALMOST)
            while self._reported < min(complete, self.number):
                self._reported += 1
                self.report(self._reported)


# --- What joblib's verbose shows ---


@dataclass(frozen=True)
class _Lines:
    """A reporter that writes lines to a stream, as joblib does: to standard error, or from ``verbose=50`` on to stdout.

    A stage gets ten lines, or from ``verbose=10`` on a hundred; one whose total is not known gets a line at its end.
    """

    verbose: float

    @contextmanager
    def stage(self, name: str, total: float | None, /) -> Iterator[Advance]:
        """Write how much of a stage is done from time to time."""
        start = perf_counter()

        def write(what: str) -> None:
            """Write a line about the stage, with the time since it began."""
            stream = sys.stderr if self.verbose < 50 else sys.stdout
            stream.write(f"[skdiv] {name}: {what} after {perf_counter() - start:.1f} s\n")
            stream.flush()

        if total is None:
            yield silent
            write("done")
        else:
            number = int(min(total, 10 if self.verbose < 10 else 100))
            yield Parts(total, number, lambda part: write(f"{100 * part // number:3d} %"))


def _asked_of_joblib() -> Reporter | None:
    """Return the reporter that the ``verbose`` of `joblib.parallel_config` asks for, if it does."""
    verbose = Parallel(n_jobs=1).verbose
    return _Lines(verbose) if verbose > 0 else None
