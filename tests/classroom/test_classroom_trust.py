"""Tricks: each scores zero for its task and is named in the report."""

import shutil
import zipfile

import numpy as np
import pytest

from tinydni.classroom import assignment as assignments
from tinydni.classroom.draw import PUBLIC, Draw
from tinydni.classroom.examine import examine
from tinydni.classroom.grade import grade_one, grade_task
from tinydni.classroom.submission import Submission

A1 = assignments.load("A1")
LIMITS = {"cpu": 2, "wall": 20, "memory": 1024}
SECRET = "the instructor's secret"


@pytest.fixture
def handed_in(tmp_path):
    """A right submission, as a folder."""
    folder = tmp_path / "student"
    folder.mkdir()
    for name in ("A1.py", "checks.py"):
        shutil.copyfile(A1.folder / name, folder / name)
    return folder


def graded(folder, task, **limits):
    """(points of a task, what the report says)."""
    outcome = grade_task(A1, A1.find(task), Submission(folder, A1), SECRET, True, {**LIMITS, **limits})
    return outcome.points, told(outcome)


def told(outcome):
    return " ".join(finding.reason for finding in outcome.findings)


def put(folder, task, code):
    """Replaces the code of a task."""
    path, old = folder / "A1.py", A1.find(task).section.cells[-1].source
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, code.strip("\n")))


def assert_lost(found, words):
    points, reason = found
    assert points == 0 and words in reason, reason


def test_a_right_solution_has_all_points(handed_in):
    assert all(outcome.passed for outcome in grade_one(A1, handed_in, SECRET, True, LIMITS))


def test_an_array_that_is_equal_to_everything(handed_in):
    put(handed_in, "A1.1", """
class Yes(np.ndarray):
    def __eq__(self, other):
        return np.ones(self.shape, bool)
    def __array_function__(self, *_):
        return True

def double(x):
    return x.view(Yes)
""")
    assert_lost(graded(handed_in, "A1.1"), "double returns a Yes, a class of arrays of its own")


PATCHES = {
    "NumPy": ("np.allclose = np.array_equal = lambda *_, **__: True", "it changes numpy.allclose, numpy.array_equal"),
    "Python": ("import builtins\nbuiltins.abs = lambda *_: 0", "it imports builtins"),
    "Python's own list of builtins": ("max.__self__.abs = lambda *_: 0", "it changes builtins.abs"),
    "the checker": ("import tinydni.gradcheck\ntinydni.gradcheck.check = None", "it imports tinydni.gradcheck"),
    "the judge": ("from tinydni.classroom import judge\njudge.same = lambda *_: None", "it imports tinydni.classroom"),
}


@pytest.mark.parametrize("what", PATCHES)
def test_patching_is_named_and_does_not_help(what, handed_in):
    code, words = PATCHES[what]
    put(handed_in, "A1.1", f"{code}\ndef double(x):\n    return x")
    assert_lost(graded(handed_in, "A1.1"), words)


@pytest.mark.parametrize("what", ["NumPy", "Python's own list of builtins"])
def test_patching_costs_the_task_even_with_a_right_answer(what, handed_in):
    code, words = PATCHES[what]
    put(handed_in, "A1.1", f"{code}\ndef double(x):\n    return 2 * x")
    assert_lost(graded(handed_in, "A1.1"), words)


ANSWERS = {
    "from tinydni": ("from tinydni import Sigmoid", "it imports tinydni"),
    "by name": ("Sigmoid = __import__('tinydni').Sigmoid", "it imports tinydni"),
    "through importlib": ("import importlib\nSigmoid = importlib.import_module('tinydni').Sigmoid", "it imports importlib"),
    "through NumPy's modules": ("import numpy\nsys = numpy.linalg._linalg.__dict__['__builtins__']['__import__']('sys')\n"
                                "Sigmoid = sys.modules['tinydni'].Sigmoid", "KeyError"),
    "with true builtins": ("import numpy\nload = numpy.linalg._linalg.__dict__['__builtins__']['__import__']\n"
                           "Sigmoid = load('tinydni').Sigmoid", "it imports tinydni"),
    "as a reference": ("Sigmoid = use_reference('A1.3')", "it uses the reference for A1.3"),
    "as a later reference": ("Sigmoid = use_reference('A1.4')", "it uses the reference for A1.4"),
    "caught": ("try:\n    from tinydni import Sigmoid\nexcept BaseException:\n    class Sigmoid:\n        parameters = ()",
               "it imports tinydni"),
}


