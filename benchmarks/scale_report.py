"""What docs/a_million_rows.md shows of docs/scale.md: some of its tables, and the chart docs/scale.png.

    python benchmarks/scale_report.py

writes them again from the tables of the page, without measuring anything; `scale.py` calls it after it has measured.
"""

import re
from pathlib import Path

from marks import between
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

ROOT = Path(__file__).resolve().parent.parent
OURS = "#c1440e"
MARKERS = {
    "blocks and argpartition": ("blocks of the matrix, and argpartition", "#4a5a68", "s"),
    "pynndescent": ("pynndescent, Jensen-Shannon", "#0072b2", "o"),
    "hnswlib": ("hnswlib on √p", "#b58900", "^"),
    "faiss": ("faiss, flat index on √p", "#009e73", "v"),
}
FOUND = 0.98  # A marker is hollow where fewer of the neighbours were found.
Table = list[list[str]]


def tables(page: str) -> list[Table]:
    """The cells of all tables of a page, header first."""
    found = []
    for lines in re.findall(r"(?:^\|.*\n)+", page, flags=re.MULTILINE):
        header, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines.splitlines())
        found.append([header, *rows])
    return found


def as_markdown(table: Table, columns: tuple[int, ...]) -> str:
    """Some columns of a table."""
    header, *rows = ([row[column] for column in columns] for row in table)
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *rows])


def ratio_and_recall(cell: str) -> tuple[float, float]:
    """How many times as long as skdiv somebody takes, and which share of the neighbours that finds."""
    recall = re.search(r"recall ([\d.]+)", cell)
    return float(cell.split(" ×")[0]), float(recall[1]) if recall else 1.0


def chart(neighbours: Table) -> Figure:
    """A row for each collection, and a point on it for each contestant."""
    header, *cases = neighbours
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    ax = figure.subplots()
    for height, cells in enumerate(reversed(cases)):
        for name, cell in zip(header, cells, strict=True):
            for start, (_, colour, marker) in MARKERS.items():
                if name.startswith(start):
                    ratio, recall = ratio_and_recall(cell)
                    face = colour if recall >= FOUND else "white"
                    ax.scatter(ratio, height, s=60, marker=marker, facecolor=face, edgecolor=colour, zorder=2)
    ax.axvline(1, color=OURS, linewidth=1.5, zorder=1)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    ax.set_xlabel("times as long as skdiv takes (logarithmic axis)")
    ax.set_yticks(range(len(cases)), [case[0] for case in reversed(cases)])
    ax.set_title(f"The 10 nearest of each row, {header[0]}", loc="left")
    ax.grid(axis="y", color="0.9")
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    handles = [Line2D([], [], color=OURS, label="skdiv, all of the neighbours")]
    for label, colour, marker in MARKERS.values():
        handles.append(Line2D([], [], color=colour, marker=marker, linestyle="", label=label))
    hollow = f"hollow: less than {FOUND:.0%} of the neighbours"
    handles.append(Line2D([], [], color="0.4", marker="o", markerfacecolor="white", linestyle="", label=hollow))
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return figure


def write(docs: Path) -> None:
    """Draw the chart beside the page in this folder, and write its tables into the page on a million rows."""
    neighbours, _, single, ward, memory, kept, large = tables((docs / "scale.md").read_text(encoding="utf-8"))
    chart(neighbours).savefig(docs / "scale.png", dpi=110)
    if docs.resolve() != ROOT / "docs":
        return
    page = docs / "a_million_rows.md"
    text = page.read_text(encoding="utf-8")
    text = between(text, "neighbours", as_markdown(neighbours, (0, 1, 2, 3, 4)))
    text = between(text, "single linkage", as_markdown(single, (0, 1, 2, 3)))
    text = between(text, "ward", as_markdown(ward, tuple(range(5))))
    text = between(text, "memory", as_markdown(memory, (0, 1, 2, 3)))
    text = between(text, "kept", as_markdown(kept, (0, 1, 2, 3, 4, 6, 7)))
    text = between(text, "summaries", as_markdown(large, tuple(range(6))))
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(ROOT / "docs")
