"""One BLAS thread at a time.

How BLAS cuts a product among its threads may show in the last bits, and its threads would compete with the workers. So
skdiv cuts the work itself, into tiles that depend on shapes alone, and asks BLAS for one thread in each.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from threadpoolctl import ThreadpoolController


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


def blas_threads() -> int:
    """How many threads BLAS would use now."""
    return max((int(library["num_threads"]) for library in _controller().info()), default=1)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """A limit of one BLAS thread, set where it does not hold yet.

    It holds for the process or for the thread, as BLAS was built. So the caller of the workers sets it, and lifts it
    when they have ended; a worker sets it only if it does not see that of its caller. Limits that the threads of one
    process set and lift each for itself would be lifted too early and set again too late.
    """
    if blas_threads() == 1:
        yield
    else:
        with _controller().limit(limits=1):
            yield
