"""The options that spread a training job over workers, and the job as each process of MPI sees it."""

import json
from functools import cache

from tinydni.experiments.methods import METHODS, OptionError
from tinydni.parallel import MODES, ParallelTraining, Plan
from tinydni.parallel.balance import balanced, measure
from tinydni.parallel.transports import TRANSPORTS
from tinydni.parallel.transports.mpi import Processes, world
from tinydni.parallel.transports.threads import Threads

NOT_APART = ("p_update", "lambda")          # options that run the modules in a way that workers do not


@cache
def processes():
    """The processes of MPI that this one belongs to."""
    return Processes(world())


def add_worker_arguments(add, whole):
    """Adds the options of workers with the function add(name, text, ...)."""
    add("--workers", "spread the modules over this many workers (default: one loop)", type=whole(2))
    add("--transport", "threads of this process; or mpi, where the processes that mpiexec starts are the workers "
        "(default threads)", choices=TRANSPORTS)
    add("--mode", "free: nobody waits for a gradient; lock-step: the numbers of one loop; locked: backpropagation over "
        "the same workers; data-parallel: backpropagation, each worker with the whole network and a share of every batch "
        "(default free, or locked for backprop)", choices=MODES)
    add("--timeline", "draw what each worker did when", metavar="FILE.png")


def filled(options):
    """The options of workers, checked against the others and filled in.

    options: all of a run, `method` and `synthesizer` filled in
    Raises OptionError for what does not fit together.
    """
    if options.get("transport") == "mpi":
        size = processes().size
        if size < 2:
            raise OptionError("--transport mpi needs the processes of mpiexec: mpiexec -n 2 tinydni train ...")
        if options.get("workers") not in (None, size):
            raise OptionError(f"--workers {options['workers']}, but mpiexec has started {size} processes. Each is a worker: "
                              "leave --workers out.")
        options = {**options, "workers": size}
    if not options.get("workers"):
        for name in ("transport", "mode"):
            if options.get(name):
                raise OptionError(f"--{name} {options[name]} is about workers: say how many, with --workers N.")
        return {}
    guesses = METHODS[options["method"]].synthesizer is not None
    mode = options.get("mode") or ("free" if guesses else "locked")
    if guesses != (mode in ("free", "lock-step")) or not (guesses or options["method"] == "backprop"):
        raise OptionError(f"--method {options['method']} cannot run with --mode {mode}: free and lock-step are for methods "
                          "with synthesizers, locked and data-parallel for backprop.")
    for name in NOT_APART:
        if options.get(name) is not None:
            raise OptionError(f"--{name.replace('_', '-')} is a way to run the modules in one loop; leave out --workers.")
    if options.get("synthesizer") == "guess":
        raise OptionError("--synthesizer guess shares one guess between all interfaces, which workers cannot; leave out "
                          "--workers.")
    if mode == "data-parallel" and options.get("cuts"):
        raise OptionError("--cuts does nothing with --mode data-parallel, where every worker holds the whole network.")
    return {"workers": options["workers"], "transport": options.get("transport") or "threads", "mode": mode}


def transport(options):
    """The transport that the options name."""
    if options["transport"] == "threads":
        return Threads(options["workers"])
    if processes().size != options["workers"]:
        raise OptionError(f"this run has {options['workers']} workers, but there are {processes().size} processes; start it "
                          f"with mpiexec -n {options['workers']}.")
    return processes()


def with_cuts(options, build, batch):
    """The options with interfaces between the workers only, chosen by measured cost, if no cuts are given.

    build: function (options) -> Network    batch: (x, context, target), the first examples
    """
    if not options.get("workers") or options.get("cuts") or options["mode"] == "data-parallel":
        return options
    modules = build(options).modules
    if len(modules) < options["workers"]:
        raise OptionError(f"{options['workers']} workers are more than the {len(modules)} blocks of this network; take more "
                          "--layers or fewer --workers.")
    return {**options, "cuts": balanced(*of_stages(modules, batch), options["workers"])[:-1]}
