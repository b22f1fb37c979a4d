"""What Sphinx is told: how docstrings are read, and how formulas are written."""

import docstrings
import formulas
from docutils import nodes


def role(name, rawtext, text, lineno, inliner, options=None, content=()):
    """Show :formula:`y = x W` as mathematics."""
    return [nodes.raw("", formulas.from_plain(text), format="html")], []


def visit_inline(translator, node):
    """Write a formula of a notebook within a line."""
    translator.body.append(formulas.from_tex(node.astext(), display=False))
    raise nodes.SkipNode


def visit_block(translator, node):
    """Write a formula of a notebook on a line of its own."""
    shown = formulas.from_tex(node.astext(), display=True)
    translator.body.append(f'<div class="math">{shown}</div>')
    raise nodes.SkipNode


def setup(app):
    """Hook into autodoc, ahead of napoleon, and into the writer of HTML."""
    app.add_role("formula", role)
    app.connect("autodoc-process-docstring", docstrings.rewrite, priority=400)
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
