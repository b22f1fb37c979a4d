"""What is asked of the solutions of A2."""

import numpy as np

from tinydni.classroom.judge import Wrong, right_gradients, same


def check_A2_1_forward(student, reference, draw):
    """y is x minus its mean over the batch."""
    x = draw.normal(*draw.sizes(2))
    same("y", student.Centre().forward(x), reference.Centre().forward(x),
         {"the mean runs over the features (axis 1), not over the batch": x - x.mean(axis=1, keepdims=True),
          "one mean over all entries is taken": x - x.mean(), "the sum is taken away, not the mean": x - x.sum(axis=0)})


def check_A2_1_gradients(student, reference, draw):
    """dx is the gradient of what forward computes, the way through the mean included."""
    x = draw.normal(*draw.sizes(2))
    dy = draw.normal(*x.shape)
    layer, own = student.Centre(), reference.Centre()
    layer.forward(x)
    same("dx", layer.backward(dy), own.backward(dy),
         {"dy unchanged: the way through the mean is forgotten": dy,
          "the mean of dy is added: it moves all y down, so its sign is minus": dy + dy.mean(axis=0),
          "the sum of dy is taken away, and the 1/N of the mean is missing": dy - dy.sum(axis=0),
          "the mean of dy runs over the features (axis 1), not over the batch": dy - dy.mean(axis=1, keepdims=True),
          "forward's own mean is taken away, not that of dy": dy - x.mean(axis=0)})
    right_gradients(student.Centre(), x, draw=draw)


def check_A2_1_shift(student, reference, draw):
    """Since y stays when a number is added to a whole column of x, every column of dx sums to zero."""
    x = draw.normal(*draw.sizes(2))
    layer = student.Centre()
    layer.forward(x)
    if np.abs(np.sum(layer.backward(draw.normal(*x.shape)), axis=0)).max() > 1e-9:
        raise Wrong("a column of dx does not sum to zero", "y does not change when all of a column of x grows alike.")


def check_A2_2_lines(student, reference, draw):
    """Each line of backward gives the gradient of its array (from dbeta to dx; the first wrong one is named)."""
    N, M = draw.sizes(2, low=4)
    x, dy, gamma, beta = draw.normal(N, M), draw.normal(N, M), draw.uniform(0.5, 2, M), draw.normal(M)
    mine, own = (names.BatchNormLines(gamma, beta, 0.1) for names in (student, reference))
    mine.forward(x)
    own.forward(x)
    dx, right = mine.backward(dy), own.backward(dy)
    z, s, xhat, dxhat, dvar, ds = own.z, own.s, own.xhat, own.dxhat, own.dvar, own.ds
    slips = {
        "dbeta": {},
        "dgamma": {"xhat is forgotten": dy.sum(axis=0), "x stands where xhat belongs": (dy * x).sum(axis=0),
                   "z stands where xhat belongs": (dy * z).sum(axis=0)},
        "dxhat": {"dy unchanged: gamma is forgotten": dy, "it is divided by gamma": dy / gamma},
        "ds": {"dy stands where dxhat belongs": (dy * z).sum(axis=0),
               "xhat stands where z belongs": (dxhat * xhat).sum(axis=0), "z is forgotten": dxhat.sum(axis=0)},
        "dvar": {"s stands where s³ belongs, as if the power -1/2 stayed what it is": -0.5 * s * ds,
                 "s² stands where s³ belongs: the power -1/2 becomes -3/2": -0.5 * s ** 2 * ds,
                 "the square root is taken for its inverse: 1/2 s ds": 0.5 * s * ds, "ds is forgotten": -0.5 * s ** 3},
        "dz": {"only the way through xhat is there, and that through var is forgotten": dxhat * s,
               "only the way through var is there, and that through xhat is forgotten": 2 * z * dvar / N,
               "the 1/N of the mean in var is missing": dxhat * s + 2 * z * dvar,
               "the 2 of the derivative of z² is missing": dxhat * s + z * dvar / N,
               "the way through var has the wrong sign": dxhat * s - 2 * z * dvar / N},
        "dmean": {},
    }
    for name, mistakes in slips.items():
        if getattr(mine, name, None) is None:
            raise Wrong(f"backward never sets self.{name}")
        same(f"self.{name}", getattr(mine, name), getattr(own, name), mistakes,
             {"the batch size N": N, "the number of features M": M})
    same("dx", dx, right, {"dz alone: the way through the mean is forgotten": own.dz,
                           "the 1/N of the mean is missing": own.dz + own.dmean,
                           "dmean has the wrong sign here": own.dz - own.dmean / N,
                           "dmean alone: the straight way is forgotten": np.tile(own.dmean / N, (N, 1))})


