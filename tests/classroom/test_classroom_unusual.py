"""Right solutions that are written in an unusual way, or handed in under an unusual name."""

import io
import json
import shutil
import tarfile
import warnings
import zipfile

import numpy as np
import pytest
from classroom_class import checked, hand_in, load, told, with_code

from tinydni.classroom.collect import Handed, Unclear, all_in, solution_file

A1, A3 = load("A1"), load("A3")
LINEAR = """
class Linear:
    def __init__(self, W, b):
        self.W, self.b = W, b
    def forward(self, x):
        {forward}
        return x @ self.W + self.b
    def backward(self, dy):
        {backward}
"""
DW = "self.dW, self.db = x.T @ dy, dy.sum(0)\n        return dy @ self.W.T"

LINEARS = {
    "a closure on self": ("self.dw = lambda dy: x.T @ dy",
                          "self.dW, self.db = self.dw(dy), dy.sum(0); return dy @ self.W.T"),
    "a generator on self": ("self.x = (part for part in [x])", f"x = next(self.x); {DW}"),
    "a named tuple on self": ("import collections; self.c = collections.namedtuple('C', 'x')(x)",
                              f"x = self.c.x; {DW}"),
    "a dictionary on self": ("self.c = {'x': x, 'n': len(x)}", f"x = self.c['x']; {DW}"),
    "a slice on self": ("self.x, self.s = x, slice(None)", f"x = self.x[self.s]; {DW}"),
    "a set on self": ("self.x, self.done = x, {1, 2}", f"x = self.x; {DW}"),
    "a module on self": ("import math; self.m, self.x = math, x", f"x = self.x; {DW}"),
    "a class of its own on self": ("self.k = type('K', (), {'x': x})()", f"x = self.k.x; {DW}"),
    "a copy of x": ("self.x = np.array(x, order='F')", f"x = self.x; {DW}"),
    "a matrix": ("self.x = np.asmatrix(x)", f"x = np.asarray(self.x); {DW}"),
    "einsum": ("self.x = x", "self.dW = np.einsum('nd,nm->dm', self.x, dy)\n"
               "        self.db = np.ones(len(dy)) @ dy\n"
               "        return np.einsum('nm,dm->nd', dy, self.W)"),
    "loops": ("self.x = x", "self.dW = sum(np.outer(a, g) for a, g in zip(self.x, dy))\n"
              "        self.db = sum(dy); return np.array([self.W @ g for g in dy])"),
    "outer products": ("self.x = x", "self.dW = (self.x[:, :, None] * dy[:, None]).sum(0)\n"
                       "        self.db = dy.sum(0); return (dy[:, None] * self.W).sum(2)"),
    "a subclass of array": ("self.x = x", f"x = self.x; {DW}.view(type('Mine', (np.ndarray,), "
    f"{{}}))"),
    "a masked array": ("self.x = x", f"x = self.x; {DW} * np.ma.ones(1)"),
    "a global": ("KEPT[id(self)] = x", f"x = KEPT[id(self)]; {DW}"),
    "a float128": ("self.x = x", "self.dW, self.db = self.x.T @ dy, dy.sum(0)\n"
                   "        return (dy.astype(np.longdouble) @ self.W.T).astype(float)"),
    "print and plot": ("print(x); plt.plot(x); self.x = x", f"x = self.x; {DW}"),
    "an assertion": ("assert_allclose(x, x); self.x = x", f"x = self.x; {DW}"),
    "a decorator": ("self.x = x", f"x = self.x; {DW}\n    forward = numba.jit(forward)"),
}


@pytest.mark.parametrize("what", LINEARS)
def test_a_linear_layer(what):
    forward, backward = LINEARS[what]
    head = ("import matplotlib.pyplot as plt\nimport numba\n"
        "from numpy.testing import assert_allclose\n"
            "KEPT = {}\n")
    code = head + LINEAR.format(forward=forward, backward=backward)
    outcome = checked("A1.2", with_code("A1.2", code))
    assert outcome.passed, told(outcome)


