"""Pages that are made when the site is built, and links that lead out of docs/.

Made are: a page for every public name, the commands with their options from the parser, copies of
the notebooks with their stored outputs, and of the pages that lie elsewhere in the repository.
"""

import argparse
import importlib
import inspect
import json
import posixpath
import re
import shutil
from pathlib import Path

from docstrings import as_lines, formula, is_formula, prose
from examples import EXAMPLES, START
from PIL import Image

import tinydni

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
PARTS = {"tinydni": "", "tinydni.variants": "variants", "tinydni.gradcheck": "gradcheck",
         "tinydni.plots": "plots", "tinydni.datasets": "datasets", "tinydni.gpu": "gpu"}
GROUPS = {
    "Modules, networks, and the ways to run them": ["dni", "algorithms"],
    "Synthesizers": ["synthesizers", "virtual"],
    "Layers": ["layer", "linear", "activations", "batchnorm", "dropout", "containers"],
    "Layers on images": ["convolution", "pooling"],
    "Layers on sequences, and modules in time": ["recurrent", "lstm", "recurrent_dni"],
    "Losses": ["losses"],
    "Optimizers and learning-rate schedules": ["optimizers"],
    "Networks as lists of blocks, and training": ["models", "training"],
    "Arrays and random numbers": ["backend", "random"],
}
COPIES = {"notebooks/README.md": "notebooks/index.md", "data/README.md": "generated/data.md",
          "README.md": "index.md"}
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")


