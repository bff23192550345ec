"""`compile` does what the function does: when it traces again, what a call leaves, and what it takes and returns."""

import copy
import functools
import gc
import warnings
import weakref
from typing import NamedTuple

import numpy as np
import pytest

import micrograd_plus as mg
from micrograd_plus import SGD, Adam, AdamW, BatchNorm1d, CrossEntropyLoss, Dropout, Linear, MSELoss, Parameter, ReLU, Sequential, Tensor
from micrograd_plus.optimizers import StepLR, clip_grad_norm

pytest.importorskip("scipy", reason="compile() needs SciPy, of the extra 'compile'")
pytest.importorskip("threadpoolctl", reason="compile() needs threadpoolctl, of the extra 'compile'")


def batch(seed=0, n=8, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return Tensor(rng.standard_normal((n, 4)), dtype=dtype), Tensor(rng.standard_normal((n, 2)), dtype=dtype)


class World:
    """A model, an optimizer and a step of them, twice: one is compiled, one eager. `do` does the same to both."""

    def __init__(self, compiled, optimizer=Adam, zero=True, layers=None, clip=False, **settings):
        mg.set_seed(3)
        self.generator = np.random.default_rng(5)
        self.model = layers(self) if layers else Sequential(Linear(4, 6), ReLU(), Linear(6, 2))
        self.optimizer = optimizer(self.model.parameters(), **({"lr": 0.01} | settings))
        self.loss_fn = MSELoss()
        self.calls = 0
        model, loss_fn, optimizer, calls = self.model, self.loss_fn, self.optimizer, self

        def step(x, y):
            if zero:
                optimizer.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            if clip:
                clip_grad_norm(model.parameters(), 0.1)
            optimizer.step()
            return loss

        self.function = step
        self.step = mg.compile(step, threads=1, strict=True) if compiled else step
        del calls

    def left(self):
        """All that a call leaves."""
        p = self.model.parameters()
        return {
            "data": [x.data.copy() for x in p],
            "grad": [None if x._grad is None else x._grad.copy() for x in p],
            "buffers": [a.copy() for _, a in self.model.named_buffers()],
            "state": copy.deepcopy([self.optimizer.state.get(x) for x in p]),
            "lr": self.optimizer.lr,
        }


def agree(a, b, where=""):
    assert type(a) is type(b), where
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            agree(a[key], b[key], f"{where} {key}")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for i, pair in enumerate(zip(a, b, strict=True)):
            agree(*pair, f"{where} {i}")
    elif isinstance(a, Tensor):
        agree(a.data, b.data, where)
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype, where
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5, err_msg=where)
    elif isinstance(a, float):
        assert a == pytest.approx(b, rel=1e-4), where
    else:
        assert a == b, where


def follow(*actions, calls=6, size=8, **settings):
    """Run both worlds, with the actions in between; they agree after each call. The compiled world."""
    worlds = World(True, **settings), World(False, **settings)
    for action in (lambda w: None, *actions):
        for w in worlds:
            w.generator.bit_generator.state = np.random.default_rng(5).bit_generator.state
            action(w)
        for i in range(calls):
            x, y = batch(i, size)
            results = [w.step(x, y) for w in worlds]
            agree(*results, f"result of call {i}")
            agree(*[w.left() for w in worlds], f"after call {i}:")
    return worlds[0]


# -- guards ------------------------------------------------------------------------------------------------------------------


def replace_layer(w):
    mg.set_seed(9)
    w.model.layers[0] = Linear(4, 6)


def append_layer(w):
    mg.set_seed(9)
    w.model.add(Linear(2, 2))


def rebind(w):
    w.model[0].weight.data = w.model[0].weight.data * 2


def other_parameter(w):
    w.model[2].bias = Parameter(w.model[2].bias.data + 1)


def freeze(w):
    w.model[0].weight.requires_grad = False


def set_group(**values):
    return lambda w: w.optimizer.param_groups[0].update(values)


def load(w):
    state = w.optimizer.state_dict()
    for entry in state["state"].values():
        entry["step"] = 50
    w.optimizer.load_state_dict(state)


