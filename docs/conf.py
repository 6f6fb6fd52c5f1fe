"""How Sphinx makes the site of the pages in this folder, the examples and the docstrings.

The pages are Markdown, which is also read beside the code, and whose code tests/test_readme.py runs. README.md,
CONTRIBUTING.md and CHANGELOG.md are included as they are; their links are turned into links of the site here.
"""

import importlib
import re
import sys
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref

import skdiv

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path.insert(0, str(DOCS / "_ext"))

project = "skdiv"
author = project_copyright = "The skdiv developers"
version = release = skdiv.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_*"]
nitpicky = True
# The inventories of other projects would have to be fetched, and the site is built without a network.
nitpick_ignore_regex = [("py:.*", r"(dask|hdbscan|joblib|matplotlib|numpy|pandas|scipy|sklearn)\..*")]
default_role = "literal"

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

autodoc_typehints = "none"  # the docstrings say the types in words
autodoc_default_options = {"members": True, "inherited-members": True, "special-members": "__call__"}
autosummary_generate = True
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False  # autodoc describes the methods in full

copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "examples",
    "filename_pattern": "",  # every example is run
    "image_scrapers": ["gallery.saved_pictures"],
    "reset_modules": ["gallery.warnings_as_errors"],
    "reset_modules_order": "both",
    "write_computation_times": False,
    "capture_repr": (),
    "download_all_examples": False,
    "show_signature": False,
    "within_subsection_order": "ExampleTitleSortKey",
}

html_theme = "pydata_sphinx_theme"
html_title = f"skdiv {release}"
html_favicon = "_static/favicon.svg"
html_static_path = ["_static"]
html_css_files = ["skdiv.css"]
html_show_sourcelink = False
html_sidebars = {"index": [], "features": [], "quickstart": [], "tutorial": []}
html_context = {"default_mode": "auto"}
html_theme_options = {
    "logo": {"text": "skdiv"},
    "navbar_align": "left",
    "navigation_with_keys": False,
    "header_links_before_dropdown": 7,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}

MODULES = [
    "",
    ".datasets",
    ".embedding",
    ".explanations",
    ".models",
    ".neighbors",
    ".plotting",
    ".preprocessing",
    ".tables",
]
PUBLIC = {  # the full name of each public name; those of skdiv.dask are some of them again, and are written in full
    name: f"skdiv{module}.{name}"
    for module in reversed(MODULES)
    for name in importlib.import_module(f"skdiv{module}").__all__
}
INCLUDED = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}


def with_links_of_the_site(text: str, folder: Path) -> str:
    """Return the text of a page in a folder with its links to files of the repository made links of the site.

    What the site has no page of is a file to download. Blocks of code lose the empty line that ends a doctest.
    """

    def of_the_site(match: re.Match[str]) -> str:
        path, anchor = match[1], match[2] or ""
        target = (folder / path).resolve()
        if not target.exists():
            return match[0]  # MyST reports it
        where = target.relative_to(ROOT)
        if where.parts[0] == "examples":
            return f"]({where.with_suffix('.rst')}{anchor})"
        if where.parts[0] == "docs":
            return f"]({where.relative_to('docs')}{anchor})"
        if where.name == "README.md" and anchor:  # most sections of it
            return f"](features.md{anchor})"
        return f"]({INCLUDED.get(str(where), f'path:../{where}')}{anchor})"

    return re.sub(r"\]\((?!\w+:)([^()#\s]+)(#[^()\s]*)?\)", of_the_site, text.replace("\n\n```\n", "\n```\n"))


def on_source_read(app, docname, source):
    """Turn the links of the pages in this folder into links of the site."""
    if app.env.doc2path(docname).suffix == ".md":
        source[0] = with_links_of_the_site(source[0], DOCS)


def on_include_read(app, path, docname, content):
    """Turn the links of the files that pages include into links of the site."""
    content[0] = with_links_of_the_site(content[0], (DOCS / path).resolve().parent)


def on_skip_member(app, what, name, member, skip, options):
    """Leave out what other libraries give to a class, and describe, and functions that are a field's default.

    None leaves a member to autodoc.
    """
    function = getattr(member, "fget", member)
    ours = (getattr(function, "__module__", None) or "").startswith("skdiv")
    return None if ours and (what != "class" or "." in function.__qualname__) else True


def on_docstring(app, what, name, thing, options, lines):
    """Make a paragraph of each reference, which begins with the initials of an author.

    Sphinx would take the first of these for the letter of an item in a list.
    """
    for number in reversed(range(1, len(lines))):
        if re.match(r"[A-Z]\. ", lines[number]):
            lines[number] = f"\\{lines[number]}"
            if lines[number - 1].endswith("."):
                lines.insert(number, "")


def on_doctree_read(app, doctree):
    """Link the public names that stand as code in a text, alone or called, to their pages of the reference."""
    known = {**PUBLIC, **{full: full for full in PUBLIC.values()}}
    known |= {full: full for full in (f"skdiv.dask.{name}" for name in importlib.import_module("skdiv.dask").__all__)}
    here = app.env.docname
    for literal in list(doctree.findall(nodes.literal)):
        full = known.get(literal.astext().partition("(")[0])
        inside = literal
        while inside is not None and not isinstance(inside, (nodes.reference, nodes.title, pending_xref)):
            inside = inside.parent
        if full and inside is None and not here.endswith(full):
            link = pending_xref("", refdomain="py", reftype="obj", reftarget=full, refdoc=here, refexplicit=True)
            literal.replace_self(link)
            link += literal


def setup(app):
    """Connect the functions above."""
    app.connect("source-read", on_source_read)
    app.connect("include-read", on_include_read)
    app.connect("autodoc-skip-member", on_skip_member)
    app.connect("autodoc-process-docstring", on_docstring, priority=400)  # before numpydoc
    app.connect("doctree-read", on_doctree_read)
