"""What a fitted `DivergenceClustering` has found, as HTML for a notebook."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from skdiv._utils.typing import FloatArray

_MOST_CLUSTERS = 20  # rows of the table
_TOP = 3  # the number of bins that are named for each cluster


def html_report(clustering: Any) -> str:
    """Return a paragraph on the tree and a table of the clusters, or an empty string before the fit."""
    if not hasattr(clustering, "labels_"):
        return ""
    return f'<div class="skdiv-report"><p>{escape(_summary(clustering))}</p>{_table(clustering)}</div>'


def _summary(clustering: Any) -> str:
    """Return in words how many clusters there are, by what metric and linkage, and how the tree was cut."""
    n, n_clusters = clustering.n_leaves_, clustering.n_clusters_
    metric = "precomputed" if clustering._predictor.takes_distances else clustering._between.divergence.name
    parts = [f"{_count(n_clusters, 'cluster')} of {n} rows by {metric}, linkage {clustering.linkage_}."]
    if hasattr(clustering, "node_pvalues_"):
        tested = int(np.count_nonzero(~np.isnan(clustering.node_pvalues_)))
        return f"{parts[0]} {_count(tested, 'node')} of the tree tested, {n_clusters - 1} of them significant."
    if n_clusters < n:
        merges, height = _count(n - n_clusters, "merge"), clustering.distances_[-n_clusters]
        following = f", and the next would be at {clustering.distances_[n - n_clusters]:.4g}" if n_clusters > 1 else ""
        parts.append(f"The last of {merges} is at {height:.4g}{following}.")
    if hasattr(clustering, "information_curve_"):
        retained = clustering.information_curve_[1][n_clusters - 1]
        parts.append(f"A tree cut into so many clusters retains {retained:.1%} of the information about the bins.")
    return " ".join(parts)


def _table(clustering: Any) -> str:
    """Return a table of the clusters, the largest first: label, size, share and, if there are centers, largest bins."""
    sizes = np.bincount(clustering.labels_, minlength=clustering.n_clusters_)
    order = np.argsort(-sizes, kind="stable")
    centers = getattr(clustering, "cluster_centers_", None)
    head = ["cluster", "rows", "share", *([] if centers is None else ["largest bins of the center"])]
    lines = [_line("th", head)]
    for label in order[:_MOST_CLUSTERS]:
        cells = [str(label), str(sizes[label]), f"{sizes[label] / sizes.sum():.1%}"]
        lines.append(_line("td", cells if centers is None else [*cells, _largest_bins(clustering, centers[label])]))
    others = sizes[order[_MOST_CLUSTERS:]]
    if len(others):
        lines.append(f'<tr><td colspan="{len(head)}">and {len(others)} smaller ones, of {others.sum()} rows</td></tr>')
    return f"<table>{''.join(lines)}</table>"


def _largest_bins(clustering: Any, center: FloatArray) -> str:
    """Return the names of the largest bins of a center, with their shares; bins without names are x0, x1 and so on."""
    labels = clustering._column_labels.columns or [f"x{k}" for k in range(len(center))]
    places = np.argsort(-center, kind="stable")[:_TOP]
    return ", ".join(f"{labels[place]} {center[place]:.1%}" for place in places)


def _line(tag: str, cells: list[str]) -> str:
    """Return a row of a table whose cells are escaped."""
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"


def _count(number: int, noun: str) -> str:
    """Return a number and what is counted, in the singular for one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