def check_A2_2_gradients(student, reference, draw):
    """dx, dgamma and dbeta are the gradients of what forward computes."""
    N, M = draw.sizes(2, low=4)
    right_gradients(student.BatchNormLines(draw.uniform(0.5, 2, M), draw.normal(M), 0.1), draw.normal(N, M), draw=draw)


def make_norm(names, values, momentum=0.1, eps=0.1):
    """A BatchNorm of the solution or the reference with its own copies of the values."""
    return names.BatchNorm(*(array.copy() for array in values), eps, momentum)


def norm_values(draw, M):
    """gamma, beta, running_mean, running_var."""
    return draw.uniform(0.5, 2, M), draw.normal(M), draw.normal(M), draw.uniform(0.5, 2, M)


def check_A2_3_forward(student, reference, draw):
    """y is normalised with the mean and variance of the batch."""
    N, M = draw.sizes(2, low=4)
    x, values = 2 * draw.normal(N, M) + 1, norm_values(draw, M)
    gamma, beta, mean, var = values
    z, own = x - x.mean(axis=0), x.var(axis=0)
    across = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 0.1)
    same("y", make_norm(student, values).forward(x), make_norm(reference, values).forward(x),
         {"gamma is forgotten": z / np.sqrt(own + 0.1) + beta, "beta is forgotten": gamma * z / np.sqrt(own + 0.1),
          "eps is forgotten": gamma * z / np.sqrt(own) + beta,
          "eps is added after the root, not under it": gamma * z / (np.sqrt(own) + 0.1) + beta,
          "it is divided by the variance, and the root is forgotten": gamma * z / (own + 0.1) + beta,
          "the variance is divided by N - 1, where it should be N": gamma * z / np.sqrt(own * N / (N - 1) + 0.1) + beta,
          "the running mean and variance are used, which are for predict":
              gamma * (x - mean) / np.sqrt(var + 0.1) + beta,
          "mean and variance run over the features (axis 1), not over the batch": gamma * across + beta})


def check_A2_3_running(student, reference, draw):
    """The running statistics move by `momentum` of the way, once in each forward, in place."""
    N, M = draw.sizes(2, low=4)
    x, values, momentum = 2 * draw.normal(N, M) + 1, norm_values(draw, M), draw.number(0.1, 0.4)
    mine, own = (make_norm(names, values, momentum) for names in (student, reference))
    held = mine.running_mean, mine.running_var
    for layer in (mine, own):
        layer.forward(x)
        layer.backward(draw.normal(N, M))
    mean, var = x.mean(axis=0), x.var(axis=0)
    for name, old, batch in (("running_mean", values[2], mean), ("running_var", values[3], var * N / (N - 1))):
        right = getattr(own, name)
        same(name, getattr(mine, name), right,
             {"it does not move": old, "it is replaced by that of the batch": batch,
              "momentum and 1 - momentum have changed places": momentum * old + (1 - momentum) * batch,
              "it moves twice in one forward and backward": right + momentum * (batch - right),
              "the variance is divided by N, where it should be N - 1": old + momentum * (var - old),
              "the standard deviation is kept, not the variance": old + momentum * (np.sqrt(var) - old)})
    for name, array in zip(("running_mean", "running_var"), held):
        if getattr(mine, name) is not array:
            raise Wrong(f"forward puts a new array in the place of {name}", "Change it in place, with += or *=.")


def check_A2_3_backward(student, reference, draw):
    """dx, dgamma and dbeta are the gradients of what forward computes."""
    N, M = draw.sizes(2, low=4)
    x, dy, values = 2 * draw.normal(N, M) + 1, draw.normal(N, M), norm_values(draw, M)
    mine, own = (make_norm(names, values) for names in (student, reference))
    mine.forward(x)
    own.forward(x)
    dx, right = mine.backward(dy), own.backward(dy)
    gamma, s, xhat, dbeta, dgamma = own.gamma, own.s, own.xhat, own.dbeta, own.dgamma
    shift, stretch = dbeta / N, xhat * dgamma / N
    sizes = {"the batch size N": N, "the number of features M": M}
    for name, mistakes in (("dbeta", {}), ("dgamma", {"x stands where xhat belongs": (dy * x).sum(axis=0),
                                                      "xhat is forgotten": dbeta})):
        if getattr(mine, name, None) is None:
            raise Wrong(f"backward never sets self.{name}")
        same(name, getattr(mine, name), getattr(own, name), mistakes, sizes)
    same("dx", dx, right, {
        "mean and variance are taken for constants, though every x moves them": gamma * s * dy,
        "the way through the mean, dbeta / N, is forgotten": gamma * s * (dy - stretch),
        "the way through the variance, xhat dgamma / N, is forgotten": gamma * s * (dy - shift),
        "the 1/N is missing in both sums": gamma * s * (dy - N * shift - N * stretch),
        "the two sums are added, not taken away": gamma * s * (dy + shift + stretch),
        "gamma is forgotten": s * (dy - shift - stretch), "s is forgotten": gamma * (dy - shift - stretch),
        "z stands where xhat belongs": gamma * s * (dy - shift - stretch / s),
        "it is divided by s, not multiplied": gamma / s * (dy - shift - stretch)}, sizes)
    right_gradients(make_norm(student, values), x, draw=draw)


