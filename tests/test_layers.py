"""Module's bookkeeping, and each layer against formulas written in NumPy."""

import copy
import inspect
import math

import numpy as np
import pytest

from micrograd_plus import Tensor, layers, no_grad, set_seed

RNG = np.random.default_rng(11)


STATISTICS = ["running_mean", "running_var", "num_batches_tracked"]


def names(module):
    return [name for name, _ in module.named_parameters()]


# -- Module: what is found, and under which name -------------------------------------------------------------------------


class Deep(layers.Module):
    """A module without super().__init__(), with modules and parameters in lists, tuples and dicts at several depths."""

    def __init__(self):
        self.scale = Tensor([1.0], requires_grad=True)
        self.blocks = [layers.Linear(2, 2), {"inner": [layers.Linear(2, 1, bias=False)]}]
        self.table = {"a": layers.LayerNorm(2), 7: Tensor([2.0], requires_grad=True)}
        self.pair = (layers.Embedding(3, 2), layers.ReLU())
        self.settings = {"size": 3, "name": "deep", "constant": Tensor([5.0]), "array": np.zeros(2)}


def test_parameters_are_found_at_any_depth_in_order_of_assignment():
    module = Deep()
    assert names(module) == [
        "scale",
        "blocks.0.weight",
        "blocks.0.bias",
        "blocks.1.inner.0.weight",
        "table.a.weight",
        "table.a.bias",
        "table.7",
        "pair.0.weight",
    ]
    assert all(isinstance(p, layers.Parameter) for p in module.parameters())
    assert type(module.parameters()) is list
    assert list(module.state_dict()) == names(module)


def test_what_is_appended_to_a_list_or_dict_later_is_found_too():
    module = Deep()
    module.blocks.append(layers.Linear(1, 1, bias=False))
    module.blocks[1]["late"] = Tensor([3.0], requires_grad=True)
    module.table["b"] = [Tensor([4.0], requires_grad=True)]
    found = names(module)
    assert {"blocks.2.weight", "blocks.1.late", "table.b.0"} <= set(found)
    assert found.index("blocks.1.late") < found.index("blocks.2.weight") < found.index("table.b.0")
    module.blocks.pop()
    assert "blocks.2.weight" not in names(module)


def test_a_tensor_that_requires_a_gradient_becomes_a_parameter_and_stays_the_same_object():
    module, tensor, constant = layers.Module(), Tensor([1.0], requires_grad=True), Tensor([1.0])
    module.w, module.c = tensor, constant
    assert module.w is tensor
    assert isinstance(tensor, layers.Parameter)
    assert not isinstance(constant, layers.Parameter)
    assert names(module) == ["w"]


def test_intermediate_results_and_arrays_are_no_parameters():
    class Net(layers.Module):
        def __init__(self):
            self.fc = layers.Linear(2, 2)
            self.history = []

        def forward(self, x):
            self.hidden = self.fc(x).relu()
            self.history.append(self.hidden)
            self.last = {"input": x}
            return self.hidden.sum()

    net = Net()
    net(Tensor([[1.0, 2.0]])).backward()
    assert names(net) == ["fc.weight", "fc.bias"]
    assert list(net.state_dict()) == names(net)
    assert net.hidden.grad is not None


def test_reassigning_an_attribute_replaces_the_parameter():
    module = layers.Linear(2, 3)
    module.weight = Tensor(np.ones((2, 3)), requires_grad=True)
    module.bias = None
    assert names(module) == ["weight"]
    np.testing.assert_array_equal(module(np.ones((1, 2))).data, [[2, 2, 2]])
    del module.weight
    assert names(module) == []


@pytest.mark.parametrize("value", [np.ones((2, 3)), Tensor(np.ones((2, 3))), [[1.0] * 3] * 2, 1.0])
def test_a_parameter_gives_way_to_no_constant(value):
    module = layers.Linear(2, 3)
    weight = module.weight
    with pytest.raises(TypeError, match="weight of Linear is a Parameter, so it can only become another or None"):
        module.weight = value
    assert module.weight is weight
    with pytest.raises(TypeError, match="got Tensor, which would not be trained"):
        module.weight = weight * 2
    module.weight.requires_grad = False
    module.bias = weight  # frozen, it is a parameter all the same
    module.weight = layers.ReLU()
    assert names(module) == ["bias"]


