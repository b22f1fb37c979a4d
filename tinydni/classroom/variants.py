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

Change = tuple[str, Any]        # the words, and what takes the place of a node
AXES = {"sum", "mean", "max", "min", "var", "std", "argmax"}


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
                if isinstance(value, list):
                    yield from changed_lines(value, lines)
                for place, node in enumerate(value if isinstance(value, list) else [value]):
                    if getattr(node, "lineno", 0) not in lines:
                        continue
                    for words, new in changes(node, names):
                        put(parent, field, value, place, new)
                        yield words
                        put(parent, field, value, place, node)


def put(parent: ast.AST, field: str, value: Any, place: int, node: Any) -> None:
    """Set a field of a node, or one place in it."""
    if isinstance(value, list):
        value[place] = node
    else:
        setattr(parent, field, node)


def names_in(tree: ast.Module, function: ast.FunctionDef) -> list[str]:
    """Return what a name may be mistaken for: arguments, local names, attributes of self."""
    names = [argument.arg for argument in function.args.args if argument.arg != "self"]
    targets = [node.target for node in ast.walk(function)
               if isinstance(node, (ast.For, ast.comprehension))]
    loops = {each.id for target in targets for each in ast.walk(target)
             if isinstance(each, ast.Name)}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id not in loops:
            names.append(node.id)
    for node in ast.walk(tree):
        if (isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
                and isinstance(node.value, ast.Name) and node.value.id == "self"):
            names.append(f"self.{node.attr}")
    return list(dict.fromkeys(names))


def changes(node: Any, names: list[str]) -> Iterator[Change]:
    """Yield what may stand in the place of a node by mistake."""
    if isinstance(node, ast.BinOp):
        yield from changed_operation(node)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield f"the minus of {said(node)} is missing", node.operand
    elif isinstance(node, ast.Call):
        yield from changed_call(node)
    elif isinstance(node, ast.Attribute) and node.attr == "T":
        yield f"{said(node)} is not transposed", node.value
    elif isinstance(node, ast.Subscript):
        yield from changed_index(node, names)
    elif isinstance(node, ast.IfExp):
        yield f"{said(node.body)} is taken always", node.body
        yield f"{said(node.orelse)} is taken always", node.orelse
    elif isinstance(node, ast.Tuple) and len(node.elts) == 2 and isinstance(node.ctx, ast.Load):
        a, b = node.elts
        yield f"{said(a)} and {said(b)} have changed places", ast.Tuple([b, a], ast.Load())
    if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
        old = ast.unparse(node)
        if old in names:
            for name in names:
                yield f"{quoted(name)} stands where {quoted(old)} belongs", expression(name)


def changed_operation(node: ast.BinOp) -> Iterator[Change]:
    """A term dropped or with another sign; a factor forgotten; a matrix transposed; a power."""
    left, right, op = node.left, node.right, node.op
    a, b = said(left), said(right)
    if isinstance(op, ast.Add):
        yield f"{b} is forgotten, which is to be added", left
        yield f"{a} is forgotten, to which {b} is added", right
        yield f"{b} is subtracted, not added", ast.BinOp(left, ast.Sub(), right)
    elif isinstance(op, ast.Sub):
        yield f"{b} is forgotten, which is to be subtracted", left
        yield f"{a} is forgotten, from which {b} is subtracted", negative(right)
        yield f"only {b} is there", right
        yield f"{b} is added, not subtracted", ast.BinOp(left, ast.Add(), right)
        yield f"the sign of {said(node)} is flipped", ast.BinOp(right, ast.Sub(), left)
    elif isinstance(op, ast.Mult):
        yield f"the factor {b} is forgotten", left
        yield f"the factor {a} is forgotten", right
        yield f"it is divided by {b}, not multiplied", ast.BinOp(left, ast.Div(), right)
    elif isinstance(op, ast.Div):
        yield f"it is not divided by {b}", left
        yield f"it is multiplied by {b}, not divided", ast.BinOp(left, ast.Mult(), right)
    elif isinstance(op, ast.MatMult):
        for old, new in ((left, ast.BinOp(transposed(left), op, right)),
                         (right, ast.BinOp(left, op, transposed(right)))):
            turned = isinstance(old, ast.Attribute) and old.attr == "T"
            yield f"{said(old)} is {'not ' if turned else ''}transposed", new
    elif isinstance(op, ast.Pow):
        yield f"the power of {said(node)} is forgotten", left
        for power in ("1", "2", "3", "4", "0.5", "-0.5", "-1", "-1.5"):
            new = ast.BinOp(left, op, expression(power))
            yield f"the power of {said(node)} is another one, {power}", new


