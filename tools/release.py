"""Say what is still open before a release, or make the links of README.md absolute for an index of packages.

python tools/release.py           prints what is open, and fails if there is anything
python tools/release.py --links   rewrites README.md, in the clone of which the packages are built

README.md is the description in the packages. Its links are relative, as they have to be in the repository, in an
unpacked sdist and for the site, and lead nowhere from the page of an index.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACEHOLDER = "example.org"  # a domain that RFC 2606 reserves, for addresses that are not known yet
FILES = ["pyproject.toml", "CITATION.cff", "CHANGELOG.md", "skdiv/_version.py"]
PICTURES = {".png", ".jpg", ".svg"}


def version_of(texts: dict[str, str]) -> str:
    return re.search(r'^__version__ = "(.+)"$', texts["skdiv/_version.py"], flags=re.MULTILINE)[1]


def open_points(texts: dict[str, str]) -> Iterator[str]:
    """Yield what keeps a version from being released, from the texts of the files above."""
    for name in ("pyproject.toml", "CITATION.cff"):
        for number, line in enumerate(texts[name].splitlines(), start=1):
            if PLACEHOLDER in line:
                yield f"{name}:{number}: a placeholder is left: {line.strip()}"
    version = version_of(texts)
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        yield f"skdiv/_version.py: {version} is not the version of a release"
    newest = re.search(r"^## (.+)$", texts["CHANGELOG.md"], flags=re.MULTILINE)[1]
    dated = re.fullmatch(rf"{re.escape(version)} \((\d{{4}}-\d\d-\d\d)\)", newest)
    if not dated:
        yield f"CHANGELOG.md: the first version is '{newest}', and not '{version} (year-month-day)'"
    released = f"date-released: {dated[1] if dated else 'year-month-day'}"
    for line in (f"version: {version}", released):
        if line not in texts["CITATION.cff"].replace('"', "").replace("'", "").splitlines():
            yield f"CITATION.cff: there is no line '{line}'"


def with_absolute_links(text: str, repository: str, version: str) -> str:
    """Return a page of the folder of this repository with its links to files made addresses of a version's files."""

    def absolute(match: re.Match[str]) -> str:
        path = ROOT / match[1]
        kind = "raw" if path.suffix in PICTURES else "tree" if path.is_dir() else "blob"
        return f"]({repository}/{kind}/v{version}/{match[1]}{match[2] or ''})" if path.exists() else match[0]

    return re.sub(r"\]\((?!\w+:)([^()#\s]+)(#[^()\s]*)?\)", absolute, text)


def main(arguments: list[str]) -> None:
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in FILES}
    points = list(open_points(texts))
    if points:
        sys.exit("\n".join(points))
    if arguments == ["--links"]:
        repository = tomllib.loads(texts["pyproject.toml"])["project"]["urls"]["Repository"]
        readme = ROOT / "README.md"
        page = with_absolute_links(readme.read_text(encoding="utf-8"), repository, version_of(texts))
        readme.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
