"""Maximum mean discrepancy: its value, its gradient, its floor, and its speed."""

import tracemalloc

import numpy as np
import pytest
from conftest import on_devices
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydni import backend
from tinydni.gradcheck import assert_gradients
from tinydni.variants.mmd import MMD, kernel_mean, kernel_width, mmd_squared

several = settings(max_examples=10, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(2, 300)         # more than two tiles of rows


def plain_kernel(x, y, m):
    """k (N, M), as the formula says it."""
    d2 = ((x[:, None] - y[None]) ** 2).sum(axis=2)
    return sum(np.exp(-d2 / s) for s in (m / 2, m, 2 * m))


def plain_mmd(x, y, m):
    """The biased estimate, rooted, without tiles, buffers or powers."""
    return np.sqrt(plain_kernel(x, x, m).mean() + plain_kernel(y, y, m).mean() - 2
                   * plain_kernel(x, y, m).mean())


def draw(seed, N, M, D, dtype=np.float64, shift=0.5):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((N, D)).astype(dtype), (rng.standard_normal((M, D))
                                                       + shift).astype(dtype)


@several
@given(seed=seeds, N=sizes, M=sizes, D=st.integers(1, 12), m=st.sampled_from([0.1, 1.0, 10.0]))
def test_the_tiled_form_is_the_plain_one(seed, N, M, D, m):
    x, y = draw(seed, N, M, D)
    np.testing.assert_allclose(MMD(m).forward(x, y), plain_mmd(x, y, m), rtol=1e-9)


@several
@given(seed=seeds, N=sizes, M=sizes, D=st.integers(1, 12))
def test_its_gradient_is_that_of_central_differences(seed, N, M, D):
    x, y = draw(seed, N, M, D)
    assert_gradients(MMD(2.0), x, y)


def test_the_pull_is_the_sum_over_all_pairs():
    x, y = draw(0, 7, 5, 3)
    m, d2 = 1.5, ((x[:, None] - y[None]) ** 2).sum(axis=2)
    g = sum(np.exp(-d2 / s) / s for s in (m / 2, m, 2 * m))
    expected = (g[:, :, None] * (x[:, None] - y[None])).sum(axis=1) / (7 * 5)
    np.testing.assert_allclose(kernel_mean(np, x, y, m)[1], expected, rtol=1e-12)


def test_a_sample_is_no_distance_from_itself_and_a_step_leaves_it_there():
    x, _ = draw(1, 50, 2, 4, np.float32)
    loss = MMD(1.0)
    assert loss.forward(x, x) < 1e-3
    assert np.isfinite(loss.backward()).all()
    np.testing.assert_allclose(loss.backward(), 0, atol=1e-3)


def test_far_cells_stay_finite_in_float32():
    x, y = draw(2, 60, 60, 4, np.float32)
    # where the expanded square is wrong by more than the kernel's width
    x[0] = 1e4
    loss = MMD(0.1)
    assert np.isfinite(loss.forward(x, y)) and loss.forward(x, y) < 3
    assert np.isfinite(loss.backward()).all()


def test_descent_brings_two_samples_together():
    x, y = draw(3, 200, 200, 2)
    loss = MMD(2.0)
    before = loss.forward(x, y)
    for _ in range(60):
        loss.forward(x, y)
        x = x - 20 * loss.backward()
    assert loss.forward(x, y) < 0.3 * before


def test_the_unbiased_estimate_leaves_out_self_pairs_and_is_zero_on_average():
    x, y = draw(4, 30, 20, 3)
    K = [plain_kernel(a, b, 1.0) for a, b in ((x, x), (y, y), (x, y))]
    expected = sum((k.sum() - np.trace(k)) / (n * (n - 1))
                   for k, n in zip(K, (30, 20))) - 2 * K[2].mean()
    assert mmd_squared(x, y, 1.0) == pytest.approx(expected, rel=1e-9)
    values = [mmd_squared(*draw(seed, 100, 100, 2, shift=0), 1.0) for seed in range(60)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(60)
    assert min(values) < 0


def test_the_width_is_the_median_of_the_mean_distances_to_the_neighbours():
    rng = np.random.default_rng(5)
    points = rng.standard_normal((200, 3))
    distances = np.sort(np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2)),
                        axis=1)[:, 1:21]
    assert kernel_width(points, rng,
                        n_points=200) == pytest.approx(np.median(distances.mean(axis=1)), rel=1e-6)
    assert kernel_width(np.tile(points, (10, 1)) * 2 + rng.standard_normal((2000, 3)) * 1e-3,
                        rng) > 0


@pytest.mark.parametrize("target, text", [(np.zeros((15, 2)), "15 points"),
                                          (np.zeros((100, 2)), "coincide")])
def test_a_sample_without_a_width_is_refused(target, text):
    with pytest.raises(ValueError, match=text):
        kernel_width(target, np.random.default_rng(0))


def test_samples_that_cannot_be_compared_are_refused():
    x, y = draw(6, 5, 5, 3)
    with pytest.raises(ValueError, match="same features"):
        MMD(1.0).forward(x, y[:, :2])
    with pytest.raises(ValueError, match="at least 2 points"):
        MMD(1.0).forward(x[:1], y)
    with pytest.raises(TypeError, match="float32"):
        MMD(1.0).forward(x, y.astype(np.float32))
    for m in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="m must lie"):
            MMD(m)


def test_it_computes_in_the_dtype_it_is_given():
    loss = MMD(1.0)
    x, y = draw(7, 130, 90, 4, np.float32)
    assert loss.forward(x, y).dtype == np.float32 and loss.backward().dtype == np.float32
    np.testing.assert_allclose(loss.forward(x, y), plain_mmd(x.astype(float), y.astype(float), 1.0),
                               rtol=1e-4)


@on_devices
def test_every_backend_gives_the_same(xp):
    x, y = draw(8, 260, 140, 5, np.float32)
    host, device = MMD(1.0), MMD(1.0).to(xp)
    expected = host.forward(x, y)
    loss = device.forward(backend.asarray(xp, x), backend.asarray(xp, y))
    np.testing.assert_allclose(float(backend.to_numpy(loss)), expected, rtol=1e-5)
    np.testing.assert_allclose(backend.to_numpy(device.backward()), host.backward(), rtol=1e-4,
                               atol=1e-8)


def test_memory_grows_with_one_side_only():
    x, y = draw(9, 2000, 2000, 8, np.float32)
    loss = MMD(1.0)
    tracemalloc.start()
    loss.forward(x, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6, f"{peak:,} bytes at the peak; one full kernel matrix alone has 16,000,000"


class Counting:
    """NumPy that counts the exponentials it takes."""

    n_exp = 0

    def __getattr__(self, name):
        return getattr(np, name)

    def exp(self, x, out):
        self.n_exp += x.size
        return np.exp(x, out=out)


def test_three_kernels_take_one_exponential_per_pair():
    x, y = draw(10, 300, 200, 4, np.float32)
    loss = MMD(0.6)
    loss.xp = Counting()
    assert loss.forward(x, y) == MMD(0.6).forward(x, y)
    assert loss.xp.n_exp == 300 * 300 + 300 * 200 + 200 * 200
