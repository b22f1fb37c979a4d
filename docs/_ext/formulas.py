"""Formulas as MathML, which browsers show without a script or a font from elsewhere.

`from_plain` reads the formulas of the docstrings ("dW = xᵀ dy"), `from_tex` those of the notebooks.
"""

import re
from html import escape

GREEK = {"alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "eps": "ε", "lambda": "λ",
         "mu": "μ", "rho": "ρ", "pi": "π", "sigma": "σ"}
POWERS = {"ᵀ": "T", "²": "2"}
TOKEN = re.compile(r"(?P<name>d?[^\W\d_])_(?P<sub>\{[^}]*\}|\w)(?![^\W_])"
                   r"|(?P<hat>[^\W\d_]+)_hat\b"
                   r"|(?P<word>[^\W\dᵀ](?:(?![ᵀ²])\w)*(?:\.\w+)*)|(?P<number>\d[\d_]*(?:\.\d+)?)"
                   r"|(?P<power>[ᵀ²])|(?P<raised>\^)|(?P<space>\s+)|(?P<other>//|.)")


def symbol(word):
    """Return one name as MathML: a letter leans, a word that is not a variable stands upright."""
    word = GREEK.get(word, word)
    if len(word) == 1:
        return f"<mi>{escape(word)}</mi>"
    if re.fullmatch(r"d[A-Za-z]\w?|W[xh]", word):
        return f'<mi style="font-style: italic">{escape(word)}</mi>'
    return f'<mtext>{escape(word)}</mtext>'


def row(text):
    """Return a piece of a formula as one MathML row."""
    return f"<mrow>{''.join(pieces(text))}</mrow>"


def pieces(text):
    """Return the MathML of each token; powers and subscripts take the token before them."""
    found, waiting = [], False
    for match in TOKEN.finditer(text):
        kind, value = match.lastgroup, match[match.lastgroup]
        if kind == "sub":
            new = f"<msub>{symbol(match['name'])}{row(value.strip('{}'))}</msub>"
        elif kind == "hat":
            new = f'<mover accent="true">{symbol(value)}<mo stretchy="false">ˆ</mo></mover>'
        elif kind == "word":
            new = symbol(value)
        elif kind == "number":
            new = f"<mn>{value}</mn>"
        elif kind == "power" and found:
            new = f"<msup>{found.pop()}<mn>{POWERS[value]}</mn></msup>"
        elif kind == "raised" and found:
            waiting = True
            continue
        elif kind == "space":
            new = '<mspace width="0.28em"/>'
        else:
            sign = escape(value.replace("-", "−"))
            new = f'<mo stretchy="false" lspace="0" rspace="0">{sign}</mo>'
        if waiting and kind != "space":
            new, waiting = f"<msup>{found.pop()}{new}</msup>", False
        found.append(new)
    return found


def from_plain(text):
    """Return <math> for one formula of a docstring; the text itself is its name for listeners."""
    return f'<math aria-label="{escape(text)}">{row(text)}</math>'


def from_tex(tex, display):
    """Return <math> for a formula in TeX."""
    from latex2mathml.converter import convert
    return convert(tex, display="block" if display else "inline")
