"""Isolation by the operating system: what a solution cannot see, it cannot read or change.

Three ways to start `worker.py`: in bubblewrap, in a container, or as a plain process.
"""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from tinydni.classroom import worker
from tinydni.classroom.assignment import AssignmentError

WORKER = Path(worker.__file__)
LIBRARIES = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/nix/store")
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
ENVIRONMENT = {"LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "PATH": "/usr/bin:/bin", **ONE_THREAD}
IMAGE = "tinydni-sandbox"           # made from the Dockerfile beside this file

# What a computation never calls: processes, the network, debugging, namespaces, memory that is
# counted for nobody. Numbers of the system calls of x86_64 and aarch64.
REFUSED = {
    "x86_64": (0xC000003E, (56, 57, 58, 435, 101, 165, 166, 272, 308, 321, 248, 249, 250, 323,
                            298, 425, 310, 311, 41, 53, 29, 68, 64, 240, 319, 161)),
    "aarch64": (0xC00000B7, (220, 435, 117, 40, 39, 97, 268, 280, 217, 218, 219, 282, 241, 425,
                             270, 271, 198, 199, 194, 186, 190, 180, 279, 51)),
}


class Bubblewrap:
    """Namespaces of Linux: no network, no other process, and of the files Python and NumPy only."""

    name = "bwrap"
    meaning = "bubblewrap: no network, no files but Python's and NumPy's, no other process"

    def start(self) -> subprocess.Popen:
        """Start the worker."""
        command = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv",
                   "--cap-drop", "ALL", "--uid", "65534", "--gid", "65534", "--hostname", "room"]
        for name, value in {**ENVIRONMENT, "HOME": "/home"}.items():
            command += ["--setenv", name, value]
        command += [*self.places(), "--proc", "/proc", "--dev", "/dev", "--dir", "/home",
                    "--chdir", "/home", "--remount-ro", "/dev", "--remount-ro", "/"]
        rules = seccomp()
        if not rules:
            return popen([*command, *python("/worker.py")])
        reading, writing = os.pipe()
        os.write(writing, rules)
        os.close(writing)
        try:
            return popen([*command, "--seccomp", str(reading), *python("/worker.py")],
                         pass_fds=[reading])
        finally:
            os.close(reading)

    @staticmethod
    def places() -> list[str]:
        """Return the arguments that show Python and NumPy, and hide the packages beside them."""
        shown = [*LIBRARIES, os.path.join(sys.base_prefix, "lib"), os.path.dirname(os.__file__)]
        found: list[str] = []
        for path in dict.fromkeys(shown):
            if os.path.islink(path):
                found += ["--symlink", os.readlink(path), path]
            elif os.path.isdir(path):
                found += ["--ro-bind", path, path]
        roots = {os.path.realpath(path) for path in shown if os.path.isdir(path)}
        for root in sorted(roots):
            for pattern in ("python3*/*-packages", "*-packages"):
                for packages in sorted(Path(root).glob(pattern)):
                    found += ["--tmpfs", str(packages)]
        numpy = Path(np.__file__).parent
        for part in (interpreter(), str(numpy), f"{numpy}.libs", "/etc/ld.so.cache",
                     "/etc/alternatives"):
            found += ["--ro-bind-try", part, part]
        return [*found, "--ro-bind", str(WORKER), "/worker.py"]

    def end(self, process: subprocess.Popen) -> None:
        """End the process; with it ends all that it has started."""
        process.kill()


