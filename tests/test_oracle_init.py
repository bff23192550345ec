"""Fans, gains and bounds of initial values beside PyTorch's."""

import numpy as np
import pytest

from micrograd_plus import init

torch = pytest.importorskip("torch", reason="PyTorch is not installed: make oracle, or the extra bench, brings it")
pytestmark = pytest.mark.oracle

NAMES = ["linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "sigmoid", "tanh", "relu"]


@pytest.mark.parametrize("name", [*NAMES, "selu", "leaky_relu"])
@pytest.mark.parametrize("param", [None, 0, 0.3, -1.5])
def test_gain(name, param):
    assert init.calculate_gain(name, param) == torch.nn.init.calculate_gain(name, param)


@pytest.mark.parametrize("shape", [(4, 6), (1, 3), (5, 3, 7), (5, 3, 2, 4), (6, 1, 3, 3), (2, 3, 2, 2, 2)])
def test_fans(shape):
    """A linear weight is (in, out) here and (out, in) there."""
    theirs = torch.empty(shape if len(shape) > 2 else shape[::-1])
    assert init.fans(shape) == torch.nn.init._calculate_fan_in_and_fan_out(theirs)


@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize("shape", [(40, 60), (30, 8, 3, 3)])
@pytest.mark.parametrize(("a", "nonlinearity"), [(0, "leaky_relu"), (5**0.5, "leaky_relu"), (0, "tanh")])
def test_kaiming_uniform_fills_the_same_interval(mode, shape, a, nonlinearity):
    torch.manual_seed(0)
    theirs = torch.empty(shape if len(shape) > 2 else shape[::-1])
    torch.nn.init.kaiming_uniform_(theirs, a=a, mode=mode, nonlinearity=nonlinearity)
    ours = init.kaiming_uniform(shape, np.random.default_rng(0), a=a, mode=mode, nonlinearity=nonlinearity)
    assert np.abs(ours).max() == pytest.approx(theirs.abs().max().item(), rel=5e-3)


@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (6, 2, 2, 2)])
def test_orthogonal_has_orthonormal_rows_where_theirs_has(shape):
    ours, theirs = init.orthogonal(shape), torch.nn.init.orthogonal_(torch.empty(shape)).numpy()
    for weight in (ours, theirs):
        matrix = weight.reshape(shape[0], -1)
        product = matrix @ matrix.T if shape != (7, 4) else matrix.T @ matrix
        np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-6)
