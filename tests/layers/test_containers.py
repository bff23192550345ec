"""Modules that hold others: what is found in them, under which names, and the protocols of a list and a dict."""

import copy

import numpy as np
import pytest

from micrograd_plus import Tensor, layers, set_seed

from ..raising import unreached

close = np.testing.assert_allclose


def linear(size=2):
    return layers.Linear(size, size)


def names(module):
    return [name for name, _ in module.named_parameters()]


# -- Identity ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", [Tensor([1.0]), np.ones(2), [1], (1, 2), None])
def test_the_identity_is_what_it_is_given(x):
    assert layers.Identity()(x) is x
    assert layers.Identity(54, unused=True)(x) is x
    assert repr(layers.Identity(3)) == "Identity()"
    assert not layers.Identity(3).state_dict()


# -- ModuleList ----------------------------------------------------------------------------------------------------------


def test_a_module_list_is_a_list():
    a, b, c, d = (linear() for _ in range(4))
    modules = layers.ModuleList([a])
    modules.append(c)
    modules.insert(1, b)
    modules.extend(x for x in [d])
    assert list(modules) == [a, b, c, d]
    assert len(modules) == 4
    assert (modules[0], modules[-1], modules[np.int64(1)]) == (a, d, b)
    assert b in modules
    assert linear() not in modules
    assert modules.index(c) == 2
    assert list(reversed(modules)) == [d, c, b, a]
    assert modules.pop() is d
    assert modules.pop(0) is a
    modules.remove(b)
    modules += [a, b]
    assert list(modules) == [c, a, b]
    modules[0] = d
    del modules[1]
    assert list(modules) == [d, b]
    modules.reverse()
    modules[1:] = [a, c]
    assert list(modules) == [b, a, c]
    del modules[:2]
    assert list(modules) == [c]
    modules.clear()
    assert not modules
    with pytest.raises(IndexError):
        modules[0]
    assert isinstance(modules, layers.Module)


def test_a_slice_of_a_module_list_is_one_of_the_same_modules():
    modules = layers.ModuleList(linear() for _ in range(4))
    part = modules[1:3]
    assert type(part) is layers.ModuleList
    assert list(part) == [modules[1], modules[2]]
    part.append(linear())
    assert (len(part), len(modules)) == (3, 4)
    assert list(modules[::-1]) == list(reversed(modules))


def test_parameters_of_a_module_list_are_named_by_position():
    model = layers.Module()
    model.first = layers.ModuleList([linear(), layers.ReLU(), layers.BatchNorm(2)])
    model.second = layers.ModuleList([layers.ModuleList([linear()])])
    assert names(model.first) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert [name for name, _ in model.named_modules()] == ["", "first", "first.0", "first.1", "first.2", "second", "second.0", "second.0.0"]
    assert list(model.state_dict())[4:8] == [
        "first.2.running_mean",
        "first.2.running_var",
        "first.2.num_batches_tracked",
        "second.0.0.weight",
    ]
    assert not model.eval().second[0][0].training
    model.first.insert(0, linear(3))
    assert names(model.first)[:4] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    del model.first[0]
    assert names(model.first)[:2] == ["0.weight", "0.bias"]


def test_a_tied_module_in_a_list_counts_once():
    shared = linear()
    assert names(layers.ModuleList([shared, shared])) == ["0.weight", "0.bias"]


# -- ModuleDict ----------------------------------------------------------------------------------------------------------


def test_a_module_dict_is_a_dict():
    a, b, c = (linear() for _ in range(3))
    modules = layers.ModuleDict({"a": a})
    modules["b"] = b
    modules.update({"c": c}, d=a)
    assert list(modules) == list(modules.keys()) == ["a", "b", "c", "d"]
    assert list(modules.values()) == [a, b, c, a]
    assert list(modules.items()) == [("a", a), ("b", b), ("c", c), ("d", a)]
    assert len(modules) == 4
    assert "b" in modules
    assert "e" not in modules
    assert modules["c"] is c
    assert modules.get("e") is None
    assert modules.pop("b") is b
    assert modules.pop("b", None) is None
    del modules["d"]
    modules["a"] = c
    assert list(modules.items()) == [("a", c), ("c", c)]
    assert modules.setdefault("z", a) is a
    modules.clear()
    assert not modules
    with pytest.raises(KeyError):
        modules["a"]
    assert list(layers.ModuleDict([("x", a), ("y", b)])) == ["x", "y"]
    assert isinstance(modules, layers.Module)


def test_parameters_of_a_module_dict_are_named_by_key():
    model = layers.Module()
    model.heads = layers.ModuleDict({"keys": linear(), "training": layers.BatchNorm(2, track_running_stats=False), "_held": linear()})
    assert names(model) == [
        *("heads.keys.weight", "heads.keys.bias", "heads.training.weight", "heads.training.bias"),
        *("heads._held.weight", "heads._held.bias"),
    ]
    assert list(model.state_dict()) == names(model)
    assert not model.eval().heads["training"].training


def test_a_module_dict_is_equal_to_itself_alone_and_can_be_a_key():
    first, second = layers.ModuleDict(), layers.ModuleDict()
    assert first == first
    assert first != second
    assert len({first, second, layers.ModuleList()}) == 3


# -- both ----------------------------------------------------------------------------------------------------------------


class Blocks(layers.ModuleList):
    def __init__(self):
        self.scale = layers.Parameter([2.0])
        super().__init__([linear()])
        self.head = linear()
        self.register_buffer("steps", 0)

    def forward(self, x):
        for block in self:
            x = block(x)
        return self.head(x) * self.scale


