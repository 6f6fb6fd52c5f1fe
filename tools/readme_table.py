"""Write the table of divergences in README.md from the registry.

python tools/readme_table.py
"""

import math
import re
from pathlib import Path

from skdiv import divergences

README = Path(__file__).parents[1] / "README.md"
BOUNDS = {math.log(2): "ln 2", math.sqrt(math.log(2)): "√ln 2", 1.0: "1", math.inf: "∞"}


def table() -> str:
    """One row a record."""
    rows = [
        "| name | definition | symmetric | metric | Ward | at most (nats) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for record in divergences().values():
        facts = ["yes" if fact else "no" for fact in (record.symmetric, record.metric, record.hilbertian)]
        definition = record.definition.replace("|", "\\|")
        rows.append(f"| `{record.name}` | {definition} | {' | '.join(facts)} | {BOUNDS[record.bound]} |")
    return "\n".join(rows)


def with_table(text: str) -> str:
    """The README's text with the table between its marks replaced."""
    start, end = "<!-- divergences -->\n", "\n<!-- /divergences -->"
    return re.sub(f"{start}.*?{end.strip()}", lambda _: start + table() + end, text, flags=re.DOTALL)


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
