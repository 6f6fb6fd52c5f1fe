"""What is taken from scikit-learn's private modules, in one place, so that a change there is met here."""

from sklearn.base import _fit_context as fit_context
from sklearn.cluster._agglomerative import _hc_cut as cut_tree
from sklearn.cluster._hierarchical_fast import single_linkage_label
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

__all__ = ["HasMethods", "Interval", "StrOptions", "cut_tree", "fit_context", "single_linkage_label"]
