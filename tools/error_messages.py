"""Write each message of an error or a warning of skdiv into docs/errors.md, with … for what depends on the data.

python tools/error_messages.py
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import skdiv

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "errors.md"
PACKAGE = Path(skdiv.__file__).parent
# What a reader was doing, and the folders and modules whose messages belong there. Each module belongs to one of them.
GROUPS = {
    "Rows": [
        "_input/arrays",
        "_input/checks",
        "_input/distributions",
        "_input/indices",
        "_input/mistakes",
        "_input/names",
        "pairwise",
        "chunked",
    ],
    "Metrics": ["_divergences", "_compute/measure"],
    "Weights and blocks": ["_input/weights", "_input/blocks"],
    "Trees and clusters": ["_trees", "cluster", "_input/estimators"],
    "Tests of significance and intervals": ["_significance", "significance", "homogeneity", "estimates"],
    "Neighbours, features, barycenters": ["neighbors", "embedding", "barycenters"],
    "Explanations, frames and pictures": ["explanations", "tables", "plotting"],
    "Observations and bins": ["preprocessing"],
    "Gaussians, mixtures, chains, samples, ordered bins": ["models"],
    "Dask": ["dask"],
    "Memory, packages and settings": ["_utils", "_compute/kernels", "_compute/run"],
}
INTERNAL = ["_compute/spanning"]  # a message about a fault of skdiv itself
ANY = "…"


def messages(source: str) -> Iterator[tuple[str, str]]:
    """Yield the kind and the text of each error that a module raises and each warning that it gives, in their order."""
    module = ast.parse(source)
    constants = {
        node.targets[0].id: node.value
        for node in module.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    returned = {  # the text that a function with one statement returns
        node.name: node.body[-1].value
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef) and isinstance(node.body[-1], ast.Return) and node.body[-1].value
    }
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            call, kind = node.exc, ast.unparse(node.exc.func)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "warn_caller":
            call, kind = node, ast.unparse(node.args[1]) if len(node.args) > 1 else "UserWarning"
        else:
            continue
        message = call.args[0]
        if isinstance(message, ast.Call) and isinstance(message.func, ast.Name) and message.func.id in returned:
            message = returned[message.func.id]
        text = re.sub(f"{ANY}(?:[.]?{ANY})+", ANY, _text(message, constants))
        if text.strip(f"{ANY} :"):  # else it passes on the message of another error
            found.append((call.lineno, kind if kind.isidentifier() else "ValueError", text))
    yield from dict.fromkeys((kind, text) for _, kind, text in sorted(found))


def _text(node: ast.expr, constants: dict[str, ast.expr]) -> str:
    """Return the text of an expression, with … for the parts of it that are known only when it is evaluated."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part, constants) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return _text(node.value, constants)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left, constants) + _text(node.right, constants)
    if isinstance(node, ast.Name) and node.id in constants:
        return _text(constants[node.id], {})
    return ANY


def group_of(module: Path) -> str | None:
    """Return the group that the messages of a module belong to; None if these are internal."""
    name = module.relative_to(PACKAGE).with_suffix("").as_posix()
    for group, places in [*GROUPS.items(), (None, INTERNAL)]:
        if any(name == place or name.startswith(f"{place}/") for place in places):
            return group
    raise ValueError(f"{name} has messages, but belongs to no group of tools/error_messages.py.")


def listed() -> str:
    """Return a section for each group, with a line for each message."""
    lines: dict[str, list[str]] = {group: [] for group in GROUPS}
    for path in sorted(PACKAGE.rglob("*.py")):
        for kind, text in messages(path.read_text(encoding="utf-8")):
            group = group_of(path)
            if group is not None:
                lines[group].append(f"- {kind}: `{text}`")
    return "\n\n".join("\n".join([f"### {group}", "", *dict.fromkeys(lines[group])]) for group in GROUPS)


def with_messages(page: str) -> str:
    """Return the text of the page with the messages between its marks replaced."""
    start, end = "<!-- messages -->\n", "\n<!-- /messages -->"
    return re.sub(f"{start}.*?{end.strip()}", lambda _: start + listed() + end, page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(with_messages(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
