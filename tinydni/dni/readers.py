"""Several readers of one output: modules that all continue from it, or of which some do, drawn in every step."""

from tinydni import checks
from tinydni.layers.average import Average
from tinydni.random import generator_to_array, restore_generator, stream


class Readers:
    """Modules that read one and the same x, each with weights and a loss of its own: the top of a network.

    dx = sum of the dx of the readers that run,   y = mean of the outputs of all readers, in use.

    x (N, ...): the output of the module below    target: for all of them    y (N, M)

    With n_run below the number of readers, a step draws n_run of them; the others neither run nor change, and the sum
    over those that ran is what the synthesizer below learns from: it stands in for readers that it cannot foresee.
    (The ensembles and dynamic graphs of synthetic-gradient talks: whoever continues from h need not be fixed.)

    readers: modules (DNI) with a loss    n_run: how many run in a step; None, all
    seed: of the draws
    input_synthesizer, input_optimizer: as in DNI; all readers read the one synthetic input
    Raises ValueError for no readers, readers without a loss, or an n_run that is not from 1 to their number.
    """

    synthesizer = None          # nothing is above
    gives_context = False

    def __init__(self, readers, n_run=None, seed=0, input_synthesizer=None, input_optimizer=None):
        self.readers = list(readers)
        if not self.readers or any(reader.loss is None for reader in self.readers):
            raise ValueError(f"readers must be modules with a loss each, at least one; got {self.readers}.")
        self.n_run = len(self.readers) if n_run is None else checks.positive_int(n_run, "n_run")
        if self.n_run > len(self.readers):
            raise ValueError(f"n_run must be at most the number of readers, {len(self.readers)}; got {n_run}.")
        self.block, self.loss = Average(*(reader.block for reader in self.readers)), self.readers[0].loss
        self.input_synthesizer, self.input_optimizer = input_synthesizer, input_optimizer
        self.rng = stream(seed, "readers")

    def forward_and_synthetic_update(self, x, context=None, target=None):
        """Every reader that runs takes its own step. Returns (the sum of their messages, the mean of their outputs)."""
        y = self.forward(x)
        dx = self.backward(self.gradient_at_output(y, context, target))
        self.update()
        return dx, y

    # The separate steps, from which other schedules are made.

    def forward(self, x):
        """y (N, M): the mean of the outputs; in training of those readers that are drawn for this step."""
        if not self.block.training:
            return self.block.forward(x)
        drawn = self.rng.permutation(len(self.readers))[:self.n_run]
        self.running = [self.readers[i] for i in sorted(drawn)]
        self.ys = [reader.forward(x) for reader in self.running]
        return sum(self.ys[1:], self.ys[0]) / self.n_run

    def gradient_at_output(self, y, context=None, target=None):
        """dys (n_run, N, M): the gradient of each running reader's loss at its own output. loss_value is their mean."""
        dys = [reader.gradient_at_output(own, context, target) for reader, own in zip(self.running, self.ys)]
        self.loss_value = sum(reader.loss_value for reader in self.running) / self.n_run
        return self.block.xp.stack(dys)

    def backward(self, dys):
        """dx: the sum of the running readers' messages; sets the gradients of their blocks."""
        dxs = [reader.backward(dy) for reader, dy in zip(self.running, dys)]
        return None if dxs[0] is None else sum(dxs[1:], dxs[0])

    def update(self):
        """One step of the blocks that ran."""
        for reader in self.running:
            reader.update()

    # What the network does with all its modules.

    def learners(self):
        """The layers with their optimizers, as in DNI."""
        found = [(f"readers.{i}.{name}", layer, optimizer) for i, reader in enumerate(self.readers)
                 for name, layer, optimizer in reader.learners()]
        if self.input_synthesizer is not None:
            found.append(("input_synthesizer", self.input_synthesizer, self.input_optimizer))
        return found

    def context_above(self, h, context):
        """There is nobody above."""
        return context

    def state(self):
        """The state of the draws: {name: array}."""
        return {"draws": generator_to_array(self.rng)}

    def load_state(self, state):
        """Takes a state from `state()`."""
        restore_generator(self.rng, state["draws"])

    def to(self, xp=None, dtype=None):
        """Moves readers and synthetic input to another backend or dtype. Returns the module itself."""
        for part in (self.block, self.input_synthesizer, *(reader.loss for reader in self.readers)):
            if part is not None:
                part.to(xp, dtype)
        for _, _, optimizer in self.learners():
            optimizer.to(xp, dtype)
        return self
