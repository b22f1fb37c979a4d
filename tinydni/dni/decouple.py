"""From a list of blocks to a network under any schedule, so that every comparison starts from the same weights."""

from copy import deepcopy

from tinydni import checks
from tinydni.dni.module import DNI
from tinydni.dni.network import Network
from tinydni.dni.schedules import update_decoupled


def decouple(blocks, loss, optimizer, synthesizer=None, synthesizer_optimizer=None, input_shape=(None,),
             schedule=update_decoupled, top_optimizer=None, warm_up=0, input_synthesizer=None,
             input_optimizer=None):
    """Puts an interface after every block but the last, and the loss after the last. Returns a Network.

    blocks: layers, bottom to top; they are copied, so that twins made from one list start equal
    loss: the loss at the top
    optimizer: function () -> optimizer, called once per block    top_optimizer: the same for the top block
    synthesizer: function (*shape of one h) -> synthesizer, called once per interface, bottom to top; None under
    a schedule that uses none, such as backprop
    synthesizer_optimizer: function () -> optimizer, called once per interface
    input_shape: shape of one example; needed only where the first layer is not Linear
    schedule, warm_up: as in Network
    input_synthesizer: function (*shape of one h) -> synthesizer of the input above it, for `full_unlock`
    input_optimizer: function () -> optimizer, called once per input synthesizer

    The block that reads the data does not compute a gradient for it.
    Raises ValueError for an empty list, or a synthesizer without its optimizer.
    """
    blocks = deepcopy(list(blocks))
    if not blocks:
        raise ValueError("blocks is empty; a network needs at least one block.")
    checks.distinct([layer for block in blocks for _, layer in block.walk()], "blocks")
    checks.function(optimizer, "optimizer", "lambda: Adam(1e-3)")
    for name, pair in (("synthesizer", (synthesizer, synthesizer_optimizer)),
                       ("input", (input_synthesizer, input_optimizer))):
        if (pair[0] is None) != (pair[1] is None):
            raise ValueError(f"{name}_optimizer and the synthesizer it belongs to go together; one of them is missing.")
    blocks[0].skip_dx()
    modules, shape, inputs = [], input_shape, {}
    for block in blocks[:-1]:
        shape = block.output_shape(shape)
        guesser = (synthesizer(*shape), synthesizer_optimizer()) if synthesizer else (None, None)
        modules.append(DNI(block, optimizer(), *guesser, **inputs))
        if input_synthesizer:
            inputs = {"input_synthesizer": input_synthesizer(*shape), "input_optimizer": input_optimizer()}
    modules.append(DNI(blocks[-1], (top_optimizer or optimizer)(), loss=deepcopy(loss), **inputs))
    return Network(modules, schedule, warm_up)
