"""Normalising layers beside PyTorch's, in float64: values, gradients, second derivatives, running statistics, names of the state."""

import itertools

import numpy as np
import pytest

from micrograd_plus import Tensor, default_dtype, gradients, layers

torch = pytest.importorskip("torch", reason="PyTorch is not installed: make oracle, or the extra bench, brings it")
pytestmark = pytest.mark.oracle

RNG = np.random.default_rng(23)
FLAGS = [True, False]


def grid(name, **options):
    """(layer's name, settings) for every combination of the options."""
    return [(name, dict(zip(options, values, strict=True))) for values in itertools.product(*options.values())]


STATISTICS = {"eps": [1e-5, 0.5], "momentum": [0.1, 0.7, None], "affine": FLAGS, "track_running_stats": FLAGS}
CASES = [
    (name, settings, shape)
    for several, shapes in [
        (grid("BatchNorm1d", num_features=[4], **STATISTICS), [(5, 4), (3, 4, 6), (1, 4, 2)]),
        (grid("BatchNorm2d", num_features=[4], **STATISTICS), [(3, 4, 2, 5), (2, 4, 1, 1)]),
        (grid("InstanceNorm2d", num_features=[4], **{**STATISTICS, "momentum": [0.1, 0.7]}), [(3, 4, 2, 5), (1, 4, 1, 2)]),
        (grid("GroupNorm", num_groups=[1, 2, 4], num_channels=[4], eps=[1e-5, 0.5], affine=FLAGS), [(3, 4, 2), (1, 4, 2, 5)]),
        (grid("GroupNorm", num_groups=[2], num_channels=[4]), [(3, 4)]),
        (grid("LayerNorm", normalized_shape=[5, (2, 5)], eps=[1e-5, 0.5], elementwise_affine=FLAGS, bias=FLAGS), [(3, 4, 2, 5), (2, 5)]),
        (grid("RMSNorm", normalized_shape=[5, (2, 5)], eps=[None, 0.5], elementwise_affine=FLAGS), [(3, 4, 2, 5), (2, 5)]),
    ]
    for (name, settings), shape in itertools.product(several, shapes)
]


def twins(name, settings):
    """Our layer and PyTorch's with the same random weights, and another way to list its parameters."""
    with default_dtype(np.float64):
        ours = getattr(layers, name)(**settings)
    theirs = getattr(torch.nn, name)(**settings, dtype=torch.float64)
    for key, parameter in ours.named_parameters():
        parameter.data[...] = RNG.normal(size=parameter.shape)
        with torch.no_grad():
            theirs.get_parameter(key).copy_(torch.tensor(parameter.data))
    return ours, theirs


def same_state(ours, theirs, counted):
    state = theirs.state_dict()
    assert list(ours.state_dict()) == list(state)
    for key, array in ours.state_dict().items():
        if key != "num_batches_tracked" or counted:
            np.testing.assert_allclose(array, state[key], rtol=1e-12, atol=1e-12, err_msg=key)


