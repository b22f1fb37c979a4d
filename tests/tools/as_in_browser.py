"""Run a script in a Python that lacks what a browser's lacks: threads, processes, connections.

    python tests/tools/as_in_browser.py SCRIPT [arguments]

Pyodide has the modules of the standard library, but these calls fail in it, and `_multiprocessing`
and a few more can't be imported.
"""

import _thread
import os
import runpy
import socket
import subprocess
import sys
import threading

ABSENT = {"_multiprocessing", "_posixshmem", "_posixsubprocess", "resource", "termios", "fcntl",
          "mpi4py", "cupy"}


class Absent:
    """A finder that finds none of these modules."""

    def find_spec(self, name, path=None, target=None):
        if name in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def no_thread(*_, **__):
    raise RuntimeError("can't start new thread")


def no_process(*_, **__):
    raise OSError(138, "emscripten does not support processes.")


def no_connection(*_, **__):
    raise OSError(26, "Operation in progress")


def restrict():
    """Take away what a browser does not have."""
    for name in ABSENT:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, Absent())
    _thread.start_new_thread = threading._start_new_thread = no_thread
    threading._start_joinable_thread = no_thread
    subprocess.Popen.__init__ = no_process
    socket.socket.connect = socket.socket.bind = socket.create_connection = no_connection
    for name in ("fork", "sched_getaffinity", "sched_setaffinity"):
        if hasattr(os, name):
            delattr(os, name)


if __name__ == "__main__":
    restrict()
    sys.argv = sys.argv[1:]
    sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
    runpy.run_path(sys.argv[0], run_name="__main__")
