"""What the modes would do with many workers and slow links, simulated from costs measured here.

    tinydni bench simulate --width 256 --batch-size 256 --workers 2,8,64,1024 --figure pipeline.png

The network has `--depth` hidden layers (Linear, BatchNorm, ReLU) for every worker, with an
interface between workers. The tables say how many times as fast as one worker, who trains it by
backpropagation without any messages.
"""

from dataclasses import replace

import numpy as np

import tinydni as td
from tinydni.lab.files import markdown
from tinydni.lab.jobs.ranges import OptionError, number, whole, whole_numbers
from tinydni.lab.outputs import Outputs
from tinydni.lab.products import write_product_buffer
from tinydni.lab.workers import Plan
from tinydni.lab.workers.costs import Costs, measure
from tinydni.lab.workers.simulator import MODES, Link, scaled, throughput
from tinydni.random import stream

CLASSES = 10
LINKS = {"shared memory": Link(latency=30e-6, bandwidth=4e9, per_message=20e-6, cpu=1 / 8e9),
         "10 Gbit/s Ethernet": Link(60e-6, 1.1e9, cpu=1 / 4e9, per_message=30e-6),
         "100 Mbit/s, 5 ms away": Link(5e-3, 11e6, cpu=1 / 4e9, per_message=30e-6)}
BLOCK = ("forward", "backward", "update", "parameters")     # grow with the layers of a stage
DRAWN = 6                                           # batches in the picture, for each worker


def add_arguments(parser):
    """Add the options of this command to an argparse parser."""
    parser.add_argument("--width", type=whole(1), default=256,
                        help="of the hidden layers (default 256)")
    parser.add_argument("--batch-size", type=whole(4), default=256,
                        help="examples per step (default 256)")
    parser.add_argument("--depth", type=whole(1), default=4,
                        help="hidden layers of each worker (default 4)")
    parser.add_argument("--workers", type=whole_numbers(2), default=(2, 8, 64, 1024),
                        metavar="LIST", help="how many, such as 2,8 (default 2,8,64,1024)")
    parser.add_argument("--latency", help="of a link of your own [s], instead of three examples",
                        type=number(lambda s: 0 <= s < float("inf"), "at least 0 and finite"))
    parser.add_argument("--bandwidth", help="of a link of your own [bytes/s]",
                        type=number(lambda rate: rate > 0, "above 0"))
    parser.add_argument("--figure", metavar="FILE.png", help="draw who does what when, for the "
                        "first number of workers and the first link")


def main(given):
    """Run the command line. Return the exit code."""
    from tinydni.plots import save
    Outputs({"figure": given.figure}, force=True)
    links, size = links_of(given), (given.width, given.batch_size)
    layer, fixed = hidden_layer(*size), fixed_share(*size)
    print(f"width {given.width}, batch {given.batch_size}, {given.depth} layers for each worker: a "
          f"layer costs {1e3 * layer.block[0]:.2f} ms, its synthesizer "
          f"{1e3 * layer.synthesizer[0]:.2f} ms; {100 * fixed:.0f} % of a pass do not shrink with "
          "the batch.")
    stage = replace(layer, **{name: getattr(layer, name) * given.depth for name in BLOCK})
    for label, link in links.items():
        print("\n" + table(label, link, stage, given.workers, fixed), flush=True)
    if given.figure:
        label, link = next(iter(links.items()))
        save(picture(label, link, scaled(stage, given.workers[0]), fixed), given.figure)
        print(f"\nWrote {given.figure}.")
    return 0


def links_of(given):
    """Return the links to simulate, {label: Link}."""
    latency, bandwidth = given.latency, given.bandwidth
    if latency is None and bandwidth is None:
        return LINKS
    if latency is None or bandwidth is None:
        raise OptionError("a link has a latency [s] and a bandwidth [bytes/s]; got --latency "
                          f"{latency} --bandwidth {bandwidth}.")
    return {f"{latency:g} s, {bandwidth:g} bytes/s": Link(latency, bandwidth, 1 / 4e9, 30e-6)}


def hidden_layer(width, batch):
    """Return the costs of one hidden layer with its synthesizer."""
    rng = stream(0, "sample")
    write_product_buffer()
    net = td.build(td.mlp([width, width, width, CLASSES], rng), td.SoftmaxCrossEntropy(),
                   lambda: td.Adam(1e-3), lambda n: td.LinearSynthesizer(n, CLASSES),
                   lambda: td.Adam(1e-3))
    labels = rng.integers(CLASSES, size=batch)
    found = measure(net.modules, rng.standard_normal((batch, width)).astype(np.float32),
                    np.eye(CLASSES, dtype=np.float32)[labels], labels)
    return Costs(**{name: array[1:2] for name, array in vars(found).items()})


def fixed_share(width, batch):
    """Return the share of a pass that stays with a smaller batch, from batches of N and N / 4."""
    whole, quarter = (costs.forward[0] + costs.backward[0] for costs in
                      (hidden_layer(width, batch), hidden_layer(width, batch // 4)))
    return float(np.clip((quarter - whole / 4) / (0.75 * whole), 0, 1))


def table(label, link, stage, workers, fixed):
    """Return the speed of all modes and numbers of workers, over one worker's, as Markdown."""
    rows = []
    for name, (mode, options) in modes(fixed).items():
        n_batches, found = None if mode in ("decoupled", "late") else 4, []
        for costs in (scaled(stage, n) for n in workers):
            rate = throughput(mode, costs, link, n_batches, **options)
            found.append(f"{rate * costs.block.sum():.3g}")
        rows.append([name, *found])
    return markdown([label, *(f"{n} workers" for n in workers)], rows)


def modes(fixed):
    """Return the rows of a table: {name: (mode of the simulator, its options)}."""
    return {"locked": ("locked", {}),
            "micro-batches, 4": ("pipelined", {"micro_batches": 4, "fixed": fixed}),
            "micro-batches, 16": ("pipelined", {"micro_batches": 16, "fixed": fixed}),
            "data-parallel": ("data-parallel", {"fixed": fixed}),
            "late gradients": ("late", {}),
            "decoupled": ("decoupled", {}),
            "decoupled, room for 64 batches": ("decoupled", {"room": 64})}


def picture(label, link, costs, fixed):
    """Return the timelines of the modes, simulated."""
    from tinydni.plots import timeline
    n, runs = DRAWN * len(costs.h), {}
    for name, (mode, options) in modes(fixed).items():
        if name not in ("micro-batches, 16", "decoupled, room for 64 batches"):
            first = Plan.room * len(costs.h) if mode == "late" else 0   # then gradients come to all
            records = (np.array(stage.records) for stage in
                       MODES[mode](costs, link, n + first, **options))
            runs[name] = {k: each[each[:, 1] >= first] for k, each in enumerate(records)}
    return timeline(runs, title=f"Simulated: {len(costs.h)} workers, {label}")
