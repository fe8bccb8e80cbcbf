"""How the documentation is built: Markdown in, pages out that read offline."""

from importlib.metadata import version as version_of

project = "userops"
author = "The userops founders"
copyright = "2026, the userops founders"
release = version = version_of("userops")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "userops"
html_static_path = ["_static"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
nitpicky = False
