"""Write what the registry knows of the divergences into README.md, docs/choosing.md and docstrings.

python tools/metric_tables.py
"""

import math
import re
from pathlib import Path
from textwrap import indent

from skdiv import divergences

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
CHOOSING = ROOT / "docs" / "choosing.md"
DOCSTRINGS = [ROOT / "skdiv" / "pairwise.py", ROOT / "skdiv" / "cluster" / "_agglomerative.py"]
ORDER = (  # what a reader has to know who chooses one; it stands under each list
    "None of them knows that bin 3 lies beside bin 4; where that matters, use `skdiv.models.wasserstein_divergences`."
)
BOUNDS = {math.log(2): "ln 2", math.sqrt(math.log(2)): "√ln 2", 1.0: "1", math.inf: "∞"}


def table() -> str:
    """Return a table with one row a record."""
    rows = [
        "| name | definition | symmetric | metric | Ward | at most (nats) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for record in divergences().values():
        facts = ["yes" if fact else "no" for fact in (record.symmetric, record.metric, record.hilbertian)]
        definition = record.definition.replace("|", "\\|")
        rows.append(f"| `{record.name}` | {definition} | {' | '.join(facts)} | {BOUNDS[record.bound]} |")
    return "\n".join(rows)


def sources() -> str:
    """Return a table of where each divergence comes from, and of its value where q lacks a bin of p."""
    rows = ["| name | q has an empty bin that p has not | source |", "| --- | --- | --- |"]
    for record in divergences().values():
        is_finite = math.isfinite(record([0.5, 0.5], [1, 0]))
        rows.append(f"| `{record.name}` | {'finite' if is_finite else '∞'} | {record.reference} |")
    return "\n".join(rows)


def with_table(text: str) -> str:
    """Return the text of a page with the tables between their marks replaced."""
    for name, written in {"divergences": table(), "sources": sources()}.items():
        start, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
        replacement = (start + written + end).replace("\\", r"\\")
        text = re.sub(f"{start}.*?{end.strip()}", replacement, text, flags=re.DOTALL)
    return text


def definitions() -> str:
    """Return a list with one line a record, its name, its formula and its source, and what none of them does."""
    lines = [f'- ``"{each.name}"``: ``{each.definition}`` ({each.reference}).' for each in divergences().values()]
    return "\n".join([*lines, "", ORDER])


def with_definitions(source: str) -> str:
    """Return the source of a module with the lists of metrics in its docstrings replaced."""
    written = indent(definitions(), "    ") + "\n"
    listed = r'(?:^    - ``"\w+"``: .*\n)+(?:\n    None of them knows .*\n)?'
    return re.sub(listed, lambda _: written, source, flags=re.MULTILINE)


if __name__ == "__main__":
    for page in (README, CHOOSING):
        page.write_text(with_table(page.read_text(encoding="utf-8")), encoding="utf-8")
    for path in DOCSTRINGS:
        path.write_text(with_definitions(path.read_text(encoding="utf-8")), encoding="utf-8")
