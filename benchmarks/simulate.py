"""What the modes would do with many workers and slow links: the simulator, fed with costs measured here.

    python benchmarks/simulate.py [--width 256] [--batch 256] [--depth 4]

The network has `depth` hidden layers (Linear, BatchNorm, ReLU) for every worker, with an interface between workers. The
tables say how many times as fast as one worker, who trains it by backpropagation without any messages.
"""

import argparse
from dataclasses import replace

import numpy as np

from tinydni import Adam, LinearSynthesizer, SoftmaxCrossEntropy, decouple, mlp
from tinydni.parallel.costs import Costs, measure
from tinydni.parallel.simulator import Link, scaled, throughput
from tinydni.random import stream

CLASSES = 10
LINKS = {"shared memory": Link(latency=30e-6, bandwidth=4e9, per_message=20e-6, cpu=1 / 8e9),
         "10 Gbit/s Ethernet": Link(latency=60e-6, bandwidth=1.1e9, per_message=30e-6, cpu=1 / 4e9),
         "100 Mbit/s, 5 ms away": Link(latency=5e-3, bandwidth=11e6, per_message=30e-6, cpu=1 / 4e9)}
WORKERS = (2, 8, 64, 1024)


def hidden_layer(width, batch):
    """Costs of one hidden layer with its synthesizer."""
    rng = stream(0, "sample")
    net = decouple(mlp([width, width, width, CLASSES], rng), SoftmaxCrossEntropy(), lambda: Adam(1e-3),
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--depth", type=int, default=4)
    given = parser.parse_args()
    layer, fixed = hidden_layer(given.width, given.batch), fixed_share(given.width, given.batch)
    print(f"width {given.width}, batch {given.batch}, {given.depth} layers for each worker: "
          f"a layer costs {1e3 * layer.block[0]:.2f} ms, its synthesizer "
          f"{1e3 * layer.synthesizer[0]:.2f} ms; {100 * fixed:.0f} % of a pass do not shrink with the batch.")
    block = ("forward", "backward", "update", "parameters")
    layer = replace(layer, **{name: getattr(layer, name) * given.depth for name in block})
    for name, link in LINKS.items():
        print(f"\n| {name} | " + " | ".join(f"{n} workers" for n in WORKERS) + " |\n| --- |" + " --- |" * len(WORKERS))
        for label, mode, options in (("locked", "locked", {}),
                                     ("micro-batches, 4", "pipelined", {"micro_batches": 4, "fixed": fixed}),
                                     ("micro-batches, 16", "pipelined", {"micro_batches": 16, "fixed": fixed}),
                                     ("data-parallel", "data-parallel", {"fixed": fixed}),
                                     ("decoupled", "decoupled", {}),
                                     ("decoupled, room for 64", "decoupled", {"room": 64})):
            row = []
            for n in WORKERS:
                costs = scaled(layer, n)
                n_batches = None if mode == "decoupled" else 4
                row.append(throughput(mode, costs, link, n_batches, **options) * costs.block.sum())
            print(f"| {label} | " + " | ".join(f"{found:.3g}" for found in row) + " |", flush=True)


if __name__ == "__main__":
    main()
