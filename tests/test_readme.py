"""The README and the other pages are true: their code is run, their tables are the registry's and the measured ones."""

import doctest
import inspect
import re
import runpy
from pathlib import Path
from textwrap import indent

import numpy as np
import pytest
from scipy.cluster.hierarchy import leaves_list

import skdiv
import skdiv.datasets
from skdiv.plotting import ClusterMapDisplay

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MEASURED = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
FENCES = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


def run_as_pasted(text):
    """Run the blocks of Python of a page, one after another in one session, and return how many there were.

    Those with prompts must print what they say.
    """
    session = {}
    blocks = [code for language, code in FENCES.findall(text) if language == "python"]
    for code in blocks:
        if code.startswith(">>>"):
            example = doctest.DocTestParser().get_doctest(code, session, "page", None, None)
            doctest.DebugRunner().run(example, clear_globs=False)
            session.update(example.globs)
        else:
            exec(code, session)
    return len(blocks)


# Their code takes a second or more, or polars.
LONG = {"a_million_rows.md", "choosing.md", "models.md", "samples.md"}


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.exhaustive] * (page.name in LONG), id=page.name) for page in PAGES],
)
def test_the_code_of_a_page_runs_as_a_reader_would_paste_it(page):
    text = page.read_text(encoding="utf-8")
    assert {language for language, _ in FENCES.findall(text)} <= {"python", "bash"}
    assert run_as_pasted(text) == text.count("```python")


