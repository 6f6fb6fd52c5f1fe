"""Draw which modules of skdiv import which, from the bottom up, as text or with --dot as a graph for Graphviz.

python tools/import_graph.py [--dot]
"""

import argparse
import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "skdiv"


def name_of(path: Path) -> str:
    """Return the dotted name of a module below ``skdiv``; that of the package itself is empty."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


def imports(path: Path, modules: set[str]) -> set[str]:
    """Return the modules of skdiv that a module imports by absolute names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "skdiv":
            origin = node.module.removeprefix("skdiv").removeprefix(".")
            members = {f"{origin}.{alias.name}".removeprefix(".") for alias in node.names}
            found |= (members & modules) or {origin}
    return found - {name_of(path)}


def levels(graph: dict[str, set[str]]) -> dict[str, int]:
    """Return for each module the length of the longest way down; a cycle is an error."""
    known: dict[str, int] = {}

    def level(name: str, above: tuple[str, ...]) -> int:
        if name in above:
            raise ValueError(f"Modules import each other in a circle: {' -> '.join([*above, name])}")
        if name not in known:
            known[name] = 1 + max((level(other, (*above, name)) for other in graph[name]), default=-1)
        return known[name]

    for name in graph:
        level(name, ())
    return known


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dot", action="store_true", help="as a graph for `dot -Tsvg`")
    paths = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
    graph = {name: imports(path, set(paths)) for name, path in paths.items()}
    if parser.parse_args().dot:
        arrows = [f'  "{name or "skdiv"}" -> "{other}"' for name, others in graph.items() for other in sorted(others)]
        print("digraph skdiv {", *arrows, "}", sep="\n")
        return
    heights = levels(graph)
    for name in sorted(graph, key=lambda name: (heights[name], name)):
        print(f"{heights[name]:2d}  {name or 'skdiv':28s} {' '.join(sorted(graph[name]))}")
    rooms = {name.rpartition(".")[0] for name in graph}
    print(f"{len(graph)} modules in {len(rooms)} folders, {sum(map(len, graph.values()))} arrows between modules")


if __name__ == "__main__":
    main()
