"""Normalising layers: settings, parameters, buffers and errors; what they compute is tested with their functions."""

import copy
import inspect

import numpy as np
import pytest

from micrograd_plus import Tensor, functional, layers

from ..raising import unreached

RNG = np.random.default_rng(17)
IMAGES = RNG.normal(1, 2, (3, 4, 2, 5)).astype(np.float32)
close = np.testing.assert_allclose


def randomised(layer):
    for parameter in layer.parameters():
        parameter.data[...] = RNG.normal(size=parameter.shape)
    return layer


def state_of(layer):
    return {name: array.shape for name, array in layer.state_dict().items()}


# -- BatchNorm and InstanceNorm2d ----------------------------------------------------------------------------------------

TRACKED = {"running_mean": (4,), "running_var": (4,), "num_batches_tracked": ()}
AFFINE = {"weight": (4,), "bias": (4,)}
KINDS = [layers.BatchNorm, layers.InstanceNorm2d]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("tracked", [True, False])
def test_state_of_a_layer_with_settings(kind, affine, tracked):
    layer = kind(4, affine=affine, track_running_stats=tracked)
    assert state_of(layer) == {**(AFFINE if affine else {}), **(TRACKED if tracked else {})}
    assert (layer.weight is None, layer.bias is None, layer.running_mean is None) == (not affine, not affine, not tracked)
    assert (layer.running_var is None, layer.num_batches_tracked is None) == (not tracked, not tracked)
    assert (layer.affine, layer.track_running_stats) == (affine, tracked)
    if affine:
        np.testing.assert_array_equal([layer.weight.data, layer.bias.data], [np.ones(4), np.zeros(4)])
    if tracked:
        np.testing.assert_array_equal([layer.running_mean, layer.running_var], [np.zeros(4), np.ones(4)])
        assert layer.num_batches_tracked == 0
        assert layer.running_mean.dtype == layer.running_var.dtype == np.float32
        assert layer.num_batches_tracked.dtype == np.int64


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize("shape", [(6, 4), (5, 4, 3), (3, 4, 2, 5), (2, 4, 2, 1, 3)])
def test_batch_norm_is_its_function_with_its_settings(shape, affine, tracked):
    layer = randomised(layers.BatchNorm(4, 0.3, 0.2, affine, tracked))
    x = RNG.normal(1, 2, shape).astype(np.float32)
    y = layer(x)
    settings = {"weight": layer.weight, "bias": layer.bias, "eps": 0.3}
    np.testing.assert_array_equal(y.data, functional.batch_norm(Tensor(x), **settings).data)
    z = layer.eval()(x)
    if tracked:
        axes = (0, *range(2, x.ndim))
        close(layer.running_mean, 0.2 * x.mean(axes), rtol=1e-5)
        close(layer.running_var, 0.8 + 0.2 * x.var(axes, ddof=1), rtol=1e-5)
        assert layer.num_batches_tracked == 1
        expected = functional.batch_norm(Tensor(x), layer.running_mean, layer.running_var, **settings).data
        assert not np.allclose(expected, y.data)
    np.testing.assert_array_equal(z.data, expected if tracked else y.data)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("tracked", [True, False])
def test_instance_norm_is_its_function_with_its_settings(affine, tracked):
    layer = randomised(layers.InstanceNorm2d(4, 0.3, 0.2, affine, tracked))
    y = layer(IMAGES)
    settings = {"weight": layer.weight, "bias": layer.bias, "eps": 0.3}
    np.testing.assert_array_equal(y.data, functional.instance_norm(Tensor(IMAGES), **settings).data)
    z = layer.eval()(IMAGES)
    if tracked:
        close(layer.running_mean, 0.2 * IMAGES.mean((2, 3)).mean(0), rtol=1e-5)
        close(layer.running_var, 0.8 + 0.2 * IMAGES.var((2, 3), ddof=1).mean(0), rtol=1e-5)
        assert layer.num_batches_tracked == 1
        statistics = layer.running_mean, layer.running_var
        expected = functional.instance_norm(Tensor(IMAGES), *statistics, use_input_stats=False, **settings).data
        assert not np.allclose(expected, y.data)
    np.testing.assert_array_equal(z.data, expected if tracked else y.data)


