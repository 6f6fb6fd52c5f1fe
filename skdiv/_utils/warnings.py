"""Warnings that point at the line of the user's own code, where something can be done about them."""

from __future__ import annotations

import os
import sys
import warnings
from itertools import count

import joblib
import sklearn

# Each path ends with a separator, so that a file of another package, skdiv_extras, is not taken for one of skdiv.
_PACKAGE = os.path.dirname(__file__)
_LIBRARIES = tuple(os.path.join(os.path.dirname(path), "") for path in (_PACKAGE, sklearn.__file__, joblib.__file__))


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning that names the innermost calling line outside of skdiv, scikit-learn and joblib.

    From Python 3.12 on ``warnings.warn`` can do this with ``skip_file_prefixes``; Python 3.11 needs the loop below.
    """
    frame = sys._getframe(1)
    for level in count(2):
        if frame.f_back is None or not frame.f_code.co_filename.startswith(_LIBRARIES):
            warnings.warn(message, category, stacklevel=level)
            return
        frame = frame.f_back
