"""BP(λ) in time: the boundary learns from windows further ahead than the next."""

from typing import Any

from tinydni.backend import Array
from tinydni.checks import check_range
from tinydni.dni import to_dh
from tinydni.recurrent_dni import RecurrentModule

__all__ = ["LambdaReturns"]


class LambdaReturns(RecurrentModule):
    """A recurrent module whose boundary learns λ-returns of the gradient.

    At the start of window n, with J = d(state at its end) / d(state at its start):
    G_n = dL_n/dstate + scale · Jᵀ ((1 - λ) M_{n+1} + λ G_{n+1}),
    M_{n+1} the guess at its end. λ = 0 is the bootstrapped target of `RecurrentModule`; λ = 1, with
    scale 1, the true gradient of the whole sequence.

    The blocks update as ever, on guesses. At the end of a sequence the module walks back: it runs
    each window again, and sends down only what G_{n+1} adds to the guess. So the targets come late,
    no update waits for them, and the state's gradient crosses as many windows as λ and scale let
    it. It costs one more forward and backward pass of each window but the last, and the inputs
    and states of one sequence; a sequence must end.

    This is the forward view of BP(λ) (Pemberton & Costa 2024), as λ-returns are that of TD(λ). The
    paper makes the same sum of updates online by eligibility traces, which need no end and no
    second pass, but a trace of the size of state times parameters for each example.

    Parameters
    ----------
    lam : λ
    parts, options : as RecurrentModule takes them, with a boundary
    """

    def __init__(self, lam: float, *parts: Any, **options: Any):
        super().__init__(*parts, **options)
        self.lam = check_range(lam, "lam", 0, 1)
        if self.boundary is None:
            raise ValueError("LambdaReturns needs a boundary, whose synthesizer it teaches.")
        self.seen: list[tuple] = []         # of the windows of this sequence

    def backward(self, dh: Array) -> Array:
        """Return dx (N, T, D), the message for the module below; the boundary learns at the end."""
        assert self.boundary is not None
        dend, guess = None, None
        if not self.window.last:
            dend = self.boundary.gradient(self.state_at_end, self.context_at_end)
            guess = to_dh(self.boundary.guess)
        dx, dstate = self.block.backward(dh, dend)      # type: ignore[call-arg]
        self.seen.append((self.window.x, self.start, dstate, guess, dend))
        if self.window.last:
            gradients = [(owner, "d" + name, getattr(owner, "d" + name))
                         for _, owner, name in self.block.slots()]
            self.teach()
            for owner, name, gradient in gradients:     # those of this window, for its update
                setattr(owner, name, gradient)
            self.seen = []
        return dx

    def teach(self) -> None:
        """Walk back through the sequence; the boundary learns the λ-return of every window."""
        assert self.boundary is not None
        G: Any = None
        block, scale = self.block, self.boundary.scale
        for x, start, dstate, guess, dend in reversed(self.seen):
            if start is None:
                return
            (state, context), last = start, G is None
            if last:
                G = dstate
            else:
                wanted = scale * ((1 - self.lam) * guess + self.lam * G)
                y, _ = block.forward(x, state)       # type: ignore[call-arg]
                more = wanted if dend is None else wanted - dend
                G = dstate + block.backward(0 * y, more)[1]     # type: ignore[call-arg]
            self.boundary.learn(state, context, G, last)
