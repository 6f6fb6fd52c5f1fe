"""What stands between two marks of a page, which a script replaces by what it has measured."""

from pathlib import Path


def between(text: str, mark: str, new: str) -> str:
    """A text with what stands between its two marks of a name replaced."""
    start, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
    before, rest = text.split(start)
    return f"{before}{start}{new}\n{end}{rest.split(end)[1]}"


def write(page: Path, mark: str, new: str) -> None:
    """Replace what stands between the two marks of a name in a page."""
    page.write_text(between(page.read_text(encoding="utf-8"), mark, new), encoding="utf-8")
