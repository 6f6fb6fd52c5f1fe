"""Memory: how much is available, an early error where that is too little, and arrays that a thread uses again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import local
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from skdiv._utils.typing import FloatArray

_NEGLIGIBLE = 64 * 2**20  # bytes; looking up the available memory takes longer than computing a small matrix
_GIB = 2**30


@contextmanager
def enough_memory(n_bytes: int, what: str, remedy: str) -> Iterator[None]:
    """Refuse the computation in a ``with`` block if it needs more memory than is available.

    Parameters
    ----------
    n_bytes : int
        The number of bytes that the computation allocates at the least.
    what : str
        The name of the computation, which is the subject of the message.
    remedy : str
        What the user can do about it, in whole sentences.

    Raises
    ------
    MemoryError
        If less than ``n_bytes`` is known to be available, before the computation starts. A MemoryError of another
        library within the block is replaced by one with the same message.
    """
    available = available_memory() if n_bytes > _NEGLIGIBLE else None
    if available is not None and n_bytes > available:
        raise MemoryError(_shortage(n_bytes, available, what, remedy))
    try:
        yield
    except MemoryError as error:
        raise MemoryError(_shortage(n_bytes, available_memory(), what, remedy)) from error


def _shortage(n_bytes: int, available: int | None, what: str, remedy: str) -> str:
    """Return the message of an error for want of memory; ``available`` is None where that number is not known."""
    found = "more than could be had" if available is None else f"and {available / _GIB:.2f} GiB are available"
    return f"{what} needs {n_bytes / _GIB:.2f} GiB of memory, {found}. {remedy}"


def available_memory(root: Path = Path("/")) -> int | None:
    """Return how many bytes this process can still allocate, or None where that is not known.

    On Linux three limits apply, and the lowest counts: the free memory of the machine, with the swap space and the
    caches that Linux would give up; the rest of the limit of each cgroup of the process; and the rest of the
    limit of its address space. Each is an upper bound, so that no computation is refused that would have succeeded.
    """
    machine = _table(root / "proc/meminfo", "kB")
    swap = machine.get("SwapFree:", 0)
    headrooms = [*_headroom_of_cgroups(root, swap), *_headroom_of_address_space(root)]
    if "MemAvailable:" in machine:
        headrooms.append(machine["MemAvailable:"] + swap)
    return max(0, min(headrooms)) if headrooms else None


def _headroom_of_cgroups(root: Path, swap: int) -> list[int]:
    """Return, for each cgroup (version 2) with a memory limit that applies to this process, the bytes left of it.

    The cgroups are that of the process and all above it, whose limits apply too. Caches that Linux can reclaim, and all
    free swap space of the machine, count as available, so each number is an upper bound.
    """
    lines = _text(root / "proc/self/cgroup").splitlines()
    path = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), None)
    if path is None:
        return []
    groups, headrooms = root / "sys/fs/cgroup", []
    for group in [groups / path, *(groups / path).parents]:
        limit, used = _text(group / "memory.max").strip(), _text(group / "memory.current").strip()
        if limit.isdigit() and used.isdigit():
            use = _table(group / "memory.stat")
            caches = sum(use.get(name, 0) for name in ("active_file", "inactive_file", "slab_reclaimable"))
            headrooms.append(int(limit) - int(used) + caches + swap)
        if group == groups:
            break
    return headrooms


def _headroom_of_address_space(root: Path) -> list[int]:
    """Return the bytes left of the limit of the address space, as a list of one, or an empty list without a limit."""
    try:
        import resource
    except ImportError:  # pragma: no cover (Windows has no such limit)
        return []
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return []
    return [limit - _table(root / "proc/self/status", "kB").get("VmSize:", 0)]


def _table(path: Path, unit: str = "") -> dict[str, int]:
    """Read a file of the Linux kernel that has a name and a number on each line, and return the numbers by their names.

    With ``unit="kB"`` the numbers are converted to bytes. A file that cannot be read gives an empty dictionary.
    """
    fields = [line.split() for line in _text(path).splitlines()]
    scale = 1024 if unit == "kB" else 1
    return {words[0]: int(words[1]) * scale for words in fields if words[1:2] and words[1].isdigit()}


def _text(path: Path) -> str:
    """Return the text of a file, or an empty string if it cannot be read."""
    try:
        return path.read_text()
    except OSError:
        return ""


class Workspace(local):
    """Memory that each thread uses for one array after another, so that it is not allocated each time.

    It is as large as the largest array that the thread has asked for.
    """

    def __init__(self) -> None:
        self._memory: Any = np.empty(0)

    def array(self, shape: tuple[int, int], dtype: DTypeLike = np.float64) -> FloatArray:
        """Return a C-contiguous array of undefined content, which is valid until the same thread asks for another."""
        size = shape[0] * shape[1]
        if self._memory.size < size or self._memory.dtype != dtype:
            self._memory = np.empty(size, dtype)
        array: FloatArray = self._memory[:size].reshape(shape)
        return array
