"""Print pip's constraints for the lowest versions that pyproject.toml allows, for .ci/run to test with.

python tools/lowest_versions.py > lowest.txt && pip install '.[test]' --constraint lowest.txt

Of each release series that a lower bound names (2.0 of numpy>=2.0) it is the last one, which has the corrections.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = ["dask", "fast", "plot", "test"]  # what a user installs, and what the tests need


def constraints(project: dict) -> Iterator[str]:
    """Yield a constraint for each package with a lower bound in the dependencies and in those extras."""
    extras = project["optional-dependencies"]
    for requirement in [*project["dependencies"], *(each for extra in EXTRAS for each in extras[extra])]:
        if bounded := re.fullmatch(r"([\w.-]+)(?:\[.*\])?>=([\d.]+)", requirement):
            yield f"{bounded[1]}=={bounded[2]}.*"


if __name__ == "__main__":
    print(*constraints(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]), sep="\n")
