"""The options that spread a training job over workers, and the job as each process of MPI sees it."""

import json
import os
from functools import cache

from tinydni import backend
from tinydni.lab.jobs.methods import METHODS, OptionError
from tinydni.lab.workers import MODES, ParallelTraining, Plan
from tinydni.lab.workers.balance import balanced
from tinydni.lab.workers.costs import measure
from tinydni.lab.workers.transports import TRANSPORTS
from tinydni.lab.workers.transports.mpi import MPIError, Processes, world
from tinydni.lab.workers.transports.threads import Threads

RECORDED = (30, 180)                        # the batches of --timeline
SHARED = ("seed", "backend", "quick", "workers", "transport", "cuts")       # what its runs share, with the job's own
SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")    # where mpiexec says how many processes it has started
NOT_APART = ("p_update", "lambda", "capture")     # options that run the modules in a way that workers do not


@cache
def processes():
    """The processes of MPI that this one belongs to."""
    try:
        return Processes(world())
    except MPIError as error:
        raise OptionError(f"--transport mpi: {error}") from None


def started():
    """The number of processes that mpiexec has started, this one included; 1 without mpiexec."""
    return max(int(os.environ.get(name) or 1) for name in SIZES)


def add_worker_arguments(add, whole):
    """Adds the options of workers with the function add(name, text, ...)."""
    add("--workers", "spread the modules over this many workers (default: one loop)", type=whole(2))
    add("--transport", "threads of this process; or mpi, where the processes that mpiexec starts are the workers "
        "(default threads)", choices=TRANSPORTS)
    add("--mode", "free: nobody waits for a gradient; lock-step: the numbers of one loop; locked: backpropagation over "
        "the same workers; data-parallel: backpropagation, each worker with the whole network and a share of every batch "
        "(default free, or locked for backprop)", choices=MODES)
    add("--timeline", "before training, record some batches of locked, decoupled and unlocked workers, and draw who does "
        "what when", metavar="FILE.png")


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


def with_cuts(options, build, dataset, context):
    """The options with cuts between the workers only, by measured cost, where no cuts are given.

    build: function (options) -> Network    dataset, context: what it is trained on
    """
    if options.get("cuts") or options["mode"] == "data-parallel":
        return options
    modules = build(options).modules
    enough(modules, options)
    sample = [None if array is None else backend.asarray(modules[0].block.xp, array[:options["batch_size"]])
              for array in (dataset.x, context, dataset.y)]
    costs = measure(modules, *sample)
    return {**options, "cuts": balanced(costs.block, options["workers"], costs.synthesizer)[:-1]}


def enough(modules, options):
    """Raises OptionError where there is less than one module for each worker."""
    if len(modules) < options["workers"]:
        raise OptionError(f"{options['workers']} workers are too many for a network of {len(modules)} parts; take more "
                          "--layers, more --cuts, or fewer workers.")


def training(options, *args, **kwargs):
    """The ParallelTraining that the options name; the other arguments are those of Training."""
    return ParallelTraining(*args, **kwargs, transport=transport(options), make_plan=lambda made: plan(options, made),
                            about=options)


def plan(options, training):
    """Who holds what: stages of nearly equal cost."""
    modules, workers = training.network.modules, options["workers"]
    if options["mode"] == "data-parallel":
        ends = [len(modules)] * workers
    elif len(modules) == workers:
        ends = list(range(1, workers + 1))
    else:
        enough(modules, options)
        costs = measure(modules, *training.batch_of(slice(training.batch_size)))
        ends = balanced(costs.block + costs.synthesizer, workers)
    return Plan(options["mode"], ends, training.schedule, training.batch_of, training.batch_size,
                training.network.warm_up, bool(options.get("unlock")), recorded=options.get("recorded"))


def main(job, given):
    """`job.main` for the command line; of several processes, worker 0 runs it and the others follow."""
    if given.timeline and not (given.workers or given.transport or given.resume):
        raise OptionError("--timeline draws workers: say how many, with --workers N.")
    if given.transport != "mpi":
        if started() > 1:
            raise OptionError("mpiexec has started several processes, and each would do the same; add --transport mpi.")
        return job.train(given)
    if processes().rank > 0:
        processes().follow(lambda about, endpoint: follower(job, about, endpoint))
        return 0
    try:
        return job.train(given)
    finally:
        processes().end()


def follower(job, about, endpoint):
    """The worker of another process than that of worker 0."""
    options, ends = json.loads(about)
    training = job.run(options).training
    training.plan.ends = ends
    return training.make_worker(endpoint)


def draw_timelines(job, options, path):
    """Writes the picture of --timeline: three short runs over the same workers, on networks of their own."""
    from tinydni.plots import save, timeline
    kept = {name: value for name, value in options.items() if name in SHARED or name in job.defaults}
    method = options["method"] if METHODS[options["method"]].synthesizer else "cdni"
    records = {}
    for label, changed in {"locked": {"method": "backprop", "mode": "locked"}, "decoupled": {"method": method},
                           "fully unlocked": {"method": method, "unlock": True}}.items():
        try:
            training = job.run({**job.options(kept | changed), "recorded": RECORDED}).training
        except OptionError as reason:
            print(f"{path} shows no {label} workers: {reason}")
            continue
        training.run([stop_after(RECORDED[1] + 1)])
        records[label] = training.records
    save(timeline(records), path)


def stop_after(n_steps):
    """A callback that stops a training after some steps."""
    def stop(training):
        training.stopped = training.step >= n_steps
    return stop


def command(options, words):
    """The command line of a run with these options: `words` after tinydni, and what starts the processes."""
    if options.get("transport") == "mpi":
        return f"mpiexec -n {options['workers']} tinydni {words} --transport mpi"
    return f"tinydni {words}"


def report(options, training):
    """What the JSON of a run says about its workers, if it has any: which parts they hold, and how late messages came."""
    if not options.get("workers"):
        return {}
    late = {rank: found for rank, found in sorted(training.staleness.items()) if found}
    return {"stages": training.plan.ends, "staleness": {
        f"worker {rank}": {str(n): count for n, count in sorted(found.items())} for rank, found in late.items()}}
