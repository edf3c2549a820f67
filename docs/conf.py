"""Configuration of Sphinx; ``make docs`` builds the pages."""

import re
import warnings

from sklearn.experimental import enable_halving_search_cv  # noqa: F401  # an example names it

import sklearn_elmodes

project = "sklearn-elmodes"
author = "The sklearn-elmodes developers"
project_copyright = author
version = release = sklearn_elmodes.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_click",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
smartquotes = False  # commands are pasted from these pages
myst_heading_anchors = 3

autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"[0-9]{2}_\w+\.py",
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "api/examples",
    "doc_module": ("sklearn_elmodes",),
    "abort_on_example_error": False,
    "capture_repr": (),
    "download_all_examples": False,
    "min_reported_time": 0,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "sklearn-elmodes"
html_static_path = ["_static"]
html_css_files = ["quiet.css"]
html_copy_source = False
html_sidebars = {
    "benchmarks": [],
    "changelog": [],
}
html_theme_options = {
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 7,
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}

# The gallery runs the examples in this process, which has no display.
warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")


def link_gallery(app, name, source):
    """Point links to an example's script, which work in the sources, to its page."""
    source[0] = re.sub(r"\]\(\.\./examples/(\w+)\.py\)", r"](auto_examples/\1.rst)", source[0])


def setup(app):
    """Register the function above with Sphinx."""
    app.connect("source-read", link_gallery)
