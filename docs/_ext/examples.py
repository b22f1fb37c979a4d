"""A short example for every public name whose docstring has none.

tests/tools/test_site.py runs them all; `START` comes first in each.
"""

START = ">>> import numpy as np, tinydni as td\n"
EXAMPLES = {
    "Adam": """
>>> layer = td.Linear(3, 2, np.random.default_rng(0))
>>> y = layer.forward(np.ones((4, 3), np.float32))
>>> dx = layer.backward(np.ones_like(y))
>>> layer.update(td.Adam(0.001))        # the first step of Adam is as long as the rate
>>> layer.b
array([-0.001, -0.001], dtype=float32)
""",
    "Algorithm": """
>>> issubclass(td.variants.DirectFeedback, td.Algorithm)
True
""",
    "AvgPool": """
>>> x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
>>> td.AvgPool(2).forward(x)[0, :, :, 0]
array([[ 2.5,  4.5],
       [10.5, 12.5]], dtype=float32)
""",
    "BatchNorm": """
>>> y = td.BatchNorm(1).forward(np.array([[1.], [2.], [3.]], np.float32))
>>> y.ravel().round(3)
array([-1.225,  0.   ,  1.225], dtype=float32)
""",
    "BinaryCrossEntropy": """
>>> loss = td.BinaryCrossEntropy()
>>> round(float(loss.forward(np.zeros((2, 3)), np.ones((2, 3)))), 4)     # 3 log 2
2.0794
>>> loss.backward()
array([[-0.25, -0.25, -0.25],
       [-0.25, -0.25, -0.25]])
""",
    "Boundary": """
>>> boundary = td.Boundary(td.LinearSynthesizer(4), 0.1)
>>> boundary.gradient(np.ones((2, 4), np.float32), None)      # the first guess is zero
array([[0., 0., 0., 0.],
       [0., 0., 0., 0.]], dtype=float32)
""",
    "Constant": """
>>> td.Constant()(500)
1.0
""",
    "Conv2D": """
>>> layer = td.Conv2D(3, 8, np.random.default_rng(0), stride=2)
>>> layer.forward(np.ones((1, 32, 32, 3), np.float32)).shape
(1, 16, 16, 8)
""",
    "CosineDecay": """
>>> schedule = td.CosineDecay(100)
>>> [round(schedule(step), 3) for step in (0, 50, 100)]
[1.0, 0.5, 0.0]
""",
    "DivergedError": """
>>> issubclass(td.DivergedError, Exception)
True
""",
    "Dropout": """
>>> layer = td.Dropout(0.5, np.random.default_rng(0))
>>> layer.forward(np.ones((1, 6), np.float32))
array([[2., 2., 2., 0., 0., 0.]], dtype=float32)
>>> layer.eval().forward(np.ones((1, 6), np.float32))
array([[1., 1., 1., 1., 1., 1.]], dtype=float32)
""",
    "Embedding": """
>>> layer = td.Embedding(10, 4, np.random.default_rng(0))
>>> layer.forward(np.array([[1, 2, 3]])).shape
(1, 3, 4)
""",
    "Flatten": """
>>> td.Flatten().forward(np.ones((5, 4, 4, 2), np.float32)).shape
(5, 32)
""",
    "GlobalAvgPool": """
>>> td.GlobalAvgPool().forward(np.ones((5, 4, 4, 2), np.float32)).shape
(5, 2)
""",
    "LSTM": """
>>> layer = td.LSTM(3, 8, np.random.default_rng(0))
>>> y, end = layer.forward(np.ones((2, 5, 3), np.float32))
>>> y.shape, end.shape
((2, 5, 8), (2, 16))
""",
    "Layer": """
>>> class Double(td.Layer):
...     def forward(self, x):
...         return 2 * x
...     def backward(self, dy):
...         return 2 * dy
...
>>> td.gradcheck.check_layer(Double(), (4, 3)).ok
True
""",
    "LinearDecay": """
>>> schedule = td.LinearDecay(100)
>>> [schedule(step) for step in (0, 50, 100)]
[1.0, 0.5, 0.0]
""",
    "Loss": """
>>> [issubclass(loss, td.Loss) for loss in (td.MeanSquaredError, td.SoftmaxCrossEntropy)]
[True, True]
""",
    "MaxPool": """
>>> x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
>>> td.MaxPool(2).forward(x)[0, :, :, 0]
array([[ 5.,  7.],
       [13., 15.]], dtype=float32)
""",
    "MeanSquaredError": """
>>> loss = td.MeanSquaredError()
>>> float(loss.forward(np.array([[3., 4.]]), np.zeros((1, 2))))
12.5
>>> loss.backward()
array([[3., 4.]])
""",
    "Momentum": """
>>> layer = td.Linear(3, 2, np.random.default_rng(0))
>>> y = layer.forward(np.ones((4, 3), np.float32))
>>> dx = layer.backward(np.ones_like(y))
>>> layer.update(td.Momentum(0.1, mu=0.9))
>>> layer.b
array([-0.4, -0.4], dtype=float32)
""",
    "Network": """
>>> data = td.datasets.digits()
>>> blocks = td.mlp((64, 32, 10), np.random.default_rng(0))
>>> network = td.build(blocks, td.SoftmaxCrossEntropy(), 0.1, td.LinearSynthesizer, 0.1)
>>> for start in range(0, 1408, 32):
...     loss = network.step(data.x[start:start + 32], data.y[start:start + 32])
...
>>> network.predict(data.x_test).shape
(360, 10)
""",
    "NetworkSynthesizer": """
>>> rng = np.random.default_rng(0)
>>> net = td.Sequential(td.Linear(8 + 3, 16, rng), td.ReLU(), td.Linear(16, 8, rng))
>>> synthesizer = td.NetworkSynthesizer(net, 8, 3)
>>> synthesizer.forward(np.ones((2, 8), np.float32), np.ones((2, 3), np.float32)).any()
np.True_
""",
    "Optimizer": """
>>> td.Adam(0.01, weight_decay=1e-4, clip_norm=1.0).lr
0.01
""",
    "RMSProp": """
>>> layer = td.Linear(3, 2, np.random.default_rng(0))
>>> y = layer.forward(np.ones((4, 3), np.float32))
>>> dx = layer.backward(np.ones_like(y))
>>> layer.update(td.RMSProp(0.01))
>>> layer.b.round(4)
array([-0.0316, -0.0316], dtype=float32)
""",
    "RNN": """
>>> layer = td.RNN(3, 8, np.random.default_rng(0))
>>> y, end = layer.forward(np.ones((2, 5, 3), np.float32))
>>> bool((y[:, -1] == end).all())       # the last h is the state at the end
True
""",
    "ReLU": """
>>> td.ReLU().forward(np.array([[-1., 2.]]))
array([[0., 2.]])
""",
    "Recurrent": """
>>> rng = np.random.default_rng(0)
>>> block = td.Recurrent(td.LSTM(3, 8, rng), td.Linear(8, 2, rng))
>>> y, end = block.forward(np.ones((2, 5, 3), np.float32))
>>> y.shape, end.shape
((2, 5, 2), (2, 16))
""",
    "RecurrentModule": """
>>> rng = np.random.default_rng(0)
>>> block = td.Recurrent(td.RNN(3, 8, rng), td.Linear(8, 2, rng))
>>> td.RecurrentModule(block, 0.1, loss=td.SoftmaxCrossEntropy())
RecurrentModule(Recurrent(RNN(3 -> 8), Linear(8 -> 2)), SGD(lr=0.1), SoftmaxCrossEntropy())
""",
    "RecurrentNetwork": """
>>> rng = np.random.default_rng(0)
>>> block = td.Recurrent(td.RNN(3, 8, rng), td.Linear(8, 2, rng))
>>> boundary = td.Boundary(td.LinearSynthesizer(8), 0.01)
>>> module = td.RecurrentModule(block, 0.1, loss=td.SoftmaxCrossEntropy(), boundary=boundary)
>>> network = td.RecurrentNetwork([module])
>>> x, target = rng.standard_normal((4, 6, 3)).astype(np.float32), rng.integers(2, size=(4, 6))
>>> [network.step(window) > 0 for window in td.cut(x, target, range(6), size=3)]
[np.True_, np.True_]
""",
    "Residual": """
>>> rng = np.random.default_rng(0)
>>> block = td.Residual(td.Linear(4, 4, rng), td.ReLU(), td.Linear(4, 4, rng))
>>> block.forward(np.ones((2, 4), np.float32)).shape
(2, 4)
""",
    "SGD": """
>>> layer = td.Linear(3, 2, np.random.default_rng(0))
>>> y = layer.forward(np.ones((4, 3), np.float32))
>>> dx = layer.backward(np.ones_like(y) / 4)
>>> layer.update(td.SGD(0.1))
>>> layer.b
array([-0.1, -0.1], dtype=float32)
""",
    "Sequential": """
>>> rng = np.random.default_rng(0)
>>> td.Sequential(td.Linear(4, 3, rng), td.ReLU())
Sequential(Linear(4 -> 3), ReLU())
""",
    "Sigmoid": """
>>> td.Sigmoid().forward(np.array([[0.]]))
array([[0.5]])
""",
    "Softmax": """
>>> td.Softmax().forward(np.array([[0., 0., 0., 0.]]))
array([[0.25, 0.25, 0.25, 0.25]])
""",
    "SoftmaxCrossEntropy": """
>>> loss = td.SoftmaxCrossEntropy()
>>> round(float(loss.forward(np.zeros((2, 10)), np.array([3, 7]))), 4)      # log 10
2.3026
>>> loss.backward()[0].round(3)
array([ 0.05,  0.05,  0.05, -0.45,  0.05,  0.05,  0.05,  0.05,  0.05,
        0.05])
""",
    "Softplus": """
>>> td.Softplus().forward(np.array([[0., 100.]])).round(4)
array([[  0.6931, 100.    ]])
""",
    "StepDecay": """
>>> schedule = td.StepDecay((100, 200), 0.1)
>>> [round(schedule(step), 4) for step in (0, 100, 200)]
[1.0, 0.1, 0.01]
""",
    "Subsample": """
>>> td.Subsample(16, 32).forward(np.ones((1, 8, 8, 16), np.float32)).shape
(1, 4, 4, 32)
""",
    "Synthesizer": """
>>> isinstance(td.LinearSynthesizer(4), td.Synthesizer)
True
""",
    "Tanh": """
>>> td.Tanh().forward(np.array([[0., 100.]]))
array([[0., 1.]])
""",
    "VirtualLinear": """
>>> synthesizer = td.VirtualLinear(8, 3, np.random.default_rng(0))
>>> labels = np.eye(3, dtype=np.float32)[[0, 2]]
>>> synthesizer.forward(np.ones((2, 8), np.float32), labels).shape
(2, 8)
""",
    "Window": """
>>> x, target = np.ones((2, 6, 3), np.float32), np.zeros((2, 6), int)
>>> window = td.cut(x, target, range(6), size=4)[1]
>>> window.x.shape, window.first, window.last
((2, 2, 3), False, True)
""",
    "backprop": """
>>> blocks = td.mlp((64, 32, 10), np.random.default_rng(0))
>>> network = td.build(blocks, td.SoftmaxCrossEntropy(), 0.1, algorithm=td.backprop)
>>> network.step(np.ones((5, 64), np.float32), np.arange(5)) > 0
np.True_
""",
    "cnn": """
>>> blocks = td.cnn((28, 28, 1), 10, 3, np.random.default_rng(0), channels=8)
>>> len(blocks), blocks[-1]
(3, Sequential(Flatten(), Linear(392 -> 10)))
""",
    "cut": """
>>> x, target = np.ones((2, 7, 3), np.float32), np.zeros((2, 7), int)
>>> [window.x.shape[1] for window in td.cut(x, target, range(7), size=3)]
[3, 3, 1]
""",
    "datasets.DataError": """
>>> issubclass(td.datasets.DataError, Exception)
True
""",
    "datasets.Dataset": """
>>> rng = np.random.default_rng(0)
>>> x, y = rng.standard_normal((100, 5)).astype(np.float32), rng.integers(3, size=100)
>>> data = td.datasets.Dataset("my data", x[:80], y[:80], x[80:], y[80:], n_classes=3)
>>> data.context().shape        # one-hot labels, for synthesizers
(80, 3)
""",
    "datasets.Text": """
>>> codes = np.array([0, 1, 1, 0])
>>> text = td.datasets.Text("ab", codes[:2], codes[2:3], codes[3:])
>>> "".join(text.alphabet[code] for code in text.train)
'ab'
""",
    "datasets.crop_and_flip": """
>>> images = np.ones((2, 32, 32, 3), np.float32)
>>> td.datasets.crop_and_flip(np, images, np.random.default_rng(0)).shape
(2, 32, 32, 3)
""",
    "datasets.digits": """
>>> data = td.datasets.digits()
>>> data.x.shape, data.x_test.shape
((1437, 64), (360, 64))
""",
    "gpu.check_can_be_captured": """
>>> blocks = td.mlp((64, 32, 10), np.random.default_rng(0))
>>> network = td.build(blocks, td.SoftmaxCrossEntropy(), 0.1, algorithm=td.backprop)
>>> try:
...     td.gpu.check_can_be_captured(network)
... except ValueError as error:
...     print(str(error).partition(":")[0])
...
capture needs the cupy backend
""",
    "gpu.fuse": """
>>> blocks = td.mlp((64, 32, 10), np.random.default_rng(0))
>>> network = td.build(blocks, td.SoftmaxCrossEntropy(), 0.1, algorithm=td.backprop)
>>> td.gpu.fuse(network) is network     # on a CPU without numba nothing changes
True
""",
    "gradcheck.ArrayReport": """
>>> report = td.gradcheck.check_layer(td.Linear(5, 4, np.random.default_rng(0)), (6, 5))
>>> [(array.gradient, array.ok) for array in report.arrays]
[('dx', True), ('dW', True), ('db', True)]
""",
    "gradcheck.ContractError": """
>>> class Half:
...     def forward(self, x):
...         return x / 2
...
>>> try:
...     td.gradcheck.check(Half(), (4, 3))
... except td.gradcheck.ContractError as error:
...     print(error)
...
Half has no method backward.
""",
    "gradcheck.GradientError": """
>>> class Wrong(td.ReLU):
...     def backward(self, dy):
...         return -super().backward(dy)
...
>>> try:
...     td.gradcheck.assert_gradients(Wrong(), (4, 3))
... except td.gradcheck.GradientError as error:
...     print(error.report.arrays[0].diagnosis)
...
Looks like the sign is flipped: dx is minus what it should be.
""",
    "gradcheck.Report": """
>>> report = td.gradcheck.check_layer(td.ReLU(), (4, 3))
>>> report.ok, report.wrong
(True, False)
""",
    "gradcheck.Settings": """
>>> td.gradcheck.Settings().tolerance
1e-06
""",
    "gradcheck.assert_gradients": """
>>> td.gradcheck.assert_gradients(td.Linear(5, 4, np.random.default_rng(0)), (6, 5))
>>> labels = np.array([0, 2, 1, 1])
>>> td.gradcheck.assert_gradients(td.SoftmaxCrossEntropy(), (4, 3), labels)
""",
    "gradcheck.check": """
>>> td.gradcheck.check(td.Tanh(), (4, 3)).ok
True
""",
    "gradcheck.check_layer": """
>>> rng = np.random.default_rng(0)
>>> td.gradcheck.check_layer(td.LSTM(3, 4, rng), (2, 5, 3), state=(2, 8)).ok
True
""",
    "gradcheck.check_loss": """
>>> td.gradcheck.check_loss(td.MeanSquaredError(), (4, 3), np.zeros((4, 3))).ok
True
""",
    "gradcheck.check_synthesizer": """
>>> td.gradcheck.check_synthesizer(td.LinearSynthesizer(8, n_context=3), (6, 8), (6, 3)).ok
True
""",
    "mlp_synthesizer": """
>>> synthesizer = td.mlp_synthesizer(8, np.random.default_rng(0), n_context=3, hidden=(16,))
>>> synthesizer.forward(np.ones((2, 8), np.float32), np.ones((2, 3), np.float32)).shape
(2, 8)
""",
    "no_backprop": """
>>> blocks = td.mlp((64, 32, 10), np.random.default_rng(0))
>>> network = td.build(blocks, td.SoftmaxCrossEntropy(), 0.1, algorithm=td.no_backprop)
>>> network.step(np.ones((5, 64), np.float32), np.arange(5)) > 0
np.True_
""",
    "percent_bits_wrong": """
>>> td.percent_bits_wrong(np.array([[2., -2.]]), np.array([[1., 1.]]))
50.0
""",
    "percent_wrong": """
>>> td.percent_wrong(np.array([[0., 9.], [9., 0.]]), np.array([1, 1]))
50.0
""",
    "plots.Picture": """
>>> picture = td.plots.learning_curve({"test error": ([1, 2, 3], [9.0, 4.0, 3.0])})
>>> picture.alt
'Learning curves: value against step. test error goes from 9.00 to 3.00.'
""",
    "plots.bit_predictions": """
>>> data = td.datasets.addition(bits=3)
>>> picture = td.plots.bit_predictions(data.x_test, data.y_test, data.y_test)
>>> type(picture).__name__
'Picture'
""",
    "plots.cell_scatter": """
>>> rng = np.random.default_rng(0)
>>> reference, before, after = rng.standard_normal((3, 200, 4))
>>> picture = td.plots.cell_scatter(reference, before + 2, after, rng)
>>> type(picture).__name__
'Picture'
""",
    "plots.check_path": """
>>> try:
...     td.plots.check_path("curve.jpg")
... except ValueError as error:
...     print(error)
...
path: a picture's file must end in .png, .svg or .pdf; got 'curve.jpg'.
""",
    "plots.draw_network": """
>>> blocks = td.mlp((64, 32, 10), np.random.default_rng(0))
>>> network = td.build(blocks, td.SoftmaxCrossEntropy(), 0.1, td.LinearSynthesizer, 0.1)
>>> picture = td.plots.draw_network(network)
>>> type(picture).__name__
'Picture'
""",
    "plots.gradient_quality": """
>>> history = {"epoch": [1, 2], "gradients": [[{"cosine": 0.2, "norm_ratio": 0.5}],
...                                           [{"cosine": 0.6, "norm_ratio": 0.8}]]}
>>>
>>> picture = td.plots.gradient_quality({"cdni": history})
>>> type(picture).__name__
'Picture'
""",
    "plots.learning_curve": """
>>> picture = td.plots.learning_curve({"test error": ([1, 2, 3], [9.0, 4.0, 3.0])}, title="Digits")
>>> picture.alt
'Learning curves, Digits: value against step. test error goes from 9.00 to 3.00.'
""",
    "plots.markdown_table": """
>>> rows = [{"row": "3 layers", "column": "cdni", "mean": 1.57, "std": 0.05,
...          "seeds": 3, "paper": 2.2}]
>>>
>>> print(td.plots.markdown_table(rows))
| | cdni |
| --- | --- |
| 3 layers | 1.57 ± 0.05 (2.2) |
""",
    "plots.marker_histograms": """
>>> rng = np.random.default_rng(0)
>>> reference, before, after = rng.standard_normal((3, 200, 2))
>>> picture = td.plots.marker_histograms(reference, before + 2, after, ["CD3", "CD4"])
>>> type(picture).__name__
'Picture'
""",
    "plots.misread_digits": """
>>> data = td.datasets.digits()
>>> picture = td.plots.misread_digits(data.x_test, data.y_test, (data.y_test + 1) % 10, count=4)
>>> type(picture).__name__
'Picture'
""",
    "plots.results_table": """
>>> rows = [{"row": "3 layers", "column": "cdni", "mean": 1.57, "std": 0.05,
...          "seeds": 3, "paper": 2.2}]
>>>
>>> picture = td.plots.results_table(rows, title="MNIST")
>>> picture.alt.partition(".")[0]
'A table of results, MNIST'
""",
    "plots.save": """
>>> picture = td.plots.learning_curve({"test error": ([1, 2, 3], [9.0, 4.0, 3.0])})
>>> import os, tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     td.plots.save(picture, os.path.join(folder, "curve.svg"))
...     os.listdir(folder)
...
['curve.svg']
""",
    "plots.summary": """
>>> blocks = td.mlp((64, 32, 10), np.random.default_rng(0))
>>> network = td.build(blocks, td.SoftmaxCrossEntropy(), 0.1, td.LinearSynthesizer, 0.1)
>>> print(td.plots.summary(network, (64,)))
block  layer                                           output  parameters
-------------------------------------------------------------------------
       input                                           N x 64
0      Linear(64 -> 32)                                N x 32       2,080
       BatchNorm(32)                                   N x 32          64
       ReLU()                                          N x 32           0
- -    interface: LinearSynthesizer(32 -> 32), sees h             (1,056)
1      Linear(32 -> 10)                                N x 10         330
       loss: SoftmaxCrossEntropy()
-------------------------------------------------------------------------
2,474 parameters, 2 blocks; synthesizers, used in training only: (1,056)
""",
    "plots.timeline": """
>>> records = np.array([[0, 0, 0.0, 1.0], [1, 0, 1.0, 2.0], [0, 1, 2.0, 3.0], [1, 1, 3.0, 4.0]])
>>> runs = {"one loop": {"worker 0": records}}
>>> picture = td.plots.timeline(runs, n_batches=1)
>>> type(picture).__name__
'Picture'
""",
    "resnet": """
>>> blocks = td.resnet(20, np.random.default_rng(0))
>>> len(blocks), blocks[-1]
(11, Sequential(GlobalAvgPool(), Linear(64 -> 10)))
""",
    "update_decoupled": """
>>> blocks = td.mlp((64, 32, 10), np.random.default_rng(0))
>>> network = td.build(blocks, td.SoftmaxCrossEntropy(), 0.1, td.LinearSynthesizer, 0.1)
>>> before = network.modules[-1].block.layers[-1].b.copy()
>>> td.update_decoupled(network.modules, np.ones((5, 64), np.float32), np.arange(5))
>>> bool((network.modules[-1].block.layers[-1].b != before).all())
True
""",
    "variants.AuxiliarySynthesizer": """
>>> synthesizer = td.variants.AuxiliarySynthesizer(8, np.random.default_rng(0), hidden=16)
>>> synthesizer.forward(np.ones((2, 8), np.float32)).shape
(2, 8)
""",
    "variants.BPLambda": """
>>> blocks = td.mlp((64, 32, 10), np.random.default_rng(0))
>>> network = td.build(blocks, td.SoftmaxCrossEntropy(), 0.1, td.LinearSynthesizer, 0.1,
...                    algorithm=td.variants.BPLambda(0.5))
>>>
>>> network.step(np.ones((5, 64), np.float32), np.arange(5)) > 0
np.True_
""",
    "variants.CloseShortcut": """
>>> rng = np.random.default_rng(0)
>>> lower = td.variants.OpenShortcut(td.Linear(4, 6, rng), td.ReLU())
>>> upper = td.variants.CloseShortcut(6, td.Linear(6, 4, rng))
>>> upper.forward(lower.forward(np.ones((2, 4), np.float32))).shape
(2, 4)
""",
    "variants.DifferenceTarget": """
>>> from tinydni.variants.difference_target import inverse
>>> rng = np.random.default_rng(0)
>>> algorithm = td.variants.DifferenceTarget([inverse(32, 32, rng)], [td.Adam(1e-3)], rng)
>>> blocks = td.mlp((64, 32, 32, 10), np.random.default_rng(0))
>>> network = td.build(blocks, td.SoftmaxCrossEntropy(), 0.1, algorithm=algorithm)
>>> network.step(np.ones((5, 64), np.float32), np.arange(5)) > 0
np.True_
""",
    "variants.DirectFeedback": """
>>> blocks = td.mlp((64, 32, 10), np.random.default_rng(0))
>>> network = td.build(blocks, td.SoftmaxCrossEntropy(), 0.1,
...                    algorithm=td.variants.DirectFeedback(10, [32], seed=0))
>>>
>>> network.step(np.ones((5, 64), np.float32), np.arange(5)) > 0
np.True_
""",
    "variants.Ensemble": """
>>> rng = np.random.default_rng(0)
>>> pair = td.variants.Ensemble(td.Linear(4, 2, rng), td.Linear(4, 2, rng))
>>> pair.forward(np.ones((3, 4), np.float32)).shape
(3, 2)
""",
    "variants.FeedbackAlignment": """
>>> blocks = td.mlp((64, 32, 32, 10), np.random.default_rng(0))
>>> algorithm = td.variants.FeedbackAlignment(seed=0)
>>> network = td.build(blocks, td.SoftmaxCrossEntropy(), 0.1, algorithm=algorithm)
>>> network.step(np.ones((5, 64), np.float32), np.arange(5)) > 0
np.True_
""",
    "variants.Flattened": """
>>> synthesizer = td.variants.Flattened(td.LinearSynthesizer(4 * 4 * 2))
>>> synthesizer.forward(np.ones((3, 4, 4, 2), np.float32)).shape
(3, 4, 4, 2)
""",
    "variants.ForwardForward": """
>>> blocks = td.mlp((64, 32, 32, 10), np.random.default_rng(0))
>>> network = td.variants.forward_forward(blocks, lambda: td.Adam(1e-3), n_classes=10, seed=0)
>>> isinstance(network.algorithm, td.variants.ForwardForward), len(network.modules)
(True, 2)
""",
    "variants.Frozen": """
>>> virtual = td.VirtualLinear(8, 3, np.random.default_rng(0))
>>> frozen = td.variants.Frozen(virtual)
>>> h, labels = np.ones((2, 8), np.float32), np.eye(3, dtype=np.float32)[[0, 2]]
>>> before = virtual.V.copy()
>>> _ = frozen.learn(h, labels, np.ones((2, 8), np.float32), lr=1.0)
>>> bool((virtual.V == before).all())
True
""",
    "variants.FullUnlock": """
>>> blocks = td.mlp((64, 32, 10), np.random.default_rng(0))
>>> network = td.build(blocks, td.SoftmaxCrossEntropy(), 0.1, td.LinearSynthesizer, 0.1)
>>> network = td.variants.full_unlock(
...     network, lambda n_h: td.variants.input_synthesizer(64, n_h, np.random.default_rng(1)), 0.1)
>>>
>>> type(network.algorithm).__name__
'FullUnlock'
""",
    "variants.Goodness": """
>>> h, real = np.ones((2, 4), np.float32), np.array([1, -1], np.float32)
>>> loss = td.variants.Goodness(threshold=0.5)
>>> loss.forward(h, real).round(3)         # log(1 + exp(-2)) and log(1 + exp(2)), the mean
np.float32(1.127)
>>> loss.backward().round(2)[:, 0]      # up for a real example, down for a false one
array([-0.12,  0.88], dtype=float32)
""",
    "variants.Guess": """
>>> guess = td.variants.Guess(64, 10, np.random.default_rng(0))
>>> guess.forward(np.eye(2, 64, dtype=np.float32))[0]      # every code is as likely at first
array([0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1], dtype=float32)
""",
    "variants.GuessSynthesizer": """
>>> rng = np.random.default_rng(0)
>>> virtual = td.VirtualLinear(8, 10, rng)
>>> synthesizer = td.variants.GuessSynthesizer(virtual, td.variants.Guess(64, 10, rng))
>>> synthesizer.forward(np.ones((2, 8), np.float32), np.ones((2, 64), np.float32)).shape
(2, 8)
""",
    "variants.Heads": """
>>> rng = np.random.default_rng(0)
>>> heads = [td.DNI(td.Linear(8, 3, rng), 0.1, loss=td.SoftmaxCrossEntropy()) for _ in range(3)]
>>> td.variants.Heads(heads, n_run=2).forward(np.ones((4, 8), np.float32)).shape
(4, 3)
""",
    "variants.LambdaReturns": """
>>> rng = np.random.default_rng(0)
>>> block = td.Recurrent(td.RNN(3, 4, rng), td.Linear(4, 2, rng))
>>> boundary = td.Boundary(td.LinearSynthesizer(4), 0.1)
>>> module = td.variants.LambdaReturns(0.9, block, 0.1, boundary, loss=td.MeanSquaredError())
>>> network = td.RecurrentNetwork([module])
>>> x, target = np.ones((5, 6, 3), np.float32), np.ones((5, 6, 2), np.float32)
>>> for window in td.cut(x, target, asked=range(6), size=2):
...     loss = network.step(window)
>>> len(module.seen)                    # the sequence has ended, and the boundary has learned
0
""",
    "variants.LateGradients": """
>>> blocks = td.mlp((64, 32, 32, 10), np.random.default_rng(0))
>>> algorithm = td.variants.LateGradients((64, 32, 32, 10), 5)
>>> network = td.build(blocks, td.SoftmaxCrossEntropy(), 0.1, algorithm=algorithm)
>>> network.step(np.ones((5, 64), np.float32), np.arange(5)) > 0
np.True_
""",
    "variants.LocalHead": """
>>> head = td.variants.LocalHead(td.Linear(8, 3, np.random.default_rng(0)), 3)
>>> labels = np.eye(3, dtype=np.float32)[[0, 2]]
>>> head.forward(np.ones((2, 8), np.float32), labels).shape
(2, 8)
""",
    "variants.MMD": """
>>> loss = td.variants.MMD(1.0)
>>> x = np.random.default_rng(0).standard_normal((50, 2))
>>> float(loss.forward(x, x)) < 1e-6        # a sample is like itself
True
""",
    "variants.OpenShortcut": """
>>> rng = np.random.default_rng(0)
>>> lower = td.variants.OpenShortcut(td.Linear(4, 6, rng), td.ReLU())
>>> lower.forward(np.ones((2, 4), np.float32)).shape      # 6 of the branch, 4 of the shortcut
(2, 10)
""",
    "variants.Scaled": """
>>> double = td.variants.Scaled(td.VirtualLinear(8, 3, np.random.default_rng(0)), 2.0)
>>> labels = np.eye(3, dtype=np.float32)[[0, 2]]
>>> double.forward(np.ones((2, 8), np.float32), labels).shape
(2, 8)
""",
    "variants.Sender": """
>>> rng = np.random.default_rng(0)
>>> block = td.Recurrent(td.RNN(3, 8, rng), td.Linear(8, 2 + 4, rng))
>>> fast = td.variants.Sender(block, 0.1, n_own=2, tick=3, loss=td.SoftmaxCrossEntropy())
>>> fast.n_own, fast.tick
(2, 3)
""",
    "variants.Stochastic": """
>>> blocks = td.mlp((64, 32, 10), np.random.default_rng(0))
>>> network = td.build(blocks, td.SoftmaxCrossEntropy(), 0.1, td.LinearSynthesizer, 0.1,
...                    algorithm=td.variants.Stochastic(0.5, n_modules=2, seed=0))
>>>
>>> network.step(np.ones((5, 64), np.float32), np.arange(5)) > 0
np.True_
""",
    "variants.TargetProjection": """
>>> synthesizer = td.variants.TargetProjection((4,), 3, np.random.default_rng(0))
>>> h, labels = np.ones((2, 4), np.float32), np.eye(3, dtype=np.float32)[[0, 2]]
>>> bool(np.all(synthesizer.forward(h, labels) == -synthesizer.B[[0, 2]]))
True
""",
    "variants.TwoClocks": """
>>> issubclass(td.variants.TwoClocks, td.RecurrentNetwork)
True
""",
    "variants.TwoClocksWindow": """
>>> issubclass(td.variants.TwoClocksWindow, td.Window)
True
""",
    "variants.Replay": """
>>> widths, rng = (64, 32, 32, 10), np.random.default_rng(0)
>>> net = td.build(td.mlp(widths, rng), td.SoftmaxCrossEntropy(), 0.1,
...                lambda n: td.variants.LocalHead(td.Linear(n, 10, rng), 10), 0.1,
...                algorithm=td.variants.Replay(widths, batch_size=5, size=3, rates=[1, 0.5, 1]))
>>> [kept.shape for kept in net.algorithm.outputs]
[(3, 5, 32), (3, 5, 32)]
""",
    "variants.SyntheticLoss": """
>>> loss = td.variants.SyntheticLoss(8, np.random.default_rng(0), n_context=3, hidden=16)
>>> labels = np.eye(3, dtype=np.float32)[[0, 2]]
>>> loss.forward(np.ones((2, 8), np.float32), labels).any()     # the first guess is zero
np.False_
""",
    "variants.VirtualMLP": """
>>> synthesizer = td.variants.VirtualMLP(8, 3, np.random.default_rng(0), hidden=16)
>>> labels = np.eye(3, dtype=np.float32)[[0, 2]]
>>> synthesizer.forward(np.ones((2, 8), np.float32), labels).shape
(2, 8)
""",
    "variants.VirtualNetwork": """
>>> rng = np.random.default_rng(0)
>>> net = td.Sequential(td.Linear(8, 16, rng), td.Tanh(), td.Linear(16, 3, rng))
>>> synthesizer = td.variants.VirtualNetwork(net, 3)
>>> labels = np.eye(3, dtype=np.float32)[[0, 2]]
>>> synthesizer.forward(np.ones((2, 8), np.float32), labels).shape
(2, 8)
""",
    "variants.conv_input_synthesizer": """
>>> net = td.variants.conv_input_synthesizer((28, 28, 1), (14, 14, 8), np.random.default_rng(0))
>>> net.forward(np.ones((2, 28, 28, 1), np.float32)).shape
(2, 14, 14, 8)
""",
    "variants.conv_synthesizer": """
>>> synthesizer = td.variants.conv_synthesizer(8, np.random.default_rng(0), n_context=10)
>>> h, labels = np.ones((2, 14, 14, 8), np.float32), np.eye(10, dtype=np.float32)[[3, 7]]
>>> synthesizer.forward(h, labels).shape
(2, 14, 14, 8)
""",
    "variants.forward_forward": """
>>> blocks = td.mlp((64, 32, 32, 10), np.random.default_rng(0))
>>> network = td.variants.forward_forward(blocks, lambda: td.Adam(1e-3), n_classes=10, seed=0)
>>> x = np.ones((5, 64), np.float32)
>>> network.step(x, np.arange(5)) > 0
np.True_
>>> network.predict(x).shape            # a score for each label
(5, 10)
""",
    "variants.full_unlock": """
>>> blocks = td.mlp((64, 32, 10), np.random.default_rng(0))
>>> network = td.build(blocks, td.SoftmaxCrossEntropy(), 0.1, td.LinearSynthesizer, 0.1)
>>> network = td.variants.full_unlock(
...     network, lambda n_h: td.variants.input_synthesizer(64, n_h, np.random.default_rng(1)), 0.1)
>>>
>>> network.step(np.ones((5, 64), np.float32), np.arange(5)) > 0
np.True_
""",
    "variants.input_synthesizer": """
>>> net = td.variants.input_synthesizer(64, 32, np.random.default_rng(0))
>>> net.forward(np.ones((2, 64), np.float32)).shape
(2, 32)
""",
    "variants.mmd_squared": """
>>> x = np.random.default_rng(0).standard_normal((200, 2))
>>> td.variants.mmd_squared(x, x + 3, 1.0) > td.variants.mmd_squared(x, x[::-1], 1.0)
True
""",
    "variants.with_heads": """
>>> rng = np.random.default_rng(0)
>>> blocks = td.mlp((64, 32, 10), rng)
>>> network = td.build(blocks, td.SoftmaxCrossEntropy(), 0.1, td.LinearSynthesizer, 0.1)
>>> network = td.variants.with_heads(network, [td.Linear(32, 10, rng) for _ in range(3)], 0.1)
>>> network.predict(np.ones((2, 64), np.float32)).shape
(2, 10)
""",
}