def write(path, text):
    """Write a page if it is not there yet as it should be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


# a page for every public name

def public_names(module):
    """Return (name, thing) of the classes, functions and modules that `module` gives."""
    found = importlib.import_module(module)
    return [(name, getattr(found, name)) for name in found.__all__
            if f"{module}.{name}" not in PARTS and name not in ("lab", "classroom")]


def members(thing):
    """Return the public methods that a class defines itself and documents."""
    return [name for name, value in vars(thing).items()
            if not name.startswith("_") and getattr(value, "__doc__", None)
            and (inspect.isfunction(value) and value.__module__.startswith("tinydni")
                 or isinstance(value, (property, classmethod)))]


def used_in(name):
    """Return the notebooks that use a name, as (file, title)."""
    found = []
    for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        source = path.with_suffix(".py").read_text(encoding="utf-8")
        if re.search(rf"\.{name}\b|import [^\n]*\b{name}\b", source):
            found.append((path.stem, re.search(r"^# # (.*)", source, re.MULTILINE)[1]))
    return found


def siblings(module, name, thing):
    """Return the public names of the same file."""
    return [other for other, value in public_names(module)
            if other != name and getattr(value, "__module__", None) == thing.__module__]


def page(module, name, thing):
    """Return the page of one name, in reStructuredText."""
    title = stem(PARTS[module], name)
    lines = [title, "=" * len(title), "", f".. currentmodule:: {module}", ""]
    if inspect.ismodule(thing):
        own_page = [name for name in thing.__all__ if name in tinydni.__all__]
        lines += [f".. automodule:: {thing.__name__}", "   :members:",
                  f"   :exclude-members: {', '.join(own_page)}"]
        return "\n".join(lines) + "\n"
    kind = "class" if inspect.isclass(thing) else "function"
    lines.append(f".. auto{kind}:: {name}")
    if kind == "class" and members(thing):
        lines.append(f"   :members: {', '.join(members(thing))}")
    if title in EXAMPLES:
        lines += ["", ".. rubric:: Example", "", ".. code-block:: pycon", ""]
        lines += [f"   {line}" for line in (START + EXAMPLES[title].strip()).splitlines()]
    bases = [base for base in getattr(thing, "__mro__", ())[1:]
             if base.__module__.startswith("tinydni") and hasattr(tinydni, base.__name__)]
    also = [f":py:obj:`~tinydni.{base.__name__}`" for base in bases]
    also += [f":py:obj:`~{module}.{other}`" for other in siblings(module, name, thing)]
    lines += ["", ".. rubric:: See also", ""]
    if also:
        lines.append("* " + ", ".join(dict.fromkeys(also)))
    lines += [f"* :doc:`{text} </notebooks/{stem}>`" for stem, text in used_in(name)]
    lines.append(f"* the source: ``{thing.__module__.replace('.', '/')}.py``")
    return "\n".join(lines) + "\n"


def api_pages():
    """Write the page of every public name, and the list of each part."""
    for module, part in PARTS.items():
        names = public_names(module)
        for name, thing in names:
            write(DOCS / "api" / "names" / f"{stem(part, name)}.rst", page(module, name, thing))
        lines = []
        for title, inside in grouped(names, part):
            lines += [title, "-" * len(title), ""] if title else []
            lines += [".. list-table::", "   :widths: 32 68", "   :class: names", ""]
            for name, thing in inside:
                lines += [f"   * - :doc:`{stem(part, name)} <names/{stem(part, name)}>`",
                          f"     - {first_line(thing)}"]
            lines += ["", ".. toctree::", "   :hidden:", ""]
            lines += [f"   names/{stem(part, name)}" for name, _ in inside] + [""]
        write(DOCS / "api" / "names" / f"{part or 'core'}.inc", "\n".join(lines) + "\n")


def stem(part, name):
    """Return the name of a page: variants.MMD, or Linear."""
    return f"{part}.{name}".lstrip(".")


def grouped(names, part):
    """Yield (title, names): the library by subject, any other part as one list."""
    if part:
        yield "", names
        return
    files = {name: getattr(thing, "__module__", thing.__name__ if inspect.ismodule(thing) else "")
             for name, thing in names}
    for title, those in GROUPS.items():
        yield title, [(name, thing) for name, thing in names
                      if files[name].rpartition(".")[2] in those]
    known = {file for those in GROUPS.values() for file in those}
    rest = [(name, thing) for name, thing in names if files[name].rpartition(".")[2] not in known]
    if rest:
        yield "More", rest


def first_line(thing):
    """Return what a name means in one line: the first one of its docstring."""
    text = re.split(r"\n\s*\n", inspect.getdoc(thing) or "")[0]
    line = as_lines(text.splitlines())[0]
    return formula(line) if is_formula(line) else prose(line)


# the commands

def command_page():
    """Write every command with its options, from the parser."""
    from tinydni.lab.commands import parser
    lines = ["# The commands", "", "Made from the parser: what `tinydni COMMAND --help` says.", "",
             "```{contents}", ":local:", ":depth: 2", "```", ""]
    lines += commands(parser(), 2)
    write(DOCS / "generated" / "commands.md", "\n".join(lines) + "\n")


def commands(parser, level):
    """Yield the lines of a parser's commands, one heading for each that can be run."""
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        for command in action.choices.values():
            meaning = command.description or ""
            inner = any(isinstance(a, argparse._SubParsersAction) for a in command._actions)
            title = command.prog if not inner else f"{command.prog} ..."
            yield from ["#" * level + f" {title}", "", sentence(meaning), ""]
            if inner:
                yield from commands(command, level + 1)
            else:
                yield from usage(command)


def usage(command):
    """Yield the options of one command, each with its meaning below."""
    for action in command._actions:
        if action.help is not argparse.SUPPRESS and action.dest != "help":
            yield from [named(action), f": {described(action, command) or 'as its name says'}", ""]