WHOLE = {
    "slots": ("A1.2", "class Linear:\n    __slots__ = ('W', 'b', 'x', 'dW', 'db')\n"
        "    def __init__(self, W, b):\n        self.W, self.b = W, b\n    def forward(self, x):\n"
        "        self.x = x\n        return x @ self.W + self.b\n    def backward(self, dy):\n"
        f"        x = self.x\n        {DW}"),
    "dW as a property": ("A1.2", "class Linear:\n    def __init__(self, W, b):\n"
        "        self.W, self.b = W, b\n    def forward(self, x):\n        self.x = x\n"
        "        return x @ self.W + self.b\n    dW = property(lambda self: self.x.T @ self.dy)\n"
        "    @property\n    def db(self):\n        return self.dy.sum(0)\n"
        "    def backward(self, dy):\n        self.dy = dy\n        return dy @ self.W.T"),
    "a dataclass": ("A1.2", "import dataclasses\n\n@dataclasses.dataclass\nclass Linear:\n"
        "    W: np.ndarray\n    b: np.ndarray\n    def forward(self, x):\n        self.x = x\n"
        "        return x @ self.W + self.b\n    def backward(self, dy):\n"
        f"        x = self.x\n        {DW}"),
    "a base class": ("A1.2", "import abc\n\nclass Layer(abc.ABC):\n    def backward(self, dy):\n"
        f"        x = self.x\n        {DW}\n\nclass Linear(Layer):\n"
        "    def __init__(self, W, b):\n        self.W, self.b = W, b\n    def forward(self, x):\n"
        "        self.x = x\n        return x @ self.W + self.b"),
    "a base class that is not there": ("A1.3", "import torch\n\nclass Sigmoid(torch.nn.Module):\n"
        "    def forward(self, x):\n        self.y = 0.5 * (1 + np.tanh(0.5 * x))\n"
        "        return self.y\n    def backward(self, dy):\n"
        "        return dy * (self.y - self.y ** 2)"),
    "a lambda": ("A1.1", "double = lambda x: x + x"),
    "a partial": ("A1.1", "import functools\ndouble = functools.partial(np.multiply, 2)"),
    "a function of NumPy": ("A1.1", "double = np.frompyfunc(lambda x: 2 * x, 1, 1)\n"
        "old = double\ndouble = lambda x: old(x).astype(float)"),
    "a callable object": ("A1.1", "class Double:\n    def __call__(self, x):\n"
    "        return x * 2\n\n"
        "double = Double()"),
    "where and masks": ("A1.3", "class Sigmoid:\n    def forward(self, x):\n"
    "        self.y = np.empty_like(x)\n"
        "        up = x >= 0\n        self.y[up] = 1 / (1 + np.exp(-x[up]))\n"
        "        e = np.exp(x[~up])\n"
        "        self.y[~up] = e / (1 + e)\n        return self.y\n    def backward(self, dy):\n"
        "        return dy * self.y * (1 - self.y)"),
    "the complex step": ("A1.3", "class Sigmoid:\n    def forward(self, x):\n        self.x = x\n"
        "        return (1 + np.tanh(x / 2)) / 2\n    def backward(self, dy):\n"
        "        return dy * (1 + np.tanh((self.x + 1e-30j) / 2)).imag / 2e-30"),
    "log-sum-exp of NumPy": ("A1.4", "class SoftmaxCrossEntropy:\n    def forward(self, a, t):\n"
        "        self.n = np.arange(len(a)); self.t = t\n"
        "        self.l = a - np.logaddexp.reduce(a, axis=1, keepdims=True)\n"
        "        return -np.mean(self.l[self.n, t])\n    def backward(self):\n"
        "        p = np.exp(self.l); p[self.n, self.t] -= 1\n        return p / len(p)"),
    "a loss as an array": ("A1.4", "class SoftmaxCrossEntropy:\n    def forward(self, a, t):\n"
        "        l = a - np.logaddexp.reduce(a, axis=1, keepdims=True)\n"
        "        self.d = (np.exp(l) - np.eye(a.shape[1])[t]) / len(a)\n"
        "        return np.array(-l[range(len(a)), t].mean())\n    def backward(self):\n"
        "        return self.d"),
    "update with a slice": ("A1.5", "def update(layer, lr):\n    for n in layer.parameters:\n"
        "        vars(layer)[n][:] -= lr * vars(layer)['d' + n]"),
    "update with subtract": ("A1.5", "def update(layer, lr):\n"
    "    [np.subtract(p, lr * g, out=p) for p, g in "
        "((getattr(layer, n), getattr(layer, f'd{n}')) for n in layer.parameters)]"),
    "update by eval": ("A1.5", "def update(layer, lr):\n    for n in layer.parameters:\n"
        "        exec(f'layer.{n}[...] = layer.{n} - lr * layer.d{n}')"),
    "a list for a pair": ("A3.2", "def start(random):\n    H, U = random.shape\n"
        "    return [random * (2 / H) ** 0.5, np.zeros((U, H))]"),
    "one array for a pair of one shape": ("A3.2", "import typing\n"
    "Pair = typing.NamedTuple('Pair', A=object, "
        "B=object)\n\ndef start(random):\n    return Pair(random * np.sqrt(2 / len(random)), "
        "np.zeros(random.shape[::-1]))"),
    "other names on self": ("A3.3", "class DNI:\n    def __init__(self, block, lr, s, slr):\n"
        "        self.__b, self.__s, self.rates = block, s, (lr, slr)\n"
        "    def forward_and_synthetic_update(self, x, context):\n        h = self.__b.forward(x)\n"
        "        g = self.__s.forward(h, context) / x.shape[0]\n"
        "        out = self.__b.backward(g)\n"
        "        self.__b.update(self.rates[0])\n"
        "        self.teach = lambda d: self.__s.learn(h, context, d * len(d), self.rates[1])\n"
        "        return [out, h]\n    def update_synthetic_weights(self, true_gradient):\n"
        "        self.teach(true_gradient)"),
    "a loop from above": ("A3.4", "def step(modules, top, x, context, target, lr):\n    outs = []\n"
        "    for m in modules:\n        d, x = m.forward_and_synthetic_update(x, context)\n"
        "        outs.append(d)\n    outs.append(top.forward_and_update(x, target, lr))\n"
        "    for m, d in zip(modules[::-1], outs[:0:-1]):\n        m.update_synthetic_weights(d)\n"
        "    return float(top.loss)"),
    "einsum in the regression": ("A3.1", "class Synthesizer:\n    def __init__(self, A, C, b):\n"
        "        self.A, self.C, self.b = A, C, b\n        self.all = [A, C, b]\n"
        "    def forward(self, h, context):\n"
        "        return np.hstack([h, context, np.ones((len(h), 1))]) @ np.vstack(self.all)\n"
        "    def learn(self, h, context, delta, lr):\n"
        "        e = self.forward(h, context) - delta\n"
        "        for P, z in zip(self.all, (h, context, np.ones(len(h)))):\n"
        "            P -= lr / len(h) * np.tensordot(z, e, (0, 0))"),
    "batch norm in one line": ("A2.1", "class Centre:\n    def forward(self, x):\n"
        "        self.P = np.eye(len(x)) - 1 / len(x)\n        return self.P @ x\n"
        "    def backward(self, dy):\n        return self.P @ dy"),
    "turned with flip": ("A2.5", "def turned(W):\n    return np.swapaxes(np.flip(W, (0, 1)), 2, "
    "3)"),
    "softmax with the Jacobian": ("A4.1", "class Softmax:\n    def forward(self, z):\n"
        "        e = np.exp(z - z.max(1)[:, None])\n        self.p = e / e.sum(1)[:, None]\n"
        "        return self.p\n    def backward(self, dp):\n"
        "        return np.stack([(np.diag(p) - np.outer(p, p)) @ d for p, d in zip(self.p, dp)])"),
    "MMD by the binomial": ("A4.5", "class MMD:\n    def __init__(self, s):\n        self.s = s\n"
        "    def k(self, a, b):\n        d = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ "
        "b.T\n"
        "        return np.exp(-d / self.s)\n    def forward(self, x, y):\n"
        "        self.x, self.y = x, y\n"
        "        return self.k(x, x).mean() + self.k(y, y).mean() - 2 * self.k(x, y).mean()\n"
        "    def backward(self):\n        x, y = self.x, self.y\n"
        "        a, b = self.k(x, x), self.k(x, y)\n"
        "        d = -4 / self.s / len(x) ** 2 * (a.sum(1)[:, None] * x - a @ x)\n"
        "        return d + 4 / self.s / b.size * (b.sum(1)[:, None] * x - b @ y)"),
}


