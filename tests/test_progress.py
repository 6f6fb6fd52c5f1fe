"""Long work shows how far it has come, to whoever asks for it, and nothing is printed unasked."""

import pickle
from contextlib import contextmanager

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from conftest import planted, random_distributions
from joblib import parallel_config
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils.fixes import parse_version

from skdiv import (
    DivergenceClustering,
    MiniBatchDivergenceClustering,
    Significance,
    condensed_divergences,
    divergences_within,
    nearest_divergences,
    paired_divergences,
    pairwise_divergences,
    pairwise_homogeneity,
)
from skdiv._compute.measure import Measure
from skdiv._compute.spanning import spanning_tree
from skdiv._divergences.registry import divergences
from skdiv._input.distributions import as_distributions
from skdiv._utils.progress import Parts, reporting_to, stage
from skdiv.models import gaussian_divergences

HAS_CALLBACKS = parse_version(sklearn.__version__) >= parse_version("1.9")
MANY = random_distributions(1200, 4)  # several tiles
COUNTS, _ = planted(6)
N = len(COUNTS)
WHOLE = np.random.default_rng(0).poisson(20, (600, 4))
SIX = WHOLE[:180].reshape(30, 6, 4)  # blocks of each of 30 rows
CHAIN = sp.csr_array(np.eye(N, k=1) + np.eye(N, k=-1))


class Record:
    """A reporter that keeps each stage: its name, its total, and how much was reported as done."""

    def __init__(self):
        self.stages = []

    @contextmanager
    def stage(self, name, total):
        amounts = []
        self.stages.append((name, total, amounts))
        yield amounts.append

    @property
    def names(self):
        return [name for name, *_ in self.stages]


def reported(function, *args, **kwargs):
    record = Record()
    with reporting_to(record):
        function(*args, **kwargs)
    return record


# --- What reports, and how much ---

TREES = [
    ({}, None, ["distances", "tree"], [1, None]),
    ({}, COUNTS.sum(axis=1), ["distances", "tree"], [1, N - 1]),
    ({"linkage": "complete", "metric": "kl", "pseudocount": 1}, None, ["distances", "tree"], [1, None]),
    ({"linkage": "information"}, None, ["distances", "tree"], [1, N - 1]),
    ({"linkage": "information", "refine": 2}, None, ["distances", "tree", "refinement"], [1, N - 1, None]),
    ({"connectivity": CHAIN}, None, ["connection", "distances", "tree"], [None, 1, N - 1]),
    ({"connectivity": CHAIN, "linkage": "single"}, None, ["connection", "distances", "tree"], [None, 1, None]),
    (
        {"n_clusters": Significance(n_resamples=39, random_state=0)},
        None,
        ["distances", "tree", "significance"],
        [1, None, N - 1],
    ),
]


@pytest.mark.parametrize(("params", "weights", "names", "totals"), TREES, ids=lambda value: str(value)[:40])
def test_a_fit_reports_each_stage_to_its_end(params, weights, names, totals):
    record = reported(DivergenceClustering(**params).fit, COUNTS, sample_weight=weights)
    assert record.names == names
    assert [total for _, total, _ in record.stages] == totals
    for _, total, amounts in record.stages:
        np.testing.assert_allclose(sum(amounts), total or 0)


def test_a_spanning_tree_is_a_stage(monkeypatch):
    monkeypatch.setattr("skdiv._trees.build._MANY_ROWS", 100)
    assert reported(DivergenceClustering(linkage="single").fit, MANY[:200]).stages == [("distances", None, [])]


def test_clusters_by_way_of_summaries_report_each_step_and_no_step_twice():
    def names(model, X):
        record = reported(model.fit, X)
        assert all(sum(amounts) == pytest.approx(total or 0) for _, total, amounts in record.stages)
        return record.names

    by_size, of_labels = ["summaries", "distances", "tree", "refinement"], "distances"
    model = MiniBatchDivergenceClustering(n_summaries=20, random_state=0)
    assert names(model, MANY) == ["information", *by_size, of_labels]
    assert names(model.set_params(n_summaries=None), np.vstack([MANY, MANY]))[:9] == ["information", *by_size, *by_size]
    assert reported(model.partial_fit, MANY[:99]).names == [*by_size, of_labels]


def test_distances_that_are_given_leave_the_tree():
    D = pairwise_divergences(COUNTS)
    assert reported(DivergenceClustering(metric="precomputed").fit, D).names == ["tree"]


@pytest.mark.parametrize("function", [pairwise_divergences, condensed_divergences], ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    ("metric", "backend", "n_jobs"),
    [
        ("js_distance", "threading", 1),
        ("hellinger", "threading", 1),
        ("js_distance", "threading", 2),
        ("hellinger", "loky", 2),
    ],
)
def test_every_tile_of_a_matrix_is_counted_once(function, metric, backend, n_jobs, monkeypatch):
    monkeypatch.setattr("skdiv._compute.run._WORTH_WORKERS", 0)
    with parallel_config(backend):
        ((name, total, amounts),) = reported(function, MANY, metric=metric, n_jobs=n_jobs).stages
    assert name == "distances"
    assert total > 1
    assert amounts == [1] * total


