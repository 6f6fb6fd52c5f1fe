"""All that skdiv imports from private modules of scikit-learn, in one place, where a change of theirs is to be met.

What is in `sklearn.cluster` is imported where it is used, for its import takes a tenth of a second, which a program
that computes divergences alone need not spend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import _fit_context
from sklearn.utils._chunking import get_chunk_n_rows
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in

from skdiv._utils.progress import Advance, Parts, reporting_to, silent
from skdiv._utils.typing import FloatArray, Places

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in the place of the mixin by which an estimator takes callbacks."""


__all__ = [
    "CallbackSupportMixin", "HasMethods", "Interval", "StrOptions", "check_feature_names_in", "cut_tree", "fit_context",
    "get_chunk_n_rows", "output_container", "reporting_to_callbacks", "tree_of_edges",
]  # fmt: skip

Method = TypeVar("Method", bound=Callable[..., Any])


def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]:
    """Return scikit-learn's decorator for `fit`, which checks the parameters; here it keeps the type of the method."""
    decorator = _fit_context(prefer_skip_nested_validation=prefer_skip_nested_validation)
    return cast("Callable[[Method], Method]", decorator)


def output_container(transformer: Any) -> str:
    """Return what `set_output` or the configuration says that a transformer returns, such as "default" or "pandas"."""
    container: str = _get_output_config("transform", transformer)["dense"]
    return container


def cut_tree(n_clusters: int, children: Places, n_leaves: int) -> NDArray[np.intp]:
    """Return the cluster of each leaf of a tree that is cut into so many clusters."""
    from sklearn.cluster._agglomerative import _hc_cut

    labels: NDArray[np.intp] = _hc_cut(n_clusters, children, n_leaves)
    return labels


def tree_of_edges(edges: FloatArray) -> FloatArray:
    """Return SciPy's linkage matrix for the ascending edges, each two nodes and a distance, of a spanning tree."""
    from sklearn.cluster._hierarchical_fast import single_linkage_label

    tree: FloatArray = single_linkage_label(edges)
    return tree


# --- Callbacks, of which scikit-learn says that they may change without a deprecation ---

_MOST_REPORTS = 100  # of a stage of work


@contextmanager
def reporting_to_callbacks(estimator: Any, n_stages: int, **given: Any) -> Iterator[None]:
    """Return a context for a fit, in which the callbacks of an estimator, if it has any, are told of the progress.

    ``given`` is what was passed to the fit: X and ``metadata``. At the end of the context the estimator has to be
    fitted, for callbacks then get a copy of it.
    """
    if not getattr(estimator, "_skl_callbacks", None):
        yield
        return
    root = estimator._init_callback_context(max_subtasks=n_stages)
    root.call_on_fit_task_begin(estimator=estimator, **given)
    with reporting_to(_Callbacks(estimator, root)):
        yield
    root.call_on_fit_task_end(estimator=estimator, **given, reconstruction_attributes={})


@dataclass(frozen=True)
class _Callbacks:
    """A reporter that tells the callbacks of an estimator: each stage is a task, and its parts are subtasks."""

    estimator: Any
    root: Any

    @contextmanager
    def stage(self, name: str, total: float | None, /) -> Iterator[Advance]:
        """Return a context that is one task; without a total it has no subtasks."""
        n_parts = 0 if total is None else int(min(total, _MOST_REPORTS))
        task = self.root.subcontext(task_name=name, max_subtasks=n_parts)

        def report(part: int) -> None:  # noqa: ARG001
            """Report one more subtask as begun and ended."""
            subtask = task.subcontext(task_name=f"{name}, in part")
            subtask.call_on_fit_task_begin(estimator=self.estimator)
            subtask.call_on_fit_task_end(estimator=self.estimator)

        task.call_on_fit_task_begin(estimator=self.estimator)
        yield silent if total is None else Parts(total, n_parts, report)
        task.call_on_fit_task_end(estimator=self.estimator)
