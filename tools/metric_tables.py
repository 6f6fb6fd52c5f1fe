"""Write what the registry knows of the divergences into README.md, pages of docs/ and docstrings.

python tools/metric_tables.py

The full entries of the sources are written by hand, as the footnotes of docs/definitions.md.
"""

import math
import re
import textwrap
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from skdiv import Divergence, divergences

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DEFINITIONS = ROOT / "docs" / "definitions.md"
CHOOSING = ROOT / "docs" / "choosing.md"
REGISTRY = ROOT / "skdiv" / "_divergences" / "registry.py"
DOCSTRINGS = [ROOT / "skdiv" / "pairwise.py", ROOT / "skdiv" / "cluster" / "_agglomerative.py", REGISTRY]
ORDER = (  # what a reader has to know who chooses one; it stands under each list
    "None of them knows that bin 3 lies beside bin 4; where that matters, use `skdiv.models.wasserstein_divergences`."
)
BOUNDS = {math.log(2): "ln 2", math.sqrt(math.log(2)): "√ln 2", 1.0: "1", math.inf: "∞"}
UNITS = {1.0: "ln b", 0.5: "√ln b", None: "no unit"}  # what a value in base b is divided by, by the exponent
WIDTH = 120


# --- Sources: the short names of the records, and their full entries -------------------------------------------------


def in_ascii(text: str) -> str:
    """Return a text without the marks on its letters."""
    decomposed = unicodedata.normalize("NFKD", text.replace("ø", "o").replace("’", "'"))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def key_of(source: str) -> str:
    """Return the name of the footnote for a source such as "Kullback & Leibler 1951": kullback-leibler-1951."""
    return "-".join(re.findall(r"\w+", in_ascii(source).lower()))


def entries(page: str) -> dict[str, str]:
    """Return the full entries of the sources of a page, by the names of their footnotes."""
    found = re.findall(r"^\[\^([\w-]+)\]: (.+(?:\n    .+)*)", page, flags=re.MULTILINE)
    return {key: re.sub(r"\s+", " ", entry) for key, entry in found}


def title_of(entry: str) -> str:
    """Return the title in a full entry."""
    return entry.split('"')[1].rstrip(",")


def references(sources: Iterable[str], page: str) -> str:
    """Return the full entries of some sources, as the lines of a section of references in a docstring."""
    known = entries(page)
    texts = [re.sub(r"\[(doi:[^\]]+)\]\([^)]+\)", r"\1", known[key_of(source)]) for source in sources]
    return "\n".join(
        textwrap.fill(text, WIDTH, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
        for text in texts
    )


def sources_of_records() -> list[str]:
    """Return the short names of the sources of all records, each once."""
    return list(dict.fromkeys(source for each in divergences().values() for source in each.reference.split("; ")))


# --- Tables ----------------------------------------------------------------------------------------------------------


def _rows(header: str, rows: Iterable[list[str]]) -> str:
    """Return a table in Markdown."""
    rule = "| " + " | ".join("---" for _ in header.split(" | ")) + " |"
    return "\n".join([f"| {header} |", rule, *("| " + " | ".join(row) + " |" for row in rows)])


def _properties(record: Divergence) -> list[str]:
    """Return whether a divergence is symmetric, obeys the triangle inequality and suits Ward linkage, and its bound."""
    facts = ["yes" if fact else "no" for fact in (record.symmetric, record.metric, record.hilbertian)]
    return [*facts, BOUNDS[record.bound]]


def _definition(record: Divergence) -> str:
    """Return the formula of a divergence, for a cell of a table."""
    return record.definition.replace("|", "\\|")


def _infinite_where(record: Divergence) -> str:
    """Return in words where a divergence is infinite."""
    forth, back, apart = record([0.5, 0.5], [1, 0]), record([1, 0], [0.5, 0.5]), record([1, 0], [0, 1])
    if math.isinf(forth) and math.isinf(back):
        return "either lacks a bin of the other"
    if math.isinf(forth):
        return "q lacks a bin of p"
    return "no bin is common" if math.isinf(apart) else "never"


def table() -> str:
    """Return the table of the README: the formula and the properties of each divergence."""
    header = "name | definition | symmetric | triangle inequality | Ward | at most (nats)"
    return _rows(header, ([f"`{each.name}`", _definition(each), *_properties(each)] for each in divergences().values()))


def facts() -> str:
    """Return the table of the properties of each divergence, without its formula."""
    header = "name | symmetric | triangle inequality | Ward | at most (nats) | infinite where"
    return _rows(
        header, ([f"`{each.name}`", *_properties(each), _infinite_where(each)] for each in divergences().values())
    )


def sources() -> str:
    """Return the table of the formula, the unit and the sources of each divergence."""
    header = "name | definition | in base b divided by | source"
    rows = []
    for each in divergences().values():
        cited = "; ".join(f"{source}[^{key_of(source)}]" for source in each.reference.split("; "))
        rows.append([f"`{each.name}`", _definition(each), UNITS[each.base_exponent], cited])
    return _rows(header, rows)


def with_tables(text: str) -> str:
    """Return the text of a page with the tables between their marks replaced."""
    for name, written in {"divergences": table(), "facts": facts(), "definitions": sources()}.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        replacement = f"{start}{written}\n{end}"
        text = re.sub(f"{start}.*?{end}", lambda _, new=replacement: new, text, flags=re.DOTALL)
    return text


# --- Docstrings ------------------------------------------------------------------------------------------------------


def definitions() -> str:
    """Return a list with one line a record, its name, its formula and its source, and what none of them does."""
    lines = [f'- ``"{each.name}"``: ``{each.definition}`` ({each.reference}).' for each in divergences().values()]
    return "\n".join([*lines, "", ORDER])


def with_definitions(source: str) -> str:
    """Return the source of a module with the lists of metrics in its docstrings replaced."""
    written = textwrap.indent(definitions(), "    ") + "\n"
    listed = r'(?:^    - ``"\w+"``: .*\n)+(?:\n    None of them knows .*\n)?'
    return re.sub(listed, lambda _: written, source, flags=re.MULTILINE)


def with_references(source: str, page: str) -> str:
    """Return the source of the registry with the references in the docstring of `divergences` replaced."""
    before, function, after = source.partition("def divergences(")
    between = r"(?<=\n    References\n    ----------\n).*?(?=\n\n    Examples\n)"
    written = references(sources_of_records(), page)
    return before + function + re.sub(between, lambda _: written, after, count=1, flags=re.DOTALL)


if __name__ == "__main__":
    for path in (README, CHOOSING, DEFINITIONS):
        path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")
    for path in DOCSTRINGS:
        path.write_text(with_definitions(path.read_text(encoding="utf-8")), encoding="utf-8")
    written = with_references(REGISTRY.read_text(encoding="utf-8"), DEFINITIONS.read_text(encoding="utf-8"))
    REGISTRY.write_text(written, encoding="utf-8")