def test_a_tied_weight_counts_once_under_its_first_name_and_gets_the_sum_of_its_gradients():
    class Tied(layers.Module):
        def __init__(self):
            self.encoder = layers.Linear(2, 2, bias=False)
            self.decoder = layers.Linear(2, 2, bias=False)
            self.decoder.weight = self.encoder.weight
            self.again = [self.encoder]

        def forward(self, x):
            return self.decoder(self.encoder(x))

    model = Tied()
    model.encoder.weight.data[...] = [[1, 2], [3, 4]]
    assert names(model) == ["encoder.weight"]
    assert len(model.parameters()) == 1
    x = np.float32([[1, -1]])
    model(x).sum().backward()
    w = model.encoder.weight.data
    g = np.ones((1, 2))
    np.testing.assert_allclose(model.encoder.weight.grad, (x @ w).T @ g + x.T @ (g @ w.T))
    assert model.decoder.weight is model.encoder.weight


def test_freezing_changes_neither_parameters_nor_the_state():
    model = layers.Linear(2, 3)
    before = names(model), list(model.state_dict())
    model.weight.requires_grad = False
    assert (names(model), list(model.state_dict())) == before
    assert len(model.parameters()) == 2
    model(np.ones((1, 2))).sum().backward()
    assert model.weight.grad is None
    np.testing.assert_array_equal(model.bias.grad, [1, 1, 1])


def test_cyclic_references_between_modules_end():
    parent, child = layers.Linear(1, 1), layers.Linear(1, 1, bias=False)
    parent.child, child.parent, parent.itself = child, parent, [parent]
    assert names(parent) == ["weight", "bias", "child.weight"]
    assert names(child) == ["weight", "parent.weight", "parent.bias"]
    assert not parent.eval().child.training
    assert "Linear" in repr(parent)
    twin = copy.deepcopy(parent)
    assert twin.child.parent is twin


def test_named_modules_names_each_module_once():
    module = Deep()
    found = dict(module.named_modules())
    assert list(found) == ["", "blocks.0", "blocks.1.inner.0", "table.a", "pair.0", "pair.1"]
    assert found[""] is module
    assert found["pair.1"] is module.pair[1]


def test_train_and_eval_reach_every_module_and_return_it():
    module = Deep()
    assert module.training
    assert module.eval() is module
    assert [m.training for _, m in module.named_modules()] == [False] * 6
    assert module.train() is module
    assert [m.training for _, m in module.named_modules()] == [True] * 6
    module.train(False)
    assert not module.blocks[1]["inner"][0].training


def test_zero_grad_makes_gradients_read_as_zeros():
    model = layers.Linear(2, 3)
    model(np.ones((1, 2))).sum().backward()
    assert model.weight.grad.any()
    model.zero_grad()
    np.testing.assert_array_equal(model.weight.grad, np.zeros((2, 3)))
    np.testing.assert_array_equal(model.bias.grad, np.zeros(3))


def test_call_passes_arguments_to_forward():
    class Scale(layers.Module):
        def forward(self, x, *, by):
            return x * by

    assert Scale()(3, by=2) == 6


def test_a_parameter_requires_a_gradient_unless_told_otherwise():
    assert layers.Parameter([1.0]).requires_grad
    assert not layers.Parameter([1.0], requires_grad=False).requires_grad
    assert layers.Parameter([1.0], dtype=np.float64).dtype == np.float64
    module = layers.Module()
    module.frozen = layers.Parameter([1.0], requires_grad=False)
    assert names(module) == ["frozen"]


# -- buffers -------------------------------------------------------------------------------------------------------------