@pytest.mark.parametrize(
    ("action", "settings", "again"),
    [
        (append_layer, {}, 2),
        (rebind, {}, True),
        (freeze, {}, True),
        (set_group(betas=(0.5, 0.9)), {}, True),
        (set_group(weight_decay=0.1), {}, True),
        (set_group(momentum=0.9), {"optimizer": SGD}, True),
        (lambda w: w.optimizer.state.clear(), {}, True),
        (load, {}, False),
        (set_group(lr=0.5), {}, False),
        (lambda w: w.optimizer.zero_grad(), {}, False),
        (lambda w: w.model.parameters()[0].zero_grad(), {}, False),
    ],
    ids=["append", "rebind", "freeze", "betas", "decay", "momentum", "cleared", "loaded", "lr", "zero_grad", "one_zero_grad"],
)
def test_what_changes_outside_is_followed(action, settings, again):
    w = follow(action, **settings)
    assert w.step._count == 1 + again


@pytest.mark.parametrize("action", [replace_layer, other_parameter], ids=["layer", "parameter"])
def test_what_is_replaced_is_no_longer_trained_but_used(action):
    follow(action, optimizer=SGD)


def test_a_one_element_parameter_that_is_replaced_by_an_equal_one_is_seen():
    p = mg.Module()
    p.scale = Parameter([2.0])
    double = mg.compile(lambda x: x * p.scale, strict=True)
    x = Tensor([1.0, 2.0])
    for _ in range(5):
        assert double(x).data.tolist() == [2.0, 4.0]
    p.scale = Parameter([2.0])
    double(x)
    p.scale.data[...] = 3
    assert double(x).data.tolist() == [3.0, 6.0]


def test_shapes_and_dtypes_are_traced_once_each():
    w, v = World(True), World(False)
    for i in range(24):
        x, y = batch(i, (8, 5, 8, 3)[i % 4])
        agree(w.step(x, y), v.step(x, y))
    assert w.step._count == 3
    f = mg.compile(lambda x: x * 2 + 1, strict=True)
    for kind in (np.float32, np.float64, np.int64, np.float32, np.float64, np.int64):
        assert f(Tensor([1, 2], dtype=kind)).dtype == kind
        assert f(np.array([1, 2], kind)).tolist() == [3, 5]
    assert f._count == 6


def test_train_and_eval_alternate_without_new_traces():
    model = Sequential(Linear(4, 6), BatchNorm1d(6), Dropout(0.5, generator=np.random.default_rng(0)))
    f = mg.compile(lambda x: model(x), strict=True)
    x, _ = batch()
    for _ in range(6):
        model.train()
        assert (f(x).data == 0).any()
        model.eval()
        expected = model(x)
        agree(f(x), expected.detach())
    assert f._count == 2


@pytest.mark.parametrize("zero", [True, False], ids=["zero_grad", "accumulate"])
@pytest.mark.parametrize("optimizer", [SGD, Adam, AdamW])
def test_gradients_are_cleared_or_accumulated(zero, optimizer):
    w = follow(lambda w: w.optimizer.zero_grad(), zero=zero, optimizer=optimizer)
    assert w.step._count == (1 if zero else 2)  # accumulating: without gradients at first, and with


def test_a_function_that_is_called_without_gradients_each_time_is_traced_once():
    w, v = World(True, zero=False), World(False, zero=False)
    for i in range(8):
        for world in (w, v):
            world.optimizer.zero_grad()
        x, y = batch(i)
        agree(w.step(x, y), v.step(x, y))
        agree(w.left(), v.left())
    assert w.step._count == 1


def test_a_parameter_that_gets_no_gradient_is_not_updated():
    def layers(w):
        model = Sequential(Linear(4, 6), ReLU(), Linear(6, 2))
        model.unused = Linear(3, 3)
        return model

    follow(layers=layers, zero=False)
    follow(layers=layers)


def test_clipping_and_schedules_follow():
    worlds = World(True, clip=True), World(False, clip=True)
    schedules = [StepLR(w.optimizer, step_size=2, gamma=0.5) for w in worlds]
    for i in range(10):
        x, y = batch(i)
        agree(*[w.step(x, y) for w in worlds])
        for schedule in schedules:
            schedule.step()
        agree(*[w.left() for w in worlds])
    assert worlds[0].step._count == 1


def test_dropout_draws_what_eager_draws_and_p_is_followed():
    def layers(w):
        return Sequential(Linear(4, 64), Dropout(0.5, generator=w.generator), Linear(64, 2))

    w = follow(lambda w: setattr(w.model[1], "p", 0.1), layers=layers)
    assert w.step._count == 2


def test_running_statistics_follow():
    follow(optimizer=SGD, layers=lambda w: Sequential(Linear(4, 6), BatchNorm1d(6), Linear(6, 2)))


