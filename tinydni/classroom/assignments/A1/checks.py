"""What is asked of the solutions of A1."""

import numpy as np

from tinydni.classroom.judge import Wrong, right_gradients, same


def check_A1_1_double(student, reference, draw):
    """double(x) is 2 x, for any x."""
    x = draw.normal(*draw.sizes(2))
    same("double(x)", student.double(x), reference.double(x), {"it is x, unchanged": x, "it is x²": x ** 2})


def check_A1_2_forward(student, reference, draw):
    """y is x W + b."""
    N, D, M = draw.sizes(3)
    x, W, b = draw.normal(N, D), draw.normal(D, M), draw.normal(M)
    same("y", student.Linear(W, b).forward(x), reference.Linear(W, b).forward(x),
         {"the bias is forgotten": x @ W, "the bias is subtracted": x @ W - b})


def check_A1_2_gradients(student, reference, draw):
    """dx, dW and db are the gradients of what forward computes."""
    N, D, M = draw.sizes(3)
    right_gradients(student.Linear(draw.normal(D, M), draw.normal(M)), draw.normal(N, D), draw=draw)


def check_A1_2_halves(student, reference, draw):
    """dW of a batch is the sum of those of its halves, and dx that of each example alone."""
    N, D, M = draw.sizes(3)
    layer, x, dy = student.Linear(draw.normal(D, M), draw.normal(M)), draw.normal(2 * N, D), draw.normal(2 * N, M)
    layer.forward(x)
    dx = layer.backward(dy)
    whole = layer.dW.copy(), layer.db.copy()
    halves, parts = [0, 0], []
    for half in (slice(0, N), slice(N, 2 * N)):
        layer.forward(x[half])
        parts.append(layer.backward(dy[half]))
        halves = [halves[0] + layer.dW, halves[1] + layer.db]
    for name, total, part in zip(("dW", "db"), whole, halves):
        same(f"the sum of {name} over two halves of a batch", part, total,
             {f"{name} is a mean over the batch, not a sum": 2 * total})
    same("dx of two halves", np.concatenate(parts), dx)


def check_A1_3_forward(student, reference, draw):
    """y is 1 / (1 + exp(-x)), also where exp(-x) is infinite."""
    x = draw.normal(*draw.sizes(2))
    y = reference.Sigmoid().forward(x)
    same("y", student.Sigmoid().forward(x), y,
         {"it is 1 / (1 + exp(x)), with the wrong sign": 1 - y, "it is tanh(x)": np.tanh(x)})
    large = 1000 * np.sign(x)
    same("y for x = -1000 and 1000", student.Sigmoid().forward(large), reference.Sigmoid().forward(large))


def check_A1_3_gradients(student, reference, draw):
    """dx is the gradient of what forward computes."""
    N, M = draw.sizes(2)
    x, dy = draw.normal(N, M), draw.normal(N, M)
    layer, own = student.Sigmoid(), reference.Sigmoid()
    y = own.forward(x)
    layer.forward(x)
    same("dx", layer.backward(dy), own.backward(dy),
         {"dy (1 - y): the factor y is forgotten": dy * (1 - y), "dy y: the factor 1 - y is forgotten": dy * y,
          "y (1 - y): dy is ignored": y * (1 - y), "dy x (1 - x): x stands where y belongs": dy * x * (1 - x),
          "dy (1 - y²), the derivative of tanh": dy * (1 - y ** 2)})
    right_gradients(student.Sigmoid(), x, draw=draw)


def check_A1_4_loss(student, reference, draw):
    """loss is the mean of -log p of the right class, also for large predictions."""
    N, K = draw.sizes(2)
    prediction, target = draw.normal(N, K), draw.labels(N, K)
    loss = reference.SoftmaxCrossEntropy().forward(prediction, target)
    columns = np.exp(prediction) / np.exp(prediction).sum(axis=0)
    p = np.exp(prediction) / np.exp(prediction).sum(axis=1, keepdims=True)
    every = np.arange(N)
    same("loss", student.SoftmaxCrossEntropy().forward(prediction, target), loss,
         {"it is a sum over the batch, not a mean": N * loss, "it is a mean over batch and classes": loss / K,
          "softmax is taken over the batch (axis 0), not over the classes": -np.log(columns[every, target]).mean(),
          "the mean of p, without the log": -p[every, target].mean()},
         {"the batch size N": N, "the number of classes K": K})
    same("loss for predictions around 1000", student.SoftmaxCrossEntropy().forward(prediction + 1000, target),
         reference.SoftmaxCrossEntropy().forward(prediction + 1000, target))


def check_A1_4_gradient(student, reference, draw):
    """dprediction is the gradient of the mean loss."""
    N, K = draw.sizes(2)
    prediction, target = draw.normal(N, K), draw.labels(N, K)
    mine, own = student.SoftmaxCrossEntropy(), reference.SoftmaxCrossEntropy()
    mine.forward(prediction, target)
    own.forward(prediction, target)
    exp = np.exp(prediction - prediction.max(axis=1, keepdims=True))
    p, columns = (exp / exp.sum(axis=axis, keepdims=True) for axis in (1, 0))
    same("dprediction", mine.backward(), own.backward(),
         {"softmax is taken over the batch (axis 0), not over the classes": own.backward() + (columns - p) / N,
          "p alone: 1 is not subtracted at the right class": p / N, "p alone, and the 1/N of the mean is missing": p},
         {"the batch size N": N, "the number of classes K": K})
    right_gradients(student.SoftmaxCrossEntropy(), prediction, target, draw=draw)


def check_A1_4_rows(student, reference, draw):
    """Every row of dprediction sums to zero, and asking twice gives the same."""
    N, K = draw.sizes(2)
    loss = student.SoftmaxCrossEntropy()
    loss.forward(draw.normal(N, K), draw.labels(N, K))
    dprediction = loss.backward()
    if np.abs(dprediction.sum(axis=1)).max() > 1e-9:
        raise Wrong("a row of dprediction does not sum to zero",
                    "Softmax does not change when all K numbers grow alike.")
    same("dprediction of a second backward", loss.backward(), dprediction.copy())


def check_A1_5_step(student, reference, draw):
    """Every parameter moves by -lr times its gradient, in place, and the gradients stay."""
    D, M = draw.sizes(2)
    W, b, dW, db, lr = draw.normal(D, M), draw.normal(M), draw.normal(D, M), draw.normal(M), draw.number(0.1, 0.9)
    layer = reference.Linear(W.copy(), b.copy())
    layer.dW, layer.db = dW.copy(), db.copy()
    held = layer.W
    student.update(layer, lr)
    for name, old, gradient in (("W", W, dW), ("b", b, db)):
        same(name, getattr(layer, name), old - lr * gradient,
             {"it goes up the gradient instead of down": old + lr * gradient, "it is unchanged": old,
              "it is replaced by its step": -lr * gradient, "the learning rate is forgotten": old - gradient})
        same(f"d{name}", getattr(layer, f"d{name}"), gradient, {"it is multiplied by lr": lr * gradient})
    if layer.W is not held:
        raise Wrong("update puts a new array in the place of W",
                    "Change it in place, with W -= ... or W[...] = ...: others hold it.")