def lines_taken_for_comments(text):
    """Return the lines outside code that begin with a per cent sign, which the site leaves out."""
    return [line for line in FENCES.sub("", text).splitlines() if re.match(r" {0,3}%", line)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_line_of_a_page_vanishes_on_the_site(page):
    assert lines_taken_for_comments(page.read_text(encoding="utf-8")) == []


def test_a_line_that_would_vanish_is_found():
    assert lines_taken_for_comments("with 95\n% intervals\n\n```python\n%timeit 1\n```\n  % of 5 % \n") == [
        "% intervals",
        "  % of 5 % ",
    ]


def test_the_pages_with_code_are_among_those_that_are_run():
    assert {"README.md", "how_many_clusters.md", "models.md", "plots.md", "samples.md"} <= {
        page.name for page in PAGES if "```python" in page.read_text("utf-8")
    }


@pytest.mark.parametrize(
    "code", ["undefined\n", ">>> undefined\n", ">>> 1 + 1\n3\n", ">>> x = 1\n```\n\n```python\nassert x == 2\n"]
)
def test_a_block_that_does_not_run_or_prints_something_else_is_found(code):
    with pytest.raises((NameError, AssertionError, doctest.DocTestFailure, doctest.UnexpectedException)):
        run_as_pasted(f"```python\n{code}```\n")


def test_nothing_tells_to_install_skdiv_from_a_registry():
    modules = Path(skdiv.__file__).parent.rglob("*.py")
    for path in [*PAGES, *modules]:
        assert not re.search(r"pip install [\"']?skdiv", path.read_text(encoding="utf-8")), path


def test_the_table_of_divergences_is_the_registrys():
    tool = runpy.run_path(str(ROOT / "tools" / "metric_tables.py"))
    assert tool["table"]() in README
    assert tool["with_tables"](README) == README
    assert tool["with_tables"](README.replace("| `chi2` |", "| `chi` |")) == README
    choosing = (ROOT / "docs" / "choosing.md").read_text(encoding="utf-8")
    assert tool["facts"]() in choosing
    assert tool["with_tables"](choosing.replace("| √ln 2 |", "| √ln 3 |")) == choosing


@pytest.mark.parametrize(
    "function",
    [
        skdiv.pairwise_divergences,
        skdiv.condensed_divergences,
        skdiv.paired_divergences,
        skdiv.DivergenceClustering,
        skdiv.divergences,
    ],
)
def test_the_formulas_in_a_docstring_are_the_registrys(function):
    tool = runpy.run_path(str(ROOT / "tools" / "metric_tables.py"))
    assert tool["definitions"]() in inspect.getdoc(function)
    stale = '    - ``"kl"``: p - q (nobody).\n    - ``"chi"``: q.\n'
    assert tool["with_definitions"](stale) == indent(tool["definitions"](), "    ") + "\n"


def test_the_table_of_speeds_is_the_measured_one(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")  # where the script finds what it imports
    report = runpy.run_path(str(ROOT / "benchmarks" / "report.py"))
    assert report["with_speeds"](README, MEASURED) == README
    assert report["with_speeds"](README.replace("times as long |", "times as short |"), MEASURED) == README


def test_each_number_of_the_table_of_speeds_is_in_the_measured_page():
    (speeds,) = re.findall(r"<!-- benchmark -->\n(.+)\n<!-- /benchmark -->", README, flags=re.DOTALL)
    durations = re.findall(r"\| (\S+ ms) \|", speeds)
    ratios = [float(ratio.replace(",", "")) for ratio in re.findall(r"(\S+) times as long", speeds)]
    measured = {float(f"{float(ratio):.2g}") for ratio in re.findall(r"\| ([\d.]+) ×", MEASURED)}
    assert len(durations) >= 6
    assert len(ratios) >= 20
    assert all(f"| {duration} |" in MEASURED for duration in durations)
    assert set(ratios) <= measured
    assert min(ratios) < 1, "the table tells also where skdiv is the slower one"


def test_the_chart_has_a_point_on_a_logarithmic_axis_for_each_contestant():
    report = runpy.run_path(str(ROOT / "benchmarks" / "report.py"))
    panel = report["chart"](MEASURED).axes[0]
    ratios = [
        float(ratio) for ratio in re.findall(r"^\| .+? \| (\S+) × \| \S+ × \|$", MEASURED, flags=re.MULTILINE)[:8]
    ]
    assert panel.get_xscale() == "log"
    assert not panel.patches
    points = np.concatenate([each.get_offsets()[:, 0] for each in panel.collections])
    np.testing.assert_array_equal(np.sort(points), np.sort([1, *ratios]))
    of_skdiv, of_pdist = (re.search(pattern, MEASURED)[1] for pattern in (r"takes \| (\S+ ms) ", r"pdist \| (\S+ ×) "))
    assert {of_skdiv, of_pdist} <= {text.get_text() for text in panel.texts}


def test_the_line_that_plots_draws_the_picture():
    (line,) = re.findall(r"`(ClusterMapDisplay\.from_estimator\([^`]+\))`", README)
    languages = skdiv.datasets.load_languages()
    clustering = skdiv.DivergenceClustering(n_clusters=20).fit(languages.data)
    names = {"ClusterMapDisplay": ClusterMapDisplay, "clustering": clustering, "languages": languages}
    display = eval(line, names)
    texts = [text.get_text() for text in display.ax_[1].get_yticklabels()]
    assert texts == languages.names[leaves_list(clustering.linkage_matrix_)].tolist()
    assert len(display.matrix.outlines_) == 20


def test_twenty_clusters_of_languages_are_twelve_alone_and_eight_groups_as_the_readme_says():
    assert "twelve languages are alone" in README
    labels = skdiv.DivergenceClustering(n_clusters=20).fit_predict(skdiv.datasets.load_languages().data)
    sizes = np.bincount(labels)
    assert (np.sum(sizes == 1), np.sum(sizes > 1)) == (12, 8)


def test_the_picture_and_the_links_are_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).is_file(), target


@pytest.mark.parametrize("command", ["demo command", "test command"])
def test_the_two_commands_stand_where_the_checks_look_for_them(command):
    (block,) = re.findall(rf"<!-- {command} -->\n```bash\n(.+)\n```", README)
    assert block.startswith("python3 -m venv .venv && ")
