"""Mistakes made from the reference by one systematic change, each with the words that name it.

A term is dropped, a factor forgotten, an axis exchanged, a sum made a mean, a matrix transposed, a
line left out or moved, an old value kept. Where a solution gives what such a variant gives, for
several draws, the variant says what the solution does. SLIPS beside the checks of an assignment are
variants made by hand, with better words; they are asked first.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from types import CodeType
from typing import Any

from tinydni.classroom.stubs import BEGIN, END

Change = tuple[str, str]        # the words, and the source that takes the place of a piece
AXES = {"sum", "mean", "max", "min", "var", "std", "argmax"}
OPERATIONS = {                  # what becomes of a + b and others; {it} is the whole
    ast.Add: [("{b} is forgotten, which is to be added", "{a}"),
              ("{a} is forgotten, to which {b} is added", "{b}"),
              ("{b} is subtracted, not added", "{a} - {b}")],
    ast.Sub: [("{b} is forgotten, which is to be subtracted", "{a}"),
              ("{a} is forgotten, from which {b} is subtracted", "-{b}"),
              ("only {b} is there", "{b}"),
              ("{b} is added, not subtracted", "{a} + {b}"),
              ("the sign of {it} is flipped", "{b} - {a}")],
    ast.Mult: [("the factor {b} is forgotten", "{a}"),
               ("the factor {a} is forgotten", "{b}"),
               ("it is divided by {b}, not multiplied", "{a} / {b}")],
    ast.Div: [("it is not divided by {b}", "{a}"),
              ("it is multiplied by {b}, not divided", "{a} * {b}")],
    ast.Pow: [("the power of {it} is forgotten", "{a}"),
              *((f"the power of {{it}} is another one, {power}", f"{{a}} ** {power}")
                for power in ("1", "2", "3", "4", "0.5", "-0.5", "-1", "-1.5"))],
}


def variants(source: str, slips: list[tuple[str, str, str]]) -> list[tuple[str, CodeType]]:
    """Return (words, code) of every variant of the source of a task.

    slips: (what stands in the source, what takes its place, words)
    """
    found = [(words, compile(with_slip(source, right, wrong), "slip", "exec"))
             for right, wrong, words in slips]
    tree = ast.parse(source)
    seen = {ast.dump(tree)}
    for words in changed(tree, solved_lines(source)):
        text = ast.dump(tree)
        if text not in seen:
            seen.add(text)
            try:
                found.append((words, compile(ast.fix_missing_locations(tree), "variant", "exec")))
            except (SyntaxError, ValueError):       # such as a name in the place of a target
                pass
    return found


def with_slip(source: str, right: str, wrong: str) -> str:
    """Return a source with one piece of its solution replaced."""
    head, begin, solution = source.partition(BEGIN)
    if solution.count(right) != 1:
        raise ValueError(f"{right!r} must stand once in the solution; "
                         f"it stands {solution.count(right)} times.")
    return head + begin + solution.replace(right, wrong)


def solved_lines(source: str) -> set[int]:
    """Return the numbers of the lines between BEGIN and END."""
    inside, found = False, set()
    for number, line in enumerate(source.splitlines(), start=1):
        inside = (inside or BEGIN in line) and END not in line
        if inside:
            found.add(number)
    return found


def changed(tree: ast.Module, lines: set[int]) -> Iterator[str]:
    """Change the tree in place, one change at a time; yield its words, and undo it."""
    for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
        names = names_in(tree, function)
        for parent in ast.walk(function):
            for field, value in ast.iter_fields(parent):
                places = value if isinstance(value, list) else [value]
                if places and all(isinstance(node, ast.stmt) for node in places):
                    yield from changed_lines(places, lines)
                for place, node in enumerate(places):
                    if getattr(node, "lineno", 0) not in lines:
                        continue
                    for words, source in changes(node, names):
                        put(parent, field, place, expression(source, node))
                        yield words
                        put(parent, field, place, node)


def put(parent: ast.AST, field: str, place: int, node: ast.AST) -> None:
    """Set a field of a node, or one place in it."""
    if isinstance(value := getattr(parent, field), list):
        value[place] = node
    else:
        setattr(parent, field, node)


def names_in(tree: ast.Module, function: ast.FunctionDef) -> list[str]:
    """Return what a name may be mistaken for: arguments, local names, attributes of self."""
    loops = {each.id for node in ast.walk(function)
             if isinstance(node, (ast.For, ast.comprehension))
             for each in ast.walk(node.target) if isinstance(each, ast.Name)}
    found = [argument.arg for argument in function.args.args if argument.arg != "self"]
    found += [node.id for node in ast.walk(function)
              if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
              and node.id not in loops]
    found += [ast.unparse(node) for node in ast.walk(tree)
              if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
              and ast.unparse(node.value) == "self"]
    return list(dict.fromkeys(found))


def changes(node: Any, names: list[str]) -> Iterator[Change]:
    """Yield what may stand in the place of a node by mistake."""
    it = ast.unparse(node)
    if isinstance(node, ast.BinOp):
        a, b = ast.unparse(node.left), ast.unparse(node.right)
        for words, new in OPERATIONS.get(type(node.op), ()):
            yield (words.format(a=said(a), b=said(b), it=said(it)),
                   new.format(a=f"({a})", b=f"({b})"))
        if isinstance(node.op, ast.MatMult):
            for part, product in ((node.left, "{} @ ({b})"), (node.right, "({a}) @ {}")):
                words, new = transposed(part)
                yield words, product.format(new, a=a, b=b)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield f"the minus of {said(it)} is missing", ast.unparse(node.operand)
    elif isinstance(node, ast.Call):
        yield from changed_call(node)
    elif isinstance(node, ast.Attribute) and node.attr == "T":
        yield transposed(node)
    elif isinstance(node, ast.Subscript):
        yield from changed_index(node, names)
    elif isinstance(node, ast.IfExp):
        for always in map(ast.unparse, (node.body, node.orelse)):
            yield f"{said(always)} is taken always", always
    elif isinstance(node, ast.Tuple) and len(node.elts) == 2 and isinstance(node.ctx, ast.Load):
        one, other = (ast.unparse(each) for each in node.elts)
        yield f"{said(one)} and {said(other)} have changed places", f"{other}, {one}"
    if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
        if it in names:
            for name in names:
                yield f"{said(name)} stands where {said(it)} belongs", name


def transposed(node: ast.expr) -> Change:
    """Exchange the last two axes of a matrix."""
    if isinstance(node, ast.Attribute) and node.attr == "T":
        return f"{said(ast.unparse(node))} is not transposed", f"({ast.unparse(node.value)})"
    source = ast.unparse(node)
    return f"{said(source)} is transposed", f"({source}).swapaxes(-1, -2)"


def changed_call(node: ast.Call) -> Iterator[Change]:
    """A sum made a mean; another axis, or all; a function left out; arguments exchanged."""
    arguments = [ast.unparse(each) for each in node.args]
    named = [ast.unparse(each) for each in node.keywords]
    function = ast.unparse(node.func)
    of, name = "", ""
    if isinstance(node.func, ast.Attribute):
        of, name = ast.unparse(node.func.value), node.func.attr

    def call(named: list[str], arguments: list[str] = arguments, function: str = function) -> str:
        return f"{function}({', '.join([*arguments, *named])})"

    for old, new in (("sum", "mean"), ("mean", "sum"), ("var", "std"), ("max", "min")):
        if name == old:
            words = f"a {new} over {said(of)} stands where a {old} belongs"
            yield words, call(named, function=f"({of}).{new}")
    others = [word for word in named if not word.startswith("axis=")]
    if name in AXES and len(others) < len(named):
        words = f"the {name} of {said(of)} runs over all axes, where one is meant"
        yield words, call([])
        yield words, call(others)
        if not others:
            words = f"keepdims leaves an axis too many in {said(call(named))}"
            yield words, call([*named, "keepdims=True"])
        for axis in ("0", "1", "2", "-1", "(0, 1)"):
            words = f"the {name} of {said(of)} runs over another axis, {axis}"
            yield words, call([*others, f"axis={axis}"])
            yield words, call([f"axis={axis}"])
            if f"axis={axis}" != named[0]:
                yield words, call([f"axis={axis}", "keepdims=True"])
    if name in ("exp", "log", "sqrt", "tanh") and arguments:
        yield f"the {name} of {said(arguments[0])} is forgotten", arguments[0]
    if function == "reversed":
        yield "the loop runs forward, not backward", arguments[0]
    for k, (a, b) in enumerate(zip(arguments, arguments[1:])):
        exchanged = [*arguments[:k], b, a, *arguments[k + 2:]]
        yield f"{said(a)} and {said(b)} have changed places", call(named, exchanged)
    if len(arguments) == 1 and name in ("backward", "update_synthetic_weights"):
        yield f"{said(arguments[0])} has the wrong sign", call(named, [f"-({arguments[0]})"])


def changed_index(node: ast.Subscript, names: list[str]) -> Iterator[Change]:
    """The axes of a reversed array, and the step before or after one in time."""
    array = ast.unparse(node.value)
    index = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    parts = [ast.unparse(part) for part in index]
    if any("::-1" in part for part in parts):
        yield f"{said(array)} is not turned round", array
    for k, part in enumerate(parts):
        def put(new: str, k: int = k) -> str:
            return f"{array}[{', '.join([*parts[:k], new, *parts[k + 1:]])},]"

        if part == "::-1":
            yield f"axis {k} of {said(array)} is not turned round", put(":")
        if isinstance(index[k], ast.Slice):
            for old, other in itertools.permutations([n for n in names if len(n) <= 2], 2):
                exchanged = re.sub(rf"\b{old}\b", other, part)
                if exchanged != part:
                    words = f"{said(other)} stands where {said(old)} belongs, in {said(part)}"
                    yield words, put(exchanged)
        elif isinstance(index[k], (ast.Name, ast.BinOp)):
            for sign, word in (("+", "later"), ("-", "earlier")):
                yield f"{said(ast.unparse(node))} is taken one step {word}", put(f"{part} {sign} 1")


def changed_lines(body: list, lines: set[int]) -> Iterator[str]:
    """Lines left out, run twice, moved; += for =; conditions; values that are kept too long."""
    for k, node in enumerate(list(body)):
        if node.lineno not in lines:
            continue
        line = said(ast.unparse(node))
        for words, new in changed_line(node):
            body[k:k + 1] = new
            yield words
            body[k:k + len(new)] = [node]
        for there in range(len(body)):
            if there != k and body[there].lineno in lines:
                body.insert(there, body.pop(k))
                yield f"{line} runs too {'late' if there > k else 'early'}"
                body.insert(k, body.pop(there))
            if there > k and body[there].lineno in lines:
                body.insert(there, node)
                yield f"{line} runs once more, too late"
                body.pop(there)


def changed_line(node: ast.stmt) -> Iterator[tuple[str, list[ast.stmt]]]:
    """Yield the words, and the lines that take the place of one."""
    line = said(ast.unparse(node))
    if isinstance(node, ast.AugAssign):
        target, value = ast.unparse(node.target), ast.unparse(node.value)
        sign, other = "-+" if isinstance(node.op, ast.Sub) else "+-"
        for words, new in (
                (f"{other}= stands where {sign}= belongs", f"{target} {other}= {value}"),
                (f"= stands where {sign}= belongs", f"{target} = {value}"),
                ("is a new array, not changed in place", f"{target} = {target} {sign} ({value})")):
            yield f"{said(target)} {words}", ast.parse(new).body
    if isinstance(node, (ast.AugAssign, ast.Expr)):
        yield f"{line} is missing", [ast.Pass()]
        yield f"{line} runs twice, or has a factor 2 too much", [node, node]
    if isinstance(node, ast.If):
        test = said(ast.unparse(node.test))
        yield f"it is done always, not only if {test}", node.body
        yield f"what belongs under if {test} is never done", node.orelse or [ast.Pass()]
        negated = ast.If(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
        yield f"the condition {test} is turned round", [negated]
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        left, values = [node.targets[0]], [node.value]
        if isinstance(left[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
            left, values = left[0].elts, node.value.elts
        pairs = [(ast.unparse(name), ast.unparse(value)) for name, value in zip(left, values)]
        for name, value in pairs:
            if re.fullmatch(r"self\.\w+", name):
                old = f"{name} = ({value}) if not hasattr(self, {name[5:]!r}) else {name}"
                rest = [f"{other} = {one}" for other, one in pairs if other != name]
                words = f"{said(name)} keeps what an earlier call put there (a stale value)"
                yield words, ast.parse("\n".join([old, *rest])).body


def expression(source: str, old: Any) -> ast.expr:
    """Return the tree of an expression, or of slices, that is read or written as an old one is."""
    new: Any = ast.parse(f"_[{source}]", mode="eval").body.slice     # type: ignore[attr-defined]
    if isinstance(getattr(old, "ctx", None), ast.Store):
        new.ctx = old.ctx
    return new


def said(source: str) -> str:
    """Return a piece of source as code, without self, not too long."""
    text = " ".join(source.replace("self.", "").split())
    return f"`{text}`" if len(text) <= 60 else f"`{text[:57]}...`"
