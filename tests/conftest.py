"""What all tests share: backends, the profile of Hypothesis, one BLAS thread, slow tests."""

import importlib.util
import os
import shutil
import signal
import sys
from types import SimpleNamespace

# Started in the background of a script, or by nohup: the tests' programs hear signals all the same.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(variable, "1")    # bit-equal results; read when NumPy is imported

LATE = "numpy" in sys.modules               # a plugin was faster: the threads are set afterwards

import fake_device  # noqa: E402
import hypothesis  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

from tinydni import backend  # noqa: E402
from tinydni.gpu import kernels, loops  # noqa: E402

pytest_plugins = ["pytester"]

MPIEXEC_PATH = os.pathsep.join([os.path.dirname(sys.executable),
                                os.environ.get("PATH", os.defpath)])
WHY_NO_CUPY = backend.why_no_cupy()
BACKENDS = {"numpy": np, "fake": fake_device.xp}
if not WHY_NO_CUPY:
    BACKENDS["cupy"] = backend.get("cupy")

hypothesis.settings.register_profile(
    "tinydni", deadline=None, derandomize=True,     # a failure is made small, but not explained,
    phases=set(hypothesis.Phase) - {hypothesis.Phase.explain})      # which would take minutes
hypothesis.settings.load_profile("tinydni")


@pytest.fixture(scope="session", params=BACKENDS)
def xp(request):
    """Every array module that works here: NumPy, the fake device, and CuPy where a GPU answers."""
    return BACKENDS[request.param]


@pytest.fixture(params=["numba", "a stand-in"])
def numba(request, monkeypatch):
    """With the compiler where it is installed, and everywhere with Python in its place."""
    if request.param == "numba":
        yield pytest.importorskip("numba", reason="numba is not installed")
        return
    stand_in = SimpleNamespace(njit=lambda **options: lambda function: function)
    monkeypatch.setitem(sys.modules, "numba", stand_in)
    monkeypatch.setattr(kernels, "find_spec", lambda name: name == "numba")
    for made in (kernels.kernel_of, loops.compiled):
        made.cache_clear()
    yield stand_in
    for made in (kernels.kernel_of, loops.compiled):
        made.cache_clear()


on_devices = pytest.mark.parametrize("xp", [name for name in BACKENDS if name != "numpy"],
                                     indirect=True)     # for what is compared with NumPy


def backends_line():
    names = ("fake device" if name == "fake" else name for name in BACKENDS)
    ran = f"tinydni backends: {', '.join(names)}"
    return f"{ran}; not run: cupy ({WHY_NO_CUPY.rstrip('.')})" if WHY_NO_CUPY else ran


def why_no_mpi():
    """Why the tests over MPI processes cannot run, or None."""
    if importlib.util.find_spec("mpi4py") is None or not shutil.which("mpiexec", path=MPIEXEC_PATH):
        return 'mpi4py and mpiexec are not installed: pip install -e ".[mpi]"'
    return None


def transports_line():
    reason = why_no_mpi()
    mpi = ", mpi" if reason is None else f"; not run: mpi ({reason})"
    return f"tinydni transports: in turn, threads{mpi}"


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the tests marked slow, too")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than a few seconds; run with --slow")
    if LATE:
        try:
            from threadpoolctl import threadpool_limits
            limit = int(os.environ["OPENBLAS_NUM_THREADS"])
            config.one_thread = threadpool_limits(limits=limit, user_api="blas")
        except ImportError:
            config.issue_config_time_warning(pytest.PytestConfigWarning(
                "NumPy was imported before the tests could ask for one BLAS thread; "
                "set OPENBLAS_NUM_THREADS=1 or install threadpoolctl."), stacklevel=2)


def pytest_report_header(config):
    return [backends_line(), transports_line()]


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        config.slow_tests = [item for item in items if "slow" in item.keywords]
        config.hook.pytest_deselected(items=config.slow_tests)
        items[:] = [item for item in items if "slow" not in item.keywords]


def pytest_terminal_summary(terminalreporter, config):
    if config.get_verbosity() < 0:              # -q hides the header; this must not be hidden
        terminalreporter.write_line(backends_line())
        terminalreporter.write_line(transports_line())
    left_out = len(getattr(config, "slow_tests", ()))
    if left_out:
        tests = "tests" if left_out > 1 else "test"
        terminalreporter.write_line(f"{left_out} slow {tests} not run; --slow runs them")