def test_buffers_belong_to_the_state_and_are_not_trained():
    module = layers.Module()
    table = np.arange(3.0)
    module.register_buffer("table", table)
    module.weight = layers.Parameter([1.0])
    table[0] = 9
    assert list(module.state_dict()) == ["table", "weight"]
    assert names(module) == ["weight"]
    assert [name for name, _ in module.named_buffers()] == ["table"]
    np.testing.assert_array_equal(module.table, [0, 1, 2])


def test_buffers_of_nested_modules_have_dotted_names():
    module = layers.Module()
    module.norms = [layers.BatchNorm(2), layers.BatchNorm(3)]
    assert [name for name, _ in module.named_buffers()] == [f"norms.{i}.{name}" for i in (0, 1) for name in STATISTICS]


@pytest.mark.parametrize("value", [np.float32([5, 6]), Tensor([5.0, 6.0]), [5.0, 6.0]])
def test_a_buffer_may_be_assigned_anew(value):
    module = layers.BatchNorm(2)
    module.running_mean = value
    np.testing.assert_array_equal(module.state_dict()["running_mean"], [5, 6])
    np.testing.assert_allclose(module.eval()(np.float32([[5, 6]])).data, [[0, 0]], atol=1e-6)
    module.load_state_dict(layers.BatchNorm(2).state_dict())
    np.testing.assert_array_equal(module.state_dict()["running_mean"], [0, 0])


def test_a_buffer_keeps_the_array_of_a_tensor():
    module = layers.Module()
    module.register_buffer("steps", Tensor(np.arange(3)))
    assert module.steps.dtype == np.int64
    assert isinstance(module.steps, np.ndarray)


# -- state dicts ---------------------------------------------------------------------------------------------------------


def model_with_buffers():
    model = layers.Module()
    model.fc, model.norm = layers.Linear(2, 3), layers.BatchNorm(3)
    return model


def test_a_state_dict_holds_copies():
    model = model_with_buffers()
    state = model.state_dict()
    state["fc.weight"][...] = 99
    state["norm.running_mean"][...] = 99
    assert not (model.fc.weight.data == 99).any()
    assert not (model.norm.running_mean == 99).any()


def test_loading_writes_into_the_arrays_that_the_model_has():
    source, target = model_with_buffers(), model_with_buffers()
    source.norm.running_var[...] = 4
    held = target.fc.weight.data, target.norm.running_var
    target.load_state_dict(source.state_dict())
    assert target.fc.weight.data is held[0]
    assert target.norm.running_var is held[1]
    for name, array in source.state_dict().items():
        np.testing.assert_array_equal(target.state_dict()[name], array)


def test_a_state_may_hold_tensors_lists_and_other_floating_dtypes():
    model = layers.Linear(1, 2)
    model.load_state_dict({"weight": Tensor([[1.0, 2.0]], requires_grad=True), "bias": [3, 4]})
    np.testing.assert_array_equal(model.weight.data, [[1, 2]])
    model.load_state_dict({"weight": np.array([[5.0, 6.0]]), "bias": np.float16([7, 8])})
    np.testing.assert_array_equal(model.bias.data, [7, 8])
    assert model.weight.dtype == model.bias.dtype == np.float32


