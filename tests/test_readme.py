"""The README and the other pages are true: their code is run, their tables are the registry's and the measured ones."""

import doctest
import inspect
import re
import runpy
from pathlib import Path
from textwrap import indent

import pytest

import skdiv

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_of_a_page_runs_as_a_reader_would_paste_it(page):
    text = page.read_text(encoding="utf-8")
    assert {language for language, _ in FENCES.findall(text)} <= {"python", "bash"}
    assert run_as_pasted(text) == text.count("```python")


def test_the_pages_with_code_are_among_those_that_are_run():
    assert {"README.md", "how_many_clusters.md"} <= {
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
    assert tool["with_table"](README) == README
    assert tool["with_table"](README.replace("| `chi2` |", "| `chi` |")) == README


@pytest.mark.parametrize(
    "function",
    [skdiv.pairwise_divergences, skdiv.condensed_divergences, skdiv.paired_divergences, skdiv.DivergenceClustering],
)
def test_the_formulas_in_a_docstring_are_the_registrys(function):
    tool = runpy.run_path(str(ROOT / "tools" / "metric_tables.py"))
    assert tool["definitions"]() in inspect.getdoc(function)
    stale = '    - ``"kl"``: p - q (nobody).\n    - ``"chi"``: q.\n'
    assert tool["with_definitions"](stale) == indent(tool["definitions"](), "    ") + "\n"


def test_the_measured_table_is_there():
    (rows,) = re.findall(r"<!-- benchmark -->\n(.+)\n<!-- /benchmark -->", README, flags=re.DOTALL)
    measured = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert "X @ L.T" in rows
    for row in filter(None, rows.split("\n")):
        assert row in measured


def test_the_picture_and_the_links_are_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).is_file(), target


@pytest.mark.parametrize("command", ["demo command", "test command"])
def test_the_two_commands_stand_where_the_checks_look_for_them(command):
    (block,) = re.findall(rf"<!-- {command} -->\n```bash\n(.+)\n```", README)
    assert block.startswith("python3 -m venv .venv && ")
