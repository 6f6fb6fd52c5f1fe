"""Memory that each thread uses again: to be given new memory takes as long as a tile of few bins."""

from __future__ import annotations

from threading import local
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from skdiv._terms import FloatArray


class Workspace(local):
    """One array for each thread, as large as the largest that it has asked for."""

    def __init__(self) -> None:
        self._memory: Any = np.empty(0)

    def array(self, shape: tuple[int, int], dtype: DTypeLike = np.float64) -> FloatArray:
        """A C-contiguous array of any content, until the same thread asks again."""
        size = shape[0] * shape[1]
        if self._memory.size < size or self._memory.dtype != dtype:
            self._memory = np.empty(size, dtype)
        array: FloatArray = self._memory[:size].reshape(shape)
        return array
