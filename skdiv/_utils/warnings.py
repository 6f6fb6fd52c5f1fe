"""Warnings that point at the line of the user, who can do something about them."""

from __future__ import annotations

import os
import sys
import warnings
from itertools import count

import joblib
import sklearn

# Each ends with a separator, so that a file of skdiv_extras is not taken for one of skdiv.
_LIBRARIES = tuple(os.path.join(os.path.dirname(path), "") for path in (__file__, sklearn.__file__, joblib.__file__))


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the nearest line on the stack that is outside of skdiv, scikit-learn and joblib.

    From Python 3.12 on ``warnings.warn`` has ``skip_file_prefixes`` for it; for 3.11 the frames are counted here.
    """
    frame = sys._getframe(1)
    for level in count(2):
        if frame.f_back is None or not frame.f_code.co_filename.startswith(_LIBRARIES):
            warnings.warn(message, category, stacklevel=level)
            return
        frame = frame.f_back
