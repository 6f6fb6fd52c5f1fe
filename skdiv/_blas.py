"""One BLAS thread at a time.

How BLAS cuts a product among its threads may show in the last bits, and its threads would compete with the workers. So
skdiv cuts the work itself, into tiles that depend on shapes alone, and asks BLAS for one thread in each.
"""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from types import TracebackType
from typing import Any

from threadpoolctl import ThreadpoolController


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


def blas_threads() -> int:
    """How many threads BLAS would use now."""
    return max((int(library["num_threads"]) for library in _controller().info()), default=1)


class _OneBlasThread:
    """A context that may be entered again, and from several threads.

    The limit holds for the process, so the first to enter sets it and the last to leave lifts it; limits that nest by
    themselves would be restored in the wrong order.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._depth = 0
        self._limit: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._depth == 0:
                self._limit = _controller().limit(limits=1)
            self._depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                self._limit.restore_original_limits()


one_blas_thread = _OneBlasThread()
