"""Types: what is right passes a type checker and a typo does not; the names that types know are those of the tables."""

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import get_args

import pandas as pd
import pytest

import skdiv
from skdiv import DivergenceClustering, divergences
from skdiv._divergences.registry import MetricName
from skdiv._trees.build import LINKAGES, Linkage
from skdiv.barycenters import _KIND_OF, Center, Minimised
from skdiv.cluster._agglomerative import _FITTED

SOURCES = Path(skdiv.__file__).parents[1]


def test_the_names_of_metrics_are_those_of_the_registry():
    aliases = {alias for record in divergences().values() for alias in record.aliases}
    assert set(get_args(MetricName)) == divergences().keys() | aliases


def test_what_a_barycenter_minimises_is_a_center_or_a_metric():
    assert _KIND_OF.keys() == set(get_args(Minimised))
    assert set(_KIND_OF.values()) == set(get_args(Center))
    assert _KIND_OF.keys() - get_args(Center) <= set(get_args(MetricName))


def test_every_linkage_can_be_fitted():
    assert set(LINKAGES) == set(get_args(Linkage))
    for linkage in LINKAGES:
        assert DivergenceClustering(linkage=linkage).fit([[1, 2], [2, 1]]).linkage_ == linkage


def test_every_fitted_attribute_is_annotated():
    """And all that is annotated is set by some fit."""
    frame = pd.DataFrame([[3, 9, 4], [5, 1, 1], [4, 2, 7]], columns=["a", "b", "c"])
    some = [{"n_clusters": "significant"}, {"linkage": "information"}]
    fitted = {name for parameters in some for name in vars(DivergenceClustering(**parameters).fit(frame))}
    assert fitted - DivergenceClustering().get_params().keys() == _FITTED - {"_parameter_constraints"}


PROGRAM = """
    from collections.abc import Generator
    from typing import Any, assert_type

    import numpy as np
    from numpy.typing import NDArray
    from skdiv import (
        DivergenceClustering, HomogeneityResult, Significance, barycenter, condensed_divergences, divergences,
        divergences_chunked, paired_divergences, pairwise_divergences, pairwise_homogeneity, renyi,
    )

    Floats = NDArray[np.floating[Any]]
    X = [[1, 2], [2, 1]]
    kl = divergences()["kl"]

    assert_type(pairwise_divergences(X), Floats)
    pairwise_divergences(X, X, "jensenshannon", base=2, out=np.empty((2, 2)))
    pairwise_divergences(X, metric=kl)
    pairwise_divergences(X, metric="js_distanse")  # wrong
    pairwise_divergences(X, metric="precomputed")  # wrong
    condensed_divergences(X, renyi(3), symmetrize="min")
    condensed_divergences(X, "kl", symmetrize="average")  # wrong
    paired_divergences(X, X, "chi2")
    paired_divergences(X, X, "chi")  # wrong
    assert_type(divergences_chunked(X), Generator[Floats, None, None])
    assert_type(divergences_chunked(X, reduce_func=lambda D, start: len(D) + start), Generator[int, None, None])
    divergences_chunked(X, reduce_func="min")  # wrong
    barycenter(X, "geometric")
    barycenter(X, "js_divergence")
    barycenter(X, "hellinger")  # wrong

    DivergenceClustering(3, metric="precomputed", linkage="auto", assign="center", center="js")
    DivergenceClustering(None, distance_threshold=0.5, handle_empty="label", symmetrize="max")
    DivergenceClustering("significant", metric=kl)
    DivergenceClustering(Significance(), metric="kl")
    DivergenceClustering("significance")  # wrong
    DivergenceClustering(metric="hellingr")  # wrong
    DivergenceClustering(linkage="wards")  # wrong
    DivergenceClustering(assign="members")  # wrong
    DivergenceClustering(center="median")  # wrong
    DivergenceClustering(symmetrize="sum")  # wrong
    DivergenceClustering(handle_empty="ignore")  # wrong
    DivergenceClustering(clusters=3)  # wrong

    fitted = DivergenceClustering().fit(X, sample_weight=[1, 2])
    assert_type(fitted, DivergenceClustering)
    assert_type(fitted.labels_, NDArray[np.intp])
    assert_type(fitted.n_clusters_, int)
    assert_type(fitted.cluster_centers_, Floats)
    fitted.linkage_ == "wards"  # wrong
    assert_type(fitted.predict(X), NDArray[np.intp])
    assert_type(fitted.transform(X), Floats)
    assert_type(fitted.fit_predict(X, sample_weight=[1, 2]), NDArray[np.intp])
    assert_type(fitted.fit_transform(X), Floats)
    fitted.fit_predict(X, weights=[1, 2])  # wrong

    result = pairwise_homogeneity(X, method="chi2")
    assert_type(result, HomogeneityResult)
    assert_type(result.adjusted("by"), Floats)
    result.adjusted("bonferoni")  # wrong
    pairwise_homogeneity(X, method="permutations")  # wrong
"""


@pytest.mark.exhaustive
def test_a_type_checker_finds_each_typo_and_nothing_else(tmp_path):
    (tmp_path / "program.py").write_text(dedent(PROGRAM))
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports", "program.py"],
        cwd=tmp_path,
        env=os.environ | ({} if SOURCES.name == "site-packages" else {"MYPYPATH": str(SOURCES)}),
        capture_output=True,
        text=True,
        check=False,
    )
    found = {int(line) for line in re.findall(r"^program\.py:(\d+): error", checked.stdout, flags=re.MULTILINE)}
    lines = dedent(PROGRAM).splitlines()
    assert found == {k for k, line in enumerate(lines, start=1) if line.endswith("# wrong")}, checked.stdout
