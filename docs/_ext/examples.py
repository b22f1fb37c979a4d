"""A short example for public names whose docstring has none; tests/tools/test_site.py runs them."""

EXAMPLES = {}
