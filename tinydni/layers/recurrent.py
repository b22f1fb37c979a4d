"""A network over time: recurrent layers, and between them layers that look at one step at a time."""

from tinydni.layers.layer import Layer


class Recurrent(Layer):
    """Layers one after the other, on sequences. Recurrent ones hand their state from step to step, the others do not.

    y, end = forward(x, state),   dx, dstate = backward(dy, dend)

    x (N, T, ...): inputs    y (N, T, M): outputs of every step
    state, end, dend, dstate (N, S): the states of all recurrent layers in here, side by side, bottom to top; in an
    LSTM that is [h, c]. A state of None is all zeros; so is a dend of None.

    What crosses a boundary in time is therefore one array per example, as at every interface.
    Raises TypeError for what is no layer, ValueError if no layer is recurrent.
    """

    def __init__(self, *layers):
        for layer in layers:
            if not isinstance(layer, Layer):
                raise TypeError(f"Recurrent takes layers; got {layer!r}.")
        self.layers = layers
        self.n_state = sum(n_state(layer) for layer in layers)
        if self.n_state == 0:
            raise ValueError("Recurrent needs a recurrent layer, such as LSTM; use Sequential for layers without a state.")

    def children(self):
        return [(str(i), layer) for i, layer in enumerate(self.layers)]

    def forward(self, x, state=None):
        states, ends = self.split(state), []
        for layer in self.layers:
            if n_state(layer):
                x, end = layer.forward(x, next(states))
                ends.append(end)
            else:
                x = each_step(layer.forward, x)
        return x, ends[0] if len(ends) == 1 else self.xp.concatenate(ends, axis=1)

    def backward(self, dy, dend=None):
        dends, dstates = list(self.split(dend)), []
        for layer in reversed(self.layers):
            if n_state(layer):
                dy, dstate = layer.backward(dy, dends.pop())
                dstates.append(dstate)
            elif dy is not None:            # None: nobody below asks
                dy = each_step(layer.backward, dy)
        return dy, dstates[0] if len(dstates) == 1 else self.xp.concatenate(dstates[::-1], axis=1)

    def split(self, state):
        """Yields the part of each recurrent layer, bottom to top."""
        start = 0
        for size in filter(None, map(n_state, self.layers)):
            yield None if state is None else state[:, start:start + size]
            start += size

    def skip_dx(self):
        for layer in self.layers:
            layer.skip_dx()
            if layer.n_parameters():
                break

    def output_shape(self, shape):
        for layer in self.layers:
            shape = layer.output_shape(shape)
        return shape

    def describe(self):
        return ", ".join(map(repr, self.layers))


def n_state(layer):
    """The width of a layer's state, 0 for one that has none."""
    return getattr(layer, "n_state", 0)


def each_step(function, x):
    """function of x (N, T, ...), with examples and steps as one batch of N·T rows. None stays None."""
    N, T = x.shape[:2]
    y = function(x.reshape(N * T, *x.shape[2:]))
    return None if y is None else y.reshape(N, T, *y.shape[1:])
