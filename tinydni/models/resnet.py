"""The residual network."""

import numpy as np

from tinydni import checks
from tinydni.layers import BatchNorm, Conv2D, GlobalAvgPool, Linear, ReLU, Residual, Sequential, Subsample


def resnet(depth, rng, widths=(16, 32, 64), n_channels=3, n_classes=10, dtype=np.float32):
    """The residual network for small images of He et al. 2016, section 4.2, as a list of blocks.

    A first convolution; then for each width a stage of (depth - 2) / 6 residual blocks, of which the first of every
    stage but the first halves the image; then the mean over the image and a Linear layer, whose outputs are logits.

    depth: layers as the paper counts, 20, 32, 44, 56, 110 or another 6 n + 2    widths: channels of the stages
    n_channels: of the images    n_classes: number of logits
    Returns the first convolution, the residual blocks one by one, and the head: an interface fits between any two.
    Raises ValueError for a depth that is not 2 + 2 · len(widths) · n.
    """
    widths = [checks.positive_int(width, "widths") for width in widths]
    n_blocks, rest = divmod(checks.positive_int(depth, "depth") - 2, 2 * len(widths))
    if rest or n_blocks < 1:
        raise ValueError(f"depth must be 2 + {2 * len(widths)} n, two layers in each of n blocks for {len(widths)} "
                         f"widths; got {depth}.")
    blocks = [Sequential(*convolution(n_channels, widths[0], rng, 1, dtype), ReLU())]
    for n_in, n_out in zip([widths[0], *widths], widths):
        for i in range(n_blocks):
            halves = i == 0 and len(blocks) > 1
            blocks.append(residual_block(n_in if i == 0 else n_out, n_out, rng, 2 if halves else 1, dtype))
    return [*blocks, Sequential(GlobalAvgPool(), Linear(widths[-1], n_classes, rng, dtype=dtype))]


def residual_block(n_in, n_out, rng, stride=1, dtype=np.float32):
    """y = ReLU(s(x) + f(x)),  f: convolution, BatchNorm, ReLU, convolution, BatchNorm  (He et al. 2016, figure 2).

    The shortcut s is the identity, or where the block changes the shape every second pixel with zeros for the new
    channels (option A of the paper).
    """
    shortcut = None if (n_in, stride) == (n_out, 1) else Subsample(n_in, n_out, stride)
    return Sequential(Residual(*convolution(n_in, n_out, rng, stride, dtype), ReLU(),
                               *convolution(n_out, n_out, rng, 1, dtype), shortcut=shortcut), ReLU())


def convolution(n_in, n_out, rng, stride, dtype):
    """A 3x3 convolution and the BatchNorm that makes its bias superfluous."""
    return Conv2D(n_in, n_out, rng, stride=stride, bias=False, dtype=dtype), BatchNorm(n_out, dtype=dtype)