def changed_call(node: ast.Call) -> Iterator[Change]:
    """A sum made a mean; another axis, or all; a function left out; arguments exchanged."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if name in AXES and isinstance(node.func, ast.Attribute):
        of = said(node.func.value)
        for old, new in (("sum", "mean"), ("mean", "sum"), ("var", "std"), ("max", "min")):
            if name == old:
                func = ast.Attribute(node.func.value, new, ast.Load())
                words = f"a {new} over {of} stands where a {old} belongs"
                yield words, ast.Call(func, node.args, node.keywords)
        others = [word for word in node.keywords if word.arg != "axis"]
        if len(others) < len(node.keywords):
            words = f"the {name} of {of} runs over all axes, where one is meant"
            yield words, ast.Call(node.func, node.args, [])
            yield words, ast.Call(node.func, node.args, others)
            kept = [*node.keywords, ast.keyword("keepdims", expression("True"))]
            if not others:
                yield f"keepdims leaves an axis too many in {said(node)}", ast.Call(
                    node.func, node.args, kept)
            for axis in ("0", "1", "2", "-1", "(0, 1)"):
                words = f"the {name} of {of} runs over another axis, {axis}"
                turned = ast.keyword("axis", expression(axis))
                yield words, ast.Call(node.func, node.args, [*others, turned])
                yield words, ast.Call(node.func, node.args, [turned])
                if axis != ast.unparse(node.keywords[0].value):
                    yield words, ast.Call(node.func, node.args, [turned, kept[-1]])
    if name in ("exp", "log", "sqrt", "tanh") and node.args:
        yield f"the {name} of {said(node.args[0])} is forgotten", node.args[0]
    if isinstance(node.func, ast.Name) and node.func.id == "reversed":
        yield "the loop runs forward, not backward", node.args[0]
    for k, (a, b) in enumerate(zip(node.args, node.args[1:])):
        exchanged = [*node.args[:k], b, a, *node.args[k + 2:]]
        words = f"{said(a)} and {said(b)} have changed places"
        yield words, ast.Call(node.func, exchanged, node.keywords)
    if len(node.args) == 1 and name in ("backward", "update_synthetic_weights"):
        yield (f"{said(node.args[0])} has the wrong sign",
               ast.Call(node.func, [negative(node.args[0])], node.keywords))


def changed_index(node: ast.Subscript, names: list[str]) -> Iterator[Change]:
    """The axes of a reversed array, and the step before or after one in time."""
    text = ast.unparse(node.slice)
    if "::-1" in text:
        yield f"{said(node.value)} is not turned round", node.value
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    for k, part in enumerate(parts):
        if isinstance(part, ast.Slice) and ast.unparse(part) == "::-1":
            kept = [*parts[:k], ast.Slice(), *parts[k + 1:]]
            words = f"axis {k} of {said(node.value)} is not turned round"
            yield words, ast.Subscript(node.value, ast.Tuple(kept, ast.Load()), node.ctx)
        bounds = ast.unparse(part) if isinstance(part, ast.Slice) else ""
        for old, other in itertools.permutations([n for n in names if len(n) <= 2], 2):
            exchanged = re.sub(rf"\b{old}\b", other, bounds)
            if exchanged != bounds:
                index = expression(f"x[{exchanged}]").slice     # type: ignore[attr-defined]
                kept = [*parts[:k], index, *parts[k + 1:]]
                words = f"{quoted(other)} stands where {quoted(old)} belongs, in {quoted(bounds)}"
                yield words, ast.Subscript(node.value, ast.Tuple(kept, ast.Load()), node.ctx)
        if isinstance(part, (ast.Name, ast.BinOp)):
            for sign in ("+", "-"):
                moved = expression(f"{ast.unparse(part)} {sign} 1")
                new = [*parts[:k], moved, *parts[k + 1:]]
                words = f"{said(node)} is taken one step {'later' if sign == '+' else 'earlier'}"
                yield words, ast.Subscript(node.value, ast.Tuple(new, ast.Load()), node.ctx)


def changed_lines(body: list, lines: set[int]) -> Iterator[str]:
    """Lines left out, run twice, moved; += for =; conditions; values that are kept too long."""
    if not body or not all(isinstance(node, ast.stmt) for node in body):
        return
    for k, node in enumerate(list(body)):
        if node.lineno not in lines:
            continue
        for words, new in changed_line(node):
            body[k:k + 1] = new
            yield words
            body[k:k + len(new)] = [node]
        for there in range(len(body)):
            if there != k and body[there].lineno in lines:
                body.insert(there, body.pop(k))
                yield f"{said(node)} runs too {'late' if there > k else 'early'}"
                body.insert(k, body.pop(there))
            if there > k and body[there].lineno in lines:
                body.insert(there, node)
                yield f"{said(node)} runs once more, too late"
                body.pop(there)


def changed_line(node: ast.stmt) -> Iterator[tuple[str, list[ast.stmt]]]:
    """Yield the words, and the lines that take the place of one."""
    if isinstance(node, ast.AugAssign):
        down, name, target = isinstance(node.op, ast.Sub), said(node.target), node.target
        op: ast.operator = ast.Add() if down else ast.Sub()
        one, other = ("-=", "+=") if down else ("+=", "-=")
        yield f"{name} {other} stands where {one} belongs", [ast.AugAssign(target, op, node.value)]
        yield f"{name} = stands where {one} belongs", [ast.Assign([target], node.value)]
        new = ast.BinOp(as_load(target), node.op, node.value)
        yield f"{name} is a new array, not changed in place", [ast.Assign([target], new)]
    if isinstance(node, (ast.AugAssign, ast.Expr)):
        yield f"{said(node)} is missing", [ast.Pass()]
        yield f"{said(node)} runs twice, or has a factor 2 too much", [node, node]
    if isinstance(node, ast.If):
        yield f"it is done always, not only if {said(node.test)}", node.body
        yield f"what belongs under if {said(node.test)} is never done", node.orelse or [ast.Pass()]
        turned = ast.If(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
        yield f"the condition {said(node.test)} is turned round", [turned]
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        left, values = [node.targets[0]], [node.value]
        if isinstance(left[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
            left, values = left[0].elts, node.value.elts
        for one_name, value in zip(left, values):
            if isinstance(one_name, ast.Attribute):
                test = expression(f"not hasattr(self, {one_name.attr!r})")
                old = ast.Assign([one_name], ast.IfExp(test, value, as_load(one_name)))
                rest = [ast.Assign([each], other) for each, other in zip(left, values)
                        if each is not one_name]
                words = f"{said(one_name)} keeps what an earlier call put there (a stale value)"
                yield words, [old, *rest]


def as_load(target: ast.expr) -> ast.expr:
    """Return what is assigned to as what is read."""
    return expression(ast.unparse(target))


def expression(text: str) -> ast.expr:
    """Return the tree of an expression."""
    return ast.parse(text, mode="eval").body


def negative(node: ast.expr) -> ast.expr:
    """Return minus an expression."""
    return ast.UnaryOp(ast.USub(), node)


def transposed(node: ast.expr) -> ast.expr:
    """Return an expression with its last two axes exchanged."""
    if isinstance(node, ast.Attribute) and node.attr == "T":
        return node.value
    return ast.Call(ast.Attribute(node, "swapaxes", ast.Load()),
                    [expression("-1"), expression("-2")], [])


def said(node: ast.AST) -> str:
    """Return a piece of the source, as a formula shows it."""
    return quoted(ast.unparse(node))


def quoted(text: str) -> str:
    """Return a text as code, without self, not too long."""
    text = " ".join(text.replace("self.", "").split())
    return f"`{text}`" if len(text) <= 60 else f"`{text[:57]}...`"
