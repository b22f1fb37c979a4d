"""A job over workers: who holds what, timelines, and the job as each process of MPI sees it."""

import json
import os
from functools import cache

from tinydni import backend
from tinydni.lab.jobs.methods import METHODS
from tinydni.lab.jobs.ranges import OptionError
from tinydni.lab.workers import ParallelTraining, Plan
from tinydni.lab.workers.balance import balanced
from tinydni.lab.workers.costs import measure
from tinydni.lab.workers.transports.mpi import MPIError, Processes, world
from tinydni.lab.workers.transports.threads import Threads

RECORDED = (30, 180)                            # the batches of --timeline
SHARED = ("seed", "backend", "quick", "workers", "transport", "cuts")   # of its runs
SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")    # where mpiexec says how many it has started


@cache
def processes():
    """Return the processes of MPI that this one belongs to."""
    try:
        return Processes(world())
    except MPIError as error:
        raise OptionError(f"--transport mpi: {error}") from None


def started():
    """Return the number of processes that mpiexec has started; 1 without mpiexec."""
    found = [os.environ.get(name) or "1" for name in SIZES]
    return max(int(text) if text.isdecimal() else 1 for text in found)


def filled(options):
    """Return the options of workers, filled in; those that do not fit are left to the table."""
    n, asked = options.get("workers"), options.get("transport")
    if asked == "mpi":
        n = processes().size
        if n < 2:
            raise OptionError("--transport mpi needs the processes of mpiexec: "
                              "mpiexec -n 2 tinydni train ...")
        if options.get("workers") not in (None, n):
            raise OptionError(f"--workers {options['workers']}, but mpiexec has started {n} "
                              "processes. Each is a worker: leave --workers out.")
    if not n:
        return {}
    usual = "free" if METHODS[options["method"]].decoupled else "locked"
    return {"workers": n, "transport": asked or "threads", "mode": options.get("mode") or usual}


def transport(options):
    """Return the transport that the options name."""
    n = options["workers"]
    if options["transport"] == "threads":
        return Threads(n)
    if processes().size != n:
        raise OptionError(f"this run has {n} workers, but there are {processes().size} processes; "
                          f"start it with mpiexec -n {n}, and --transport mpi.")
    return processes()


def with_cuts(options, build, dataset, context):
    """Return the options with cuts between the workers only, by measured cost, if none are given.

    build : function (options) -> Network;   dataset, context : what it is trained on
    """
    if options.get("cuts") or options["mode"] == "data-parallel":
        return options
    modules = build(options).modules
    check_enough(modules, options)
    sample = [None if array is None else
              backend.asarray(modules[0].block.xp, array[:options["batch_size"]])
              for array in (dataset.x, context, dataset.y)]
    costs = measure(modules, *sample)
    ends = balanced(costs.block, options["workers"], costs.synthesizer,
                    costs.forward if METHODS[options["method"]].late else 0.0)
    return {**options, "cuts": ends[:-1]}


def check_enough(modules, options):
    """Raise OptionError where there is less than one module for each worker."""
    if len(modules) < options["workers"]:
        raise OptionError(f"{options['workers']} workers are too many for a network of "
                          f"{len(modules)} parts; take more --layers, more --cuts, or fewer "
                          "workers.")


def check_shares(options):
    """Raise OptionError where a worker would get fewer than two examples of a batch."""
    n = options["workers"]
    if options["mode"] == "data-parallel" and options["batch_size"] < 2 * n:
        raise OptionError(f"--batch-size must be at least {2 * n} for {n} workers under --mode "
                          "data-parallel: two examples each, or there is nothing to normalise "
                          f"over; got {options['batch_size']}.")


def training(options, *args, **kwargs):
    """Return the ParallelTraining of the options; the others are the arguments of Training."""
    return ParallelTraining(*args, **kwargs, transport=transport(options), about=options,
                            make_plan=lambda made: plan(options, made))


def plan(options, training):
    """Say who holds what: stages of nearly equal cost."""
    modules, n = training.network.modules, options["workers"]
    if options["mode"] == "data-parallel":
        ends = [len(modules)] * n
    elif len(modules) == n:
        ends = list(range(1, n + 1))
    else:
        check_enough(modules, options)
        costs = measure(modules, *training.batch_of(slice(training.batch_size)))
        again = METHODS[options["method"]].late * costs.forward
        again[-1] = 0.0                 # the module with the loss has its gradient at once
        ends = balanced(costs.block + costs.synthesizer + again, n)
    late = ("gradients" if METHODS[options["method"]].late
            else "targets" if options.get("late") is not None else "")
    return Plan(options["mode"], ends, training.schedule, training.batch_of, training.batch_size,
                training.network.warm_up, bool(options.get("unlock")), late,
                recorded=options.get("recorded"))


def main(job, given):
    """Run a job; of several processes, worker 0 trains and the others follow it."""
    if given.get("transport") != "mpi":
        if started() > 1:
            raise OptionError("mpiexec has started several processes, and each would do the same; "
                              "add --transport mpi.")
        return job.train(given)
    if processes().rank > 0:
        processes().follow(lambda about, endpoint: follower(job, about, endpoint))
        return 0
    try:
        return job.train(given)
    finally:
        processes().end()


def follower(job, about, endpoint):
    """Return the worker of another process than that of worker 0."""
    options, ends = json.loads(about)
    training = job.run(options).training
    training.plan.ends = ends
    return training.make_worker(endpoint)


def draw_timelines(job, options, path):
    """Write the picture of --timeline: short runs over the same workers, on their own networks."""
    from tinydni.plots import save, timeline
    kept = {name: options[name] for name in (*SHARED, *job.defaults) if name in options}
    own = METHODS[options["method"]]
    method = options["method"] if own.synthesizer else "cdni"
    runs = {"locked": {"method": "backprop", "mode": "locked"},
            **({"late gradients": {"method": options["method"]}} if own.late else {}),
            "decoupled": {"method": method}, "fully unlocked": {"method": method, "unlock": True}}
    records = {}
    for label, changed in runs.items():
        try:
            full = {**job.options(kept | changed), "recorded": RECORDED}
            training = job.run(full).training
        except OptionError as reason:
            print(f"{path} shows no {label} workers: {reason}")
            continue
        if training.n_steps <= RECORDED[0]:
            raise ValueError(f"{path} is not drawn: it shows batches {RECORDED[0]} to "
                             f"{RECORDED[1]}, and this run has {training.n_steps}.")
        training.run([stop_after_records])
        records[label] = training.records
    save(timeline(records), path)


def stop_after_records(training):
    """Stop a training, as a callback, once the batches of --timeline are done."""
    training.stopped = training.step > RECORDED[1]


def command(options, words):
    """Return the command line of a run: `words` after tinydni, and what starts the processes."""
    if options.get("transport") == "mpi":
        return f"mpiexec -n {options['workers']} tinydni {words} --transport mpi"
    return f"tinydni {words}"


def report(options, training):
    """Return what the JSON says about workers: which parts they hold, how late messages came."""
    if not options.get("workers"):
        return {}
    late = {f"worker {rank}": {str(n): count for n, count in sorted(found.items())}
            for rank, found in sorted(training.staleness.items()) if found}
    return {"stages": training.plan.ends, "staleness": late}
