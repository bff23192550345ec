"""Initial values: their scale, their distribution, and the generator they come from."""

import functools
import inspect
import math
from statistics import NormalDist

import numpy as np
import pytest

from micrograd_plus import default_dtype, init

SHAPE = (300, 100)
CONVOLUTION = (40, 8, 5, 5)  # fan_in 200, fan_out 1000
partial = functools.partial

# the initialiser, the shape, the standard deviation that it must have, and its bound where it is uniform
SCALES = {
    "xavier_normal": (init.xavier_normal, SHAPE, math.sqrt(2 / 400), None),
    "xavier_uniform": (init.xavier_uniform, SHAPE, math.sqrt(2 / 400), math.sqrt(6 / 400)),
    "xavier_normal, gain": (partial(init.xavier_normal, gain=3.0), SHAPE, 3 * math.sqrt(2 / 400), None),
    "xavier_uniform, gain": (partial(init.xavier_uniform, gain=3.0), SHAPE, 3 * math.sqrt(2 / 400), 3 * math.sqrt(6 / 400)),
    "xavier_normal of a convolution": (init.xavier_normal, CONVOLUTION, math.sqrt(2 / 1200), None),
    "xavier_uniform of a convolution": (init.xavier_uniform, CONVOLUTION, math.sqrt(2 / 1200), math.sqrt(6 / 1200)),
    "kaiming_normal": (init.kaiming_normal, SHAPE, math.sqrt(2 / 300), None),
    "kaiming_uniform": (init.kaiming_uniform, SHAPE, math.sqrt(2 / 300), math.sqrt(6 / 300)),
    "kaiming_normal, fan_out": (partial(init.kaiming_normal, mode="fan_out"), SHAPE, math.sqrt(2 / 100), None),
    "kaiming_uniform, fan_out": (partial(init.kaiming_uniform, mode="fan_out"), SHAPE, math.sqrt(2 / 100), math.sqrt(6 / 100)),
    "kaiming_normal of a convolution": (init.kaiming_normal, CONVOLUTION, math.sqrt(2 / 200), None),
    "kaiming_normal of a convolution, fan_out": (partial(init.kaiming_normal, mode="fan_out"), CONVOLUTION, math.sqrt(2 / 1000), None),
    "kaiming_normal, slope": (partial(init.kaiming_normal, a=0.5), SHAPE, math.sqrt(2 / 1.25 / 300), None),
    "kaiming_uniform, slope": (partial(init.kaiming_uniform, a=math.sqrt(5)), SHAPE, math.sqrt(1 / 3 / 300), math.sqrt(1 / 300)),
    "kaiming_normal, tanh": (partial(init.kaiming_normal, nonlinearity="tanh"), SHAPE, 5 / 3 / math.sqrt(300), None),
    "kaiming_uniform, linear": (partial(init.kaiming_uniform, nonlinearity="linear"), SHAPE, 1 / math.sqrt(300), math.sqrt(3 / 300)),
    "normal": (init.normal, SHAPE, 1.0, None),
    "normal, std": (partial(init.normal, std=0.02), SHAPE, 0.02, None),
    "uniform": (init.uniform, SHAPE, 1 / math.sqrt(3), 1.0),
    "uniform, bound": (partial(init.uniform, bound=0.05), SHAPE, 0.05 / math.sqrt(3), 0.05),
}


@pytest.mark.parametrize("name", SCALES)
def test_scale_and_distribution(name):
    initializer, shape, std, bound = SCALES[name]
    values = initializer(shape, generator=np.random.default_rng(0))
    assert values.shape == shape
    assert values.dtype == np.float32
    assert abs(values.std() / std - 1) < 0.02
    assert abs(values.mean()) < 0.02 * std
    if bound is None:
        assert abs(np.mean(np.abs(values) < std) - 0.6827) < 0.01
    else:
        assert np.abs(values).max() <= np.float32(bound)
        assert np.abs(values).max() > 0.999 * bound


