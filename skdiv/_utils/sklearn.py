"""All that skdiv imports from private modules of scikit-learn, in one place, where a change of theirs is to be met."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from sklearn.base import _fit_context
from sklearn.cluster._agglomerative import _hc_cut as cut_tree
from sklearn.cluster._hierarchical_fast import single_linkage_label
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

__all__ = ["HasMethods", "Interval", "StrOptions", "cut_tree", "fit_context", "single_linkage_label"]

Method = TypeVar("Method", bound=Callable[..., Any])


def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]:
    """Return scikit-learn's decorator for `fit`, which checks the parameters; here it keeps the type of the method."""
    decorator = _fit_context(prefer_skip_nested_validation=prefer_skip_nested_validation)
    return cast("Callable[[Method], Method]", decorator)
