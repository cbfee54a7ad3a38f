"""How Sphinx makes the site of the pages that `tools/site/stage.py` has put together."""

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from tools.site import diagrams, docstrings
from walletsync import __version__

HERE = Path(__file__).parent

project = "walletsync"
version = release = __version__
language = "en"
copyright = "the authors of walletsync; MIT license"
root_doc = "index"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
]

# The notebooks are shown as `make docs` ran them.
nb_execution_mode = "off"
nb_render_markdown_format = "gfm"
nb_merge_streams = True
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]
myst_links_external_new_tab = False
suppress_warnings = ["myst.header", "misc.highlighting_failure"]
nitpicky = False

# Docstrings are prose in which `this` is code.
default_role = "literal"
smartquotes = False  # or `--server` would become a dash
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
autodoc_preserve_defaults = True
add_module_names = False
napoleon_numpy_docstring = False
toc_object_entries_show_parents = "hide"

copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp"

html_theme = "furo"
html_title = "walletsync"
html_static_path = [str(HERE / "static")]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_favicon = str(HERE / "static" / "icon.svg")
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"top_of_page_buttons": []}


def level_of_captions(_app: Sphinx, _page: str, _template: str, context: dict[str, Any], _tree: object) -> None:
    """Give the headings of the navigation the level that a screen reader wants to know, and Sphinx leaves out."""
    navigation = context["furo_navigation_tree"]
    context["furo_navigation_tree"] = navigation.replace('role="heading"', 'role="heading" aria-level="2"')


def setup(app: Sphinx) -> None:
    """Add what is this site's own."""
    app.connect("html-page-context", level_of_captions, priority=900)  # after the theme
    diagrams.setup(app)
    docstrings.setup(app)
