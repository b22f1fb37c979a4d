"""Where the windows of a convolution or a pooling lie: sizes, borders, and the pixels that a window meets.

Images are (N, H, W, C): the channels of a pixel lie side by side.
"""

from tinydni import checks


def image(x, n_channels, dtype, owner):
    """Raises unless `x` is a batch of images (N, H, W, n_channels) with the owner's dtype; None: any."""
    n_channels = x.shape[-1] if n_channels is None else n_channels
    if x.ndim != 4 or x.shape[-1] != n_channels:
        raise ValueError(f"{owner}: x must have shape (N, height, width, {n_channels}); got {tuple(x.shape)}. "
                         "Channels come last; x.transpose(0, 2, 3, 1) turns (N, C, H, W) round.")
    checks.features(x, n_channels, x.dtype if dtype is None else dtype, owner)


def output_size(size, kernel, stride, padding, owner):
    """How many windows fit along one axis. Raises ValueError if none does."""
    if size + 2 * padding < kernel:
        raise ValueError(f"{owner}: a window of {kernel} does not fit into {size} pixels with padding {padding}; "
                         "give larger images, a smaller kernel or more padding.")
    return (size + 2 * padding - kernel) // stride + 1


def overlap(size, before, frame_size):
    """The pixels of an axis that are seen in a frame which begins `before` pixels before them: (in frame, in x)."""
    start = max(before, 0)
    stop = max(start, min(before + size, frame_size))
    return slice(start, stop), slice(start - before, stop - before)


def place(x, frame, offset):
    """Copies images into the frame, `offset` pixels (top, left) from its corner; what sticks out is left away.

    x (N, H, W, C): images    frame (N, height, width, C): written to
    """
    rows, rows_x = overlap(x.shape[1], offset[0], frame.shape[1])
    columns, columns_x = overlap(x.shape[2], offset[1], frame.shape[2])
    frame[:, rows, columns] = x[:, rows_x, columns_x]
    return frame


def framed(xp, x, offset, shape, border=0):
    """Images with a border: a new array (N, *shape, C) that holds x at `offset` and `border` elsewhere."""
    return place(x, xp.full((len(x), *shape, x.shape[-1]), border, x.dtype), offset)


class Windows:
    """The windows of a pooling: kernel · kernel pixels, every `stride` pixels, on images with a border.

    kernel: height and width of a window    stride: pixels from one window to the next; None: the kernel
    padding: pixels that are added on every side, at most half of the kernel
    owner: the name of the layer, for messages
    """

    def __init__(self, kernel, stride, padding, owner):
        self.kernel = checks.positive_int(kernel, "kernel")
        self.stride = self.kernel if stride is None else checks.positive_int(stride, "stride")
        self.padding = checks.positive_int(padding, "padding", minimum=0)
        self.owner = owner
        if 2 * self.padding > self.kernel:
            raise ValueError(f"padding must be at most half of the kernel, or windows hold no pixel; "
                             f"got padding {padding} and kernel {kernel}.")

    def output_shape(self, shape):
        """(P, Q, C) for images of shape (H, W, C)."""
        *size, C = shape
        return (*(output_size(n, self.kernel, self.stride, self.padding, self.owner) for n in size), C)

    def framed(self, xp, x, border=0):
        """Images with their border: (N, H + 2 padding, W + 2 padding, C)."""
        image(x, None, None, self.owner)
        p, (N, H, W, C) = self.padding, x.shape
        return framed(xp, x, (p, p), (H + 2 * p, W + 2 * p), border) if p else x

    def inner(self, frame):
        """The images in their frame: (N, H, W, C)."""
        p = self.padding
        return frame[:, p:-p, p:-p] if p else frame

    def taps(self, frame):
        """Yields, for each place in the window, the pixels that it meets: kernel² views (N, P, Q, C) of the frame."""
        s, k = self.stride, self.kernel
        P, Q = ((n - k) // s + 1 for n in frame.shape[1:3])
        for i in range(k):
            for j in range(k):
                yield frame[:, i:i + s * P:s, j:j + s * Q:s]

    def __repr__(self):
        return f"kernel={self.kernel}, stride={self.stride}, padding={self.padding}"