def test_no_grad_and_the_default_dtype_are_guards():
    layer = Linear(4, 2)
    f = mg.compile(lambda x: (layer(x) * mg.ones(2)).sum(), strict=True)
    x, _ = batch()
    with mg.no_grad():
        a = f(x), f(x)
    b = f(x), f(x)
    agree(a, b)
    h = mg.compile(lambda x: (layer(x).requires_grad, mg.ones(2).dtype.name, x + 1), strict=True)
    for _ in range(3):
        assert h(x)[:2] == (True, "float32")
        with mg.no_grad():
            assert h(x)[:2] == (False, "float32")
        with mg.default_dtype(np.float64):
            assert h(x)[:2] == (True, "float64")
    g = mg.compile(lambda x: x * Tensor([1.0]), strict=True)
    assert g(Tensor([1.0])).dtype == g(Tensor([1.0])).dtype == np.float32
    with mg.default_dtype(np.float64):
        assert g(Tensor([1.0])).dtype == g(Tensor([1.0])).dtype == np.float64


SCALE, MASK = 2.0, np.array([1.0, 1.0, 1.0], np.float32)


def test_globals_closures_and_arrays_that_change_are_followed(monkeypatch):
    offset, inner = 1.0, np.ones(3, np.float32)
    held = [np.ones(3, np.float32)]
    fixed = (np.ones(3, np.float32),)

    def f(x):
        return x * SCALE * MASK[::-1] + offset + inner * 2 + held[0] + fixed[0] * 3

    g, x = mg.compile(f, strict=True), Tensor([1.0, 2.0, 3.0])

    def check():
        for _ in range(5):
            agree(g(x), f(x))

    check()
    assert g._count == 1
    for array in (MASK, inner, held[0]):  # read where they are
        array[1] += 3
        check()
    assert g._count == 1
    fixed[0][2] = 7  # values are compared: a new trace
    check()
    inner = np.zeros(3, np.float32)
    check()
    held[0] = np.zeros(3, np.float32)
    check()
    offset = 5.0
    check()
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    check()
    monkeypatch.setitem(globals(), "MASK", np.array([5.0, 0.0, 1.0], np.float32))
    check()
    assert g._count == 7


class Scaled:
    factor = 2.0
    __slots__ = ("shift",)

    def __init__(self):
        self.shift = 1.0

    def apply(self, x):
        return self.helped(x) * self.factor + self.shift

    def helped(self, x):
        return x * SCALE


def test_classes_methods_and_slots_are_followed(monkeypatch):
    thing = Scaled()
    f, x = mg.compile(thing.apply, strict=True), Tensor([1.0])
    assert [f(x).item() for _ in range(5)] == [5.0] * 5
    thing.shift = 2.0
    assert f(x).item() == 6
    monkeypatch.setattr(Scaled, "factor", 3.0)
    assert f(x).item() == 8
    monkeypatch.setitem(globals(), "SCALE", 1.0)
    assert f(x).item() == 5


def test_traces_are_bounded_and_freed():
    f = mg.compile(lambda x: (x * 2).sum(), strict=True)
    gc.collect()
    gc.disable()
    try:
        steps = []
        for n in range(1, 14):
            x = mg.ones(n)
            assert f(x).item() == f(x).item() == 2 * n
            steps.append(weakref.ref(f.step))
        assert len(f._traces) == len(f._by_key) == 8
        assert [step() is None for step in steps] == [True] * 5 + [False] * 8
        f(mg.ones(6))  # used: the next to go is another
        f(mg.ones(20))
        assert steps[5]() is not None
        assert steps[6]() is None
    finally:
        gc.enable()


def test_a_function_that_is_traced_on_and_on_says_so():
    f = mg.compile(lambda x, n: x * n, strict=True)
    with pytest.warns(RuntimeWarning, match=r"has been traced 32 times.*Pass what changes as an array"):
        for n in range(32):
            f(Tensor([1.0]), float(n))


# -- what a call leaves ------------------------------------------------------------------------------------------------------


def test_arrays_of_parameters_are_the_same_and_kept_gradients_stay_as_they_were():
    w = World(True)
    p = w.model.parameters()
    arrays = [x.data for x in p]
    kept, copies = [], []
    for i in range(8):
        w.step(*batch(i))
        kept.append([x.grad for x in p])
        copies.append([x.grad.copy() for x in p])
        for before, then in zip(kept, copies, strict=True):
            agree(before, then)
    assert all(x.data is array for x, array in zip(p, arrays, strict=True))
    assert not any(np.shares_memory(a, b) for a in kept[-1] for b in kept[-2])


