"""A stack of modules and the way to run them: one object to train, to predict with, to save and to print."""

import numpy as np

from tinydni import checks
from tinydni.dni.schedules import update_decoupled
from tinydni.dni.summary import summary


class Network:
    """modules (bottom to top) under a schedule.

    step(x, target, context) trains on one batch; predict(x) is the ordinary network without labels.

    schedule: a function of (modules, x, target, context), see schedules.py
    warm_up: number of steps in which synthesizers learn but are not yet applied to their blocks; the module
    with the loss, whose gradient is the true one, learns from the first step
    """

    def __init__(self, modules, schedule=update_decoupled, warm_up=0):
        self.modules = list(modules)
        if not self.modules:
            raise ValueError("modules is empty; a network needs at least one module.")
        self.schedule = schedule
        self.warm_up = checks.positive_int(warm_up, "warm_up", minimum=0)
        if warm_up and not self.synthesizers():
            raise ValueError(f"warm_up={warm_up} does nothing in a network without synthesizers; leave it out.")
        self.steps = 0

    def step(self, x, target, context=None):
        """One training step on one batch. Returns the loss before the update (a scalar of the backend).

        x (N, D): inputs    target: as the loss takes it    context (N, C): for the synthesizers, or None
        """
        for module in self.modules[:-1]:
            module.applies = self.steps >= self.warm_up
        self.schedule(self.modules, x, target, context)
        self.steps += 1
        return self.modules[-1].loss_value

    def predict(self, x, batch_size=2000):
        """Outputs (N, M) of the network in evaluation mode. Neither labels nor synthesizers take part."""
        checks.positive_int(batch_size, "batch_size")
        if len(x) == 0:
            raise ValueError(f"x has no example to predict; got shape {tuple(x.shape)}.")
        bottom, parts = self.modules[0].block, []
        training = bottom.training
        self.eval()
        try:
            for start in range(0, len(x), batch_size):
                h = x[start:start + batch_size]
                for module in self.modules:
                    h = module.forward(h)
                parts.append(h)
        finally:
            self.train(training)
        return bottom.xp.concatenate(parts)

    def train(self, training=True):
        """Switches all blocks to training. Returns the network itself."""
        for module in self.modules:
            module.block.train(training)
        return self

    def eval(self):
        """Switches all blocks to evaluation. Returns the network itself."""
        return self.train(False)

    def to(self, xp=None, dtype=None):
        """Moves everything to another backend or dtype. Returns the network itself."""
        for module in self.modules:
            module.to(xp, dtype)
        return self

    def set_factor(self, factor, synthesizers=None):
        """Gives every optimizer the factor of a learning-rate schedule; those of synthesizers may have one of their own."""
        for path, _, optimizer in self.learners():
            optimizer.factor = float(factor if synthesizers is None or path.endswith(".block") else synthesizers)

    def learners(self):
        """Yields (path, layer, optimizer) for every block and synthesizer, bottom to top."""
        for i, module in enumerate(self.modules):
            for name, layer, optimizer in module.learners():
                yield f"{i}.{name}", layer, optimizer

    def drawing(self):
        """[(path, object)] of all that draws random numbers of its own in training: the schedule, several readers."""
        parts = [("schedule", self.schedule), *((str(i), module) for i, module in enumerate(self.modules))]
        return [(path, part) for path, part in parts if hasattr(part, "load_state")]

    def synthesizers(self):
        """The synthesizers, bottom to top; the module with the loss alone has none."""
        return [module.synthesizer for module in self.modules if module.synthesizer is not None]

    def n_parameters(self):
        """The number of learned values in the blocks; synthesizers are not part of the trained network."""
        return sum(module.block.n_parameters() for module in self.modules)

    def state(self):
        """Everything that makes a continued run equal: {path: array}."""
        state = {"steps": np.array(self.steps)}
        for path, part in self.drawing():
            state |= {f"{path}.{key}": value for key, value in part.state().items()}
        for path, layer, optimizer in self.learners():
            state |= {f"{path}.{key}": value for key, value in layer.state().items()}
            state |= {f"{path}.optimizer.{key}": value for key, value in optimizer.state().items()}
        return state

    def load_state(self, state):
        """Takes a state from `state()`.

        Raises KeyError or ValueError if it is another network's, and then nothing has changed.
        """
        rest, parts = dict(state), []
        steps = rest.pop("steps", None)
        for path, layer, optimizer in self.learners():
            memory, arrays = taken(rest, f"{path}.optimizer."), taken(rest, f"{path}.")
            layer.check_state(arrays)
            optimizer.check_state(memory, layer)
            parts.append((layer, arrays, optimizer, memory))
        draws = [(part, taken(rest, f"{path}.")) for path, part in self.drawing()]
        if rest or steps is None or not all(memory for _, memory in draws):
            raise KeyError("the saved state is not that of this network and schedule; it also has "
                           f"{', '.join(rest) or 'too little'}")
        for layer, arrays, optimizer, memory in parts:
            layer.load_state(arrays)
            optimizer.load_state(memory, layer)
        for part, memory in draws:
            part.load_state(memory)
        self.steps = int(steps)

    def summary(self, input_shape):
        """The table of the network: blocks, shapes, parameters, and where the interfaces are."""
        return summary(self, input_shape)


def taken(state, start):
    """Takes the entries whose names begin with `start` out of `state`; returns them without that beginning."""
    return {name[len(start):]: state.pop(name) for name in list(state) if name.startswith(start)}