def test_two_collections_and_pairs_of_rows_report():
    wide = np.tile(MANY, (1, 300))
    for function, rows in ((pairwise_divergences, MANY), (paired_divergences, wide)):
        ((_, total, amounts),) = reported(function, rows, rows[::-1]).stages
        assert amounts == [1] * total
        assert total > 1


def tree_of(rows, n_jobs):
    """The minimum spanning tree of rows, by itself."""
    return spanning_tree(Measure(divergences()["hellinger"]), as_distributions(rows), n_jobs)


APART = planted(140, n_clusters=8)[0]  # The neighbours join the clusters in themselves.
EQUALLY_FAR = np.kron(np.eye(70), random_distributions(16, 3))
CALLED = [
    (lambda n_jobs: nearest_divergences(MANY, n_jobs=n_jobs), ["neighbors"]),
    (lambda n_jobs: divergences_within(MANY, radius=0.01, n_jobs=n_jobs), ["neighbors"]),
    (lambda n_jobs: pairwise_homogeneity(WHOLE, method="chi2", n_jobs=n_jobs), ["tests"]),
    (lambda n_jobs: pairwise_homogeneity(WHOLE[:30], n_resamples=9, n_jobs=n_jobs), ["tests"]),
    (lambda n_jobs: pairwise_homogeneity(SIX.sum(axis=1), blocks=SIX, n_resamples=9, n_jobs=n_jobs), ["tests"]),
    (lambda n_jobs: gaussian_divergences(np.arange(300.0)[:, np.newaxis], np.ones((300, 1, 1)), n_jobs=n_jobs),
     ["distances"]),
    (lambda n_jobs: tree_of(APART, n_jobs), ["neighbors", "bounds"]),
    (lambda n_jobs: tree_of(EQUALLY_FAR, n_jobs), ["neighbors", "bounds", "distances"]),
]  # fmt: skip


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize(("call", "names"), CALLED)
def test_every_task_of_other_functions_is_counted_once(call, names, n_jobs, monkeypatch):
    monkeypatch.setattr("skdiv._compute.run._WORTH_WORKERS", 0)
    stages = reported(call, n_jobs).stages
    assert [name for name, *_ in stages] == names
    for _, total, amounts in stages:
        assert total > 1
        assert amounts == [1] * total


def test_tables_are_reported_while_a_node_is_tested():
    rule = Significance(n_resamples=199, random_state=0)
    *_, (_, total, amounts) = reported(DivergenceClustering(rule).fit, COUNTS).stages
    assert len([amount for amount in amounts if 0 < amount < 1]) >= 6  # three nodes are tested, in two parts or more
    assert min(amounts) >= -1e-12
    assert np.isclose(sum(amounts), total)


def test_a_stage_inside_another_is_part_of_it():
    record = Record()
    with reporting_to(record), stage("outer", 2) as advance:
        advance(1)
        with stage("inner", 5) as inner:
            inner(3)
        advance(1)
    assert record.stages == [("outer", 2, [1, 1])]


def test_nobody_follows_after_an_error():
    record = Record()
    with pytest.raises(ValueError, match="infinite"), reporting_to(record):
        DivergenceClustering(metric="kl").fit([[1, 0], [0, 1]])
    pairwise_divergences(MANY)
    assert record.names == ["distances"]


@pytest.mark.parametrize(("total", "number", "amounts"), [(7, 3, [1] * 7), (1, 2, [0.1] * 10), (5, 5, [2, 2, 1])])
def test_each_part_is_reported_once_and_in_order(total, number, amounts):
    parts = []
    advance = Parts(total, number, parts.append)
    for amount in amounts:
        advance(amount)
    assert parts == list(range(1, number + 1))


# --- joblib's verbose ---


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_joblibs_verbose_prints_the_progress_of_functions(backend, n_jobs, capsys, monkeypatch):
    monkeypatch.setattr("skdiv._compute.run._WORTH_WORKERS", 0)
    with parallel_config(backend, verbose=1):
        pairwise_divergences(MANY, n_jobs=n_jobs)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) <= 10
    assert all(line.startswith("[skdiv] distances: ") for line in lines)
    assert "100 % after" in lines[-1]


def test_from_verbose_50_on_lines_go_to_standard_output_as_those_of_joblib(capsys):
    with parallel_config(verbose=50):
        pairwise_divergences(MANY)
    out, err = capsys.readouterr()
    assert err == ""
    assert "[skdiv] distances: 100 %" in out