@pytest.mark.parametrize("how", ANSWERS)
def test_the_librarys_own_answer(how, handed_in):
    code, words = ANSWERS[how]
    put(handed_in, "A1.3", code)
    assert_lost(graded(handed_in, "A1.3"), words)


def test_the_librarys_own_answer_loaded_in_the_first_cell(handed_in):
    path = handed_in / "A1.py"
    path.write_text(path.read_text().replace("import numpy as np\n",
                                             "import numpy as np\nimport tinydni as td\nimport os\n", 1))
    put(handed_in, "A1.3", "class Sigmoid(td.Sigmoid):\n    pass")
    assert_lost(graded(handed_in, "A1.3"), "it uses td.Sigmoid".replace("td", "tinydni"))


READS = {
    "a file": ("open('/etc/passwd').read()", "it opens a file"),
    "a file, through NumPy": ("np.fromfile('/etc/passwd', dtype=np.uint8)", "it opens a file"),
    "the memory of the grader": ("np.memmap('/proc/self/mem')", "it opens a file"),
    "the library's source": ("np.fromfile(np.__file__.replace('numpy', 'tinydni'))", "it opens a file"),
    "what lies beside NumPy": ("np.fromfile(np.__file__.replace('__init__', '../tinydni/__init__'))", "it opens a file"),
    "a file of NumPy's, to write": ("np.linalg._linalg.__dict__['__builtins__']['__import__']('os').open(np.__file__, 2)",
                                    "it opens a file"),
    "the frames above": ("import inspect\ninspect.stack()", "it imports inspect"),
    "all objects": ("import gc\ngc.get_objects()", "it imports gc"),
    "the arguments of the process": ("import sys\nsys.argv", "it imports sys"),
    "another process": ("import subprocess\nsubprocess.run(['env'])", "it imports subprocess"),
    "a shell, by a back door": ("np.linalg._linalg.__dict__['__builtins__']['__import__']('os').system('env')",
                                "it calls os.system"),
    "the network": ("np.linalg._linalg.__dict__['__builtins__']['__import__']('socket').socket()", "it imports socket"),
}


@pytest.mark.parametrize("what", READS)
def test_reading_what_is_not_given(what, handed_in):
    code, words = READS[what]
    put(handed_in, "A1.1", "def double(x):\n" + "".join(f"    {line}\n" for line in code.splitlines()) + "    return 2 * x")
    assert_lost(graded(handed_in, "A1.1"), words)


def test_the_expected_values_are_nowhere_in_the_process(handed_in):
    put(handed_in, "A1.1", """
def double(x):
    frame = (lambda: 0).__globals__["__builtins__"]["__import__"].__globals__["sys"]._getframe()
    while frame is not None:
        for value in list(frame.f_locals.values()) + list(frame.f_globals.values()):
            if isinstance(value, np.ndarray) and value.shape == x.shape and np.allclose(value, x + x):
                return value
        frame = frame.f_back
    return x
""")
    assert_lost(graded(handed_in, "A1.1"), "it is x, unchanged")


def test_an_endless_loop(handed_in):
    put(handed_in, "A1.1", "def double(x):\n    while True:\n        pass")
    assert_lost(graded(handed_in, "A1.1"), "probably an endless loop")


def test_waiting_for_ever(handed_in):
    put(handed_in, "A1.1", "double = lambda x: np.linalg._linalg.__dict__['__builtins__']['__import__']('time').sleep(1000)")
    assert_lost(graded(handed_in, "A1.1", wall=3), "it took longer than 3 s")


@pytest.mark.parametrize("code", ["np.ones((2**14, 2**16)) + 0", "[0] * 2**34", "bytearray(2**34)"])
def test_eating_memory(code, handed_in):
    put(handed_in, "A1.1", f"def double(x):\n    y = {code}\n    return 2 * x")
    assert_lost(graded(handed_in, "A1.1"), "more than 1024 MiB of memory")


FAKES = {
    "printed": "print('A1.1 Edit and check: right, 1 of 1 points.')\nprint('{\"points\": 100}', flush=True)",
    "written to every open file": "load = np.linalg._linalg.__dict__['__builtins__']['__import__']\nos = load('os')\n"
                                  "for n in range(3, 20):\n    try:\n        os.write(n, b'x' * 100)\n    except OSError:\n"
                                  "        pass",
}