def check_A2_3_invariance(student, reference, draw):
    """y stays when x is shifted, so every column of dx sums to zero."""
    N, M = draw.sizes(2, low=4)
    layer, x = make_norm(student, norm_values(draw, M)), draw.normal(N, M)
    y = layer.forward(x)
    same("y of x + 3", layer.forward(x + 3), y.copy())
    if np.abs(np.sum(layer.backward(draw.normal(N, M)), axis=0)).max() > 1e-9:
        raise Wrong("a column of dx does not sum to zero", "y does not change when all of a column of x grows alike.")


def check_A2_3_predict(student, reference, draw):
    """predict uses the running mean and variance, takes a single example, and changes nothing."""
    N, M = draw.sizes(2, low=4)
    x, other, dy, values = draw.normal(N, M), 3 * draw.normal(N, M) - 1, draw.normal(N, M), norm_values(draw, M)
    gamma, beta, mean, var = values
    mine, own = (make_norm(names, values) for names in (student, reference))
    for layer in (mine, own):
        layer.forward(x)
    statistics = own.running_mean.copy(), own.running_var.copy()
    for name, array in (("y of predict", other), ("y of predict for one example", other[:1])):
        same(name, mine.predict(array), own.predict(array), {
            "mean and variance of this batch are used": gamma * (array - array.mean(axis=0)) / np.sqrt(
                array.var(axis=0) + 0.1) + beta,
            "eps is forgotten": gamma * (array - own.running_mean) / np.sqrt(own.running_var) + beta,
            "it is divided by the variance, and the root is forgotten":
                gamma * (array - own.running_mean) / (own.running_var + 0.1) + beta,
            "gamma and beta are forgotten": (array - own.running_mean) / np.sqrt(own.running_var + 0.1)})
    for name, array in zip(("running_mean", "running_var"), statistics):
        same(f"{name} after predict", getattr(mine, name), array)
    same("dx of a backward after predict", mine.backward(dy), own.backward(dy))


def check_A2_4_forward(student, reference, draw):
    """y is the convolution of the framed image with W, plus b."""
    x, W, b, padding = conv_values(draw)
    y = reference.Conv(W, b, padding).forward(x)
    got = student.Conv(W, b, padding).forward(x)
    bare = reference.Conv(W, b).forward(x)
    if np.shape(got) == bare.shape != y.shape:
        raise Wrong(f"y has shape {np.shape(got)}, expected {y.shape}", "The padding is forgotten.")
    turned = reference.Conv(W[::-1, ::-1], b, padding).forward(x)
    same("y", got, y, {"the bias is forgotten": y - b, "the bias is added once for every element of the kernel":
                       y + (W.shape[0] * W.shape[1] - 1) * b,
                       "the kernel is turned round: x[p - i] where x[p + i] belongs": turned,
                       "only the last element of the kernel is there: = where += belongs":
                       reference.Conv(last_only(W), b, padding).forward(x)})


def conv_values(draw):
    """x, W, b, padding, as small as they can be and still different: a gradient check moves every number in them."""
    (kh, kw), (C, M) = draw.sizes(2, low=2, high=3), draw.sizes(2, low=2, high=3)
    N, (H, width), (a, c) = draw.size(2, 3), draw.sizes(2, low=4, high=5), draw.sizes(2, low=0, high=2)
    return draw.normal(N, H, width, C), draw.normal(kh, kw, C, M), draw.normal(M), (a, c)


def last_only(W):
    """The kernel with all elements zero but the last."""
    alone = np.zeros_like(W)
    alone[-1, -1] = W[-1, -1]
    return alone


