"""The command line: what stands between a shell and the commands, until they end.

Ctrl-C is heard from the first line on; so everything else is imported inside.
"""

import contextlib
import os
import sys

HELD = ("stdin", "stdout", "stderr")


def main(argv: list[str] | None = None) -> int:
    """Run the command line. Return the exit code.

    0 done, 1 something failed that the text names, 2 wrong use, 130 interrupted.
    """
    try:
        hold_streams()
        os.environ["MPLBACKEND"] = "agg"        # pictures are files here, whatever is set
        from tinydni.lab.callbacks import on_signals
        with on_signals(interrupt):
            return run(sys.argv[1:] if argv is None else argv)
    except BrokenPipeError:             # whoever read the output, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):      # of a terminal that is closed
            print("\ntinydni: interrupted", file=sys.stderr)
        return 130


def run(argv):
    """Parse and run; what a user can mend is said in a sentence, anything else shows where."""
    from tinydni.lab import commands
    try:
        return commands.run(argv)
    except BrokenPipeError:
        raise
    except Exception as error:
        if not isinstance(error, commands.expected()):
            raise
        said = str(error) or type(error).__name__
        if isinstance(error, OSError) and error.strerror:
            said = f"{error.filename}: {error.strerror}." if error.filename else error.strerror
        print(f"tinydni: {said}", file=sys.stderr)
        return 2


def interrupt(number, frame):
    """SIGTERM and SIGHUP end as Ctrl-C does."""
    raise KeyboardInterrupt


def hold_streams():
    """Make the standard streams safe to write to.

    One that is closed goes nowhere, or the next file that is opened would take its number. A
    character that an encoding lacks, such as the λ of --help, becomes a question mark.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) < len(HELD):
        setattr(sys, HELD[number], open(number, "r" if number == 0 else "w", encoding="utf-8"))
    os.close(number)
    for name in HELD:
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
