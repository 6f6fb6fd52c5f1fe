"""The one place where tasks are run: on threads, processes or a cluster, as joblib has it.

A task is a pure function. A thread of the process that asked for its result puts that in its place itself. Another
process returns it to the caller, who puts it there, for a write into a shared array would be lost. So the same code
runs everywhere, and the result does not depend on who computed it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from numbers import Integral
from typing import Any, Generic, Protocol, TypeVar

from joblib import Parallel, delayed, effective_n_jobs

from skdiv._utils.blas import blas_threads, one_blas_thread
from skdiv._utils.typing import FloatArray

Key = TypeVar("Key")
Key_contra = TypeVar("Key_contra", contravariant=True)
Call = tuple[Key, tuple[Any, ...]]  # where the result belongs, and the arguments

_IN_FLIGHT = 64 * 2**20  # bytes of results that wait to be put in place
_LARGEST_BATCH = 1024
_WORTH_WORKERS = 25e6  # nanoseconds of work; joblib takes some ten milliseconds to start workers and to see them end


class Store(Protocol[Key_contra]):
    """Where results are put."""

    def target(self, key: Key_contra, /) -> FloatArray | None:
        """Return an array in which the result can be made, perhaps its very place; None if there is none."""

    def __call__(self, key: Key_contra, values: FloatArray, /) -> None:
        """Put a result in its place."""


@dataclass(frozen=True)
class Work:
    """What is known of all calls together before they are run.

    ``result_bytes`` is the size of one result. ``nanoseconds`` tells how long all take, roughly, for little work is not
    worth workers. ``blas_bound`` calls are matrix products, which BLAS would spread over its threads; without workers
    they are spread over as many threads here.
    """

    result_bytes: int
    nanoseconds: Callable[[], float]
    blas_bound: bool = False


def run(
    function: Callable[..., FloatArray], calls: Iterator[Call[Key]], store: Store[Key], work: Work,
    *, n_jobs: int | None,
) -> None:  # fmt: skip
    """Do ``store(key, function(*arguments))`` for each ``key, arguments`` of ``calls``, whose places do not overlap.

    Where the store has a target for a result, the function gets it as ``out``. Batches bound what waits to be stored.
    """
    if n_jobs is not None and not isinstance(n_jobs, Integral):
        raise TypeError(f"n_jobs = {n_jobs!r} must be an integer or None.")
    size = min(_LARGEST_BATCH, max(1, _IN_FLIGHT // work.result_bytes))
    batch = list(islice(calls, size))
    workers = min(effective_n_jobs(n_jobs), len(batch))
    threads = min(blas_threads(), len(batch)) if work.blas_bound else 1
    if workers > 1 and work.nanoseconds() / threads < _WORTH_WORKERS:
        workers = 1
    with one_blas_thread(), ExitStack() as stack:
        if workers > 1:
            parallel = stack.enter_context(Parallel(n_jobs=workers, prefer="threads"))
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


def _compute(function: Callable[..., FloatArray], call: Call[Key], store: Store[Key]) -> None:
    """Compute one result and put it in its place."""
    key, arguments = call
    target = store.target(key)
    store(key, function(*arguments) if target is None else function(*arguments, out=target))


@dataclass(frozen=True)
class _Reference(Generic[Key]):
    """A store that stays behind where it is sent to another process: there it is None."""

    store: Store[Key] | None

    def __reduce__(self) -> tuple[Any, ...]:
        return _Reference, (None,)


def _stored_or_returned(
    reference: _Reference[Key], function: Callable[..., FloatArray], call: Call[Key]
) -> FloatArray | None:
    """Compute one result and store it, or return it to the process that has the store."""
    if reference.store is None:
        return function(*call[1])
    _compute(function, call, reference.store)
    return None


@dataclass(frozen=True)
class IntoPlaces:
    """Puts results in their places in an array, of which each key is an index."""

    out: FloatArray

    def target(self, place: Any) -> None:  # noqa: ARG002
        """Return none: a result may be of another type than the array."""
        return

    def __call__(self, place: Any, values: FloatArray) -> None:
        self.out[place] = values