def spoiled(**changes):
    state = {name: array + 1 for name, array in model_with_buffers().state_dict().items()}
    for name, value in changes.items():
        key = name.replace("__", ".")
        if value is None:
            del state[key]
        else:
            state[key] = value
    return state


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        (spoiled(norm__running_var=None), "missing 'norm.running_var'"),
        (spoiled(extra=np.zeros(1)), "unexpected 'extra'"),
        (spoiled(norm__bias=np.zeros(4)), "'norm.bias' has shape (4,), must be (3,)"),
        (spoiled(norm__running_mean=np.zeros((3, 1))), "'norm.running_mean' has shape (3, 1), must be (3,)"),
        (spoiled(norm__running_var=np.float32(1)), "'norm.running_var' has shape (), must be (3,)"),
        (spoiled(norm__running_var=np.array(["a", "b", "c"])), "'norm.running_var' has dtype <U1, must be float32"),
        (spoiled(norm__running_var=np.array([1j, 0, 0])), "'norm.running_var' has dtype complex128, must be float32"),
        (spoiled(norm__running_var=np.array([None, 0, 0])), "'norm.running_var' has dtype object, must be float32"),
    ],
)
def test_nothing_is_written_from_a_state_that_differs(state, problem):
    model = model_with_buffers()
    before = model.state_dict()
    with pytest.raises(ValueError) as error:
        model.load_state_dict(state)
    assert problem in str(error.value)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_all_differences_of_a_state_are_listed():
    with pytest.raises(ValueError) as error:
        layers.Linear(2, 3).load_state_dict({"weight": np.zeros((3, 2)), "biass": np.zeros(3)})
    assert str(error.value) == (
        "a state dict must have this module's names and shapes: missing 'bias'; unexpected 'biass'; "
        "'weight' has shape (3, 2), must be (2, 3). Build the same model first."
    )


# -- copies --------------------------------------------------------------------------------------------------------------


def test_a_deep_copy_is_independent_and_keeps_ties_and_freezing():
    model = layers.Module()
    model.a, model.b, model.norm = layers.Linear(2, 2), layers.Linear(2, 2), layers.BatchNorm(2)
    model.b.weight = model.a.weight
    model.a.bias.requires_grad = False
    model.eval()
    model.b(model.a(np.ones((1, 2)))).sum().backward()
    twin = copy.deepcopy(model)
    assert twin.b.weight is twin.a.weight is not model.a.weight
    assert names(twin) == names(model)
    assert not twin.a.bias.requires_grad
    assert not twin.norm.training
    np.testing.assert_array_equal(twin.a.weight.grad, model.a.weight.grad)
    twin.a.weight.data[...] = 7
    twin.a.weight.grad[...] = 7
    twin.norm.running_mean[...] = 7
    assert not (model.a.weight.data == 7).any()
    assert not (model.a.weight.grad == 7).any()
    assert not (model.norm.running_mean == 7).any()
    assert isinstance(twin.a.weight, layers.Parameter)


# -- repr ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (lambda: layers.Linear(2, 3), "Linear(2, 3)"),
        (lambda: layers.Linear(2, 3, bias=False), "Linear(2, 3, bias=False)"),
        (lambda: layers.ReLU(), "ReLU()"),
        (lambda: layers.LeakyReLU(0.2), "LeakyReLU(negative_slope=0.2)"),
        (lambda: layers.ELU(2.0), "ELU(alpha=2.0)"),
        (lambda: layers.Softmax(), "Softmax(axis=-1)"),
        (lambda: layers.LogSoftmax(1), "LogSoftmax(axis=1)"),
        (lambda: layers.GELU(), "GELU(approximate='none')"),
        (lambda: layers.GELU("tanh"), "GELU(approximate='tanh')"),
        (lambda: layers.Dropout(0.3), "Dropout(p=0.3)"),
        (lambda: layers.Dropout2d(0.3), "Dropout2d(p=0.3)"),
        (lambda: layers.BatchNorm(4), "BatchNorm(4, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)"),
        (lambda: layers.LayerNorm((2, 3)), "LayerNorm((2, 3), eps=1e-05, elementwise_affine=True, bias=True)"),
        (lambda: layers.Embedding(5, 2), "Embedding(5, 2)"),
        (lambda: layers.Embedding(5, 2, -1), "Embedding(5, 2, padding_idx=4)"),
        (lambda: layers.Flatten(), "Flatten(start_dim=1)"),
    ],
)
def test_repr_of_a_layer_says_its_settings(layer, text):
    assert repr(layer()) == text


def test_repr_of_a_module_shows_its_modules():
    module = layers.Module()
    module.size, module.fc, module.act = 3, layers.Linear(1, 2), layers.ReLU()
    assert repr(module) == "Module(\n  fc: Linear(1, 2)\n  act: ReLU()\n)"
    module = layers.Module()
    module.blocks, module.table, module.none = [layers.ReLU()], {"a": layers.Tanh()}, []
    assert repr(module) == "Module(\n  blocks: [ReLU()]\n  table: {'a': Tanh()}\n)"


