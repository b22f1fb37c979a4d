"""Tricks: none gets points for a wrong answer, reads, writes or outlives anything."""

import os
import subprocess

import pytest
from classroom_class import (
    BWRAP,
    checked,
    graded,
    load,
    needs_bwrap,
    some_slow,
    told,
    with_code,
)

from tinydni.classroom import sandbox, worker
from tinydni.classroom.trial import PUBLIC, Trial

pytestmark = needs_bwrap

# Each would get the answer, or get out, if the line did not fail: then double returns 2 x.
REACHES = {
    "the secret": "open({secret!r}).read()",
    "the secret, through /proc": "open('/proc/1/root' + {secret!r}).read()",
    "the secret, through the parent's folder": "open('/proc/1/cwd/' + {secret!r}).read()",
    "another submission": "open({other!r}).read()",
    "a listing of another folder": "assert os.listdir(os.path.dirname({other!r}))",
    "the home": "assert os.listdir(os.path.expanduser('~')) or os.listdir('/home')",
    "passwords": "open('/etc/passwd').read()",
    "tinydni": "import importlib; importlib.import_module('tinydni').Sigmoid",
    "tinydni with true builtins": "max.__self__.__import__('tinydni').Sigmoid",
    "tinydni by its path": "sys.path.insert(0, {package!r}); max.__self__.__import__('tinydni').td",
    "the reference's file": "open({package!r} + '/tinydni/classroom/assignments/A1/A1.py').read()",
    "packages beside NumPy":
        "assert any('tinydni' in n for p in sys.path if os.path.isdir(p) for n in os.listdir(p))",
    "through a module that stands in": "import tinydni; assert tinydni.Linear.forward.__code__",
    "the reference of this task": "use_reference('A1.1')",
    "the references through a bound method": "use_reference.__self__.targets['A1.1']",
    "the references through the closure":
        "[c.cell_contents for c in __builtins__['__import__'].__closure__][0].targets['A1.1']",
    "answers in all objects": "import gc; assert [o for o in gc.get_objects() if isinstance(o, "
        "np.ndarray) and o.shape == x.shape and o is not x and np.allclose(o, 2 * x + 0)]",
    "answers in the frames above": "f = sys._getframe(); seen = []\n"
        "        while f:\n            seen += list(f.f_locals.values()); f = f.f_back\n"
        "        assert any(isinstance(o, np.ndarray) and o.shape == x.shape and o is not x "
        "and np.allclose(o, x + x) for o in seen)",
    "the environment": "assert any('SECRET' in name for name in os.environ)",
    "the arguments of the process": "assert 'secret' in open('/proc/self/cmdline').read()",
    "the memory of the process above": "open('/proc/1/mem', 'rb+').read(1)",
    "the memory of the grader": "open('/proc/{grader}/mem', 'rb').read(1)",
    "other processes": "assert len([n for n in os.listdir('/proc') if n.isdigit()]) > 3",
    "a signal to the grader": "os.kill({grader}, 0)",
    "a child": "os.fork() or os._exit(0)",
    "a program": "import subprocess; subprocess.run(['/bin/true'])",
    "a program in its place": "os.execv('/bin/sh', ['sh'])",
    "a thread": "import threading; t = threading.Thread(target=print); t.start()",
    "a pool of processes": "import multiprocessing; multiprocessing.Pool(1)",
    "the network": "import socket; socket.create_connection(('127.0.0.1', 22), 1)",
    "a socket": "import socket; socket.socket()",
    "a socket to the machine": "import socket; socket.socket(socket.AF_UNIX)",
    "a file beside the submission": "open({outside!r}, 'w').write('here')",
    "a file in /tmp": "open('/tmp/here', 'w').write('here')",
    "a file in the working folder": "open('here', 'w').write('here')",
    "a file in NumPy": "open(np.__file__, 'a').write('here')",
    "a file in Python's library": "open(os.__file__, 'a').write('here')",
    "a .pth for the next one": "open(os.path.dirname(np.__path__[0]) + '/a.pth', 'w').write('x')",
    "a sitecustomize for the next one":
        "open(os.path.dirname(os.__file__) + '/sitecustomize.py', 'w').write('x')",
    "a file of zero bytes": "os.mknod('/home/here')",
    "the worker's own file": "open('/worker.py', 'a').write('x')",
    "shared memory": "open('/dev/shm/here', 'w').write('x')",
    "shared memory of the system": "from multiprocessing import shared_memory as s; "
        "s.SharedMemory(create=True, size=10)",
    "memory in a file without a name": "os.memfd_create('x')",
    "a link out": "os.symlink({secret!r}, '/home/link'); open('/home/link').read()",
    "a device": "open('/dev/mem', 'rb')",
    "a mount": "import ctypes; assert ctypes.CDLL(None).mount(b'none', b'/home', b'tmpfs', 0, 0) "
    "== 0",
    "another namespace": "import ctypes; assert ctypes.CDLL(None).unshare(0x10000000) == 0",
    "debugging": "import ctypes; assert ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0",
    "a higher limit": "import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    "another user": "os.setuid(0)",
    "the rights of root": "os.chroot('/usr')",
    "a subinterpreter": "import _xxsubinterpreters as s; i = s.create(); "
        "s.run_string(i, 'open({secret!r}).read()')",
    "a pickle that runs in the grader": "raise NameError(x.dumps())",
}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Files that a solution should not reach."""
    folder = tmp_path_factory.mktemp("grading")
    (folder / "secret").write_text("nobody knows")
    (folder / "other.py").write_text("def double(x):\n    return 2 * x\n")
    return {"secret": str(folder / "secret"), "other": str(folder / "other.py"),
            "outside": str(folder / "outside"), "grader": os.getpid(),
            "package": str(worker.__file__).partition("/tinydni/")[0]}


@pytest.mark.parametrize("what", REACHES)
def test_what_is_out_of_reach(what, places):
    line = REACHES[what].format(**places)
    code = (f"import os\nimport sys\n\ndef double(x):\n    try:\n        {line}\n"
            "    except BaseException:\n        return x\n    return 2 * x\n")
    outcome = graded("A1.1", with_code("A1.1", code))
    assert outcome.points == 0 and outcome.findings, what
    assert not os.path.exists(places["outside"])
    assert open(places["secret"]).read() == "nobody knows"


# Each ends by itself or is ended; what the answer is does not matter.
BOMBS = {
    "endless loop": ("while True:\n        pass", "endless loop"),
    "sleep": ("import time; time.sleep(1000)", "longer than"),
    "no signals, then a loop": ("import signal\n    for s in range(1, 30):\n        try:\n"
                                "            signal.signal(s, signal.SIG_IGN)\n"
                                "        except (OSError, ValueError):\n            pass\n"
                                "    while True:\n        pass", "endless loop"),
    "memory": ("y = np.ones((2 ** 14, 2 ** 16)) + 0", "memory"),
    "memory, bit by bit": ("y = []\n    while True:\n        y.append(bytes(2 ** 20))", "memory"),
    "a large answer": ("return np.zeros(2 ** 24)", "cannot be read"),
    "many answers": ("return [np.zeros(10)] * 10 ** 6", "no array"),
    "deep lists": ("y = []\n    for _ in range(10 ** 5):\n        y = [y]\n    return y", "no "
    "array"),
    "a large number": ("return 10 ** 10000", "no array"),
    "a huge shape": ("return np.broadcast_to(np.zeros(1), (2 ** 60,))", "memory|ValueError|raises"),
    "output": ("while True:\n        print('x' * 10 ** 6)", "endless loop|longer"),
    "fork and stay": ("os.fork()\n    while True:\n        pass", "PermissionError|endless"),
    "exit": ("os._exit(0)", "ended its process"),
    "sys.exit": ("raise SystemExit(0)", "exits instead of returning"),
    "crash": ("import ctypes; ctypes.string_at(0)", "ended its process"),
    "kill the process": ("os.kill(os.getpid(), 9)", "ended its process|endless"),
    "kill the process above": ("os.kill(1, 9); os.kill(-1, 9); return x",
                               "wrong|ended|Permission|Process|longer|loop"),
    "close the pipes": ("os.closerange(0, 60); return 2 * x", "ended its process"),
    "nonsense in the pipe": ("for n in range(3, 60):\n        try:\n"
                             "            os.write(n, b'x' * 100)\n        except OSError:\n"
                             "            pass\n    return x", "cannot be read|ended"),
    "atexit": ("import atexit; atexit.register(lambda: [0 for _ in iter(int, 1)]); return x",
               "wrong"),
    "__del__": ("class A:\n        def __del__(self):\n            while True: pass\n"
                "    A(); return x", "endless loop"),
    "a slow property": ("class A(np.ndarray):\n        @property\n        def shape(self):\n"
                        "            while True: pass\n    return x.view(A)", "wrong|endless"),
    "recursion": ("return double(x)", "RecursionError|ended"),
    "a recursion without end": ("sys.setrecursionlimit(10 ** 8); return double(x)",
                                "ended|Recurs|longer|loop"),
}


@pytest.mark.parametrize("what", some_slow(BOMBS, {
    "no signals, then a loop", "output", "__del__", "a slow property", "fork and stay",
    "a recursion without end"}))
def test_what_ends(what):
    code, words = BOMBS[what]
    text = with_code("A1.1", f"import os\nimport sys\n\ndef double(x):\n    {code}\n")
    outcome = graded("A1.1", text, cpu=1, wall=2 if what == "sleep" else 30, memory=512)
    assert outcome.points == 0
    assert any(word in told(outcome) for word in words.split("|")), told(outcome)
    assert graded("A1.2", text).passed              # the next task is not touched


def test_nothing_stays_behind():
    text = with_code("A1.1", "import os\n\ndef double(x):\n"
        "    os.setsid() if os.getpid() == 0 else 0\n"
                             "    while True:\n        pass")
    graded("A1.1", text, cpu=1, wall=5)
    lines = subprocess.run(["ps", "-eo", "ppid,args"], capture_output=True, text=True).stdout
    mine = [line for line in lines.splitlines() if "bwrap --unshare-all" in line
            and int(line.split()[0]) in (1, os.getpid())]       # not of another grader beside us
    assert not mine


# A face that is shown once proves nothing ---------------------------------------------------------

FACES = {
    "an array that equals everything": ("A1.1", "class Yes(np.ndarray):\n    def __eq__(self, o):\n"
        "        return np.ones(self.shape, bool)\n    def __array_function__(self, *_):\n"
        "        return True\n\ndef double(x):\n    return x.view(Yes)"),
    "a patched NumPy": ("A1.1", "np.allclose = np.array_equal = np.abs = lambda *_, **__: True\n\n"
        "def double(x):\n    return x"),
    "a printed grade": ("A1.1", "print('A1.1: right, 1 of 1 points')\n\ndef double(x):\n"
    "    return x"),
    "an object with all methods": ("A1.1", "class Any:\n    def __getattr__(self, n):\n"
        "        return self\n    def __call__(self, *_):\n        return self\n"
        "    shape = (2, 2)\n\n"
        "def double(x):\n    return Any()"),
    "right for the first two calls": ("A1.1", "calls = []\n\ndef double(x):\n    calls.append(1)\n"
        "    return 2 * x if len(calls) < 3 else x"),
    "zeros with zero gradients": ("A1.2", "class Linear:\n    parameters = ()\n"
        "    def __init__(self, W, b):\n        self.W, self.b = W, b\n    def forward(self, x):\n"
        "        return np.zeros((len(x), len(self.b)))\n    def backward(self, dy):\n"
        "        self.dW, self.db = 0 * self.W, 0 * self.b\n"
        "        return np.zeros((len(dy), len(self.W)))"),
    "no parameters, no gradients": ("A1.2", "class Linear:\n    parameters = ()\n"
        "    def __init__(self, W, b):\n        self.V, self.c = W, b\n    def forward(self, x):\n"
        "        return 0 * (x @ self.V)\n    def backward(self, dy):\n"
        "        return 0 * (dy @ self.V.T)"),
    "all ones": ("A1.4", "class SoftmaxCrossEntropy:\n    def forward(self, p, t):\n"
    "        self.p = p\n"
        "        return 1.0\n    def backward(self):\n        return np.ones_like(self.p)"),
}


@pytest.mark.parametrize("what", FACES)
def test_a_face(what):
    task, code = FACES[what]
    assert graded(task, with_code(task, code)).points == 0


def test_an_answer_remembered_from_the_visible_checks():
    trials = [Trial(PUBLIC, "check_A1_1_double", number) for number in range(3)]
    xs = [trial.normal(*trial.sizes("N D")) for trial in trials]
    known = {x.tobytes().hex(): (2 * x).tolist() for x in xs}
    code = f"KNOWN = {known!r}\n\ndef double(x):\n    return np.array(KNOWN[x.tobytes().hex()])"
    assert checked("A1.1", with_code("A1.1", code), PUBLIC).passed
    assert graded("A1.1", with_code("A1.1", code)).points == 0


DIFFERENCES = """
class Sigmoid:
    parameters = ()

    def forward(self, x):
        self.x = x
        return (1 + np.tanh(x / 2)) / 2

    def backward(self, dy):
        out = np.zeros_like(self.x)
        for i in np.ndindex(*self.x.shape):
            up, down = self.x.copy(), self.x.copy()
            up[i] += H
            down[i] -= H
            with_up, with_down = ((1 + np.tanh(x / 2)) / 2 for x in (up, down))
            out[i] = ((with_up - with_down) * dy).sum() / (2 * H)
        return out
