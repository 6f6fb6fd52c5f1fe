"""Refuse parameters of the estimators that do not fit together."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

from skdiv._divergences.registry import resolve
from skdiv._trees.build import check_linkage
from skdiv.significance import Significance

# With metric="precomputed" there are no distributions, so these parameters must keep their defaults.
_NEED_DISTRIBUTIONS = {"assign": "member", "center": "mean", "base": None, "pseudocount": 0, "handle_empty": "error"}


def is_precomputed(metric: Any) -> bool:
    """Return whether a metric is the string that says that X holds distances."""
    return isinstance(metric, str) and metric == "precomputed"


def check_combination(parameters: Mapping[str, Any]) -> None:
    """Refuse the parameters of a `DivergenceClustering`, given by name, if they do not fit together."""
    _check_number_of_clusters(parameters)
    if parameters["refine"] and parameters["linkage"] != "information":
        raise ValueError(
            f"refine = {parameters['refine']} lowers the information that clusters lose, which is what "
            f"linkage='information' is about; with linkage={parameters['linkage']!r} it must be 0."
        )
    if is_precomputed(parameters["metric"]):
        _check_without_distributions(parameters)
        return
    divergence = resolve(parameters["metric"], "precomputed")
    divergence._scale(parameters["base"])
    check_linkage(parameters["linkage"], divergence)


def _check_number_of_clusters(parameters: Mapping[str, Any]) -> None:
    """Refuse two rules for cutting the tree, or none, and a test of counts where there are none to draw."""
    n_clusters, threshold = parameters["n_clusters"], parameters["distance_threshold"]
    if (n_clusters is None) == (threshold is None):
        raise ValueError(
            "Exactly one of n_clusters and distance_threshold has to be set, and the other must be None; got "
            f"n_clusters = {n_clusters} and distance_threshold = {threshold}."
        )
    tests_counts = _is_significance(n_clusters)
    without_distributions = is_precomputed(parameters["metric"])
    if tests_counts and (without_distributions or parameters["connectivity"] is not None):
        what = "metric='precomputed'" if without_distributions else "a connectivity"
        raise ValueError(
            f"n_clusters = {n_clusters!r} cannot be had with {what}: the test draws counts, and builds a tree "
            "of them as it was built of X."
        )


def _is_significance(n_clusters: Any) -> bool:
    """Return whether the number of clusters is to be found by a test of significance."""
    return isinstance(n_clusters, Significance) or (isinstance(n_clusters, str) and n_clusters == "significant")


def check_fit_arguments(parameters: Mapping[str, Any], sample_weight: Any, blocks: Any) -> None:
    """Refuse what was passed to `fit` if the parameters of a `DivergenceClustering` make no use of it."""
    if blocks is not None and not _is_significance(parameters["n_clusters"]):
        raise ValueError(
            f"blocks are exchanged by the test of a Significance, but n_clusters = {parameters['n_clusters']!r}. Pass "
            "n_clusters=Significance(), or leave out the blocks."
        )
    if isinstance(sample_weight, str) and is_precomputed(parameters["metric"]):
        raise ValueError(
            f"sample_weight = {sample_weight!r} needs the counts; metric='precomputed' has none. Pass a vector."
        )


def _check_without_distributions(parameters: Mapping[str, Any]) -> None:
    """Refuse parameters that need distributions, where X holds distances."""
    for name, default in _NEED_DISTRIBUTIONS.items():
        if parameters[name] != default:
            raise ValueError(f"{name} = {parameters[name]!r} needs the distributions; metric='precomputed' has none.")
    if parameters["linkage"] == "information":
        raise ValueError("linkage='information' needs the distributions; metric='precomputed' has none.")


def check_numbers(n_clusters: Any, n_summaries: int | None) -> None:
    """Refuse a test of significance of summaries, and fewer summaries than clusters."""
    if not isinstance(n_clusters, Integral):
        raise ValueError(
            f"n_clusters = {n_clusters!r} cannot be had of summaries: its test draws counts of single rows and builds "
            "their trees anew, but a summary is a mean of many rows, chosen because they are alike. Pass a number, or "
            "fit DivergenceClustering to a sample of the rows to find one."
        )
    if n_summaries is not None and n_summaries < int(n_clusters):
        raise ValueError(
            f"n_summaries = {n_summaries} is less than n_clusters = {n_clusters}; ten for each cluster are a good "
            "number."
        )