def test_a_gradient_that_nobody_keeps_is_written_in_place():
    w = World(True)
    x, y = batch()
    for _ in range(5):
        w.step(x, y)
    p = w.model.parameters()[0]
    where = p._grad.__array_interface__["data"][0]
    w.step(x, y)
    assert p._grad.__array_interface__["data"][0] == where
    view = p._grad[:1]  # a view keeps it
    before = view.copy()
    w.step(*batch(7))
    assert p._grad.__array_interface__["data"][0] != where
    agree(view, before)


class Pair(NamedTuple):
    first: object
    second: object


def test_results_of_every_kind():
    w = Parameter([1.0, 2.0])

    def f(x, a, *, extra=None):
        y = x * w
        return {
            "tensor": y, "array": (y * 2).data, "number": y.sum().item(), "tuple": (y + 1, [y - 1]), "pair": Pair(y, None), "text": "a",
            "constant": np.arange(3), "parameter": w, "argument": x, "given": a, "twice": y, "extra": extra, "sum": a + 1,
        }  # fmt: skip

    g, x, a = mg.compile(f, strict=True), Tensor([3.0, 4.0]), np.array([1, 2])
    for i in range(6):
        b = a + i
        result, expected = g(x, b, extra=[x, 1]), f(x, b, extra=[x, 1])
        agree({k: v for k, v in result.items() if k != "parameter"}, {k: v for k, v in expected.items() if k != "parameter"})
        assert result["parameter"] is w and result["argument"] is x and result["given"] is b
        assert isinstance(result["pair"], Pair) and type(result["number"]) is float
        assert not result["tensor"].requires_grad
        result["constant"][0] = 9  # a copy, so that the next call is not changed by it
    single = mg.compile(lambda x: None, strict=True)
    assert single(x) is single(x) is None


def test_results_of_several_calls_are_arrays_of_their_own():
    g, two = mg.compile(lambda x: x + 1, strict=True), [Tensor([float(i)]) for i in range(6)]
    assert [y.item() for y in [g(x) for x in two]] == [1, 2, 3, 4, 5, 6]
    f = mg.compile(lambda x: (x + 1, x.reshape(-1)), strict=True)
    for n in (3, 5000):
        xs = [Tensor(np.full(n, i, np.float32)) for i in range(6)]
        results = [f(x) for x in xs]
        for x, (a, b) in zip(xs, results, strict=True):
            assert (a.data == x.data + 1).all() and (b.data == x.data).all()


def test_arguments_that_require_gradients_get_and_accumulate_them():
    def f(x, zero):
        if zero:
            x.zero_grad()
        (x * x).sum().backward()

    for zero in (False, True):
        g = mg.compile(f, strict=True)
        a, b = Tensor([1.0, 2.0], requires_grad=True), Tensor([1.0, 2.0], requires_grad=True)
        for _ in range(7):
            f(a, zero)
            g(b, zero)
            agree(a.grad, b.grad)
        g(fresh := Tensor([5.0, 1.0], requires_grad=True), zero)
        assert fresh.grad.tolist() == [10.0, 2.0]


def test_arguments_of_every_kind():
    def f(items, table, n, name, flag, layer, *, scale):
        y = layer(items[0]) * n * scale["a"] + table["x"]["y"]
        return y.relu() if name == "relu" and flag else y

    g, layer = mg.compile(f, strict=True), Linear(4, 2)
    rng = np.random.default_rng(0)
    for i in range(12):
        x = Tensor(rng.standard_normal((3, 4)))
        args = ([x, "text"], {"x": {"y": rng.standard_normal((3, 2)).astype(np.float32)}}, 2, "relu" if i % 2 else "", True, layer)
        scale = {"a": np.float32(2)}
        agree(g(*args, scale=scale), f(*args, scale=scale).detach())
    assert g._count == 2