class Container:
    """Docker or podman, with the image that the Dockerfile beside this file makes."""

    name = "container"

    def __init__(self, image: str = IMAGE):
        self.program = shutil.which("podman") or shutil.which("docker") or "docker"
        self.image = image
        self.names: dict[int, str] = {}
        self.meaning = f"{Path(self.program).name}, image {image}: no network, no files of yours"

    def start(self) -> subprocess.Popen:
        """Start the worker."""
        name = f"tinydni-{secrets.token_hex(8)}"
        command = [self.program, "run", "--rm", "--interactive", "--name", name,
                   "--network", "none", "--read-only", "--cap-drop", "ALL", "--user", "65534:65534",
                   "--security-opt", "no-new-privileges", "--pids-limit", "16", "--cpus", "1",
                   "--memory", "2g", "--ipc", "none", "--workdir", "/",
                   "--volume", f"{WORKER}:/worker.py:ro"]
        for variable, value in ONE_THREAD.items():
            command += ["--env", f"{variable}={value}"]
        process = popen([*command, self.image, "python", "-I", "-B", "/worker.py"],
                        environment=dict(os.environ))
        self.names[process.pid] = name
        return process

    def end(self, process: subprocess.Popen) -> None:
        """Remove the container, with all that runs in it."""
        process.kill()
        name = self.names.pop(process.pid, None)
        if name:
            subprocess.run([self.program, "rm", "--force", name], check=False, timeout=60,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Nothing:
    """A plain process with limits of time and memory."""

    name = "none"
    meaning = ("none: a solution can read and change all that you can, the secret and the other "
               "submissions among it")

    def start(self) -> subprocess.Popen:
        """Start the worker."""
        system = {name: os.environ[name] for name in ("SYSTEMROOT", "LD_LIBRARY_PATH")
                  if name in os.environ}
        return popen(python(str(WORKER)), environment={**ENVIRONMENT, **system})

    def end(self, process: subprocess.Popen) -> None:
        """End the process and those of its group."""
        try:
            os.killpg(process.pid, 9)
        except (AttributeError, ProcessLookupError, PermissionError):
            process.kill()                          # Windows has no groups; or it has ended


Isolation = Bubblewrap | Container | Nothing


def interpreter() -> str:
    """Return the file of the Python that runs, behind the links of a virtual environment."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def python(script: str) -> list[str]:
    """Return the command: no packages but NumPy, no variables, no files of start-up."""
    load = ("import sys, runpy; sys.path.append(sys.argv[2]); "
            "runpy.run_path(sys.argv[1], run_name='__main__')")
    packages = str(Path(np.__file__).parents[1])
    return [interpreter(), "-I", "-S", "-B", "-c", load, script, packages]


def popen(command: list[str], environment: dict[str, str] | None = None,
          pass_fds: Any = ()) -> subprocess.Popen:
    """Start a process with pipes, of a group of its own."""
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, cwd=os.sep, env=environment,
                            pass_fds=pass_fds, start_new_session=True)


def seccomp() -> bytes:
    """Return the rules by which the kernel refuses the calls of REFUSED with "not permitted"."""
    if platform.machine() not in REFUSED:
        return b""
    architecture, calls = REFUSED[platform.machine()]
    load, equal, above, back = 0x20, 0x15, 0x35, 0x06
    refuse = len(calls) + 1         # where the refusal stands, counted from the first comparison
    rules = [(load, 0, 0, 4), (equal, 0, refuse + 2, architecture), (load, 0, 0, 0),
             (above, refuse, 0, 0x40000000)]
    rules += [(equal, refuse - 1 - k, 0, call) for k, call in enumerate(calls)]
    rules += [(back, 0, 0, 0x7FFF0000), (back, 0, 0, 0x00050001)]
    return b"".join(struct.pack("<HBBI", *rule) for rule in rules)


CHOICES = ("bwrap", "container", "none")


def choose(name: str | None = None, image: str = IMAGE) -> Isolation:
    """Return the isolation called `name`, or the best that works here.

    Raises AssignmentError where it does not work, or none does and none was not asked for.
    """
    if name == "none":
        return Nothing()
    reasons = []
    for each in (Bubblewrap(), Container(image)):
        if name in (None, each.name):
            reason = why_not(each)
            if reason is None:
                return each
            reasons.append(f"{each.name}: {reason}")
    raise AssignmentError(
        f"there is no isolation here ({'; '.join(reasons)}). Install bubblewrap (apt install "
        "bubblewrap), or docker or podman with the image of docs/classroom.md; --isolation none "
        "runs the students' code with all your rights, so that it can read and change your files.")


def why_not(isolation: Isolation) -> str | None:
    """Start a worker and ask it what it sees. Return None if all is well, or the reason."""
    try:
        process = isolation.start()
    except OSError:
        return "it is not installed"
    clock = threading.Timer(60, isolation.end, [process])
    clock.start()
    try:
        worker.send(process.stdin, {"do": "probe"}, [])
        answer, _ = worker.receive(process.stdout)
        alone = answer["v"]["s"][0]["n"]
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError):
        return "it does not start"
    finally:
        clock.cancel()
        isolation.end(process)
        process.wait()
    return None if alone else "tinydni, with the answers, is in it"
