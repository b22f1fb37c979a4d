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


def image_shape(shape, owner):
    """Returns `shape` if it is that of one image, (height, width, channels); raises ValueError otherwise."""
    if len(shape) != 3:
        raise ValueError(f"{owner}: the shape of an image is (height, width, channels); got {tuple(shape)}.")
    return shape


def n_windows(size, kernel, stride, padding, owner):
    """How many windows fit along each axis of size (H, W). Raises ValueError if none does."""
    if min(size) + 2 * padding < kernel:
        raise ValueError(f"{owner}: a window of {kernel} does not fit into {min(size)} pixels with padding {padding}; "
                         "give larger images, a smaller kernel or more padding.")
    return tuple((pixels + 2 * padding - kernel) // stride + 1 for pixels in size)


def overlap(size, before, frame_size):
    """The pixels of an axis that are seen in a frame which begins `before` pixels before them: (in frame, in x)."""
    start = max(before, 0)
    stop = max(start, min(before + size, frame_size))
    return slice(start, stop), slice(start - before, stop - before)


def overlap_of_images(shape, offset, frame_shape):
    """Both axes of images (H, W) in a frame, `offset` pixels (top, left) from its corner: (in frame, in x)."""
    rows, columns = map(overlap, shape, offset, frame_shape)
    return tuple((slice(None), rows[k], columns[k]) for k in (0, 1))


def framed(xp, x, offset, shape, border=0):
    """A new array (N, *shape, C) that holds images x at `offset` and `border` elsewhere; what sticks out is left away."""
    frame = xp.full((len(x), *shape, x.shape[-1]), border, x.dtype)
    in_frame, in_x = overlap_of_images(x.shape[1:3], offset, shape)
    frame[in_frame] = x[in_x]
    return frame


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
        *size, C = image_shape(shape, self.owner)
        return *n_windows(size, self.kernel, self.stride, self.padding, self.owner), C

    def framed(self, xp, x, border=0):
        """Images with their border: (N, H + 2 padding, W + 2 padding, C)."""
        image(x, None, None, self.owner)
        self.output_shape(x.shape[1:])      # raises where no window fits
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
