"""From a list of blocks to a network under any schedule, so that every comparison starts from the same weights."""

from copy import deepcopy

from tinydni import checks
from tinydni.dni.full_unlock import full_unlock
from tinydni.dni.module import DNI
from tinydni.dni.network import Network
from tinydni.dni.readers import Readers
from tinydni.dni.schedules import update_decoupled


def decouple(blocks, loss, optimizer, synthesizer=None, synthesizer_optimizer=None, input_shape=(None,),
             schedule=update_decoupled, top_optimizer=None, warm_up=0, input_synthesizer=None,
             input_optimizer=None, bottom_context=False, readers=Readers):
    """Puts an interface after every block but the last, and the loss after the last. Returns a Network.

    blocks: layers, bottom to top; they are copied, so that twins made from one list start equal. The last may be a list
    of layers: several readers of the output below, each with a loss of its own
    loss: the loss at the top
    readers: makes one module of several readers; partial(Readers, n_run=1, seed=0) lets one of them run in every step
    optimizer: function () -> optimizer, called once per block    top_optimizer: the same for the top block
    synthesizer: function (*shape of one h) -> synthesizer, called once per interface, bottom to top; None under
    a schedule that uses none, such as backprop
    synthesizer_optimizer: function () -> optimizer, called once per interface
    input_shape: shape of one example; needed only where the first layer is not Linear
    schedule, warm_up: as in Network
    input_synthesizer: function (*shape of one h) -> synthesizer of the input above it, for `full_unlock`
    input_optimizer: function () -> optimizer, called once per input synthesizer
    bottom_context: whether the output of the bottom block is the context of the synthesizers above it; its own sees no
    context, since its h is that output

    The block that reads the data does not compute a gradient for it.
    Raises ValueError for an empty list, a synthesizer without its optimizer, or a `bottom_context` with synthetic
    inputs, where a module does not wait for the bottom one.
    """
    blocks = deepcopy(list(blocks))
    if not blocks:
        raise ValueError("blocks is empty; a network needs at least one block.")
    *blocks, top = blocks
    several = isinstance(top, (list, tuple))
    tops = list(top) if several else [top]
    checks.distinct([layer for block in (*blocks, *tops) for _, layer in block.walk()], "blocks")
    checks.function(optimizer, "optimizer", "lambda: Adam(1e-3)")
    if synthesizer is not None:
        checks.function(synthesizer, "synthesizer", "lambda n_h: LinearSynthesizer(n_h)")
    if not hasattr(loss, "backward") or isinstance(loss, type):
        raise TypeError(f"loss must be a loss, such as SoftmaxCrossEntropy(); got {loss!r}.")
    for name, pair in (("synthesizer", (synthesizer, synthesizer_optimizer)),
                       ("input", (input_synthesizer, input_optimizer))):
        if (pair[0] is None) != (pair[1] is None):
            raise ValueError(f"{name}_optimizer and the synthesizer it belongs to go together; one of them is missing.")
    if bottom_context and (input_synthesizer is not None or schedule is full_unlock):
        raise ValueError("bottom_context hands the bottom block's output to all modules above, but under full unlock "
                         "no module waits for it; leave one of them out.")
    for block in blocks[:1] or tops:
        block.skip_dx()
    modules, shape, inputs = [], input_shape, {}
    for block in blocks:
        shape = block.output_shape(shape)
        guesser = (synthesizer(*shape), synthesizer_optimizer()) if synthesizer else (None, None)
        modules.append(DNI(block, optimizer(), *guesser, **inputs))
        if input_synthesizer:
            inputs = {"input_synthesizer": input_synthesizer(*shape), "input_optimizer": input_optimizer()}
    last = [DNI(block, (top_optimizer or optimizer)(), loss=deepcopy(loss), **({} if several else inputs))
            for block in tops]
    modules.append(readers(last, **inputs) if several else last[0])
    modules[0].gives_context = bottom_context
    return Network(modules, schedule, warm_up)
