"""One BLAS thread at a time.

How BLAS cuts a product among its threads may show in the last bits, and its threads would compete with the workers. So
skdiv cuts the work itself, into tiles that depend on shapes alone, and asks BLAS for one thread in each.
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
_entered = 0
_limit: Any = None


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


def blas_threads() -> int:
    """How many threads BLAS would use now."""
    return max((int(library["num_threads"]) for library in _controller().info()), default=1)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """A limit of one BLAS thread, which may be entered again and from several threads.

    In most builds of BLAS the limit holds for the process: the first to enter sets it and the last to leave lifts it.
    In those on OpenMP it holds for the thread, and each that enters sets its own.
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
    global _entered, _limit
    with _lock:
        if _entered == 0:
            _limit = _controller().limit(limits=1)
        _entered += 1


def _leave() -> None:
    global _entered
    with _lock:
        _entered = max(0, _entered - 1)  # it is 0 already in a process that was forked within
        if _entered == 0:
            _lift()


def _lift() -> None:
    _release_control()
    _limit.restore_original_limits()
    _release_control()


def _start_anew_in_child() -> None:
    """Undo, in a process that was forked while other threads computed, what those threads would have undone."""
    global _entered
    if _entered:
        _lift()
        _entered = 0
    _lock.release()


if hasattr(os, "register_at_fork"):  # a lock that another thread holds when the process forks is never released
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_start_anew_in_child)


def _release_control() -> None:
    """From threadpoolctl 3.7 on, only the thread that set a limit of OpenBLAS may change it, unless it lets go."""
    for library in _controller().lib_controllers:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)
