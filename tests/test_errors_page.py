"""The page of errors has each message of the package, and those of scikit-learn in its words."""

import re
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from skdiv import DivergenceClustering, pairwise_divergences

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
TOOL = runpy.run_path(str(ROOT / "tools" / "error_messages.py"))
ROWS = np.array([[1.0, 2.0, 1.0], [2.0, 1.0, 1.0], [1.0, 1.0, 3.0]])


@pytest.mark.exhaustive
def test_the_page_lists_each_message_of_the_sources():
    assert TOOL["with_messages"](PAGE) == PAGE, "run python tools/error_messages.py"
    assert len(re.findall(r"^- (?:\w+Error|\w+Warning): `[^`]+`$", TOOL["listed"](), flags=re.MULTILINE)) > 200


def test_a_message_that_is_missing_or_stale_is_noticed():
    assert TOOL["with_messages"](PAGE.replace("An empty bin is 0…", "An empty bin is 1…")) == PAGE


def test_messages_are_found_with_what_depends_on_the_data_left_open():
    source = """
REMEDY = "Mend it."
def explain(x):
    return f"{x} needs room. {x}"
def f(x):
    if x:
        raise TypeError("A" + f" is {x}{x}. {REMEDY}")
    raise MemoryError(explain(x))
def g(x, error):
    warn_caller(f"{x} is odd.")
    warn_caller("Slow.", ConvergenceWarning)
    raise type(error)(f"In {x}: {error}")
    raise ValueError(f"{x}: {error}")
"""
    assert list(TOOL["messages"](source)) == [
        ("TypeError", "A is …. Mend it."),
        ("MemoryError", "… needs room. …"),
        ("UserWarning", "… is odd."),
        ("ConvergenceWarning", "Slow."),
        ("ValueError", "In …: …"),
    ]


def test_a_module_with_messages_needs_a_group():
    with pytest.raises(ValueError, match="belongs to no group"):
        TOOL["group_of"](TOOL["PACKAGE"] / "nowhere.py")


def test_each_heading_quotes_messages_that_are_in_the_list():
    explained, listed = PAGE.split("## All messages")
    headings = re.findall(r"^### (.+)$", explained, flags=re.MULTILINE)
    quoted = [quote for heading in headings for quote in re.findall(r"`([^`]+)`", heading)]
    assert len(quoted) >= 20
    assert [quote for quote in quoted if quote not in listed] == []


FITTED = DivergenceClustering().fit(ROWS)
FRAME = pd.DataFrame(ROWS, columns=["red", "green", "blue"])
OF_SCIKIT_LEARN = {
    "The 'linkage' parameter of DivergenceClustering must be": lambda: DivergenceClustering(linkage="odd").fit(ROWS),
    "X has 3 features, but DivergenceClustering is expecting 4 features": lambda: (
        DivergenceClustering().fit(np.ones((2, 4))).predict(ROWS)
    ),
    "The feature names should match those that were passed during fit": lambda: (
        DivergenceClustering().fit(FRAME).predict(FRAME[["green", "red", "blue"]])
    ),
    "This DivergenceClustering instance is not fitted yet": lambda: DivergenceClustering().predict(ROWS),
    "Found array with 0 sample(s)": lambda: pairwise_divergences(ROWS[:0]),
    "Found array with 1 sample(s)": lambda: FITTED.fit(ROWS[:1]),
}


def test_all_messages_of_scikit_learn_on_the_page_are_tried():
    (table,) = re.findall(r"## Messages of scikit-learn\n(.+?)\n## ", PAGE, flags=re.DOTALL)
    assert re.findall(r"^\| `([^`]+)` \|", table, flags=re.MULTILINE) == list(OF_SCIKIT_LEARN)


@pytest.mark.parametrize("message", OF_SCIKIT_LEARN)
def test_scikit_learn_says_what_the_page_quotes(message):
    with pytest.raises((ValueError, NotFittedError), match=re.escape(message)):
        OF_SCIKIT_LEARN[message]()
