"""Limit BLAS, which computes the matrix products, to one thread.

The way in which BLAS divides a product among its threads may change the last bits of the result, and these threads
would compete with the workers for the processors. So skdiv divides the work itself, into tiles that depend on shapes
alone, and asks BLAS for one thread in each.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

_lock = Lock()
_entered = 0  # how many contexts of `one_blas_thread` are open now, over all threads
_limit: Any = None


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    """Return threadpoolctl's control of the BLAS libraries in this process; the libraries are looked up once."""
    return ThreadpoolController().select(user_api="blas")


def blas_threads() -> int:
    """Return how many threads BLAS would use for a product now."""
    return max((int(library["num_threads"]) for library in _controller().info()), default=1)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread within a ``with`` block; such blocks may be nested and open in several threads at once.

    In most builds of BLAS the limit holds for the whole process: the first block to open sets it and the last to close
    lifts it. In builds on OpenMP it holds for one thread, and each block sets its own.
    """
    _enter()
    try:
        if blas_threads() == 1:
            yield
        else:
            with _controller().limit(limits=1):
                yield
    finally:
        _leave()


def _enter() -> None:
    """Count one more open block, and set the limit of the process if it is the first."""
    global _entered, _limit
    with _lock:
        if _entered == 0:
            _limit = _controller().limit(limits=1)
        _entered += 1


def _leave() -> None:
    """Count one open block less, and lift the limit of the process if it was the last."""
    global _entered
    with _lock:
        _entered = max(0, _entered - 1)  # It is 0 already in a process that was forked while a block was open.
        if _entered == 0:
            _lift()


def _lift() -> None:
    """Give BLAS the number of threads back that it had before the limit was set."""
    _release_control()
    _limit.restore_original_limits()
    _release_control()


def _start_anew_in_child() -> None:
    """Lift the limit in a process that was forked while other threads held it; those threads do not exist there."""
    global _entered
    if _entered:
        _lift()
        _entered = 0
    _lock.release()


if hasattr(os, "register_at_fork"):  # a lock that another thread holds when the process forks is never released
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_start_anew_in_child)


def _release_control() -> None:
    """Let any thread change the limit of OpenBLAS.

    From threadpoolctl 3.7 on only the thread that has set a limit may change it, until control is released.
    """
    for library in _controller().lib_controllers:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)
