"""The page of definitions names what the library computes, and has the sources of the registry and the docstrings."""

import inspect
import re
import runpy
from pathlib import Path

import pytest
from test_public import PUBLIC, WITHOUT_FORMULA

from skdiv import divergences, renyi

ROOT = Path(__file__).parents[1]
TOOL = runpy.run_path(str(ROOT / "tools" / "metric_tables.py"))
PAGE = (ROOT / "docs" / "definitions.md").read_text(encoding="utf-8")
ENTRIES = TOOL["entries"](PAGE)
WITH_FORMULA = [(module, name) for module, name in PUBLIC if name not in WITHOUT_FORMULA]
NOT_DEFINED = {"load_languages", "from_npy", "transform", "predict"}  # data, and methods as functions of Dask
RECORDS = [*divergences().values(), renyi(0.5)]


def plain(text):
    """Return a text in lower case, its quotes and spaces made alike."""
    return re.sub(r"\s+", " ", text.lower().replace("’", "'"))


def test_each_source_is_cited_and_each_citation_has_a_source():
    cited = set(re.findall(r"\[\^([\w-]+)\](?!:)", PAGE))
    assert cited == set(ENTRIES)
    assert len(re.findall(r"^\[\^", PAGE, flags=re.MULTILINE)) == len(ENTRIES)


@pytest.mark.parametrize("key", ENTRIES)
def test_an_entry_names_the_authors_and_the_year_of_its_key(key):
    *authors, year = key.split("-")
    entry = TOOL["in_ascii"](ENTRIES[key])
    assert f"({year})" in entry or f" {year})" in entry
    assert all(author in entry.lower() for author in authors)


@pytest.mark.parametrize("key", ENTRIES)
def test_the_doi_that_is_shown_is_the_doi_that_is_linked(key):
    for shown, linked in re.findall(r"\[doi:([^\]]+)\]\(https://doi\.org/(\S+)\)", ENTRIES[key]):
        assert shown == linked.replace("%28", "(").replace("%29", ")")
        assert re.fullmatch(r"10\.\d{4,5}/\S+", shown)
    assert ENTRIES[key].count("doi:") == ENTRIES[key].count("https://doi.org/")


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_each_source_of_a_record_has_an_entry(record):
    assert all(TOOL["key_of"](source) in ENTRIES for source in record.reference.split("; "))


def test_a_source_without_an_entry_is_found():
    assert TOOL["key_of"]("Österreicher & Vajda 2003") == "osterreicher-vajda-2003"
    with pytest.raises(KeyError):
        TOOL["references"](["Nobody 1900"], PAGE)


def test_the_tables_of_the_page_are_the_registrys():
    assert TOOL["with_tables"](PAGE) == PAGE
    assert "<!-- definitions -->\n| name" in PAGE
    assert "<!-- facts -->\n| name" in PAGE
    assert TOOL["with_tables"](PAGE.replace("| `kl` |", "| `lk` |")) == PAGE


@pytest.mark.parametrize("name", divergences())
def test_the_page_describes_each_divergence(name):
    assert re.search(rf"^- \*\*`{name}`\*\*", PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize("name", sorted({name for _, name in WITH_FORMULA}))
def test_the_page_names_each_function_that_has_a_source(name):
    assert (f"`{name}" in PAGE) != (name in NOT_DEFINED)


@pytest.mark.parametrize(("module", "name"), WITH_FORMULA, ids=lambda value: value if isinstance(value, str) else "")
def test_the_sources_of_a_docstring_are_on_the_page_by_the_same_titles(module, name):
    text = inspect.getdoc(getattr(module, name))
    references = text.partition("References\n----------\n")[2].partition("\nExamples\n")[0]
    titles = [title.rstrip(",") for title in re.findall(r'"([^"]+)"', re.sub("``.*?``", "", references))]
    assert titles or "formulas" in references or name in NOT_DEFINED
    missing = [title for title in titles if plain(title) not in plain(PAGE)]
    assert not missing


def test_the_records_are_described_with_their_sources_in_full():
    text = inspect.getdoc(divergences)
    assert TOOL["definitions"]() in text
    for source in {source for record in divergences().values() for source in record.reference.split("; ")}:
        assert TOOL["title_of"](ENTRIES[TOOL["key_of"](source)]) in re.sub(r"\s+", " ", text)
    registry = inspect.getsource(inspect.getmodule(divergences))
    assert TOOL["with_references"](registry.replace("(1951), 79–86", "(1951), 1–2"), PAGE) == registry