@pytest.mark.parametrize("what", WHOLE)
def test_a_solution(what):
    task, code = WHOLE[what]
    outcome = checked(task, with_code(task, code))
    assert outcome.passed, told(outcome)


FIRST_CELLS = {
    "warnings": "import warnings; warnings.filterwarnings('ignore')",
    "a style": "import matplotlib.pyplot as plt; plt.style.use('ggplot')",
    "a seed": "import random; random.seed(0); np.random.seed(0)",
    "print options": "np.set_printoptions(precision=3); np.seterr(all='raise')",
    "magic": "get_ipython().run_line_magic('matplotlib', 'inline')",
    "a path": "import sys, os; sys.path.append(os.path.join(os.getcwd(), '..'))",
    "a file": "data = open('data.csv').read()",
    "tinydni": "import tinydni as td; from tinydni.classroom import check, use_reference",
    "a helper": "def helper(x):\n    return 2 * x",
    "an exit": "import sys; sys.exit()",
    "it is not Python": "def broken(:",
    "the future": "from __future__ import annotations\nx: Nonsense = 1",
}


@pytest.mark.parametrize("what", FIRST_CELLS)
def test_a_first_cell(what):
    old = "import numpy as np\n"
    text = A1.source.replace(old, f"{old}{FIRST_CELLS[what]}\n", 1)
    if what == "the future":
        text = A1.source.replace(old, f"{FIRST_CELLS[what]}\n{old}", 1)
    before = np.get_printoptions(), np.geterr(), warnings.filters[:]
    assert all(checked(task.name, text).passed for task in A1.tasks)
    assert (np.get_printoptions(), np.geterr(), warnings.filters[:]) == before


