"""The docstrings of the library as reStructuredText, which Sphinx reads.

They are written to be read in the source: a line of meaning, the formulas in plain text, and
sections with `name : meaning`. Here formulas become mathematics, one to a line; the words of a
parameter become its description; a source such as "He et al. 2016" becomes a link.
"""

import re

from sources import SOURCES

SECTIONS = ("Parameters", "Attributes", "Returns", "Yields", "Raises", "References", "Examples",
            "See Also", "Notes")
ENTRIES = ("Parameters", "Attributes", "Raises", "Returns", "Yields")
LEFT = r"[\w\[\]{}(),^²ᵀ'… ½/·*.+-]{1,42}?"
EQUATION = re.compile(rf"^(?P<words>[A-Z][^=:]{{0,60}}: )?(?P<formula>{LEFT} [=←] .*)")
SHAPES = re.compile(r"^\w[\w, |]{0,40} \(([A-Z]|\d|\d?H|kernel)[,)][,\w .+·-]*")
PROSE = re.compile(r"^(A|An|The|It|Its|That|This|They|Where|With|Raises?|Return|Each|Every|In|On|"
                   r"Below|For)\b")
CITED = re.compile("|".join(sorted(map(re.escape, SOURCES), key=len, reverse=True)))
AFTER = re.compile(r"\.? \([A-Z][^()]*(\([^()]*\)[^()]*)*\d{4}[^()]*\)?\.?$|\. [A-Z`].*$")
SPECIAL = re.compile(r"([\\*|_])")


def is_formula(line):
    """Tell whether a line of a docstring starts a formula, or tells shapes."""
    return bool((EQUATION.match(line) or SHAPES.match(line)) and not PROSE.match(line))


def as_lines(paragraph):
    """Join what was wrapped; a formula keeps a line of its own."""
    lines = []
    for line in map(str.strip, paragraph):
        if lines and not is_formula(line) and not (is_formula(lines[-1])
                                                   and lines[-1][-1] in ".,;:"):
            lines[-1] += " " + line
        elif (lines and is_formula(line) and lines[-1][-1:] not in ".,;:"
              and not SHAPES.match(line)):
            lines[-1] += " " + line
        else:
            lines.append(line)
    return lines


def prose(text):
    """Escape what reStructuredText would read as markup, outside of quoted code; link sources."""
    parts = re.split(r"(`[^`]+`)", text)
    parts[::2] = [cited(SPECIAL.sub(r"\\\1", part)) for part in parts[::2]]
    return "".join(parts)


def cited(text):
    """Turn the names of papers into links to the page of sources."""
    return CITED.sub(lambda found: f":ref:`{found[0]} <{SOURCES[found[0]]}>`\\ ", text)


def formula(text):
    """Return one line with formulas as reStructuredText; clauses are three spaces apart."""
    words, said = "", EQUATION.match(text)
    if said and said["words"]:
        words, text = prose(said["words"]) + " ", said["formula"]
    shown = []
    for clause in re.split(r"(?<=[,;.]) {2,}", text):
        head, colon, rest = clause.partition(": ")
        head = head.rstrip()
        cut = AFTER.search(head)
        tail = head[cut.start():] if cut else ""
        head = head[:cut.start()] if cut else head
        shown.append(f":formula:`{escaped(head)}`" + (f"\\ {prose(tail)}" if tail else "")
                     + (f"\\ : {prose(rest)}" if colon else ""))
    return words + "   ".join(shown)


def escaped(text):
    """Escape what would end the role."""
    return text.replace("\\", r"\\").replace("`", "")


def body(paragraph):
    """Return one paragraph: prose, or a block of lines where it has formulas."""
    lines = as_lines(paragraph)
    if not any(is_formula(line) for line in lines):
        return [prose(line) for line in lines]
    return [f"| {formula(line) if is_formula(line) else prose(line)}" for line in lines]


def entry(line):
    """Return `name : meaning` with the meaning as the description below the name."""
    name, colon, meaning = line.partition(" : ")
    return [name, "    " + prose(meaning)] if colon else [line]


def sections(lines):
    """Rewrite the sections in place of the words of a class of `name : meaning`."""
    found, current = [], ""
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if line in SECTIONS and set(following) == {"-"}:
            current = line
        if current not in ENTRIES or line in SECTIONS or set(line) <= {"-", " "}:
            found.append(line)
        elif not line.startswith(" "):
            found += entry(line)
        else:
            found.append("    " + prose(line.strip()))
    return found


def first_section(lines):
    """Return where the first section begins."""
    for number, line in enumerate(lines[:-1]):
        if line in SECTIONS and set(lines[number + 1]) == {"-"}:
            return number
    return len(lines)


def rewrite(app, what, name, thing, options, lines):
    """Rewrite one docstring in place; Sphinx calls this before napoleon reads it."""
    lines[:] = [line.rstrip() for line in lines]
    start = first_section(lines)
    found, paragraph = [], []
    for line in [*lines[:start], ""]:
        if line and line.startswith("  ") and not paragraph or line.startswith(("- ", ">>>")):
            found += body(paragraph) + [("" if line.startswith("- ") else "") + prose(line)]
            paragraph = []
        elif line:
            paragraph.append(line)
        elif paragraph:
            found, paragraph = [*found, *body(paragraph), ""], []
        else:
            found.append("")
    lines[:] = found + sections(lines[start:])