# -- Linear --------------------------------------------------------------------------------------------------------------


def test_linear_starts_with_xavier_weights_and_zero_bias():
    set_seed(0)
    layer = layers.Linear(300, 100)
    assert layer.weight.shape == (300, 100)
    assert abs(layer.weight.data.std() / math.sqrt(2 / 400) - 1) < 0.02
    np.testing.assert_array_equal(layer.bias.data, np.zeros(100))
    assert layer.weight.dtype == layer.bias.dtype == np.float32


def test_linear_computes_x_weight_plus_bias():
    layer = layers.Linear(3, 2)
    layer.bias.data[...] = [1, -1]
    x = RNG.normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_allclose(layer(x).data, x @ layer.weight.data + [1, -1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer(Tensor(x)).data, layer(x).data)
    np.testing.assert_allclose(layer(x.tolist()).data, layer(x).data)
    np.testing.assert_allclose(layer(x[0]).data, layer(x).data[0], rtol=1e-5, atol=1e-6)


def test_linear_without_bias():
    layer = layers.Linear(3, 2, bias=False)
    assert layer.bias is None
    assert names(layer) == ["weight"]
    x = RNG.normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_allclose(layer(x).data, x @ layer.weight.data, rtol=1e-5, atol=1e-6)


def test_linear_takes_an_initializer_and_a_generator():
    layer = layers.Linear(3, 2, initializer=lambda shape, generator: np.full(shape, 0.5))
    np.testing.assert_array_equal(layer.weight.data, np.full((3, 2), 0.5))
    one, two = (layers.Linear(3, 2, generator=np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(one.weight.data, two.weight.data)


@pytest.mark.parametrize("sizes", [(1, 1), (1, 2), (2, 1)])
def test_linear_may_have_size_one(sizes):
    assert layers.Linear(*sizes)(np.ones((2, sizes[0]))).shape == (2, sizes[1])


# -- activations ---------------------------------------------------------------------------------------------------------

X = np.float64([[-3.0, -0.5, 0.25], [0.5, 1.0, 4.0]])
ERF = np.vectorize(math.erf)


def softmax(x, axis):
    return np.exp(x) / np.exp(x).sum(axis, keepdims=True)


ACTIVATIONS = {
    "ReLU": (lambda: layers.ReLU(), lambda x: np.maximum(x, 0)),
    "LeakyReLU": (lambda: layers.LeakyReLU(), lambda x: np.where(x > 0, x, 0.01 * x)),
    "LeakyReLU(0.3)": (lambda: layers.LeakyReLU(0.3), lambda x: np.where(x > 0, x, 0.3 * x)),
    "ELU": (lambda: layers.ELU(), lambda x: np.where(x > 0, x, np.exp(x) - 1)),
    "ELU(0.3)": (lambda: layers.ELU(0.3), lambda x: np.where(x > 0, x, 0.3 * (np.exp(x) - 1))),
    "GELU": (lambda: layers.GELU(), lambda x: x * (1 + ERF(x / math.sqrt(2))) / 2),
    "GELU by tanh": (
        lambda: layers.GELU(approximate="tanh"),
        lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
    ),
    "SiLU": (lambda: layers.SiLU(), lambda x: x / (1 + np.exp(-x))),
    "Sigmoid": (lambda: layers.Sigmoid(), lambda x: 1 / (1 + np.exp(-x))),
    "Tanh": (lambda: layers.Tanh(), np.tanh),
    "Softplus": (lambda: layers.Softplus(), lambda x: np.log(1 + np.exp(x))),
    "Softmax": (lambda: layers.Softmax(), lambda x: softmax(x, -1)),
    "Softmax(0)": (lambda: layers.Softmax(axis=0), lambda x: softmax(x, 0)),
    "LogSoftmax": (lambda: layers.LogSoftmax(), lambda x: np.log(softmax(x, -1))),
    "LogSoftmax(0)": (lambda: layers.LogSoftmax(axis=0), lambda x: np.log(softmax(x, 0))),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_value_and_gradient_of_an_activation(name):
    make, formula = ACTIVATIONS[name]
    x, g, eps = Tensor(X, requires_grad=True), RNG.normal(size=X.shape), 1e-6
    y = make()(x)
    y.backward(g)
    expected = np.zeros_like(X)
    for index in np.ndindex(X.shape):
        step = np.zeros_like(X)
        step[index] = eps
        expected[index] = np.sum(g * (formula(X + step) - formula(X - step))) / (2 * eps)
    np.testing.assert_allclose(y.data, formula(X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(x.grad, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_takes_arrays_and_lists(name):
    make, formula = ACTIVATIONS[name]
    np.testing.assert_allclose(make()(X).data, formula(X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(make()([[-1, 2]]).data, formula(np.array([[-1.0, 2.0]])), rtol=1e-5, atol=1e-6)
    assert make()([[-1, 2]]).dtype == np.float32


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_an_activation_is_finite_far_from_zero(name, size):
    x = Tensor([[size, 0.0]], requires_grad=True)
    with np.errstate(all="raise", under="ignore"):
        y = ACTIVATIONS[name][0]()(x)
        y.sum().backward()
    assert np.isfinite(y.data).all()
    assert np.isfinite(x.grad).all()


# -- Dropout -------------------------------------------------------------------------------------------------------------


def test_dropout_drops_in_training_and_is_the_identity_in_evaluation():
    layer = layers.Dropout(0.25, generator=np.random.default_rng(0))
    x = Tensor(np.ones((100, 100)))
    y = layer(x).data
    assert abs((y == 0).mean() - 0.25) < 0.02
    np.testing.assert_allclose(y[y != 0], 1 / 0.75, rtol=1e-6)
    assert layer.eval()(x) is x
    assert (layer.train()(x).data == 0).any()


def test_dropout_is_a_half_by_default_and_follows_the_seed():
    assert layers.Dropout().p == 0.5
    outputs = []
    for _ in range(2):
        set_seed(5)
        outputs.append(layers.Dropout()(np.ones(50)).data)
    np.testing.assert_array_equal(*outputs)


def test_dropout2d_drops_channels_in_training_and_is_the_identity_in_evaluation():
    layer = layers.Dropout2d(0.25, generator=np.random.default_rng(0))
    x = Tensor(np.ones((40, 50, 2, 2)))
    y = layer(x).data
    assert abs((y == 0).mean() - 0.25) < 0.03
    np.testing.assert_array_equal(y, np.broadcast_to(y[..., :1, :1], y.shape))
    assert layer.eval()(x) is x
    assert layers.Dropout2d().p == 0.5


@pytest.mark.parametrize("p", [0, 1])
def test_dropout_of_nothing_and_of_everything(p):
    np.testing.assert_array_equal(layers.Dropout(p)(np.ones(5)).data, np.full(5, 1 - p))


# -- BatchNorm -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(8, 3), (4, 3, 2, 2)])
def test_batch_norm_uses_the_batch_in_training_and_the_running_statistics_in_evaluation(shape):
    layer = layers.BatchNorm(3, eps=1e-3, momentum=0.4)
    layer.weight.data[...], layer.bias.data[...] = [1, 2, 3], [4, 5, 6]
    x = RNG.normal(2, 3, shape)
    axes, channel = (0, *range(2, x.ndim)), (slice(None), *[None] * (x.ndim - 2))
    w, b = layer.weight.data[channel], layer.bias.data[channel]
    trained = layer(x).data
    np.testing.assert_allclose(
        trained, (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-3) * w + b, rtol=1e-4, atol=1e-5
    )
    mean, var = 0.4 * x.mean(axes), 0.6 + 0.4 * x.var(axes, ddof=1)
    np.testing.assert_allclose(layer.running_mean, mean, rtol=1e-5)
    np.testing.assert_allclose(layer.running_var, var, rtol=1e-5)
    evaluated = layer.eval()(x).data
    np.testing.assert_allclose(evaluated, (x - mean[channel]) / np.sqrt(var[channel] + 1e-3) * w + b, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.running_mean, mean, rtol=1e-5)


def test_batch_norm_starts_as_the_identity_in_evaluation_and_has_two_aliases():
    layer = layers.BatchNorm(2)
    assert (layer.eps, layer.momentum) == (1e-5, 0.1)
    assert layers.BatchNorm1d is layers.BatchNorm2d is layers.BatchNorm
    x = RNG.normal(size=(5, 2)).astype(np.float32)
    np.testing.assert_allclose(layer.eval()(x).data, x, rtol=1e-4)
    assert list(layer.state_dict()) == ["weight", "bias", *STATISTICS]


def test_batch_norm_takes_a_batch_of_one_in_evaluation_and_refuses_it_in_training():
    layer = layers.BatchNorm(2)
    with pytest.raises(ValueError, match=r"more than one value per channel .*, got input of shape \(1, 2\)"):
        layer(np.ones((1, 2)))
    assert layer.eval()(np.ones((1, 2))).shape == (1, 2)


def test_batch_norm_of_a_constant_channel_is_its_bias():
    layer = layers.BatchNorm(2)
    x = Tensor(np.full((4, 2), 3.0), requires_grad=True)
    y = layer(x)
    y.backward(RNG.normal(size=(4, 2)))
    np.testing.assert_array_equal(y.data, np.zeros((4, 2)))
    assert np.isfinite(x.grad).all()


def test_batch_norm_records_nothing_in_its_running_statistics():
    layer = layers.BatchNorm(2)
    layer(Tensor(RNG.normal(size=(4, 2)), requires_grad=True))
    assert isinstance(layer.running_mean, np.ndarray)
    assert layer.running_mean.dtype == layer.running_var.dtype == np.float32


# -- LayerNorm, Embedding, Flatten ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [4, (4,), (3, 4), [3, 4], np.int64(4)])
def test_layer_norm_standardises_each_example_alike_in_training_and_evaluation(shape):
    layer = layers.LayerNorm(shape, eps=1e-3)
    ndim = layer.weight.ndim
    layer.weight.data[...], layer.bias.data[...] = 2, 1
    x = RNG.normal(2, 3, (5, 3, 4))
    axes = tuple(range(3 - ndim, 3))
    expected = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-3) * 2 + 1
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.eval()(x).data, expected, rtol=1e-4, atol=1e-5)
    assert names(layer) == ["weight", "bias"]
    assert layers.LayerNorm(4).eps == 1e-5


def test_layer_norm_starts_with_weight_one_and_bias_zero():
    layer = layers.LayerNorm((2, 3))
    np.testing.assert_array_equal(layer.weight.data, np.ones((2, 3)))
    np.testing.assert_array_equal(layer.bias.data, np.zeros((2, 3)))


@pytest.mark.parametrize("indices", [[1, 4, 1], np.uint8([1, 4, 1]), Tensor([1.0, 4.0, 1.0]), np.array([[1, 4], [1, 0]])])
def test_embedding_looks_up_rows(indices):
    layer = layers.Embedding(5, 3)
    rows = np.asarray(indices.data if isinstance(indices, Tensor) else indices).astype(int)
    np.testing.assert_array_equal(layer(indices).data, layer.weight.data[rows])
    layer(indices).sum().backward()
    np.testing.assert_array_equal(layer.weight.grad, np.repeat(np.bincount(rows.ravel(), minlength=5)[:, None], 3, 1))


def test_embedding_starts_standard_normal():
    layer = layers.Embedding(200, 50, generator=np.random.default_rng(0))
    assert abs(layer.weight.data.std() - 1) < 0.02
    assert abs(layer.weight.data.mean()) < 0.02


@pytest.mark.parametrize(("padding_idx", "row"), [(0, 0), (2, 2), (-1, 4), (-5, 0), (4, 4)])
def test_the_vector_of_the_padding_starts_at_zero_and_stays(padding_idx, row):
    layer = layers.Embedding(5, 3, padding_idx, generator=np.random.default_rng(0))
    assert layer.padding_idx == row
    expected = layers.Embedding(5, 3, generator=np.random.default_rng(0)).weight.data
    expected[row] = 0
    np.testing.assert_array_equal(layer.weight.data, expected)
    layer(np.arange(5)).sum().backward()
    np.testing.assert_array_equal(layer.weight.grad, np.repeat(np.arange(5) != row, 3).reshape(5, 3))
    layer.weight.data[row] = 7  # a vector given by hand is looked up, as in PyTorch
    np.testing.assert_array_equal(layer([row]).data, [[7, 7, 7]])
    assert layers.Embedding(5, 3).padding_idx is None


def test_embedding_may_have_size_one():
    assert layers.Embedding(1, 1)([0, 0]).shape == (2, 1)


@pytest.mark.parametrize("rows", [5, 300])
@pytest.mark.parametrize("padding_idx", [None, 2])
def test_embedding_of_no_indices(rows, padding_idx):
    layer = layers.Embedding(rows, 3, padding_idx)
    vectors = layer(np.zeros((2, 0), int))
    assert vectors.shape == (2, 0, 3)
    vectors.sum().backward()
    np.testing.assert_array_equal(layer.weight.grad, np.zeros((rows, 3)))


@pytest.mark.parametrize(
    ("start_dim", "shape"),
    [(None, (2, 60)), (0, (120,)), (1, (2, 60)), (2, (2, 3, 20)), (3, (2, 3, 4, 5)), (-1, (2, 3, 4, 5)), (-2, (2, 3, 20)), (-4, (120,))],
)
def test_flatten_joins_the_axes_from_start_dim_on(start_dim, shape):
    x = Tensor(RNG.normal(size=(2, 3, 4, 5)), requires_grad=True)
    layer = layers.Flatten() if start_dim is None else layers.Flatten(start_dim)
    y = layer(x)
    assert y.shape == shape
    g = RNG.normal(size=shape)
    y.backward(g)
    np.testing.assert_array_equal(y.data.ravel(), x.data.ravel())
    np.testing.assert_allclose(x.grad, g.reshape(x.shape), rtol=1e-6)


@pytest.mark.parametrize(("start_dim", "shape"), [(1, (3,)), (2, (3, 4)), (-2, (3,)), (0, ())])
def test_flatten_refuses_an_input_without_the_axis(start_dim, shape):
    with pytest.raises(ValueError, match=rf"Flatten\(start_dim={start_dim}\) needs input that has this axis"):
        layers.Flatten(start_dim)(np.ones(shape))
    assert layers.Flatten(start_dim)(np.ones((3, 4, 5))).size == 60


def test_a_tuple_of_numbers_is_an_array_and_one_of_tensors_is_not():
    np.testing.assert_array_equal(layers.ReLU()((1.0, -1.0)).data, [1, 0])
    with pytest.raises(TypeError, match="a layer takes one Tensor, got a tuple of float and Tensor"):
        layers.ReLU()((1.0, Tensor(1.0)))


def test_flatten_takes_an_empty_batch():
    assert layers.Flatten()(np.zeros((0, 3, 4))).shape == (0, 12)


def test_default_settings():
    def defaults(layer):
        return [p.default for p in inspect.signature(layer).parameters.values() if p.default is not p.empty]

    assert defaults(layers.LeakyReLU) == [0.01]
    assert defaults(layers.ELU) == [1.0]
    assert defaults(layers.GELU) == ["none"]
    assert defaults(layers.Softmax) == defaults(layers.LogSoftmax) == [-1]
    assert defaults(layers.Flatten) == [1]
    assert defaults(layers.Linear)[0] is True


def test_layers_record_nothing_within_no_grad():
    with no_grad():
        assert not layers.Linear(2, 2)(np.ones((1, 2))).requires_grad