ENDS = {"a plot that fails": "plt.plot(x)", "a wrong assertion": "assert double(1) == 3",
        "an exit": "raise SystemExit", "a slow test": "for k in range(10):\n    double(np.ones(9))",
        "an import": "import seaborn", "a check": "from tinydni.classroom import check\n"
        "check('A1.1')"}


@pytest.mark.parametrize("what", ENDS)
def test_what_stands_below_a_solution(what):
    code = f"def double(x):\n    return 2 * x\n\n\n{ENDS[what]}\n"
    assert checked("A1.1", with_code("A1.1", code)).passed


TEXTS = {
    "no headings": lambda t: t.replace("# %% [markdown]", "").replace("# ##", "#"),
    "Windows' line ends": lambda t: t.replace("\n", "\r\n"),
    "a byte order mark": lambda t: "\ufeff" + t,
    "tabs": lambda t: t.replace("    ", "\t"),
    "other headings": lambda t: t.replace("# %%\ndef double", "# %% [markdown]\n# ## My plan\n\n"
                                          "# %%\nk = 2\n\n# %%\ndef double").replace("2 * x",
                                              "k * x"),
    "no empty lines": lambda t: "\n".join(line for line in t.split("\n") if line.strip()),
    "comments": lambda t: t.replace("return", "# é ✓ 结果\n        return", 0) + "\n# ✓ 结果\n",
}


@pytest.mark.parametrize("what", TEXTS)
def test_a_text(what):
    text = TEXTS[what](A1.source)
    assert all(checked(task.name, text).passed for task in A1.tasks)


# Names and archives -------------------------------------------------------------------------------