@pytest.mark.parametrize(("name", "settings", "shape"), CASES)
def test_value_gradients_second_order_and_running_statistics(name, settings, shape):
    ours, theirs = twins(name, settings)
    counted = name != "InstanceNorm2d"  # PyTorch's never counts
    for training in (True, True, True, False):
        ours.train(training)
        theirs.train(training)
        x, g, c = RNG.normal(1, 2, (3, *shape))
        with default_dtype(np.float64):
            a = Tensor(x, requires_grad=True)
            y = ours(a)
            inputs = [a, *ours.parameters()]
            found = gradients(y, inputs, gradient=g, create_graph=True)
        b = torch.tensor(x, requires_grad=True)
        z = theirs(b)
        their_inputs = [b, *theirs.parameters()]
        expected = torch.autograd.grad(z, their_inputs, torch.tensor(g), create_graph=True)
        np.testing.assert_allclose(y.data, z.detach(), rtol=1e-10, atol=1e-11)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one.data, other.detach(), rtol=1e-9, atol=1e-10)
        same_state(ours, theirs, counted)
        # Of the sum of the gradients of x, each with a random factor, with respect to everything.
        second, second_there = np.sum(found[0] * c), torch.sum(expected[0] * torch.tensor(c))
        if second_there.requires_grad:
            again = gradients(second, inputs)
            again_there = torch.autograd.grad(second_there, their_inputs, allow_unused=True)
            for one, other in zip(again, again_there, strict=True):
                wanted = np.zeros(one.shape) if other is None else other
                np.testing.assert_allclose(one.data, wanted, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("training", FLAGS)
@pytest.mark.parametrize(
    ("name", "settings", "shape"),
    [
        ("BatchNorm2d", {"num_features": 4}, (3, 4, 2, 2)),
        ("BatchNorm2d", {"num_features": 4, "eps": 0.0}, (3, 4, 2, 2)),
        ("InstanceNorm2d", {"num_features": 4, "track_running_stats": True}, (3, 4, 2, 2)),
        ("GroupNorm", {"num_groups": 2, "num_channels": 4}, (3, 4, 2, 2)),
        ("LayerNorm", {"normalized_shape": 4}, (3, 4)),
        ("LayerNorm", {"normalized_shape": 1}, (3, 1)),
        ("RMSNorm", {"normalized_shape": 4}, (3, 4)),
    ],
)
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_inputs(name, settings, shape, value, training):
    """Zero variance, and zeros; in eval mode the running statistics are those at first."""
    if settings.get("eps") == 0 and training:
        return  # 0 / 0
    ours, theirs = twins(name, settings)
    ours.train(training)
    theirs.train(training)
    x, g = np.full(shape, value), RNG.normal(size=shape)
    with default_dtype(np.float64):
        a, b = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y, z = ours(a), theirs(b)
        y.backward(g)
    z.backward(torch.tensor(g))
    np.testing.assert_allclose(y.data, z.detach(), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(a.grad, b.grad, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("name", "settings", "shape"),
    [
        ("BatchNorm1d", {"num_features": 4}, (1, 4)),
        ("BatchNorm1d", {"num_features": 4}, (1, 4, 1)),
        ("BatchNorm2d", {"num_features": 4}, (1, 4, 1, 1)),
        ("InstanceNorm2d", {"num_features": 4}, (3, 4, 1, 1)),
        ("InstanceNorm2d", {"num_features": 4, "track_running_stats": True}, (3, 4, 1, 1)),
        ("GroupNorm", {"num_groups": 4, "num_channels": 4}, (1, 4)),
    ],
)
def test_both_refuse_one_value_of_a_statistic_in_training(name, settings, shape):
    ours, theirs = twins(name, settings)
    with pytest.raises(ValueError, match="more than one value"):
        ours(np.ones(shape))
    with pytest.raises(ValueError, match="Expected more than 1"):
        theirs(torch.ones(shape, dtype=torch.float64))
    if settings.get("track_running_stats") or "Batch" in name:
        assert ours.eval()(np.ones(shape)).shape == theirs.eval()(torch.ones(shape, dtype=torch.float64)).shape


def test_a_batch_of_one_in_float32_agrees_to_rounding():
    x = RNG.normal(1, 2, (2, 4, 3, 3)).astype(np.float32)
    for name, settings in [
        ("BatchNorm2d", {"num_features": 4}),
        ("InstanceNorm2d", {"num_features": 4}),
        ("GroupNorm", {"num_groups": 2, "num_channels": 4}),
        ("LayerNorm", {"normalized_shape": 3}),
        ("RMSNorm", {"normalized_shape": 3}),
    ]:
        ours, theirs = getattr(layers, name)(**settings), getattr(torch.nn, name)(**settings)
        np.testing.assert_allclose(ours(x).data, theirs(torch.tensor(x)).detach(), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("momentum", [0.3, None])
def test_a_state_loads_into_the_other_library_s_layer_and_training_goes_on_alike(momentum):
    ours, theirs = twins("BatchNorm1d", {"num_features": 4, "momentum": momentum})
    batches = RNG.normal(1, 2, (4, 5, 4))
    with default_dtype(np.float64):
        for batch in batches[:2]:
            theirs(torch.tensor(batch))
        ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
        for batch in batches[2:]:
            ours(batch)
            theirs(torch.tensor(batch))
    same_state(ours, theirs, True)
    theirs.load_state_dict({key: torch.tensor(value) for key, value in ours.state_dict().items()})
    same_state(ours, theirs, True)


def test_dropout2d_drops_the_same_share_of_channels():
    x = np.ones((40, 50, 2, 2), np.float32)
    y = layers.Dropout2d(0.3, generator=np.random.default_rng(0))(x).data
    z = torch.nn.Dropout2d(0.3)(torch.tensor(x)).numpy()
    np.testing.assert_allclose(np.unique(y), np.unique(z), rtol=1e-6)
    assert abs((y == 0).mean() - (z == 0).mean()) < 0.06


@pytest.mark.parametrize("kind", ["ModuleList", "ModuleDict"])
def test_names_of_a_container_s_state(kind):
    def make(library, linear, norm):
        return getattr(library, kind)([linear, norm] if kind == "ModuleList" else {"first": linear, "second": norm})

    ours = make(layers, layers.Linear(2, 3), layers.BatchNorm(3))
    assert list(ours.state_dict()) == list(make(torch.nn, torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)).state_dict())