@pytest.mark.parametrize("kind", KINDS)
def test_with_momentum_none_the_running_statistics_are_the_mean_over_all_batches(kind):
    layer = kind(4, momentum=None, track_running_stats=True)
    batches = RNG.normal(1, 2, (5, 3, 4, 2, 2)).astype(np.float32)
    axes = (1, 3, 4) if kind is layers.BatchNorm else (3, 4)
    for i, batch in enumerate(batches):
        layer(batch)
        assert layer.num_batches_tracked == i + 1
        seen = batches[: i + 1]
        close(layer.running_mean, seen.mean((0, 1, 3, 4)), rtol=1e-5)
        close(layer.running_var, seen.var(axes, ddof=1).reshape(-1, 4).mean(0), rtol=1e-5)
    layer.eval()(batches[0])
    assert layer.num_batches_tracked == 5


@pytest.mark.parametrize("momentum", [0.0, 1.0])
def test_momentum_may_be_zero_and_one(momentum):
    layer = layers.BatchNorm(4, momentum=momentum)
    layer(IMAGES)
    close(layer.running_mean, momentum * IMAGES.mean((0, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_that_is_refused_is_not_counted(kind):
    layer = kind(4, track_running_stats=True)
    with pytest.raises(ValueError, match="more than one value per channel"):
        layer(np.ones((1, 4, 1, 1)))
    assert layer.num_batches_tracked == 0
    assert layer.eval()(np.ones((1, 4, 1, 1))).shape == (1, 4, 1, 1)


def test_without_running_statistics_a_single_value_is_refused_in_evaluation_too():
    with pytest.raises(ValueError, match="more than one value per channel"):
        layers.BatchNorm(4, track_running_stats=False).eval()(np.ones((1, 4)))


@pytest.mark.parametrize("kind", KINDS)
def test_the_count_belongs_to_the_state_and_to_copies(kind):
    layer, other = (kind(4, momentum=None, track_running_stats=True) for _ in range(2))
    layer(IMAGES)
    twin = copy.deepcopy(layer)
    layer(IMAGES)
    other.load_state_dict(layer.state_dict())
    assert (twin.num_batches_tracked, other.num_batches_tracked) == (1, 2)
    batch = IMAGES[::-1] + np.float32(1)
    layer(batch)
    other(batch)
    np.testing.assert_array_equal(other.running_mean, layer.running_mean)


def test_the_aliases_of_batch_norm_and_what_is_no_batch_norm():
    assert layers.BatchNorm1d is layers.BatchNorm2d is layers.BatchNorm
    assert not isinstance(layers.InstanceNorm2d(3), layers.BatchNorm)


# -- the others ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 5), (1, 4, 2, 5)])
def test_group_norm_is_its_function_with_its_settings_in_training_and_evaluation(shape, affine):
    layer = randomised(layers.GroupNorm(2, 4, 0.3, affine))
    x = RNG.normal(1, 2, shape).astype(np.float32)
    expected = functional.group_norm(Tensor(x), 2, layer.weight, layer.bias, 0.3)
    np.testing.assert_array_equal(layer(x).data, expected.data)
    np.testing.assert_array_equal(layer.eval()(x).data, expected.data)
    assert state_of(layer) == (AFFINE if affine else {})
    assert (layer.weight is None, layer.bias is None) == (not affine, not affine)


def test_group_norm_starts_with_weight_one_and_bias_zero():
    layer = layers.GroupNorm(1, 4)
    np.testing.assert_array_equal([layer.weight.data, layer.bias.data], [np.ones(4), np.zeros(4)])


@pytest.mark.parametrize(("elementwise_affine", "bias"), [(True, True), (True, False), (False, True), (False, False)])
def test_layer_norm_without_weight_or_bias(elementwise_affine, bias):
    layer = randomised(layers.LayerNorm((2, 5), 0.3, elementwise_affine, bias))
    expected = functional.layer_norm(Tensor(IMAGES), 2, layer.weight, layer.bias, 0.3)
    np.testing.assert_array_equal(layer(IMAGES).data, expected.data)
    names = ["weight", "bias"] if elementwise_affine and bias else ["weight"] if elementwise_affine else []
    assert state_of(layer) == dict.fromkeys(names, (2, 5))
    assert (layer.weight is None, layer.bias is None) == ("weight" not in names, "bias" not in names)


@pytest.mark.parametrize("elementwise_affine", [True, False])
@pytest.mark.parametrize(("shape", "sizes"), [(5, (5,)), ((2, 5), (2, 5)), ([4, 2, 5], (4, 2, 5)), (np.int64(5), (5,))])
def test_rms_norm_is_its_function_with_its_settings(shape, sizes, elementwise_affine):
    layer = randomised(layers.RMSNorm(shape, 0.3, elementwise_affine))
    expected = functional.rms_norm(Tensor(IMAGES), len(sizes), layer.weight, 0.3)
    np.testing.assert_array_equal(layer(IMAGES).data, expected.data)
    np.testing.assert_array_equal(layer.eval()(IMAGES).data, expected.data)
    assert layer.normalized_shape == sizes
    assert state_of(layer) == ({"weight": sizes} if elementwise_affine else {})
    assert (layer.weight is None) is not elementwise_affine


def test_rms_norm_starts_with_weight_one_and_the_machine_epsilon():
    layer = layers.RMSNorm(3)
    np.testing.assert_array_equal(layer.weight.data, np.ones(3))
    x = np.full((1, 3), np.sqrt(np.finfo(np.float32).eps))
    close(layer(x).data, np.full((1, 3), np.sqrt(0.5)), rtol=1e-5)


@pytest.mark.parametrize("layer", [layers.LayerNorm, layers.RMSNorm])
def test_sizes_are_whole_numbers(layer):
    assert all(type(size) is int for size in layer(np.array([2, 3])).normalized_shape)
    with pytest.raises(ValueError, match="must be one or more positive ints"):
        layer(2.5)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (lambda: layers.BatchNorm(4), "BatchNorm(4, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)"),
        (
            lambda: layers.BatchNorm1d(4, 1.0, None, False, False),
            "BatchNorm(4, eps=1.0, momentum=None, affine=False, track_running_stats=False)",
        ),
        (lambda: layers.InstanceNorm2d(4), "InstanceNorm2d(4, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False)"),
        (lambda: layers.GroupNorm(2, 4), "GroupNorm(2, 4, eps=1e-05, affine=True)"),
        (lambda: layers.LayerNorm((2, 3)), "LayerNorm((2, 3), eps=1e-05, elementwise_affine=True, bias=True)"),
        (lambda: layers.LayerNorm(3, bias=False), "LayerNorm((3,), eps=1e-05, elementwise_affine=True, bias=False)"),
        (lambda: layers.LayerNorm(3, 1.0, False), "LayerNorm((3,), eps=1.0, elementwise_affine=False, bias=False)"),
        (lambda: layers.RMSNorm(3), "RMSNorm((3,), eps=None, elementwise_affine=True)"),
        (lambda: layers.RMSNorm(3, 1.0, False), "RMSNorm((3,), eps=1.0, elementwise_affine=False)"),
    ],
)
def test_repr_says_the_settings(layer, text):
    assert repr(layer()) == text


def test_default_settings():
    def defaults(layer):
        return [p.default for p in inspect.signature(layer).parameters.values() if p.default is not p.empty]

    assert defaults(layers.BatchNorm) == [1e-5, 0.1, True, True]
    assert defaults(layers.InstanceNorm2d) == [1e-5, 0.1, False, False]
    assert defaults(layers.GroupNorm) == [1e-5, True]
    assert defaults(layers.LayerNorm) == [1e-5, True, True]
    assert defaults(layers.RMSNorm) == [None, True]


# -- errors --------------------------------------------------------------------------------------------------------------

MESSAGES = [
    (lambda: layers.BatchNorm(0), "num_features of BatchNorm must be an int of at least 1, got 0."),
    (lambda: layers.InstanceNorm2d(-1), "num_features of InstanceNorm2d must be an int of at least 1, got -1."),
    (lambda: layers.GroupNorm(0, 4), "num_groups of GroupNorm must be an int of at least 1, got 0."),
    (lambda: layers.GroupNorm(1, 0), "num_channels of GroupNorm must be an int of at least 1, got 0."),
    (lambda: layers.GroupNorm(4, 6), "num_channels of GroupNorm must be a multiple of num_groups=4, got 6."),
    (lambda: layers.BatchNorm(3.0), "num_features of BatchNorm must be an int of at least 1, got 3.0."),
    (lambda: layers.LayerNorm((2, 2.5)), "normalized_shape of LayerNorm must be one or more positive ints, got (2, 2.5)."),
    (lambda: layers.RMSNorm("ab"), "normalized_shape of RMSNorm must be one or more positive ints, got 'ab'."),
    (lambda: layers.BatchNorm(2, -1.0), "eps of BatchNorm must not be negative, got -1.0."),
    (lambda: layers.InstanceNorm2d(2, np.nan), "eps of InstanceNorm2d must not be negative, got nan."),
    (lambda: layers.LayerNorm(2, -1e-5), "eps of LayerNorm must not be negative, got -1e-05."),
    (lambda: layers.GroupNorm(2, 4, -0.5), "eps of GroupNorm must not be negative, got -0.5."),
    (lambda: layers.RMSNorm(2, -0.5), "eps of RMSNorm must not be negative, got -0.5."),
    (lambda: layers.BatchNorm(2, momentum=-0.1), "momentum of BatchNorm must be in [0, 1], or None, got -0.1."),
    (lambda: layers.InstanceNorm2d(2, momentum=1.5), "momentum of InstanceNorm2d must be in [0, 1], or None, got 1.5."),
    (lambda: layers.BatchNorm(2, momentum=np.nan), "momentum of BatchNorm must be in [0, 1], or None, got nan."),
    (lambda: layers.LayerNorm(()), "normalized_shape of LayerNorm must be one or more positive ints, got ()."),
    (lambda: layers.LayerNorm((2, 0)), "normalized_shape of LayerNorm must be one or more positive ints, got (2, 0)."),
    (lambda: layers.RMSNorm(-1), "normalized_shape of RMSNorm must be one or more positive ints, got -1."),
    (
        lambda: layers.BatchNorm(3)(np.ones((4, 2, 3))),
        "BatchNorm(3) needs input of shape (N, 3) or (N, 3, ...), got (4, 2, 3). Check the layer before it.",
    ),
    (
        lambda: layers.BatchNorm(3)(np.ones(3)),
        "BatchNorm(3) needs input of shape (N, 3) or (N, 3, ...), got (3,). Check the layer before it.",
    ),
    (
        lambda: layers.InstanceNorm2d(3)(np.ones((4, 3, 2))),
        "InstanceNorm2d(3) needs input of shape (N, 3, H, W), got (4, 3, 2). Check the layer before it.",
    ),
    (
        lambda: layers.InstanceNorm2d(3)(np.ones((3, 4, 3, 2))),
        "InstanceNorm2d(3) needs input of shape (N, 3, H, W), got (3, 4, 3, 2). Check the layer before it.",
    ),
    (
        lambda: layers.GroupNorm(2, 4)(np.ones(4)),
        "GroupNorm(2, 4) needs input of shape (N, 4, ...), got (4,). Check the layer before it.",
    ),
    (
        lambda: layers.GroupNorm(2, 4)(np.ones((4, 6))),
        "GroupNorm(2, 4) needs input of shape (N, 4, ...), got (4, 6). Check the layer before it.",
    ),
    (
        lambda: layers.LayerNorm((2, 3))(np.ones((4, 3))),
        "LayerNorm((2, 3)) needs input whose last axes have sizes (2, 3), got shape (4, 3). Check the layer before it.",
    ),
    (
        lambda: layers.RMSNorm(3)(np.ones(())),
        "RMSNorm((3,)) needs input whose last axes have sizes (3,), got shape (). Check the layer before it.",
    ),
]
MESSAGES = [(call, ValueError, text) for call, text in MESSAGES]


@pytest.mark.parametrize(("call", "kind", "text"), MESSAGES, ids=[text[:60] for _, _, text in MESSAGES])
def test_text_of_the_error(call, kind, text):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == text


def test_every_error_has_an_entry():
    assert not unreached(layers.normalisation, MESSAGES) + unreached(layers.group_normalisation, MESSAGES)


def test_sizes_and_groups_may_be_one_and_eps_zero():
    assert layers.BatchNorm(1, eps=0.0)(np.array([[1.0], [2.0]])).shape == (2, 1)
    assert layers.GroupNorm(1, 1, eps=0.0)(np.array([[[1.0, 2.0]]])).shape == (1, 1, 2)
    assert layers.RMSNorm(1, eps=0.0)(np.ones((2, 1))).shape == (2, 1)
    assert layers.LayerNorm(1)(np.ones((2, 1))).shape == (2, 1)
