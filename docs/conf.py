"""The site: sphinx-build -W -b html docs docs/_build/html"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent / "_ext")]

import tinydni  # noqa: E402

project = "tinydni"
author = "the tinydni developers"
copyright = author      # noqa: A001, Sphinx asks for this name
version = release = tinydni.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "sphinx_design",
              "myst_nb", "hooks", "pages", "lite"]
exclude_patterns = ["_build", "_ext", "_lite", "**.ipynb_checkpoints"]
suppress_warnings = ["mystnb.unknown_mime_type"]

# Nothing is fetched, neither when the site is built nor when it is read.
html_math_renderer = "mathml"
nb_execution_mode = "off"               # the notebooks are shown as they were run
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3

default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "none"              # shapes say more, and the signature stays readable
autodoc_preserve_defaults = True        # np.float32, not <class 'numpy.float32'>
napoleon_google_docstring = False
napoleon_use_param = False
napoleon_use_rtype = False
napoleon_use_ivar = True
viewcode_line_numbers = True

html_theme = "pydata_sphinx_theme"
html_title = "tinydni"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_domain_indices = False
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "navigation_with_keys": False,
}

# `-b linkcheck` looks at links within the site; the net is another matter.
linkcheck_ignore = [r"https?://.*", r"lite/.*"]       # lite/ is made after the pages
linkcheck_anchors = True
