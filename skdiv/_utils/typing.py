"""Names of array types, for signatures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
Labels = NDArray[np.intp]
Places = NDArray[np.integer[Any]]  # positions, from 0 on, of rows in a collection or of entries in an array
