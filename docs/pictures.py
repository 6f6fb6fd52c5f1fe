"""Save the pictures of two pages: run the code of each, and save what it has drawn wherever a picture follows.

python docs/pictures.py
"""

import doctest
import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

DOCS = Path(__file__).parent
CODE_OR_PICTURE = re.compile(r"^```python\n(.*?)^```$|^!\[[^\]]*\]\((\w+\.png)\)$", flags=re.DOTALL | re.MULTILINE)


def save_pictures(page: str) -> None:
    """Run the code of a page and save its pictures beside it."""
    session: dict[str, object] = {}
    for code, picture in CODE_OR_PICTURE.findall((DOCS / page).read_text(encoding="utf-8")):
        if picture:
            pyplot.savefig(DOCS / picture, dpi=110)
            pyplot.close("all")
        for example in doctest.DocTestParser().get_examples(code):
            exec(example.source, session)


if __name__ == "__main__":
    save_pictures("quickstart.md")
    save_pictures("tutorial.md")