@pytest.mark.parametrize("kind", ["F", "strided", "big", "readonly", "unaligned", "memmap", "reversed"])
def test_odd_arrays_as_arguments(kind, tmp_path):
    f = lambda x: x * 2 + x.sum()  # noqa: E731
    g = mg.compile(f, strict=True)
    for i in range(6):
        x = np.random.default_rng(i).standard_normal((4, 6)).astype(np.float32)
        if kind == "F":
            x = np.asfortranarray(x)
        elif kind == "strided":
            x = x[::2, ::3]
        elif kind == "reversed":
            x = x[::-1]
        elif kind == "big":
            x = x.astype(">f4")
        elif kind == "readonly":
            x.flags.writeable = False
        elif kind == "unaligned":
            x = np.frombuffer(b"a" + x.tobytes(), np.float32, offset=1).reshape(4, 6)
        else:
            m = np.memmap(tmp_path / "x", np.float32, "w+", shape=(4, 6))
            m[...] = x
            x = m
        agree(np.asarray(g(x)), np.asarray(f(x)))
    assert g._count == 1


@pytest.mark.parametrize("kind", [Parameter, functools.partial(Tensor, requires_grad=True)], ids=["parameter", "tensor"])
def test_the_same_array_twice_and_a_parameter_as_an_argument(kind):
    w = kind([1.0, 2.0])

    def f(x, y):
        w.zero_grad()
        (x * y * w).sum().backward()
        return x + y

    worlds = []
    for h in (mg.compile(f, strict=True), f):
        w.data[...] = [1.0, 2.0]
        seen = []
        for x, y in [(w, w), (w, Tensor([3.0, 4.0])), (Tensor([3.0, 4.0]), w), (Tensor([1.0, 1.0]), Tensor([1.0, 1.0]))] * 5:
            seen.append((h(x, y).detach(), w.grad.copy()))
        x = Tensor([1.0, 3.0], requires_grad=True)
        for pair in [(x, x), (x, Tensor([3.0, 4.0])), (x, Tensor([3.0, 4.0], requires_grad=True))] * 5:
            x.zero_grad()
            seen.append((h(*pair).detach(), x.grad.copy(), w.grad.copy()))
        worlds.append(seen)
    agree(*worlds)


def test_an_argument_that_shares_memory_with_a_parameter():
    results = []
    for make in (lambda f: mg.compile(f, strict=True), lambda f: f):
        w = Parameter([1.0, 2.0, 3.0])
        optimizer = SGD([w], lr=0.1)

        def f(x, w=w, optimizer=optimizer):
            optimizer.zero_grad()
            (w * w).sum().backward()
            optimizer.step()
            return x * 2

        h = make(f)
        results.append([(np.asarray(h(w.data[::-1])).copy(), w.data.copy()) for _ in range(6)])
    agree(*results)


def test_gradients_that_are_cleared_at_the_end_are_gone():
    model = Linear(4, 2)
    optimizer = SGD(model.parameters(), lr=0.1)

    @functools.partial(mg.compile, strict=True)
    def step(x):
        model(x).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    for i in range(8):
        model(batch(i)[0]).sum().backward()  # there is one before
        step(batch(i)[0])
        assert [p._grad for p in model.parameters()] == [None, None]


def test_an_array_out_of_sight_that_is_not_contiguous_is_read_anew():
    held = np.arange(6, dtype=np.float32)[::2]
    reference = weakref.ref(held)
    f = mg.compile(lambda x: x * reference(), strict=True)
    for i in range(6):
        held[1] = i
        assert f(np.ones(3, np.float32)).tolist() == [0, i, 4]


def test_arrays_held_in_two_places_are_one():
    buffer = np.zeros(3, np.float32)
    holder = {"a": buffer, "b": [buffer]}

    def f(x):
        mg.effects.assign(holder["a"], holder["b"][0] + x)
        return x * holder["b"][0]

    g = mg.compile(f, strict=True)
    for i in range(1, 7):
        assert g(np.ones(3, np.float32)).tolist() == [i] * 3
    assert buffer.tolist() == [6] * 3


def test_float64_models_and_checks():
    with mg.default_dtype(np.float64):
        worlds = World(True), World(False)
        for i in range(6):
            x, y = batch(i, dtype=np.float64)
            results = [w.step(x, y) for w in worlds]
            np.testing.assert_allclose(results[0].data, results[1].data, rtol=1e-10)
        assert worlds[0].left()["data"][0].dtype == np.float64