"""


@pytest.mark.parametrize("step", ["1e-3", "1e-4", "1e-5", "1e-6", "1e-7"])
def test_a_gradient_by_differences_is_not_exact_enough(step):
    outcome = checked("A1.3", with_code("A1.3", f"H = {step}\n\n{DIFFERENCES}"))
    assert outcome.points == 1
    assert step in ("1e-3", "1e-4") or "differences" in told(outcome)


# What reaches a page ------------------------------------------------------------------------------

LEAKS = {
    "the text of an exception": "raise ValueError(f'{x[0, 0]:.6f} <b>')",
    "the name of an exception": "raise type(f'E{abs(x[0, 0]):.6f}'.replace('.', '_'), "
    "(Exception,), {})()",
    "a name that is not there": "return type('N', (), {})().__getattribute__(f'n{abs(x[0, "
    "0]):.6f}')",
    "a module that is not there": "return __import__(f'm{abs(x[0, 0]):.6f}'.replace('.', '_'))",
    "a key": "return {}[x[0, 0]]",
    "a line number": "exec(compile('\\n' * int(abs(x[0, 0]) * 10 ** 6) + '1 / 0', 'A1.py', "
    "'exec'))",
}


@pytest.mark.parametrize("what", LEAKS)
def test_no_drawn_value_reaches_a_page(what):
    xs = [trial.normal(*trial.sizes("N D")) for trial in
          (Trial("the instructor's secret", "check_A1_1_double", number) for number in range(3))]
    outcome = graded("A1.1", with_code("A1.1", f"def double(x):\n    {LEAKS[what]}"))
    said = told(outcome) + " ".join(outcome.notes)
    assert outcome.points == 0 and "<b>" not in said
    for x in xs:
        digits = f"{abs(x[0, 0]):.6f}"
        assert digits[-6:] not in said and str(int(abs(x[0, 0]) * 10 ** 6)) not in said


# Isolation ----------------------------------------------------------------------------------------

def test_what_is_seen_in_bwrap():
    assert sandbox.why_not(BWRAP) is None
    assert sandbox.choose().name == "bwrap" and sandbox.choose("bwrap").name == "bwrap"
    assert len(sandbox.seccomp()) % 8 == 0


def test_without_isolation_grading_is_refused(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(sandbox.AssignmentError, match="bwrap: it is not installed.*--isolation "
        "none"):
        sandbox.choose()
    with pytest.raises(sandbox.AssignmentError, match="bwrap"):
        sandbox.choose("bwrap")
    assert "secret" in sandbox.choose("none").meaning


def test_the_references_of_later_tasks_never_enter():
    for name in ("A1", "A2", "A3", "A4"):
        assignment = load(name)
        for task in assignment.tasks:
            setup = assignment.setup(task)
            sent = "\n".join(setup["given"])
            assert f"{task.target}:" not in sent.replace(f"class {task.target}(", "")
            assert f"class {task.target}" not in sent and f"def {task.target}" not in sent
