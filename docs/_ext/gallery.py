"""How the gallery runs the examples: warnings are errors, and the pictures are those that the examples save."""

import shutil
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sphinx_gallery.scrapers import figure_rst

_filters = ExitStack()


def warnings_as_errors(gallery_conf: dict[str, Any], fname: str, when: str) -> None:
    """Raise the warnings of an example, and let those of Sphinx pass again after it."""
    if when == "before":
        _filters.enter_context(warnings.catch_warnings())
        warnings.simplefilter("error")
    else:
        _filters.close()


def saved_pictures(block: tuple[Any, ...], block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Move the pictures that an example has saved in its own folder, where it is run, to the gallery, and show them."""
    shown = []
    for saved in sorted(Path(block_vars["src_file"]).parent.iterdir()):
        if saved.suffix in {".jpg", ".png"}:
            place = Path(next(block_vars["image_path_iterator"])).with_suffix(saved.suffix)
            shutil.move(saved, place)
            shown.append(place)
    return figure_rst(shown, gallery_conf["src_dir"])
