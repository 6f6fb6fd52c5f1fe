"""What README.md and docs/performance.md show of docs/benchmarks.md: a table of speeds, and the chart.

    python benchmarks/report.py

writes them again from the tables of the page, without measuring anything; `compare.py` calls it after it has measured.
"""

import re
from pathlib import Path

import marks
from matplotlib.axes import Axes
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parent.parent
PEERS = {"SciPy": ("SciPy pdist", "SciPy rel_entr, row by row"), "fastjsd": ("fastjsd",), "NumKong": ("NumKong",),
         "SimSIMD": ("SimSIMD",)}  # fmt: skip
TASKS = {
    "Jensen-Shannon, 2,000 rows of 256 bins": ("JS", "n = 2,000, 256 bins"),
    "the same in single precision": ("JS", "n = 2,000, 256 bins, float32"),
    "Kullback-Leibler, 2,000 rows of 256 bins": ("KL", "n = 2,000, 256 bins"),
    "Jensen-Shannon, 2,000 rows of 10,000 bins, 1 % of them not zero": ("JS", "n = 2,000, 10,000 bins, 1 % non-zero"),
    "Jensen-Shannon, 400 rows of 16 bins": ("JS", "n = 400, 16 bins"),
    "Jensen-Shannon, 50 rows of 2 bins": ("JS", "n = 50, 2 bins"),
}
CHARTED = {
    "Jensen-Shannon\n2,000 rows of 256 bins": ("JS", "n = 2,000, 256 bins"),
    "Kullback-Leibler\n2,000 rows of 256 bins": ("KL", "n = 2,000, 256 bins"),
    "Jensen-Shannon\n2,000 rows of 10,000 bins, 1 % not zero": ("JS", "n = 2,000, 10,000 bins, 1 % non-zero"),
}
OURS, OTHERS = "#c1440e", "#4a5a68"

Results = dict[tuple[str, str], dict[str, str]]


def results(page: str) -> Results:
    """Return the cells of all tables by divergence and case, and then by contestant.

    Some tables of the page have the cases as rows, others as columns; each is read in both ways.
    """
    cells: Results = {}
    for lines in re.findall(r"(?:^\|.*\n)+", page, flags=re.MULTILINE):
        (title, *columns), _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines.splitlines())
        for name, *values in rows:
            for column, value in zip(columns, values, strict=True):
                cells.setdefault((title, column), {})[name] = value
                cells.setdefault((title, name), {})[column] = value
    return cells


def ratio(cell: str) -> float:
    return float(cell.removesuffix(" ×"))


def rounded(number: float) -> str:
    """Return two significant digits, without an exponent."""
    return f"{float(f'{number:.2g}'):,g}"


def in_words(cells: dict[str, str], names: tuple[str, ...]) -> str:
    """Return how long the one of these contestants that took part took, beside skdiv."""
    for name in names:
        if name in cells:
            times = rounded(ratio(cells[name]))
            return "as long" if times == "1" else f"{times} times as long"
    return "not measured"


def speeds(page: str) -> str:
    """Return the README's table and the sentence below it."""
    measured = results(page)
    header = ["all pairs of", "skdiv takes", *(f"{peer} takes" for peer in PEERS)]
    rows = [header, ["---"] * len(header)]
    for task, case in TASKS.items():
        cells = measured[case]
        rows.append([task, cells["skdiv takes"], *(in_words(cells, names) for names in PEERS.values())])
    formula = in_words(measured["KL", "n = 2,000, 256 bins"], ("the formula in NumPy, unchecked",))
    sentence = f"For Kullback-Leibler, the formula in four lines of NumPy, which checks nothing, takes {formula}."
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + f"\n\n{sentence}"


def with_speeds(readme: str, page: str) -> str:
    """Return the README's text with what stands between its marks replaced."""
    return marks.between(readme, "benchmark", speeds(page))


def draw_panel(ax: Axes, title: str, cells: dict[str, str]) -> None:
    """Draw one point a contestant, the fastest at the top, with its number beside it."""
    ratios = {"skdiv": 1.0} | {name: ratio(cell) for name, cell in cells.items() if cell.endswith(" ×")}
    names = sorted(ratios, key=lambda name: ratios[name], reverse=True)
    for height, name in enumerate(names):
        colour = OURS if name.startswith("skdiv") else OTHERS
        label = cells["skdiv takes"] if name == "skdiv" else cells[name]
        ax.scatter(ratios[name], height, s=40, color=colour, zorder=2)
        ax.annotate(
            label, (ratios[name], height), (9, 0), textcoords="offset points", va="center", color=colour,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )  # fmt: skip
    ax.axvline(1, color=OURS, linewidth=1, linestyle=":", zorder=1)
    ax.set_xscale("log")
    ax.set_xlabel("times as long as skdiv takes\n(logarithmic axis)")
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:,g}")
    ax.set_yticks(range(len(names)), names)
    ax.set_title(title, fontsize=11)
    ax.grid(axis="y", color="0.9")
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)


def chart(page: str) -> Figure:
    """Return a figure with one panel a case."""
    figure = Figure(figsize=(15, 4.6), layout="constrained")
    measured = results(page)
    panels = figure.subplots(1, len(CHARTED), sharex=True)
    for ax, (title, case) in zip(panels, CHARTED.items(), strict=True):
        draw_panel(ax, title, measured[case])
    right = panels[0].get_xlim()[1]
    panels[0].set_xlim(right=10 * right)  # room for the labels
    return figure


def write(docs: Path) -> None:
    """Draw the chart beside the page in this folder; if it is the repository's, write the table into both pages."""
    page = (docs / "benchmarks.md").read_text(encoding="utf-8")
    chart(page).savefig(docs / "benchmarks.png", dpi=110)
    if docs.resolve() == ROOT / "docs":
        for other in (ROOT / "README.md", docs / "performance.md"):
            other.write_text(with_speeds(other.read_text(encoding="utf-8"), page), encoding="utf-8")


if __name__ == "__main__":
    write(ROOT / "docs")