def check_A2_4_gradients(student, reference, draw):
    """dx, dW and db are the gradients of what forward computes."""
    x, W, b, padding = conv_values(draw)
    mine, own = (names.Conv(W, b, padding) for names in (student, reference))
    dy = draw.normal(*own.forward(x).shape)
    mine.forward(x)
    dx, right = mine.backward(dy), own.backward(dy)
    for name in ("db", "dW"):
        if getattr(mine, name, None) is None:
            raise Wrong(f"backward never sets self.{name}")
    db = np.asarray(mine.db)
    if db.ndim > 1 and db.shape == dy.shape[dy.ndim - db.ndim:]:
        raise Wrong(f"db has shape {db.shape}, expected {b.shape}",
                    "b is added at every pixel of every image: sum over all axes but the last, (0, 1, 2).")
    pixels = dy.shape[1] * dy.shape[2]
    sizes = {"the batch size N": len(x), "the number of pixels P Q": pixels, "N P Q": len(x) * pixels}
    same("db", db, own.db, {"it is a mean over rows and columns, summed over the batch only": own.db / pixels}, sizes)
    same("dW", mine.dW, own.dW, {
        "the kernel is turned round: i and j run the wrong way": own.dW[::-1, ::-1],
        "only the last element of the kernel is there": last_only(own.dW),
        "only the first image is used": gradients(reference, W, b, padding, x[:1], dy[:1])[0]}, sizes)
    a, c = padding
    framed = x.shape[0], x.shape[1] + 2 * a, x.shape[2] + 2 * c, x.shape[3]
    if np.shape(dx) == framed != x.shape:
        raise Wrong(f"dx has shape {framed}, expected {x.shape}",
                    "It still has the frame: cut a rows and c columns off each side.")
    inner = slice(None), slice(a, a + x.shape[1]), slice(c, c + x.shape[2])
    same("dx", dx, right, {
        "parts of the same pixel overwrite each other: = where += belongs": overwritten(W, dy, framed)[inner],
        "only the last element of the kernel is there": gradients(reference, last_only(W), b, padding, x, dy)[1],
        "the kernel is turned round: dy[p + i] where dy[p - i] belongs":
            gradients(reference, W[::-1, ::-1], b, padding, x, dy)[1]}, sizes)
    right_gradients(student.Conv(W, b, padding), x, draw=draw)


def gradients(reference, W, b, padding, x, dy):
    """dW and dx of the reference."""
    layer = reference.Conv(W, b, padding)
    layer.forward(x)
    dx = layer.backward(dy)
    return layer.dW, dx


def overwritten(W, dy, shape):
    """The gradient of the frame when a later part of a pixel replaces the earlier ones."""
    (kh, kw), (P, Q), dframe = W.shape[:2], dy.shape[1:3], np.zeros(shape)
    for i in range(kh):
        for j in range(kw):
            dframe[:, i:i + P, j:j + Q] = dy @ W[i, j].T
    return dframe


def check_A2_4_one(student, reference, draw):
    """A kernel of 1 by 1 is a Linear layer at every pixel, and every image of a batch is convolved alone."""
    (C, M), (N, H, width) = draw.sizes(2, low=2, high=4), draw.sizes(3, low=3, high=6)
    x, W, b = draw.normal(N, H, width, C), draw.normal(1, 1, C, M), draw.normal(M)
    y = student.Conv(W, b).forward(x)
    same("y of a kernel of 1 by 1", y, x @ W[0, 0] + b)
    same("y of the last image alone", student.Conv(W, b).forward(x[-1:]), y[-1:])


def check_A2_5_turned(student, reference, draw):
    """A convolution of dy with turned(W) is dx."""
    x, W, b, _ = conv_values(draw)
    kh, kw, C, M = W.shape
    got, right = student.turned(W), reference.turned(W)
    if np.shape(got) == W.shape:
        raise Wrong(f"turned(W) has shape {W.shape}, expected {right.shape}",
                    "The channels change places, too: M of them come in with dy, and C go out with dx.")
    same("turned(W)", got, right, {
        "only the channels have changed places, and the kernel is not turned round": W.transpose(0, 1, 3, 2),
        "only the rows (i) are turned round, not the columns (j)": W[::-1].transpose(0, 1, 3, 2),
        "only the columns (j) are turned round, not the rows (i)": W[:, ::-1].transpose(0, 1, 3, 2),
        "the channels are turned round, which have no order": W.transpose(0, 1, 3, 2)[:, :, ::-1, ::-1],
        "all four axes are turned round": right[:, :, ::-1, ::-1]})
    layer = reference.Conv(W, b)
    dy = draw.normal(*layer.forward(x).shape)
    same("Conv(turned(W), zeros, padding=(kh - 1, kw - 1)).forward(dy)",
         reference.Conv(np.asarray(got), np.zeros(C), (kh - 1, kw - 1)).forward(dy), layer.backward(dy))