def named(action):
    """Return how an option is written: `--lr LR`."""
    value = "" if action.nargs == 0 else action.metavar or (
        "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper())
    names = action.option_strings or [value if isinstance(value, str) else action.dest]
    value = " ".join(value) if isinstance(value, tuple) else value
    shown = ", ".join(names) + (f" {value}" if value and action.option_strings else "")
    return f"`{shown}`"


def described(action, command):
    """Return the help of an option, with argparse's own words filled in."""
    text = command._get_formatter()._expand_help(action) if action.help else ""
    text = re.sub(r"([<$*_\[\]`])", r"\\\1", " ".join(text.split()))
    return re.sub(r"(?<![\w-])(--[\w-]+)", r"`\1`", text)


def sentence(text):
    """Return a text that begins with a capital and ends with a full stop."""
    return text[:1].upper() + text[1:] + "." * (not text.endswith((".", "?"))) if text else ""


# copies of pages from elsewhere, and links

def copies():
    """Copy the notebooks with their outputs, and pages that lie beside docs/."""
    wanted = set()
    for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                text = relinked("".join(cell["source"]), "notebooks", f"notebooks/{path.stem}")
                cell["source"] = text.splitlines(keepends=True)
        write(DOCS / "notebooks" / path.name, json.dumps(notebook, ensure_ascii=False, indent=1))
        wanted.add(path.name)
    for path in (ROOT / "notebooks").glob("*.gif"):
        shutil.copy(path, DOCS / "notebooks" / path.name)
    for old in (DOCS / "notebooks").glob("*.ipynb"):
        if old.name not in wanted:
            old.unlink()
    readme = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")
    write(DOCS / "notebooks" / "index.md", readme + "\n```{toctree}\n:hidden:\n:glob:\n\n"
          "[0-9]*\n```\n")
    write(DOCS / "generated" / "data.md", (ROOT / "data" / "README.md").read_text(encoding="utf-8"))


def relink(app, docname, source):
    """Lead the links of a page to other pages, and add the figure to a table of results."""
    if docname.startswith("notebooks/") and docname != "notebooks/index":
        return                                      # done in the copy, cell by cell
    place = {"notebooks/index": "notebooks", "generated/data": "data"}.get(
        docname, posixpath.dirname(f"docs/{docname}"))
    source[0] = relinked(source[0], place, docname)
    if docname.startswith("results/"):
        source[0] = with_figure(docname.partition("/")[2], source[0])


def relinked(text, place, docname):
    """Lead links to the pages that stand for files of the repository; drop the others.

    place : the folder that the links start from, in the repository
    """
    def changed(match):
        words, target = match[1], match[2]
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        path, _, anchor = target.partition("#")
        new = stands_for(posixpath.normpath(posixpath.join(place, path)))
        if new is None:
            return words
        new = posixpath.relpath(new, posixpath.dirname(docname) or ".")
        return f"[{words}]({new}{'#' * bool(anchor)}{anchor})"

    text = re.sub(r"(!\[[^\]]*\]\()\.\./docs/", r"\1../", text) if place == "notebooks" else text
    return LINK.sub(changed, text)


def with_figure(name, text):
    """Add the command and the figure of a table, whose words stand in the file of the picture."""
    picture = DOCS / "results" / f"{name}.png"
    if not picture.exists() or "](" + picture.name in text:
        return text
    with Image.open(picture) as image:
        words = image.info.get("Description", name)
    title, _, rest = text.partition("\n")
    listed = (DOCS / "results" / "README.md").read_text(encoding="utf-8")
    command = f"reproduce {name}`" in listed or f"`{name}`" in listed
    made = f"\n\nMade by `tinydni reproduce {name}`." * command
    return (f"{title}{made}\n{rest}\n\n## As a picture\n\n"
            f"![{words.replace('[', '(').replace(']', ')')}]({picture.name})\n")


def stands_for(path):
    """Return the file below docs/ for a file of the repository, or None."""
    if path in COPIES:
        return COPIES[path]
    if path.startswith("docs/"):
        return path[5:] if (ROOT / path).exists() else None
    if path.startswith("notebooks/") and (DOCS / path).exists():
        return path
    if re.fullmatch(r"tinydni/(variants|gradcheck|plots|datasets|gpu)/?", path):
        return f"api/{path.rstrip('/').partition('/')[2]}.md"
    return None


def make(app):
    """Make all pages before Sphinx looks for them."""
    copies()
    api_pages()
    command_page()


def setup(app):
    """Hook into the build."""
    app.connect("builder-inited", make)
    app.connect("source-read", relink)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