def test_a_subclass_may_have_attributes_of_its_own():
    blocks = Blocks()
    assert names(blocks) == ["scale", "0.weight", "0.bias", "head.weight", "head.bias"]
    assert list(blocks.state_dict())[-1] == "steps"
    blocks(np.ones((1, 2))).sum().backward()
    assert all(p.grad.any() for p in blocks.parameters())


CONTAINERS = {
    "ModuleList": lambda: layers.ModuleList([linear(), layers.Sigmoid()]),
    "ModuleDict": lambda: layers.ModuleDict({"a": linear(), "b": layers.Sigmoid()}),
    "Residual": lambda: layers.Residual(linear(), layers.Sigmoid()),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_states_and_copies_of_a_container(name):
    set_seed(0)
    one, two = CONTAINERS[name](), CONTAINERS[name]()
    two.load_state_dict(one.state_dict())
    for key, array in one.state_dict().items():
        np.testing.assert_array_equal(two.state_dict()[key], array)
    twin = copy.deepcopy(one)
    twin.parameters()[0].data[...] = 9
    assert not (one.parameters()[0].data == 9).any()
    assert names(twin) == names(one)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (CONTAINERS["ModuleList"], "ModuleList(\n  0: Linear(2, 2)\n  1: Sigmoid()\n)"),
        (CONTAINERS["ModuleDict"], "ModuleDict(\n  a: Linear(2, 2)\n  b: Sigmoid()\n)"),
        (CONTAINERS["Residual"], "Residual(\n  layers: [Linear(2, 2), Sigmoid()]\n)"),
        (layers.ModuleList, "ModuleList()"),
        (layers.ModuleDict, "ModuleDict()"),
        (
            lambda: layers.ModuleList([CONTAINERS["ModuleDict"]()]),
            "ModuleList(\n  0: ModuleDict(\n    a: Linear(2, 2)\n    b: Sigmoid()\n  )\n)",
        ),
    ],
)
def test_repr_shows_what_a_container_holds(make, text):
    assert repr(make()) == text


# -- Residual ------------------------------------------------------------------------------------------------------------


def test_a_residual_adds_its_input_to_what_its_layers_make_of_it():
    block = layers.Residual(linear(), lambda x: x * 3, layers.Sigmoid())
    x = Tensor([[0.5, -1.0]], requires_grad=True)
    y = block(x)
    y.backward(np.array([[1.0, 2.0]]))
    w, b = block.layers[0].weight.data, block.layers[0].bias.data
    s = 1 / (1 + np.exp(-3 * (x.data @ w + b)))
    close(y.data, x.data + s, rtol=1e-5)
    g = np.array([[1.0, 2.0]])
    close(x.grad, g + (g * s * (1 - s) * 3) @ w.T, rtol=1e-4)
    assert names(block) == ["layers.0.weight", "layers.0.bias"]


def test_a_residual_takes_one_module_and_arrays():
    np.testing.assert_array_equal(layers.Residual(layers.ReLU())(np.array([-1.0, 2.0])).data, [-1, 4])


# -- errors --------------------------------------------------------------------------------------------------------------

HOLDS = "a {} holds Modules, got {}. Pass an instance of one, such as ReLU()."
LAYER = "a layer must be a Module or a function, got {}. Pass an instance, such as ReLU()."


def key(value):
    modules = layers.ModuleDict()
    modules[value] = linear()


def put(value):
    modules = layers.ModuleList([linear()])
    modules[0] = value


CALL = "a {} only holds Modules, so it can't be called. Call each of them, or use Sequential."
MESSAGES = [
    (lambda: layers.ModuleList([3]), TypeError, HOLDS.format("ModuleList", 3)),
    (lambda: put(None), TypeError, HOLDS.format("ModuleList", None)),
    (lambda: layers.ModuleList().append(layers.ReLU), TypeError, HOLDS.format("ModuleList", layers.ReLU)),
    (lambda: layers.ModuleDict({"a": 3}), TypeError, HOLDS.format("ModuleDict", 3)),
    (lambda: key("a.b"), ValueError, "a key of a ModuleDict must be a name without a dot, got 'a.b'."),
    (lambda: key(""), ValueError, "a key of a ModuleDict must be a name without a dot, got ''."),
    (lambda: key(1), ValueError, "a key of a ModuleDict must be a name without a dot, got 1."),
    (lambda: layers.ModuleList([layers.ReLU()])(1.0), TypeError, CALL.format("ModuleList")),
    (lambda: layers.ModuleDict()(x=1.0), TypeError, CALL.format("ModuleDict")),
    (lambda: layers.Residual(), ValueError, "Residual needs at least one layer, got none."),
    (lambda: layers.Residual(layers.ReLU(), 3), TypeError, LAYER.format(3)),
    (lambda: layers.Residual(layers.ReLU), TypeError, LAYER.format(layers.ReLU)),
    (
        lambda: layers.Residual(layers.Linear(2, 1))(np.ones((4, 2))),
        ValueError,
        "the layers of Residual must keep the shape of their input, got (4, 2) and made (4, 1). "
        "Choose sizes that agree, or project x by a layer of its own.",
    ),
]


@pytest.mark.parametrize(("call", "kind", "text"), MESSAGES, ids=[text[:60] for _, _, text in MESSAGES])
def test_text_of_the_error(call, kind, text):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == text


def test_every_error_has_an_entry():
    assert not unreached(layers.containers, MESSAGES)


def test_a_slice_is_set_to_modules_alone():
    modules = layers.ModuleList([linear()])
    with pytest.raises(TypeError, match="a ModuleList holds Modules, got 3"):
        modules[:1] = [3]
    assert len(modules) == 1