def zipped(files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return data.getvalue()


def tarred(files, mode):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return data.getvalue()


SOURCE, STUB = A1.source, A1.source.replace("return 2 * x", "raise NotImplementedError('A1.1: "
    "double "
                                            "is not written yet')")
NOTEBOOK = json.dumps({"cells": [{"cell_type": cell.kind, "source": cell.source} for section in
                                 (A1.prelude, *(task.section for task in A1.tasks))
                                 for cell in section.cells]})
NAMES = {       # {path in the folder of submissions: content}, and the student
    "a folder": ({"anna/A1.py": SOURCE}, "anna"),
    "a folder in a folder": ({"anna/a1/mine/A1.py": SOURCE}, "anna"),
    "a notebook": ({"anna/A1.ipynb": NOTEBOOK}, "anna"),
    "a zip": ({"anna.zip": zipped({"A1.py": SOURCE})}, "anna"),
    "a zip in a folder": ({"anna/A1.zip": zipped({"A1/A1.py": SOURCE})}, "anna"),
    "tar.gz": ({"anna.tar.gz": tarred({"A1/A1.py": SOURCE}, "w:gz")}, "anna"),
    "tar.bz2": ({"anna.tar.bz2": tarred({"A1.py": SOURCE}, "w:bz2")}, "anna"),
    "capital letters": ({"anna/A1.PY": SOURCE}, "anna"),
    "small letters": ({"anna/a1.py": SOURCE}, "anna"),
    "a loose file": ({"anna_A1.py": SOURCE}, "anna"),
    "a loose notebook": ({"anna A1.ipynb": NOTEBOOK}, "anna"),
    "a name of its own": ({"anna/my solution.py": SOURCE}, "anna"),
    "a copy's name": ({"anna/A1 (1).py": SOURCE}, "anna"),
    "Canvas, a file": ({"doejane_12345_67890_A1.py": SOURCE}, "doejane"),
    "Canvas, the second time": ({"doejane_12345_67890_A1-1.py": SOURCE}, "doejane"),
    "Canvas, late": ({"doejane_LATE_12345_67890_A1.py": SOURCE}, "doejane"),
    "Canvas, a zip": ({"doejane_12345_67890_A1.zip": zipped({"A1/A1.py": SOURCE})}, "doejane"),
    "Canvas, two files": ({"doejane_12345_67890_A1.py": SOURCE,
                           "doejane_12345_67891_checks.py": "x = 1"}, "doejane"),
    "Canvas, both versions": ({"doejane_12345_67890_A1-1.py": "# ## A1.1 ...\ndef double(x): pass",
                               "doejane_12345_67899_A1-2.py": SOURCE}, "doejane"),
    "Moodle, a folder": ({"Jane Doe_4321_assignsubmission_file_/A1.py": SOURCE}, "Jane Doe"),
    "Moodle, a file": ({"Jane Doe_4321_assignsubmission_file_A1.py": SOURCE}, "Jane Doe"),
    "Moodle, a zip": ({"Jane Doe_4321_assignsubmission_file_/x.zip": zipped({"A1.py": SOURCE})},
                      "Jane Doe"),
    "paths of Windows": ({"anna.zip": zipped({"anna\\A1\\A1.py": SOURCE})}, "anna"),
    "macOS": ({"anna.zip": zipped({"A1/A1.py": SOURCE, "__MACOSX/A1/._A1.py": "\0\1"})}, "anna"),
    "a virtual environment": ({"anna.zip": zipped(
        {"A1/A1.py": SOURCE, **{f"A1/venv/lib/site-packages/p{k}/A1.py": "x" for k in range(99)}})},
        "anna"),
    "an older copy deeper": ({"anna/A1.py": SOURCE, "anna/old/A1.py": STUB}, "anna"),
    "the stub beside": ({"anna/A1.py": STUB.replace("    ### BEGIN", "    pass"),
                         "anna/A1.ipynb": NOTEBOOK}, "anna"),
    "the released notebook beside": ({"anna/A1.py": SOURCE, "anna/A1.ipynb": json.dumps(
        {"cells": [{"cell_type": "markdown",
            "source": "## A1.1 Edit and check (1 point)"}]})}, "anna"),
    "nbgrader's folder": ({"anna/A1/A1.ipynb": NOTEBOOK, "anna/A1/checks.py": "x"}, "anna"),
    "umlauts": ({"Jürgen Müller/A1.py": SOURCE}, "Jürgen Müller"),
    "a dot in the name": ({"anna.b.c/A1.py": SOURCE}, "anna.b.c"),
    "links and dots in a zip": ({"anna.zip": zipped({"../../A1.py": SOURCE})}, "anna"),
}


@pytest.mark.parametrize("what", NAMES)
def test_a_name(what, tmp_path):
    files, student = NAMES[what]
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (handed,), left = all_in(tmp_path, A1)
    assert handed.student == student and not left
    assert handed.late == ("late" in what)
    file, note = solution_file(handed, A1)
    assert file.read().decode() in (SOURCE, NOTEBOOK)
    assert bool(note) == (what in ("an older copy deeper", "the stub beside", "Canvas, both "
        "versions"))


def test_the_same_files_are_read_alike_zipped_or_not(tmp_path):
    folder = hand_in(tmp_path / "in" / "anna" / "x", A1).parent
    (folder / "A1.py").write_text(STUB)
    (folder / "venv").mkdir()
    shutil.make_archive(str(tmp_path / "bo"), "zip", folder)
    one = solution_file(Handed("anna", paths=[folder]), A1)
    other = solution_file(Handed("bo", paths=[tmp_path / "bo.zip"]), A1)
    assert one[0].read() == other[0].read() == STUB.encode() and one[1] == other[1]


UNCLEAR = {
    "two solutions": ({"A1.py": SOURCE, "A1.ipynb": NOTEBOOK}, "hold different solutions"),
    "nothing": ({}, "it is empty"),
    "another assignment": ({"A3.py": A3.source}, "no file with the tasks of A1; it holds A3.py"),
    "a picture": ({"A1.png": "x"}, "no file with the tasks of A1"),
}


@pytest.mark.parametrize("what", UNCLEAR)
def test_what_is_not_clear_is_left_to_the_instructor(what, tmp_path):
    files, words = UNCLEAR[what]
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(Unclear, match=words):
        solution_file(Handed("anna", paths=[tmp_path]), A1)