def test_joblibs_verbose_prints_the_stages_of_a_fit(capsys):
    with parallel_config(verbose=1):
        DivergenceClustering(Significance(n_resamples=39, random_state=0), linkage="information").fit(COUNTS)
    err = capsys.readouterr().err
    for name in ("tree", "significance"):
        assert f"[skdiv] {name}: 100 %" in err
    assert "[Parallel" not in err


def test_nothing_is_printed_unasked(capfd):
    pairwise_divergences(MANY)
    DivergenceClustering(Significance(n_resamples=39, random_state=0)).fit(COUNTS)
    assert capfd.readouterr() == ("", "")


# --- Callbacks of scikit-learn, from version 1.9 on ---


class Callback:
    """Keeps the tasks that scikit-learn's contexts tell of, and what they came with."""

    def __init__(self):
        self.events = []

    def setup(self, estimator, context):  # noqa: ARG002
        self.events.append(("setup", context.task_name))

    def teardown(self, estimator, context):  # noqa: ARG002
        self.events.append(("teardown", context.task_name))

    def on_fit_task_begin(self, estimator, context):  # noqa: ARG002
        self.events.append(("begin", context.task_name))

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):  # noqa: ARG002
        self.events.append(("end", context.task_name))
        self.fitted = fitted_estimator
        children = context._children_map
        assert context.max_subtasks is None or len(children) <= context.max_subtasks


def followed(params, **kwargs):
    callback = Callback()
    DivergenceClustering(**params).set_callbacks(callback).fit(COUNTS, **kwargs)
    return callback


def test_callbacks_are_there_exactly_where_scikit_learn_has_them():
    assert hasattr(DivergenceClustering, "set_callbacks") == HAS_CALLBACKS


if HAS_CALLBACKS:
    from sklearn.callback import ProgressBar

    @pytest.mark.parametrize(("params", "weights", "names", "totals"), TREES, ids=lambda value: str(value)[:40])
    def test_callbacks_are_told_of_every_stage(params, weights, names, totals):
        events = followed(params, sample_weight=weights).events
        assert events[:2] == [("setup", "fit"), ("begin", "fit")]
        assert events[-2:] == [("end", "fit"), ("teardown", "fit")]
        assert [name for what, name in events if what == "begin" and "part" not in name] == ["fit", *names]
        for name, total in zip(names, totals, strict=True):
            ended = [event for event in events if event == ("end", f"{name}, in part")]
            assert len(ended) == (0 if total is None else min(total, 100))

    def test_at_the_end_callbacks_get_a_fitted_estimator():
        callback = followed({})
        np.testing.assert_array_equal(callback.fitted.predict(COUNTS), DivergenceClustering().fit(COUNTS).labels_)

    def test_callbacks_change_no_bit(monkeypatch):
        plain = DivergenceClustering(5, linkage="information").fit(MANY)
        monkeypatch.setattr("skdiv._compute.run._WORTH_WORKERS", 0)
        for n_jobs in (1, 2):
            model = DivergenceClustering(5, linkage="information", n_jobs=n_jobs).set_callbacks(Callback()).fit(MANY)
            np.testing.assert_array_equal(model.linkage_matrix_, plain.linkage_matrix_)
            np.testing.assert_array_equal(model.labels_, plain.labels_)
        assert vars(model).keys() == {*vars(plain), "_skl_callbacks"}

    def test_a_fit_that_fails_tears_callbacks_down_and_leaves_the_estimator_as_it_was():
        callback = Callback()
        model = DivergenceClustering(metric="kl").set_callbacks(callback)
        before = dict(vars(model))
        with pytest.raises(ValueError, match="infinite"):
            model.fit([[1, 0], [0, 1]])
        assert callback.events[-1] == ("teardown", "fit")
        assert vars(model) == before

    def test_callbacks_are_kept_by_clone_and_pickle():
        model = DivergenceClustering().set_callbacks(Callback()).fit(COUNTS)
        for again in (clone(model), pickle.loads(pickle.dumps(model))):
            assert again.fit(COUNTS)._skl_callbacks[0].events[-1] == ("teardown", "fit")

    @pytest.mark.exhaustive
    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_a_progress_bar_shows_matrix_and_tree(n_jobs, capsys, monkeypatch):
        monkeypatch.setattr("skdiv._compute.run._WORTH_WORKERS", 0)
        DivergenceClustering(linkage="information", n_jobs=n_jobs).set_callbacks(ProgressBar()).fit(MANY)
        out, err = capsys.readouterr()
        assert err == ""
        for name in ("fit", "distances #0", "tree #1"):
            assert f"DivergenceClustering - {name}" in out
        assert out.count("100%") >= 3

    @pytest.mark.exhaustive
    def test_a_pipeline_passes_its_progress_bar_on(capsys):
        pipeline = make_pipeline(DivergenceClustering(linkage="information"))
        pipeline.set_callbacks(ProgressBar()).fit(COUNTS)
        assert "DivergenceClustering - tree" in capsys.readouterr().out
