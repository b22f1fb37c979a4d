"""What the modes would do with many workers and slow links: the simulator, fed with costs measured here.

    tinydni bench simulate --width 256 --batch-size 256 --workers 2,8,64,1024 --figure pipeline.png

The network has `--depth` hidden layers (Linear, BatchNorm, ReLU) for every worker, with an interface between workers.
The tables say how many times as fast as one worker, who trains it by backpropagation without any messages.
"""

import argparse
from dataclasses import replace

import numpy as np

from tinydni.dni import build
from tinydni.lab.jobs.arguments import OptionError, whole
from tinydni.losses import SoftmaxCrossEntropy
from tinydni.models import mlp
from tinydni.optimizers import Adam
from tinydni.lab.workers import simulator
from tinydni.lab.workers.costs import Costs, measure
from tinydni.lab.workers.simulator import Link, scaled, throughput
from tinydni.random import stream
from tinydni.synthesizers import LinearSynthesizer

name = "simulate"
meaning = "predict the speed of many workers over slow links, from costs measured here"

CLASSES = 10
LINKS = {"shared memory": Link(latency=30e-6, bandwidth=4e9, per_message=20e-6, cpu=1 / 8e9),
         "10 Gbit/s Ethernet": Link(latency=60e-6, bandwidth=1.1e9, per_message=30e-6, cpu=1 / 4e9),
         "100 Mbit/s, 5 ms away": Link(latency=5e-3, bandwidth=11e6, per_message=30e-6, cpu=1 / 4e9)}
BLOCK = ("forward", "backward", "update", "parameters")         # the costs that grow with the layers of a stage
DRAWN = 6                                                       # batches that the picture simulates, for each worker


def add_arguments(parser):
    """Adds the options of this command to an argparse parser."""
    parser.add_argument("--width", type=whole(1), default=256, help="of the hidden layers (default 256)")
    parser.add_argument("--batch-size", type=whole(4), default=256, help="examples per step (default 256)")
    parser.add_argument("--depth", type=whole(1), default=4, help="hidden layers of each worker (default 4)")
    parser.add_argument("--workers", type=numbers, default=(2, 8, 64, 1024), metavar="LIST",
                        help="how many, such as 2,8 (default 2,8,64,1024)")
    parser.add_argument("--latency", type=float, help="of a link of your own [s], instead of three examples")
    parser.add_argument("--bandwidth", type=float, help="of a link of your own [bytes/s]")
    parser.add_argument("--figure", metavar="FILE.png", help="draw who does what when, for the first number of workers "
                        "and the first link")


def numbers(text):
    """The whole numbers in "2,8", each at least 2."""
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or min(found) < 2:
        raise argparse.ArgumentTypeError(f"{text!r} must be whole numbers from 2, with commas between, such as 2,8")
    return found


def main(given):
    """Runs the command line. Returns the exit code."""
    from tinydni.plots import check_path, save
    if given.figure:
        check_path(given.figure)
    links = links_of(given)
    layer, fixed = hidden_layer(given.width, given.batch_size), fixed_share(given.width, given.batch_size)
    print(f"width {given.width}, batch {given.batch_size}, {given.depth} layers for each worker: a layer costs "
          f"{1e3 * layer.block[0]:.2f} ms, its synthesizer {1e3 * layer.synthesizer[0]:.2f} ms; "
          f"{100 * fixed:.0f} % of a pass do not shrink with the batch.")
    stage = replace(layer, **{name: getattr(layer, name) * given.depth for name in BLOCK})
    for label, link in links.items():
        print("\n" + table(label, link, stage, given.workers, fixed), flush=True)
    if given.figure:
        label, link = next(iter(links.items()))
        save(picture(label, link, scaled(stage, given.workers[0]), fixed), given.figure)
        print(f"\nWrote {given.figure}.")
    return 0


def links_of(given):
    """The links to simulate, {label: Link}."""
    if given.latency is None and given.bandwidth is None:
        return LINKS
    if given.latency is None or given.bandwidth is None or given.latency < 0 or given.bandwidth <= 0:
        raise OptionError(f"a link has a latency [s], at least 0, and a bandwidth [bytes/s], above 0; got --latency "
                          f"{given.latency} --bandwidth {given.bandwidth}.")
    link = Link(given.latency, given.bandwidth, per_message=30e-6, cpu=1 / 4e9)
    return {f"{given.latency:g} s, {given.bandwidth:g} bytes/s": link}


def hidden_layer(width, batch):
    """Costs of one hidden layer with its synthesizer."""
    rng = stream(0, "sample")
    net = build(mlp([width, width, width, CLASSES], rng), SoftmaxCrossEntropy(), lambda: Adam(1e-3),
                   lambda n: LinearSynthesizer(n, CLASSES), lambda: Adam(1e-3))
    labels = rng.integers(CLASSES, size=batch)
    found = measure(net.modules, rng.standard_normal((batch, width)).astype(np.float32),
                    np.eye(CLASSES, dtype=np.float32)[labels], labels)
    return Costs(**{name: array[1:2] for name, array in vars(found).items()})


def fixed_share(width, batch):
    """The share of a pass that a smaller batch does not make shorter, from batches of N and N / 4."""
    whole, quarter = (costs.forward[0] + costs.backward[0] for costs in
                      (hidden_layer(width, batch), hidden_layer(width, batch // 4)))
    return float(np.clip((quarter - whole / 4) / (0.75 * whole), 0, 1))


def table(label, link, stage, workers, fixed):
    """Times as fast as one worker, of all modes and numbers of workers, as a Markdown table."""
    lines = [f"| {label} | " + " | ".join(f"{n} workers" for n in workers) + " |", "| --- |" + " --- |" * len(workers)]
    for name, (mode, options) in modes(fixed).items():
        found, n_batches = [], None if mode == "decoupled" else 4
        for costs in (scaled(stage, n) for n in workers):
            found.append(throughput(mode, costs, link, n_batches, **options) * costs.block.sum())
        lines.append(f"| {name} | " + " | ".join(f"{speed:.3g}" for speed in found) + " |")
    return "\n".join(lines)


def modes(fixed):
    """The rows of a table: {name: (mode of the simulator, its options)}."""
    return {"locked": ("locked", {}),
            "micro-batches, 4": ("pipelined", {"micro_batches": 4, "fixed": fixed}),
            "micro-batches, 16": ("pipelined", {"micro_batches": 16, "fixed": fixed}),
            "data-parallel": ("data-parallel", {"fixed": fixed}),
            "decoupled": ("decoupled", {}),
            "decoupled, room for 64 batches": ("decoupled", {"room": 64})}


def picture(label, link, costs, fixed):
    """The timelines of the modes, simulated."""
    from tinydni.plots import timeline
    n, runs = DRAWN * len(costs.h), {}
    for name, (mode, options) in modes(fixed).items():
        if name not in ("micro-batches, 16", "decoupled, room for 64 batches"):
            stages = simulator.MODES[mode](costs, link, n, **options)
            runs[name] = {k: np.array(stage.records) for k, stage in enumerate(stages)}
    return timeline(runs, title=f"Simulated: {len(costs.h)} workers, {label}")
