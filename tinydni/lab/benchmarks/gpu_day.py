"""The command `tinydni gpu-day`: what a few minutes on a GPU can tell, the most important first.

Every part is a process of its own, with a share of the time, and writes each result as soon as it
has it. A part that crashes goes on behind the case that crashed it; one that hangs is ended.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tinydni.backend import NAMES
from tinydni.lab.files import write_json
from tinydni.lab.jobs.ranges import RATE

# Part: share of the time that is left when it starts. What it does is in gpu_parts.py.
SHARES = {"machine": 0.2, "tests": 0.3, "captures": 0.3, "times": 0.4, "times-tf32": 0.3,
          "training": 0.85, "traffic": 1.0}
MARGIN = (1, 0.05)          # seconds and a share: so much earlier a part is to stop by itself


def add_arguments(parser):
    """Add the options of this command to an argparse parser."""
    parser.add_argument("--out", metavar="FOLDER", required=True, type=Path,
                        help="for the results; a second day in it goes on with the training")
    parser.add_argument("--minutes", type=RATE, required=True, help="it never takes longer")
    parser.add_argument("--backend", choices=NAMES, default="cupy",
                        help="numpy: a rehearsal without a GPU (default cupy)")


def main(given):
    """Run all parts. Return 0 if every one came to its end without a failure."""
    end = time.monotonic() + 60 * given.minutes
    n_days = len(list(given.out.glob("day-*")))
    folder = given.out / f"day-{n_days + 1}"
    folder.mkdir(parents=True)
    report = {"backend": given.backend, "minutes": given.minutes, "parts": {}}
    for part, share in SHARES.items():
        print(f"{part} ...", flush=True)
        report["parts"][part] = found = run(part, folder, given.backend,
                                            share * (end - time.monotonic()))
        write_json(folder / "report.json", report)
        print(f"    {found['seconds']:.0f} s, {found['end']}; {len(found['cases'])} results, "
              f"{len(failures(found))} failed", flush=True)
        for case, why in failures(found).items():
            print(f"    {case}: {why}")
    print(f"Wrote {folder / 'report.json'}.")
    return int(any(failures(found) for found in report["parts"].values()))


def failures(found):
    """Return {case: why} of what failed in a part."""
    return {case: result["failed"] for case, result in found["cases"].items()
            if "failed" in result}


def run(part, folder, backend, seconds):
    """Run one part for at most so long. Return {"end", "seconds", "cases": {case: result}}."""
    path, start, ended = folder / f"{part}.json", time.monotonic(), None
    write_json(path, {})
    while ended is None:
        before, left = len(read(path)), start + seconds - time.monotonic()
        code, said = process(part, path, backend, left)
        cases = read(path)
        if code == 0:
            ended = "done"
        elif code is None:
            ended = "out of time"
        elif len(cases) == before:          # it fails before its first case
            ended = f"failed with exit code {code}"
            cases["start"] = {"failed": said}
        elif cases:                         # the last one took the process along
            last = list(cases)[-1]
            cases[last]["failed"] = f"the process ended with exit code {code}: {said}"
            write_json(path, cases)
    return {"end": ended, "seconds": round(time.monotonic() - start, 1), "cases": cases}


def process(part, path, backend, seconds):
    """Run a part's process, which adds its cases to the file.

    Return its exit code, or None if it was stopped, and its last words.
    """
    words = [sys.executable, "-m", "tinydni.lab.benchmarks.gpu_parts", part, str(path), backend,
             str(time.time() + seconds * (1 - MARGIN[1]) - MARGIN[0])]
    log = path.with_suffix(".txt")
    log.touch()
    before = log.stat().st_size
    with open(log, "a", encoding="utf-8") as file:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                                 start_new_session=True)
        try:
            code = child.wait(max(0, seconds))
        except subprocess.TimeoutExpired:
            code = None
        finally:                            # with all that it has started; Ctrl-C, too
            if child.poll() is None:        # one that hangs in a driver is not waited for
                if hasattr(os, "killpg"):
                    os.killpg(child.pid, signal.SIGKILL)
                else:
                    child.kill()
    return code, last_words(log.read_bytes()[before:].decode(errors="replace"))


def last_words(text):
    """Return the last line that a process said, or the place where it hung."""
    _, hung, stack = text.rpartition("(most recent call first):")
    lines = [line.strip() for line in (stack if hung else text).splitlines() if line.strip()]
    return lines[0 if hung else -1] if lines else "it said nothing"


def read(path):
    """Return the cases in a part's file."""
    return json.loads(path.read_text(encoding="utf-8"))
