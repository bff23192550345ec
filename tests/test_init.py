"""Initial values: their scale, their distribution, and the generator they come from."""

import inspect
import math

import numpy as np
import pytest

from micrograd_plus import init

SHAPE = (300, 100)

# the standard deviation that each must have, and its bound where it is uniform
SCALES = {
    "xavier_normal": (math.sqrt(2 / 400), None),
    "xavier_uniform": (math.sqrt(2 / 400), math.sqrt(6 / 400)),
    "kaiming_normal": (math.sqrt(2 / 300), None),
    "kaiming_uniform": (math.sqrt(2 / 300), math.sqrt(6 / 300)),
    "normal": (1.0, None),
    "uniform": (1 / math.sqrt(3), 1.0),
}


@pytest.mark.parametrize("name", SCALES)
def test_scale_and_distribution(name):
    std, bound = SCALES[name]
    values = getattr(init, name)(SHAPE, generator=np.random.default_rng(0))
    assert values.shape == SHAPE
    assert values.dtype == np.float32
    assert abs(values.std() / std - 1) < 0.02
    assert abs(values.mean()) < 0.02 * std
    if bound is None:
        assert abs(np.mean(np.abs(values) < std) - 0.6827) < 0.01
    else:
        assert np.abs(values).max() <= bound
        assert np.abs(values).max() > 0.999 * bound


@pytest.mark.parametrize("name", SCALES)
def test_the_same_generator_gives_the_same_values(name):
    first, second = (getattr(init, name)((3, 4), generator=np.random.default_rng(8)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, getattr(init, name)((3, 4), generator=np.random.default_rng(9)))


def test_std_and_bound_may_be_given():
    generator = np.random.default_rng(0)
    assert abs(init.normal((200, 200), 0.02, generator).std() / 0.02 - 1) < 0.02
    assert 0.0499 < init.uniform((200, 200), 0.05, generator).max() <= 0.05


def test_defaults():
    assert inspect.signature(init.normal).parameters["std"].default == 1.0
    assert inspect.signature(init.uniform).parameters["bound"].default == 1.0
