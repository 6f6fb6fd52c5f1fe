"""Run tasks and store their results: on threads, processes or a cluster, whichever joblib is set to use.

A task is the call of a pure function. If it runs on a thread of the calling process, that thread stores the result. If
it runs in another process, the result is returned to the caller, who stores it, because a write into an array of the
caller would be lost there. So the same code runs everywhere, and the result does not depend on who computed it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from itertools import islice
from numbers import Integral
from typing import Any, Generic, Protocol, TypeVar

from joblib import Parallel, delayed, effective_n_jobs

from skdiv._utils.blas import blas_threads, one_blas_thread
from skdiv._utils.progress import Advance, silent, stage, verbosity
from skdiv._utils.typing import FloatArray

Key = TypeVar("Key")
Key_contra = TypeVar("Key_contra", contravariant=True)
Call = tuple[Key, tuple[Any, ...]]  # the key, which says where the result belongs, and the arguments

_IN_FLIGHT = 64 * 2**20  # the largest number of bytes of results that wait to be stored
_LARGEST_BATCH = 1024  # the largest number of calls that are passed to joblib at once
_WORTH_WORKERS = 25e6  # nanoseconds; for less work, starting and ending joblib's workers takes longer than it saves


class Store(Protocol[Key_contra]):
    """A place for results, each of which has a key."""

    def target(self, key: Key_contra, /) -> FloatArray | None:
        """Return an array in which the result for a key can be made, or None if there is none.

        It may be the part of the store where the result belongs, or other memory that may be overwritten.
        """

    def __call__(self, key: Key_contra, values: FloatArray, /) -> None:
        """Store the result for a key; results of different keys may be stored by several threads at once."""


@dataclass(frozen=True)
class Work:
    """What is known about all calls together before they are run.

    Parameters
    ----------
    result_bytes : int
        The size of one result.
    nanoseconds : callable
        ``nanoseconds()`` returns roughly how long all calls take on one thread; little work is not worth workers.
    blas_bound : bool
        Whether the calls are mainly matrix products. BLAS would use its own threads for them, if it were not limited to
        one; without workers, the calls are therefore run on as many threads as BLAS would use.
    n_calls : int, optional
        The number of calls; where it is known, they are a stage of work whose progress is reported.
    name : str
        What that stage is called.
    """

    result_bytes: int
    nanoseconds: Callable[[], float]
    blas_bound: bool = False
    n_calls: int | None = None
    name: str = "distances"


def check_n_jobs(n_jobs: int | None) -> None:
    """Refuse a number of workers that is not an integer."""
    if n_jobs is not None and not isinstance(n_jobs, Integral):
        raise TypeError(f"n_jobs = {n_jobs!r} must be an integer or None.")


def run(
    function: Callable[..., FloatArray],
    calls: Iterator[Call[Key]],
    store: Store[Key],
    work: Work,
    *,
    n_jobs: int | None,
) -> None:
    """Compute ``function(*arguments)`` for each ``key, arguments`` of ``calls``, and store the result under the key.

    Where the store has a target for a result, the function gets it as the argument ``out``. Calls are run in batches,
    so that few results wait to be stored at any time. ``n_jobs`` is the number of workers as joblib understands it.
    """
    check_n_jobs(n_jobs)
    with stage(work.name, work.n_calls) if work.n_calls else nullcontext(silent) as advance:
        counted = store if advance is silent else _Counted(store, advance)
        _run(function, calls, counted, work, n_jobs, **verbosity(advance))


def _run(
    function: Callable[..., FloatArray],
    calls: Iterator[Call[Key]],
    store: Store[Key],
    work: Work,
    n_jobs: int | None,
    **of_joblib: Any,
) -> None:
    """Compute all calls, and store the results; ``of_joblib`` is passed to `joblib.Parallel`."""
    size = min(_LARGEST_BATCH, max(1, _IN_FLIGHT // work.result_bytes))
    batch = list(islice(calls, size))
    workers = min(effective_n_jobs(n_jobs), len(batch))
    threads = min(blas_threads(), len(batch)) if work.blas_bound else 1
    if workers > 1 and work.nanoseconds() / threads < _WORTH_WORKERS:
        workers = 1
    with one_blas_thread(), ExitStack() as stack:
        if workers > 1:
            parallel = stack.enter_context(Parallel(n_jobs=workers, prefer="threads", **of_joblib))
        elif threads > 1:
            pool = stack.enter_context(ThreadPoolExecutor(threads))
        while batch:
            if workers > 1:
                blocks = parallel(delayed(_stored_or_returned)(_Reference(store), function, call) for call in batch)
                for (key, _), block in zip(batch, blocks, strict=True):
                    if block is not None:
                        store(key, block)
            elif threads > 1:
                for _ in pool.map(lambda call: _compute(function, call, store), batch):
                    pass
            else:
                for call in batch:
                    _compute(function, call, store)
            batch = list(islice(calls, size))


@dataclass(frozen=True)
class _Counted(Generic[Key]):
    """A store that reports each result when it has been stored, from whatever thread that was."""

    store: Store[Key]
    advance: Advance

    def target(self, key: Key) -> FloatArray | None:
        """Return the target of the store."""
        return self.store.target(key)

    def __call__(self, key: Key, values: FloatArray) -> None:
        """Store the result, and report it."""
        self.store(key, values)
        self.advance(1)


def _compute(function: Callable[..., FloatArray], call: Call[Key], store: Store[Key]) -> None:
    """Compute one result, in the target of the store if there is one, and store it."""
    key, arguments = call
    target = store.target(key)
    store(key, function(*arguments) if target is None else function(*arguments, out=target))


@dataclass(frozen=True)
class _Reference(Generic[Key]):
    """A reference to a store that becomes None when it is pickled, which is when a task goes to another process."""

    store: Store[Key] | None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the reference without the store."""
        return _Reference, (None,)


def _stored_or_returned(
    reference: _Reference[Key], function: Callable[..., FloatArray], call: Call[Key]
) -> FloatArray | None:
    """Compute one result, and store it if the store is in this process; else return it to the process that has it."""
    if reference.store is None:
        return function(*call[1])
    _compute(function, call, reference.store)
    return None


@dataclass(frozen=True)
class IntoPlaces:
    """A store that is an array, in which each key is an index."""

    out: FloatArray

    def target(self, place: Any) -> None:  # noqa: ARG002
        """Return None: a result may be of another dtype than the array."""
        return

    def __call__(self, place: Any, values: FloatArray) -> None:
        """Assign the values to the array at an index."""
        self.out[place] = values
