"""From images to one number for each channel."""

from tinydni.layers.layer import Layer
from tinydni.layers.windows import image, image_shape


class GlobalAvgPool(Layer):
    """y[n, c] = the mean of x[n, :, :, c],   dx = dy / (H W) at every pixel  (Lin et al. 2014, section 3.2).

    x (N, H, W, C): images    y (N, C): outputs
    """

    def forward(self, x):
        image(x, None, None, "GlobalAvgPool")
        self.shape = x.shape
        return x.mean(axis=(1, 2))

    def backward(self, dy):
        N, H, W, C = self.shape
        dx = self.xp.empty(self.shape, dy.dtype)
        dx[...] = (dy / (H * W))[:, None, None]
        return dx

    def output_shape(self, shape):
        return image_shape(shape, "GlobalAvgPool")[-1:]
