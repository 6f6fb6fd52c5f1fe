"""The chart of docs/performance.md: time against the number of rows.

    python benchmarks/tasks_report.py

draws docs/performance.png again from the table of the page, without measuring anything; `tasks.py` calls it.
"""

import re
from itertools import pairwise
from pathlib import Path

from matplotlib.figure import Figure
from scale_report import tables

ROOT = Path(__file__).resolve().parent.parent
UNITS = {"ms": 1e-3, "s": 1, "min": 60, "h": 3600, "days": 86_400}
LINES = {  # what stands at the end of each line, its colour, and how many points beside and above the end it stands
    "`pairwise_homogeneity`": ("pairwise_homogeneity", "#5e1f4a", (8, 0)),
    "`Significance`": ("Significance", "#a8508c", (8, 0)),
    "`DivergenceClustering`": ("fit of a tree", "#c1440e", (-8, 4)),
    "`condensed_divergences`": ("condensed_divergences", "#a85a00", (8, 0)),
    "`nearest_divergences`": ("nearest_divergences", "#0072b2", (8, 0)),
    "`MiniBatchDivergenceClustering`": ("mini batches", "#009e73", (8, -9)),
    '`predict`, `assign="center"`': ("predict by centers", "#4a5a68", (8, 9)),
}


def of_cell(cell: str) -> tuple[float, bool] | None:
    """The seconds of a cell, and whether they are measured; None where there is no time."""
    found = re.fullmatch(r"(≈\s)?([\d.,]+)\s(ms|s|min|h|days)", cell)
    return (float(found[2].replace(",", "")) * UNITS[found[3]], not found[1]) if found else None


def chart(page: str) -> Figure:
    """A line for each task; what is not measured is dashed, and hollow."""
    header, *rows = next(each for each in tables(page) if each[0][0] == "64 bins")
    sizes = [int(cell.removesuffix(" rows").replace(",", "")) for cell in header[1:-1]]
    cells = {row[0]: row[1:-1] for row in rows}
    figure = Figure(figsize=(6, 5.6), layout="constrained", facecolor="white")
    ax = figure.subplots()
    for name, (label, colour, place) in LINES.items():
        points = [(n, *found) for n, cell in zip(sizes, cells[name], strict=True) if (found := of_cell(cell))]
        for (n, time, _), (later_n, later, measured) in pairwise(points):
            ax.plot([n, later_n], [time, later], color=colour, linestyle="-" if measured else ":", zorder=2)
        for n, time, measured in points:
            ax.scatter(n, time, s=30, facecolor=colour if measured else "white", edgecolor=colour, zorder=3)
        n, time, _ = points[-1]
        side = "left" if place[0] > 0 else "right"
        ax.annotate(
            label, (n, time), place, textcoords="offset points", ha=side, va="center", color=colour, fontsize=11,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0},
        )  # fmt: skip
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(right=40 * sizes[-1])
    ax.set_xticks(sizes, [f"{n:,}" if n < 10**6 else "1 million" for n in sizes], fontsize=10)
    times = {"1 ms": 1e-3, "10 ms": 0.01, "0.1 s": 0.1, "1 s": 1, "10 s": 10, "1 min": 60, "1 h": 3600, "1 day": 86_400}
    ax.set_yticks(list(times.values()), list(times), fontsize=11)
    ax.minorticks_off()
    ax.grid(color="0.92")
    ax.set_xlabel("rows of 64 bins (hollow and dotted: calculated, not measured)", fontsize=11)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def write(page: Path) -> None:
    """Draw the chart beside the page."""
    chart(page.read_text(encoding="utf-8")).savefig(page.with_suffix(".png"), dpi=130)


if __name__ == "__main__":
    write(ROOT / "docs" / "performance.md")