@pytest.mark.parametrize("name", [*SCALES, "orthogonal", "trunc_normal"])
def test_the_same_generator_gives_the_same_values(name):
    initializer = SCALES[name][0] if name in SCALES else getattr(init, name)
    first, second = (initializer((3, 4), generator=np.random.default_rng(8)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, initializer((3, 4), generator=np.random.default_rng(9)))


@pytest.mark.parametrize(
    "name",
    ["xavier_normal", "xavier_uniform", "kaiming_normal", "kaiming_uniform", "orthogonal", "trunc_normal", "zeros", "ones"],
)
def test_an_initialiser_takes_a_shape_and_a_generator_and_gives_the_default_dtype(name):
    initializer = getattr(init, name)
    assert initializer((3, 4), np.random.default_rng(0)).dtype == np.float32
    assert initializer((3, 4)).shape == (3, 4)
    with default_dtype(np.float64):
        assert initializer((3, 4), np.random.default_rng(0)).dtype == np.float64


def test_std_and_bound_may_be_given_second():
    generator = np.random.default_rng(0)
    assert abs(init.normal((200, 200), 0.02, generator).std() / 0.02 - 1) < 0.02
    assert 0.0499 < init.uniform((200, 200), 0.05, generator).max() <= np.float32(0.05)


def test_zeros_and_ones():
    np.testing.assert_array_equal(init.zeros((2, 3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(init.ones((2, 3)), np.ones((2, 3)))


# -- fans and gains ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((3, 5), (3, 5)), ((5, 3, 7), (21, 35)), ((5, 3, 2, 4), (24, 40)), ((5, 3, 1, 1), (3, 5)), ((6, 1, 3, 3), (9, 54))],
)
def test_fans_of_a_linear_map_and_of_a_convolution(shape, expected):
    assert init.fans(shape) == expected


def test_variance_is_kept_through_a_linear_layer_and_a_convolution():
    """What the fans are for: the sum over fan_in products of unit variance has unit variance."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(500, 200))
    linear = init.kaiming_normal((200, 50), generator, nonlinearity="linear")
    assert abs((x @ linear).std() - 1) < 0.02
    kernel = init.kaiming_normal(CONVOLUTION, generator, nonlinearity="linear")
    assert abs((x @ kernel.reshape(40, 200).T).std() - 1) < 0.02


@pytest.mark.parametrize(
    ("arguments", "gain"),
    [
        *(((name,), 1.0) for name in ("linear", "sigmoid", "conv1d", "conv2d", "conv3d")),
        *(((f"conv_transpose{n}d",), 1.0) for n in (1, 2, 3)),
        (("tanh",), 5 / 3),
        (("relu",), math.sqrt(2)),
        (("selu",), 0.75),
        (("leaky_relu",), math.sqrt(2 / 1.0001)),
        (("leaky_relu", 0.0), math.sqrt(2)),
        (("leaky_relu", -2), math.sqrt(2 / 5)),
        (("tanh", 7.0), 5 / 3),
    ],
)
def test_gains(arguments, gain):
    assert init.calculate_gain(*arguments) == pytest.approx(gain, rel=1e-15)


# -- orthogonal ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (7, 3), (1, 5), (5, 1), (6, 2, 2, 2), (4, 3, 2)])
@pytest.mark.parametrize("gain", [1.0, 0.3])
def test_the_rows_or_the_columns_are_orthonormal_whichever_are_fewer(shape, gain):
    with default_dtype(np.float64):
        weight = init.orthogonal(shape, np.random.default_rng(1), gain=gain)
    assert weight.shape == shape
    matrix = weight.reshape(shape[0], -1) / gain
    product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-14)


def test_orthogonal_matrices_are_uniform():
    """Of a 1 x 1 matrix, either sign; of a 2 x 2 matrix, rotations and reflections by any angle alike."""
    generator = np.random.default_rng(0)
    signs = [init.orthogonal((1, 1), generator).item() for _ in range(400)]
    assert abs(np.mean(signs)) < 0.15
    matrices = np.array([init.orthogonal((2, 2), generator) for _ in range(2000)])
    assert abs(np.mean(np.linalg.det(matrices))) < 0.07
    angles = np.sort(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0])) / (2 * np.pi) + 0.5
    assert np.abs(angles - np.arange(2000) / 2000).max() < 1.63 / math.sqrt(2000)  # Kolmogorov and Smirnov, 1 %


# -- trunc_normal --------------------------------------------------------------------------------------------------------


def truncated_moments(mean, std, a, b):
    """Mean and standard deviation of N(mean, std^2) given a <= value <= b."""
    unit = NormalDist()
    low, high = (a - mean) / std, (b - mean) / std
    mass = unit.cdf(high) - unit.cdf(low)
    shift = (unit.pdf(low) - unit.pdf(high)) / mass
    spread = (low * unit.pdf(low) - high * unit.pdf(high)) / mass
    return mean + std * shift, std * math.sqrt(1 + spread - shift**2)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"std": 0.02},
        {"mean": 1.0, "std": 2.0, "a": -0.1, "b": 2.3},
        {"mean": 0.0, "std": 1.0, "a": 0.1, "b": 0.3},
        {"a": 2.5, "b": 3.0},
        {"mean": -4.0, "std": 0.5, "a": -20.0, "b": -4.5},
    ],
)
def test_truncated_normal_values_have_its_moments_and_keep_to_its_bounds(settings):
    values = init.trunc_normal((200, 200), np.random.default_rng(3), **settings)
    mean, std, a, b = ({"mean": 0.0, "std": 1.0, "a": -2.0, "b": 2.0} | settings).values()
    expected_mean, expected_std = truncated_moments(mean, std, a, b)
    assert values.dtype == np.float32
    assert np.float32(a) <= values.min()
    assert values.max() <= np.float32(b)
    assert abs(values.mean() - expected_mean) < 0.02 * expected_std
    assert abs(values.std() / expected_std - 1) < 0.02


def test_truncated_normal_values_follow_the_distribution_given_the_bounds():
    values = np.sort(init.trunc_normal((4000,), np.random.default_rng(0), mean=0.5, std=2.0, a=-1.0, b=3.0))
    normal = NormalDist(0.5, 2.0)
    low, high = normal.cdf(-1.0), normal.cdf(3.0)
    shares = [(normal.cdf(float(x)) - low) / (high - low) for x in values]
    assert np.abs(np.array(shares) - np.arange(4000) / 4000).max() < 1.63 / math.sqrt(4000)


class Ends:
    """A generator that draws the ends of the interval."""

    def uniform(self, low, high, shape):
        return np.array([low, high])


@pytest.mark.parametrize(("a", "b"), [(-math.inf, math.inf), (-0.1, 0.3), (-50.0, 50.0)])
def test_truncated_normal_values_are_finite_and_within_the_bounds_at_the_ends(a, b):
    low, high = init.trunc_normal((2,), Ends(), a=a, b=b)
    assert np.float32(a) <= low < 0 < high <= np.float32(b)
    assert np.isfinite([low, high]).all()
    assert (low, high) == (np.float32(-0.1), np.float32(0.3)) or (low < -30 and high > 8)


def test_defaults():
    def defaults(function):
        return {name: p.default for name, p in inspect.signature(function).parameters.items() if p.default is not p.empty}

    kaiming = {"generator": None, "a": 0.0, "mode": "fan_in", "nonlinearity": "leaky_relu"}
    assert defaults(init.normal) == {"std": 1.0, "generator": None}
    assert defaults(init.uniform) == {"bound": 1.0, "generator": None}
    assert defaults(init.xavier_normal) == defaults(init.xavier_uniform) == defaults(init.orthogonal) == {"generator": None, "gain": 1.0}
    assert defaults(init.kaiming_normal) == defaults(init.kaiming_uniform) == kaiming
    assert defaults(init.trunc_normal) == {"generator": None, "mean": 0.0, "std": 1.0, "a": -2.0, "b": 2.0}