@pytest.mark.parametrize("good", [0, 1, 2, 5, 9])
def test_checks_on_values_raise_what_eager_raises_at_any_call(good):
    def world(compiled):
        mg.set_seed(0)
        model, loss_fn = Sequential(Linear(4, 3), Dropout(0.3)), CrossEntropyLoss()
        optimizer = Adam(model.parameters(), lr=0.1)

        def step(x, labels):
            optimizer.zero_grad()
            loss = loss_fn(model(x), labels)
            loss.backward()
            optimizer.step()
            return loss

        return (mg.compile(step, strict=True) if compiled else step), model, optimizer

    outcomes = []
    for compiled in (True, False):
        step, model, optimizer = world(compiled)
        x, _ = batch()
        for i in range(good):
            step(x, np.array([0, 1, 2, 0, 1, 2, 0, i % 3]))
        with pytest.raises(ValueError, match="labels") as caught:
            step(x, np.array([0, 1, 2, 0, 1, 2, 0, 3]))
        outcomes.append((str(caught.value), [p.data.copy() for p in model.parameters()], [p._grad for p in model.parameters()]))
        outcomes[-1] += ([optimizer.state.get(p, {}).get("step") for p in model.parameters()],)
        for _ in range(2):  # and it goes on
            outcomes[-1] += (step(x, np.array([0, 1, 2, 0, 1, 2, 0, 1])).item(),)
        outcomes[-1] += (mg.effects.default_generator().bit_generator.state["state"],)
    agree(*outcomes)


def test_compiled_functions_call_compiled_functions():
    model = Linear(4, 2)
    inner = mg.compile(lambda x: model(x).tanh(), strict=True)
    outer = mg.compile(lambda x: inner(x) * 2 + inner(x[:1]), strict=True)
    x, _ = batch()
    for _ in range(6):
        expected = model(x).tanh() * 2 + model(x[:1]).tanh()
        agree(outer(x), expected.detach())
        agree(inner(x), model(x).tanh().detach())
    assert outer._count == 1


def test_modules_methods_partials_and_lambdas():
    class Model(mg.Module):
        def __init__(self):
            self.layer = Linear(4, 2)

        def forward(self, x):
            return self.layer(x)

        @mg.compile
        def doubled(self, x):
            return self.layer(x) * 2

    model, (x, _) = Model(), batch()
    for f, expected in [
        (mg.compile(model, strict=True), lambda: model(x)),
        (mg.compile(model.forward, strict=True), lambda: model(x)),
        (mg.compile(functools.partial(lambda k, x: model(x) * k, 3), strict=True), lambda: model(x) * 3),
        (mg.compile(functools.partial(Model.forward, model), strict=True), lambda: model(x)),
        (model.doubled, lambda: model(x) * 2),
    ]:
        for _ in range(6):
            agree(f(x), expected().detach())
        model.layer.weight.data[...] += 1
        agree(f(x), expected().detach())
    other = Model()
    agree(other.doubled(x), (other(x) * 2).detach())
    assert Model.doubled._count == 2
    assert copy.deepcopy(model.forward)(x).shape == (8, 2)


def test_transforms_compile():
    f = mg.compile(mg.value_and_grad(lambda w, x: ((x * w) ** 2).sum()), strict=True)
    w, x = Tensor([1.0, 2.0]), Tensor([3.0, 4.0])
    for _ in range(6):
        value, gradient = f(w, x)
        assert value.item() == 73 and gradient.data.tolist() == [18.0, 64.0]


def test_an_exception_leaves_all_as_it_was():
    w = World(True)

    def stops(x):
        w.model(x)
        raise LookupError("no")

    f = mg.compile(stops)
    for _ in range(3):
        with pytest.raises(LookupError, match="no"):
            f(batch()[0])
    assert all(type(p.data) is np.ndarray for p in w.model.parameters())


def test_arguments_of_compile_are_checked():
    with pytest.raises(TypeError, match=r"compile\(\) needs a function, got int"):
        mg.compile(3)
    with pytest.raises(ValueError, match="threads must be an int of at least 1, got 0"):
        mg.compile(lambda: 1, threads=0)

    def numbers(x):
        yield x

    with pytest.raises(TypeError, match="numbers yields or awaits"):
        mg.compile(numbers)


def test_first_compiled_calls_give_no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        w = World(True)
        for i in range(6):
            w.step(*batch(i))


def test_a_tensor_that_the_function_knows_is_passed_where_another_one_was():
    w = Tensor([1.0, 2.0], requires_grad=True)

    def f(x):
        w.zero_grad()
        x.zero_grad()
        (x * w).sum().backward()

    g = mg.compile(f, strict=True)
    for x in [Tensor([3.0, 4.0], requires_grad=True)] * 6 + [w] * 6:
        x.zero_grad()
        g(x)
        assert w.grad.tolist() == ([3.0, 4.0] if x is not w else [2.0, 4.0])
