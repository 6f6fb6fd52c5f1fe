"""Types of arrays that signatures name."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
Labels = NDArray[np.intp]
Places = NDArray[np.integer[Any]]  # positions of rows, or of entries