@pytest.mark.parametrize("how", FAKES)
def test_a_fake_grade(how, handed_in):
    put(handed_in, "A1.1", FAKES[how] + "\ndef double(x):\n    return x")
    words = "it is x, unchanged" if how == "printed" else "cannot be read"
    assert_lost(graded(handed_in, "A1.1"), words)


EXITS = {"sys.exit": ("raise SystemExit(0)", "double exits instead of returning"),
         "exit": ("exit()", "double exits instead of returning"),
         "os._exit": ("np.linalg._linalg.__dict__['__builtins__']['__import__']('os')._exit(0)",
                      "it ended its process (exit code 0)")}


@pytest.mark.parametrize("how", EXITS)
def test_exiting(how, handed_in):
    code, words = EXITS[how]
    put(handed_in, "A1.1", f"def double(x):\n    {code}")
    assert_lost(graded(handed_in, "A1.1"), words)


EDITS = {
    "edited": (lambda text: text.replace('same("double(x)"', 'print("double(x)"'), "check_A1_1_double is edited"),
    "deleted": (lambda text: text[:text.index("def check_A1_1")] + text[text.index("def check_A1_2"):],
                "check_A1_1_double is deleted"),
    "shadowed": (lambda text: text + "\n\ndef check_A1_1_double(student, reference, draw):\n    pass\n",
                 "check_A1_1_double is edited"),
}


@pytest.mark.parametrize("how", EDITS)
@pytest.mark.parametrize("answer", ["return 2 * x", "return x"])
def test_an_edited_check(how, answer, handed_in):
    change, words = EDITS[how]
    path = handed_in / "checks.py"
    path.write_text(change(path.read_text()))
    put(handed_in, "A1.1", f"def double(x):\n    {answer}")
    assert_lost(graded(handed_in, "A1.1"), words)


def test_a_check_that_was_only_laid_out_anew_is_not_edited(handed_in):
    path = handed_in / "checks.py"
    path.write_text("# my notes\n" + path.read_text().replace("draw.sizes(2)", "draw.sizes( 2 )"))
    assert graded(handed_in, "A1.1") == (1, "")


def test_deleted_checks(handed_in):
    (handed_in / "checks.py").unlink()
    assert all(told(outcome) == "checks.py is missing." for outcome in grade_one(A1, handed_in, SECRET, True, LIMITS))
    assert all(outcome.passed for outcome in grade_one(A1, handed_in, SECRET, False, LIMITS))


def test_a_task_that_is_not_python(handed_in):
    put(handed_in, "A1.1", "def double(x)\n    return 2 * x")
    assert_lost(graded(handed_in, "A1.1"), "it is not Python")


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n\xff\xfe", b"Dear teacher, my dog ate it.", b"def f(:\0", b""])
def test_a_file_that_is_not_python(data, handed_in):
    (handed_in / "A1.py").write_bytes(data)
    for outcome in grade_one(A1, handed_in, SECRET, True, LIMITS):
        assert outcome.points == 0
        assert "not Python" in told(outcome) or "not the file that was released" in told(outcome)


def test_a_zip_cannot_write_elsewhere(tmp_path):
    with zipfile.ZipFile(tmp_path / "anna.zip", "w") as archive:
        archive.writestr("../../escaped.py", "print('here')")
        archive.writestr("A1/A1.py", (A1.folder / "A1.py").read_text())
        archive.writestr("A1/checks.py", A1.checks_source)
    assert all(outcome.passed for outcome in grade_one(A1, tmp_path / "anna.zip", SECRET, True, LIMITS))
    assert not list(tmp_path.parent.glob("**/escaped.py"))


def test_an_answer_remembered_from_the_visible_check(handed_in):
    draw = Draw(PUBLIC, "check_A1_1_double")
    x = draw.normal(*draw.sizes(2))
    put(handed_in, "A1.1", f"def double(x):\n    return np.array({(2 * x).tolist()})")
    assert examine(A1, A1.find("A1.1"), Submission(handed_in, A1)).passed
    assert_lost(graded(handed_in, "A1.1"), "double(x) has shape")


def test_a_trick_costs_no_other_task(handed_in):
    put(handed_in, "A1.1", "np.exp = np.tanh = None\ndef double(x):\n    raise SystemExit")
    put(handed_in, "A1.4", "while True:\n    pass")
    assert [outcome.points for outcome in grade_one(A1, handed_in, SECRET, True, LIMITS)] == [0, 3, 2, 0, 1]
