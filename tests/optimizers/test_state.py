"""Further parameter groups, and the state of an optimizer: what is saved, how a run goes on from it, what is refused."""

import copy
import json
import pickle

import numpy as np
import pytest

from micrograd_plus import Tensor, optimizers

from ..raising import unreached

RNG = np.random.default_rng(8)
SHAPES = [(3, 4), (5,), ()]
START = [RNG.normal(size=shape).astype(np.float32) for shape in SHAPES]
GRADIENTS = [[RNG.normal(size=shape).astype(np.float32) for shape in SHAPES] for _ in range(12)]

OPTIMIZERS = [
    ("SGD", {"weight_decay": 0.1}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("Adam", {"weight_decay": 0.1}),
    ("AdamW", {"betas": (0.8, 0.95)}),
    ("RMSprop", {"alpha": 0.8}),
    ("RMSprop", {"momentum": 0.5}),
    ("Adagrad", {"lr_decay": 0.1, "initial_accumulator_value": 0.5}),
]


def made(name, settings, lr=0.05):
    """Parameters, and an optimizer of them in two groups."""
    p = [Tensor(x, requires_grad=True) for x in START]
    groups = [{"params": p[:2], "weight_decay": 0.2}, {"params": p[2:], "lr": 0.01}]
    return p, getattr(optimizers, name)(groups, lr=lr, **{"weight_decay": 0.0, **settings})


def train(p, optimizer, grads):
    """The second parameter is skipped at times, so that step counts differ."""
    for t, step in enumerate(grads):
        for i, (parameter, g) in enumerate(zip(p, step, strict=True)):
            parameter.grad = None if i == 1 and t % 3 == 0 else g
        optimizer.step()


def equal(a, b):
    """Whether two states are the same, bit for bit."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    return type(a) is type(b) and a == b


# -- the state -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "settings"), OPTIMIZERS)
def test_a_run_goes_on_bit_for_bit(name, settings):
    p, optimizer = made(name, settings)
    train(p, optimizer, GRADIENTS[:5])
    optimizer.param_groups[0]["lr"] = 0.125
    saved, weights = optimizer.state_dict(), [x.data.copy() for x in p]
    q, other = made(name, settings, lr=1.0)
    for x, array in zip(q, weights, strict=True):
        x.data[...] = array
    other.load_state_dict(copy.deepcopy(saved))
    assert equal(other.state_dict(), saved)
    train(p, optimizer, GRADIENTS[5:])
    train(q, other, GRADIENTS[5:])
    for x, y in zip(p, q, strict=True):
        np.testing.assert_array_equal(x.data, y.data)
    assert equal(other.state_dict(), optimizer.state_dict())
    assert not equal(optimizer.state_dict(), saved)


def test_the_shape_of_a_state_is_pytorchs():
    p, optimizer = made("SGD", {"momentum": 0.5})
    train(p, optimizer, GRADIENTS[:1])
    saved = optimizer.state_dict()
    assert list(saved) == ["state", "param_groups"]
    assert saved["param_groups"] == [
        {"lr": 0.05, "momentum": 0.5, "weight_decay": 0.2, "nesterov": False, "params": [0, 1]},
        {"lr": 0.01, "momentum": 0.5, "weight_decay": 0.0, "nesterov": False, "params": [2]},
    ]
    assert list(saved["state"]) == [0, 2]  # the second parameter had no gradient
    assert saved["state"][0]["step"] == 1
    np.testing.assert_array_equal(saved["state"][2]["velocity"], GRADIENTS[0][2])


@pytest.mark.parametrize(("name", "settings"), OPTIMIZERS)
def test_a_state_is_a_copy_both_ways(name, settings):
    p, optimizer = made(name, settings)
    train(p, optimizer, GRADIENTS[:3])
    saved = optimizer.state_dict()
    before = copy.deepcopy(saved)
    train(p, optimizer, GRADIENTS[3:6])
    assert equal(saved, before)
    q, other = made(name, settings)
    other.load_state_dict(saved)
    train(q, other, GRADIENTS[:3])
    other.param_groups[0]["lr"] = 5.0
    assert equal(saved, before)


def test_arrays_that_exist_are_written_into_and_others_dropped():
    p, optimizer = made("Adam", {})
    train(p, optimizer, GRADIENTS[:2])
    saved = optimizer.state_dict()
    train(p, optimizer, GRADIENTS[2:5])
    held = {x: (state, state["m"], state["v"]) for x, state in optimizer.state.items()}
    optimizer.load_state_dict(saved)
    for x, (state, m, v) in held.items():
        assert optimizer.state[x] is state
        assert state["m"] is m
        assert state["v"] is v
    assert equal(optimizer.state_dict(), saved)
    fresh = made("Adam", {})[1].state_dict()
    assert fresh["state"] == {}
    optimizer.load_state_dict(fresh)
    assert optimizer.state == {}


def test_a_new_array_has_the_layout_and_dtype_of_its_parameter():
    p, optimizer = made("Adam", {})
    train(p, optimizer, GRADIENTS[:2])
    saved = optimizer.state_dict()
    q, other = made("Adam", {})
    q[0].data = np.asfortranarray(q[0].data)
    wide = {i: {k: v.astype(np.float64) if k in "mv" else v for k, v in state.items()} for i, state in saved["state"].items()}
    other.load_state_dict({**saved, "state": wide})
    assert other.state[q[0]]["m"].flags.f_contiguous
    assert other.state[q[0]]["m"].dtype == np.float32
    assert equal(other.state_dict(), saved)


def test_numbers_that_a_file_made_arrays_of_are_numbers_again():
    p, optimizer = made("AdamW", {})
    train(p, optimizer, GRADIENTS[:2])
    saved = optimizer.state_dict()
    arrays = {
        "state": {i: {k: np.asarray(v) for k, v in state.items()} for i, state in saved["state"].items()},
        "param_groups": [{k: np.asarray(v) for k, v in group.items()} for group in saved["param_groups"]],
    }
    q, other = made("AdamW", {})
    other.load_state_dict(arrays)
    assert equal(other.state_dict(), saved)
    assert type(other.param_groups[0]["lr"]) is float
    assert type(other.state[q[0]]["step"]) is int
    assert other.param_groups[0]["betas"] == (0.9, 0.999)
    p[0].grad = q[0].grad = GRADIENTS[2][0]
    q[0].data[...] = p[0].data
    optimizer.step()
    other.step()
    np.testing.assert_array_equal(p[0].data, q[0].data)


def test_arrays_that_a_file_made_lists_of_are_arrays_again():
    p, optimizer = made("RMSprop", {})
    train(p, optimizer, GRADIENTS[:2])
    saved = optimizer.state_dict()
    lists = {i: {k: v.tolist() if k == "v" else v for k, v in state.items()} for i, state in saved["state"].items()}
    other = made("RMSprop", {})[1]
    other.load_state_dict({**saved, "state": lists})
    assert equal(other.state_dict(), saved)


def test_settings_set_to_arrays_are_saved_as_numbers():
    optimizer = made("AdamW", {"betas": [np.float32(0.5), 0.75]})[1]
    optimizer.lr = np.float64(0.25)
    group = optimizer.state_dict()["param_groups"][0]
    assert group["betas"] == (0.5, 0.75)
    assert {type(group["lr"]), *map(type, group["betas"])} == {float}


def test_a_state_goes_through_pickle_and_without_moments_through_json():
    p, optimizer = made("RMSprop", {"momentum": 0.5})
    train(p, optimizer, GRADIENTS[:2])
    saved = optimizer.state_dict()
    assert equal(pickle.loads(pickle.dumps(saved)), saved)
    groups = optimizers.Adam([Tensor(1.0, requires_grad=True)]).state_dict()["param_groups"]
    other = optimizers.Adam([Tensor(1.0, requires_grad=True)], lr=1.0)
    other.load_state_dict({"state": {}, "param_groups": json.loads(json.dumps(groups))})
    assert other.lr == 0.001
    assert other.param_groups[0]["betas"] == (0.9, 0.999)


def test_momentum_turned_on_before_saving_starts_at_zeros():
    p, optimizer = made("SGD", {})
    train(p, optimizer, GRADIENTS[:2])
    for group in optimizer.param_groups:
        group["momentum"] = 0.5
    saved = optimizer.state_dict()
    np.testing.assert_array_equal(saved["state"][0]["velocity"], np.zeros((3, 4)))
    q, other = made("SGD", {})
    for x, y in zip(q, p, strict=True):
        x.data[...] = y.data
    other.load_state_dict(saved)
    train(p, optimizer, GRADIENTS[2:4])
    train(q, other, GRADIENTS[2:4])
    np.testing.assert_array_equal(p[0].data, q[0].data)


def test_momentum_turned_off_before_saving_keeps_its_velocity():
    p, optimizer = made("RMSprop", {"momentum": 0.5})
    train(p, optimizer, GRADIENTS[:2])
    for group in optimizer.param_groups:
        group["momentum"] = 0.0
    saved = optimizer.state_dict()
    q, other = made("RMSprop", {})
    other.load_state_dict(saved)
    assert equal(other.state_dict(), saved)
    assert "velocity" in other.state[q[0]]


# -- groups --------------------------------------------------------------------------------------------------------------


def test_a_group_may_be_added_between_steps():
    first, second = Tensor([1.0], requires_grad=True), Tensor([1.0], requires_grad=True)
    optimizer = optimizers.SGD([first], lr=0.5, momentum=0.5)
    first.grad = second.grad = [1.0]
    optimizer.step()
    optimizer.add_param_group({"params": second, "lr": 0.25})
    optimizer.step()
    np.testing.assert_array_equal(first.data, [1 - 0.5 - 0.75])
    np.testing.assert_array_equal(second.data, [0.75])
    added = {"lr": 0.25, "momentum": 0.5, "weight_decay": 0.0, "nesterov": False}
    assert {k: v for k, v in optimizer.param_groups[1].items() if k != "params"} == added
    assert optimizer.param_groups[1]["params"] == [second]
    assert optimizer.defaults["lr"] == 0.5


def test_the_group_given_is_not_changed():
    p = Tensor([1.0], requires_grad=True)
    group = {"params": [p]}
    optimizer = optimizers.SGD([Tensor([1.0], requires_grad=True)])
    optimizer.add_param_group(group)
    assert group == {"params": [p]}
    optimizer.param_groups[1]["params"].append(3)
    assert len(group["params"]) == 1


P = Tensor([1.0, 2.0], requires_grad=True)


@pytest.mark.parametrize("group", [{"params": [P]}, {"params": [Tensor([1.0])] * 2}, {"params": [], "lr": -1}, {"params": [], "beta": 1}])
def test_a_group_that_is_refused_changes_nothing(group):
    optimizer = optimizers.SGD([P])
    with pytest.raises(ValueError):
        optimizer.add_param_group(group)
    assert [g["params"] for g in optimizer.param_groups] == [[P]]


# -- messages ------------------------------------------------------------------------------------------------------------


def loading(*changes, name="Adam", settings=None):
    """A call that loads a state, changed by functions, into the optimizer that it is of; the optimizer must stay as it was."""

    def call():
        p, optimizer = made(name, settings or {})
        train(p, optimizer, GRADIENTS[:2])
        state, before = optimizer.state_dict(), optimizer.state_dict()
        for change in changes:
            change(state)
        try:
            optimizer.load_state_dict(state)
        finally:
            assert equal(optimizer.state_dict(), before)

    return call


def fit(name, *problems):
    return f"a state dict must fit this {name}: {'; '.join(problems)}. Make the optimizer as it was when it was saved."


MESSAGES = [
    (loading(lambda s: s.pop("param_groups")), ValueError, fit("Adam", "missing 'param_groups'")),
    (loading(lambda s: s.update(step=1)), ValueError, fit("Adam", "unexpected 'step'")),
    (loading(lambda s: s["param_groups"].pop()), ValueError, fit("Adam", "groups of [2] parameters, must be of [2, 1]")),
    (
        loading(lambda s: s["param_groups"][0]["params"].append(7)),
        ValueError,
        fit("Adam", "groups of [3, 1] parameters, must be of [2, 1]"),
    ),
    (loading(lambda s: s["param_groups"][1].pop("params")), ValueError, fit("Adam", "groups of [2, 0] parameters, must be of [2, 1]")),
    (
        loading(lambda s: s["param_groups"][1].pop("eps"), lambda s: s["param_groups"][1].update(momentum=0.5)),
        ValueError,
        fit("Adam", "group 1: missing 'eps'", "group 1: unexpected 'momentum'"),
    ),
    (
        loading(lambda s: s["param_groups"][1].update(lr=-1.0)),
        ValueError,
        fit("Adam", "group 1: lr of Adam must not be negative, got -1.0"),
    ),
    (
        loading(lambda s: s["param_groups"][0].update(momentum=0.0), name="SGD", settings={"momentum": 0.5, "nesterov": True}),
        ValueError,
        fit("SGD", "group 0: nesterov needs momentum > 0, got 0.0"),
    ),
    (loading(lambda s: s["state"].update({"0": {}})), ValueError, fit("Adam", "no parameter '0'")),
    (
        loading(lambda s: s["state"][0].pop("m"), lambda s: s["state"][0].update(exp_avg=1)),
        ValueError,
        fit("Adam", "parameter 0: missing 'm'", "parameter 0: unexpected 'exp_avg'"),
    ),
    (loading(lambda s: s["state"][2].pop("step")), ValueError, fit("Adam", "parameter 2: missing 'step'")),
    (
        loading(lambda s: s["state"][1].pop("velocity"), name="SGD", settings={"momentum": 0.5}),
        ValueError,
        fit("SGD", "parameter 1: missing 'velocity'"),
    ),
    (
        loading(
            lambda s: [group.update(momentum=0.5) for group in s["param_groups"]],
            lambda s: [s["state"].pop(i) for i in (0, 1)],
            name="SGD",
        ),
        ValueError,
        fit("SGD", "parameter 2: missing 'velocity'"),
    ),
    (
        loading(lambda s: s["param_groups"][0].pop("momentum"), name="SGD", settings={"momentum": 0.5}),
        ValueError,
        fit("SGD", "group 0: missing 'momentum'"),
    ),
    (
        loading(lambda s: s["state"][0].update(m=np.zeros((4, 3))), lambda s: s["state"][1].update(v=np.zeros(5, complex))),
        ValueError,
        fit("Adam", "parameter 0: 'm' has shape (4, 3), must be (3, 4)", "parameter 1: 'v' has dtype complex128, must be float32"),
    ),
    (
        loading(
            lambda s: s["param_groups"][0].update(eps=-1),
            lambda s: s["state"][0].update(m=np.zeros(2)),
            lambda s: s["state"].update({9: {}}),
        ),
        ValueError,
        fit(
            "Adam",
            "group 0: eps of Adam must not be negative, got -1",
            "parameter 0: 'm' has shape (2,), must be (3, 4)",
            "no parameter 9",
        ),
    ),
]


@pytest.mark.parametrize(("call", "kind", "text"), MESSAGES)
def test_text_of_the_error(call, kind, text):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == text


def test_every_error_has_an_entry():
    assert not unreached(optimizers.state, MESSAGES)
