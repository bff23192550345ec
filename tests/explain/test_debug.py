"""Debug mode: when it is on, what it notes, and that it works with all that there is besides. Messages: test_debug_broken.py."""

import gc
import re
import subprocess
import sys
import threading
import types
import weakref

import numpy as np
import pytest

import micrograd_plus as mg
from micrograd_plus import (
    Linear,
    Module,
    ReLU,
    Sequential,
    Tensor,
    checkpoint,
    debug,
    effects,
    grad,
    gradients,
    hvp,
    jacobian,
    no_grad,
    rules,
)
from micrograd_plus import tensor as engine
from micrograd_plus.explain import lines
from micrograd_plus.explain.debug import ChangedInPlaceError, NotFiniteError
from micrograd_plus.explain.fingerprints import fingerprint
from micrograd_plus.explain.lines import Line, variable_of
from micrograd_plus.tensor import apply


def is_on():
    return hasattr(Tensor(1.0), "_line")


@pytest.fixture(autouse=True)
def off_at_the_end():
    yield
    debug(False)


@pytest.fixture
def quiet():
    with np.errstate(all="ignore"):
        yield


# -- on and off ------------------------------------------------------------------------------------------------------------


def test_it_is_off_at_first_on_within_and_off_after():
    assert not is_on()
    with debug():
        assert is_on()
    assert not is_on()


def test_the_switch():
    debug()
    assert is_on()
    debug()
    debug(False)
    assert not is_on()


def test_it_nests_and_can_be_left_for_a_while():
    with debug():
        with debug(False):
            assert not is_on()
            with debug():
                assert is_on()
            assert not is_on()
        assert is_on()
        with debug():
            pass
        assert is_on()
    assert not is_on()


def test_a_switch_within_ends_with_the_block():
    debug()
    with debug():
        debug(False)
    assert is_on()


def test_an_error_ends_it():
    with pytest.raises(KeyError), debug():
        raise KeyError
    assert not is_on()


def test_nothing_of_it_is_left_when_it_is_off():
    hook = sys.excepthook
    with debug():
        assert engine._state.watchers and effects._state.runs and sys.excepthook is not hook and Module._forward_hooks is not None
    assert engine._state.watchers == () and effects._state.runs == () and sys.excepthook is hook and Module._forward_hooks is None


def test_it_holds_for_its_thread_alone():
    seen = []

    def work():
        seen.append(is_on())
        with debug():
            seen.append(is_on())
        seen.append(Linear(2, 2)(Tensor([1.0, 2.0])).shape)

    with debug():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert is_on()
        with pytest.raises(ValueError, match="was built in"):  # which the other thread has not ended
            Linear(2, 2)(Tensor([1.0]))
    assert seen == [False, True, (2,)] and Module._forward_hooks is None


def test_other_watchers_go_on():
    class Counter:
        count = 0

        def made(self, *args):
            self.count += 1

        def pulling(self, node, g, edges, pullbacks):
            self.count += 1
            return pullbacks

    counter = Counter()
    before = engine.watch(counter)
    try:
        with debug():
            (Tensor([1.0], requires_grad=True) * 2.0).sum().backward()
        assert counter.count == 5
        Tensor(1.0)
        assert counter.count == 6
    finally:
        engine.watch(*before)


def test_the_hooks_of_modules_work_in_it():
    seen = []
    with debug():
        layer, other = ReLU(), ReLU()
        layer.register_forward_hook(lambda module, args, output: seen.append(output.shape))
        layer([1.0]), other([1.0, 2.0])
    layer([1.0, 2.0, 3.0])
    assert seen == [(1,), (3,)]


def test_its_repr_says_what_it_is():
    assert repr(debug()) == "debug(True)" and repr(debug(False)) == "debug(False)"


# -- what is noted ---------------------------------------------------------------------------------------------------------


def this_line():
    return sys._getframe(1).f_lineno


def test_every_tensor_and_node_has_its_origin():
    with debug():
        x, first = Tensor([1.0, 2.0], requires_grad=True), this_line()
        y, second = x.exp(), this_line()
    assert x._line.line == Line(__file__, first) and x._line.rule is None
    assert str(y._line) == f"test_debug.py, line {second}"
    assert y._node.line is y._line and y._line.value is y.data and y._line.modules == () and y._line.rule is rules.exp


def test_a_rule_of_several_values_has_one_node_with_all_of_them():
    with debug():
        a, b = apply(rules.unstack, Tensor([[1.0], [2.0]], requires_grad=True), axis=0)
    whole = a._node.whole.line
    assert [x is y for x, y in zip(whole.value, (a.data, b.data), strict=True)] == [True, True]
    assert b._line.value is b.data


def test_modules_are_named_by_their_path_in_what_calls_them():
    class Net(Module):
        def __init__(self):
            self.blocks = [Sequential(Linear(2, 2)), Linear(2, 1)]
            self.other = mg.ModuleList([ReLU()])

        def forward(self, x):
            return self.other[0](self.blocks[1](self.blocks[0](x))) * 1.0

    outside = ReLU()
    with debug():
        y = Net()(Tensor([1.0, 2.0]))
        made = [y._line, y._node.inputs[0]._line, y._node.inputs[0]._node.inputs[0]._line]
        z = Sequential(lambda x: outside(x))(y)
    first = y._node.inputs[0]._node.inputs[0]._node.inputs[0]._line
    assert [origin.modules for origin in made] == [("Net",), ("Net", "other.0"), ("Net", "blocks.1")]
    assert first.modules == ("Net", "blocks.0", "layers.0")
    assert first.place.endswith(", in blocks.0.layers.0 of Net")
    assert z._line.modules == ("Sequential", "ReLU")


def test_a_module_that_is_replaced_or_can_not_be_hashed_is_named_too():
    class Net(Module):
        __hash__ = None

        def __init__(self):
            self.a = self.b = None

        def forward(self, x):
            return (self.a or self.b)(x)

    net, layer = Net(), ReLU()
    with debug():
        net.a = layer
        assert net(Tensor([1.0]))._line.modules == ("Net", "a")
        net.a, net.b = None, ReLU()
        assert net(Tensor([1.0]))._line.modules == ("Net", "b")


def test_where_no_frame_is_the_users_the_line_is_unknown(monkeypatch):
    monkeypatch.setattr("micrograd_plus.explain.origins.is_users", lambda file: False)
    with debug():
        assert str(Tensor(1.0)._line) == "an unknown line"


def test_a_line_of_a_notebook_is_named_by_its_cell(monkeypatch):
    names = {"/tmp/ipykernel_1/2.py": ("Cell", "In[3]")}
    shell = types.SimpleNamespace(compile=types.SimpleNamespace(format_code_name=names.get))
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert str(Line("/tmp/ipykernel_1/2.py", 12)) == "Cell In[3], line 12"
    assert str(Line("/home/me/train.py", 12)) == "train.py, line 12"


def test_a_variable_is_found_with_the_line_that_assigned_it():
    def inner(argument):
        again = argument
        return variable_of(argument, lines.user_frames()), again

    array = np.zeros(3)
    array, line = np.ones(3), this_line()
    for _ in range(2):
        (found, again) = inner(array)
    assert found == ("again", Line(__file__, inner.__code__.co_firstlineno + 1))
    assert variable_of(array, lines.user_frames()) == ("array", Line(__file__, line))
    array = np.ones(3)
    assert variable_of(array, lines.user_frames()) == ("array", Line(__file__, this_line() - 1))
    array += 1.0
    assert variable_of(np.ones(3), lines.user_frames()) is None
    assert again is not array


def test_a_write_is_found_below_a_line_first():
    def frame():
        w = Tensor([1.0])
        w.data[0] = 1.0
        v = w.data
        v += 1.0
        v = v + 1.0
        return next(lines.user_frames())

    found, first = frame(), frame.__code__.co_firstlineno
    assert lines.write_to({"w", "v"}, [found], None) == Line(__file__, first + 2)
    assert lines.write_to({"w", "v"}, [found], Line(__file__, first + 2)) == Line(__file__, first + 4)
    assert lines.write_to({"w"}, [found], Line(__file__, first + 4)) == Line(__file__, first + 2)
    assert lines.write_to({"x"}, [found], None) is None


# -- errors ----------------------------------------------------------------------------------------------------------------


def test_the_errors_can_be_caught_as_their_builtin_classes_and_say_what_they_know(quiet):
    with debug():
        line = this_line() + 2
        with pytest.raises(FloatingPointError) as caught:
            Tensor([[1.0, 0.0]]).log()
        error = caught.value
        assert (error.operation, error.backward, error.line, error.index) == ("log", False, Line(__file__, line), (0, 1))
        assert error.cause == "the logarithm of 0 is -inf."
        x = Tensor([0.0], requires_grad=True)
        line = this_line() + 1
        y = x.sqrt()
        with pytest.raises(NotFiniteError) as caught:
            y.backward()
        assert (caught.value.operation, caught.value.backward, caught.value.line.number) == ("sqrt", True, line)
        line = this_line() + 1
        x = Tensor([1.0], requires_grad=True)
        y = x * x
        x.data[0] = 2.0
        with pytest.raises(RuntimeError) as changed:
            y.backward()
        assert (changed.value.operation, changed.value.line.number, changed.value.made.number) == ("multiply", line + 1, line)


def test_no_gradient_is_written_where_a_walk_stops():
    with debug():
        a, b = Tensor([1.0], requires_grad=True), Tensor([2.0], requires_grad=True)
        y = a * b
        b.data[0] = 3.0
        with pytest.raises(ChangedInPlaceError, match="the right operand of multiply"):
            y.backward()
        assert a._grad is None and b._grad is None


def test_an_error_of_shapes_is_explained_once_in_a_module_and_outside():
    debug()
    layer, x = Linear(3, 2), Tensor(np.ones((4, 5)))
    with pytest.raises(ValueError, match="Check the layer") as caught:
        Sequential(layer)(x)
    text = str(caught.value)
    assert text.count("the input of shape (4, 5) was made in test_debug.py") == 1 and text.count("this Linear was built in") == 1
    with pytest.raises(ValueError, match="must broadcast") as caught, debug():
        x + np.ones(7)
    assert str(caught.value).count("was made in") == 1


def test_other_errors_are_left_alone():
    with pytest.raises(ValueError, match=r"^no shape here$"), debug():
        raise ValueError("no shape here")
    with pytest.raises(ValueError, match=r"^\(2, 3\) is the user's own$"), debug():
        raise ValueError("(2, 3) is the user's own")
    with pytest.raises(TypeError, match=r"^$"), debug():
        raise TypeError


def test_an_error_that_ends_a_program_is_explained_before_it_is_shown(tmp_path):
    (tmp_path / "train.py").write_text("from micrograd_plus import *\ndebug()\nimport numpy as np\nw = np.ones(4)\nx = zeros(3)\nx * w\n")
    shown = subprocess.run([sys.executable, tmp_path / "train.py"], capture_output=True, text=True, check=False).stderr
    assert "the input of shape (4,) is the array `w`, assigned in train.py, line 4" in shown


def test_a_failure_to_explain_does_not_hide_the_error(monkeypatch):
    monkeypatch.setattr("micrograd_plus.explain.operands.whereabouts", lambda *args: 1 / 0)
    with pytest.raises(ValueError, match="must broadcast"), debug():
        Tensor(np.ones(3)) + np.ones(4)


# -- with what there is besides --------------------------------------------------------------------------------------------


def test_within_no_grad(quiet):
    with debug(), no_grad(), pytest.raises(NotFiniteError, match="the logarithm of -1 is not a number"):
        Tensor([-1.0], requires_grad=True).log()


def test_second_derivatives_and_transforms_are_those_without_it():
    def f(x):
        return (x.tanh() * x).sum()

    def results():
        x = Tensor([0.3, -1.2], requires_grad=True)
        (slope,) = gradients(f(x), [x], create_graph=True)
        (curvature,) = gradients(slope, [x], gradient=[1.0, 2.0])
        v = Tensor([1.0, 0.5])
        return [curvature, grad(f)(x), jacobian(lambda x: x**2)(x), *hvp(f, (x,), (v,)), *mg.jvp(f, (x,), (v,)), mg.hessian(f)(x)]

    expected = results()
    with debug():
        for ours, theirs in zip(results(), expected, strict=True):
            np.testing.assert_array_equal(ours.data, theirs.data)


def test_a_change_is_caught_when_a_rule_is_run_again_for_a_second_derivative():
    with debug():
        x, y = Tensor([0.5], requires_grad=True), Tensor([2.0], requires_grad=True)
        z = (x.exp() * y).sum()
        x.data[0] = 1.0
        with pytest.raises(ChangedInPlaceError, match="the input of exp"):
            gradients(z, [x], create_graph=True)
        gradients(z, [x])  # which needs the result of exp alone
        gradients(z, [y], create_graph=True)


def test_in_a_second_derivative_an_array_that_is_kept_for_its_shape_may_change():
    with debug():
        x, w = Tensor([[1.0, 2.0]], requires_grad=True), Tensor([[1.0], [1.0]], requires_grad=True)
        y = (x @ w).sum()
        w.data[...] = 3.0
        gradients(y, [w], create_graph=True)
        with pytest.raises(ChangedInPlaceError, match="the right operand of matmul"):
            gradients(y, [x], create_graph=True)


def test_in_a_second_derivative_a_pullback_may_give_an_input_itself():
    dot = mg.custom_rule(lambda x, y: ((x * y).sum(), (lambda g: y, lambda g: x)))
    with debug():
        x, y = Tensor([1.0, 2.0], requires_grad=True), Tensor([3.0, 4.0], requires_grad=True)
        z = dot(x, y)
        y.data[...] = 0.0
        gradients(z, [y], create_graph=True)
        with pytest.raises(ChangedInPlaceError, match="the y of <lambda>"):
            gradients(z, [x], create_graph=True)


def test_a_checkpoint_runs_again_in_it_and_its_inputs_must_be_as_they_were(quiet):
    layer = Linear(3, 2)
    with debug():
        x = Tensor(np.ones((4, 3)))
        checkpoint(layer, x).sum().backward()
        y = checkpoint(layer, x)
        layer.weight.data[0] = 1.0
        with pytest.raises(ChangedInPlaceError, match="needed by: checkpoint"):
            y.sum().backward()
        y = checkpoint(lambda x: x.sqrt(), Tensor([0.0], requires_grad=True))
        with pytest.raises(NotFiniteError, match="the gradient of sqrt is inf"):
            y.sum().backward()


def test_a_compiled_function_runs_eagerly_in_it(quiet):
    @mg.compile
    def f(x):
        return x.log().sum()

    assert f(Tensor([1.0])).item() == 0.0
    with debug(), pytest.raises(NotFiniteError, match="the result of log"):
        f(Tensor([0.0]))
    assert f(Tensor([1.0])).item() == 0.0


def test_a_gradient_check_may_look_where_a_function_is_not_defined(quiet):
    def f(x):
        return (x.log() + x.sqrt()).sum()

    with debug():
        assert mg.gradient_check(f, np.array([1e-9, 1e-3, 1.0])).passed


def test_a_layer_that_was_built_before_is_named():
    layer = Linear(3, 2)
    with debug(), pytest.raises(ValueError, match="this Linear is `layer`"):
        layer(Tensor([1.0]))


def test_a_graph_that_was_made_before_is_checked_as_far_as_it_can_be(quiet):
    x = Tensor([0.0], requires_grad=True)
    y = x.sqrt()
    with debug(), pytest.raises(NotFiniteError, match="an operation that was recorded while debug"):
        y.backward()


def test_an_update_is_checked_by_the_next_operation_or_at_the_end():
    def broken():
        w = Tensor([1.0], requires_grad=True)
        (w * 2.0).sum().backward()
        mg.SGD([w], lr=np.inf).step()
        return w

    with debug():
        w = broken()
        with pytest.raises(NotFiniteError, match="an update of SGD has made a parameter -inf"):
            Tensor(1.0).exp()
    with pytest.raises(NotFiniteError, match="an update of SGD"), debug():
        w = broken()
    debug()
    w = broken()  # noqa: F841 - nobody cares for a parameter that is gone
    with pytest.raises(NotFiniteError, match="an update of SGD"):
        debug(False)


def test_graphs_are_freed_as_soon_as_without_it():
    gc.disable()
    try:
        with debug():
            model = Sequential(Linear(3, 4), ReLU(), Linear(4, 1))
            loss = model(Tensor(np.ones((2, 3)))).sum()
            node, value = weakref.ref(loss._node), weakref.ref(loss._line.value)
            loss.backward()
            del loss
            assert node() is None and value() is None
            loss = model(Tensor(np.ones((2, 3)))).sum()
            node = weakref.ref(loss._node)
            del loss
            assert node() is None
    finally:
        gc.enable()


# -- values ----------------------------------------------------------------------------------------------------------------

INF, NAN = np.inf, np.nan


def leaf(*values):
    return Tensor([*values], requires_grad=True)


MADE = {
    "log1p of -1": (lambda: np.log1p(leaf(-1.0)), "the logarithm of 0 is -inf"),
    "log1p below": (lambda: np.log1p(leaf(-2.0)), "the logarithm of 1 . x = -1 is not a number: it is negative"),
    "log2": (lambda: np.log2(leaf(0.0)), "the logarithm of 0 is -inf"),
    "a quotient that overflows": (lambda: leaf(1e30) / leaf(1e-30), r"1e\+30 / 1e-30 is larger than float32 can hold, 3.4e\+38"),
    "inf / inf": (lambda: leaf(INF) / leaf(INF), "inf / inf is not a number"),
    "0 ** -1": (lambda: leaf(0.0) ** -1, r"0 \*\* -1 is a division by 0"),
    "a power that overflows": (lambda: leaf(1e20) ** 3, r"1e\+20 \*\* 3 is larger"),
    "a product that overflows": (lambda: leaf(1e20) * leaf(1e20), r"1e\+20 \* 1e\+20 is larger"),
    "0 * inf": (lambda: leaf(0.0) * INF, "0 [*] inf is not a number"),
    "inf - inf": (lambda: leaf(INF) - INF, "an input is infinite, and inf - inf"),
    "expm1": (lambda: np.expm1(leaf(100.0)), "e.x is larger than float32 can hold where x is over 88.72"),
    "exp in float64": (lambda: Tensor([710.0], dtype=np.float64).exp(), "float64 can hold where x is over 709.8"),
    "a sum that overflows": (lambda: leaf(3e38, 3e38).sum(), r"the result is larger than float32 can hold, 3.4e\+38"),
    "a matrix product that overflows": (lambda: leaf(1e30) @ leaf(1e30), "the result is larger"),
    "a matrix product of inf": (lambda: leaf(INF, 1.0) @ leaf(1.0, 1.0), "inf in the data"),
    "softmax of inf": (lambda: leaf(INF, 0.0).softmax(), "an element that it is taken over is inf"),
    "logsumexp over no finite": (lambda: mg.logsumexp(leaf(INF, NAN)), "nan in the data"),
    "cross-entropy of inf": (lambda: mg.CrossEntropyLoss()(Tensor([[INF, 0.0]], requires_grad=True), [0]), "an element that it is taken"),
    "nll of nothing": (lambda: mg.NLLLoss(ignore_index=0)(Tensor([[0.0, 0.0]]), [0]), "the mean over no labels"),
    "a cast": (lambda: leaf(1e30).astype(np.float16), "the result is larger than float16 can hold, 6.55e"),
    "standardize of equal values": (
        lambda: apply(rules.standardize, leaf(2.0, 2.0), axis=0, eps=0.0),
        "all values that are standardised are equal",
    ),
    "a number": (lambda: leaf(1.0) * NAN, "the number nan is an operand"),
    "a list of nan": (lambda: leaf(1.0) * [NAN], "nan in the data"),
    "a parameter of nan": (lambda: Linear(1, 1)(mg.Parameter([[NAN]])), "it was made, or loaded, with such numbers"),
    "a rule of the user's": (
        lambda: mg.custom_rule(lambda x: (x / 0.0, (lambda g: g / 0.0,)))(leaf(1.0)),
        "the result is larger",
    ),
}


@pytest.mark.parametrize("name", MADE)
def test_what_makes_a_result_that_is_not_finite(name, quiet):
    call, cause = MADE[name]
    with debug(), pytest.raises(NotFiniteError) as caught:
        call()
    assert re.search(cause, caught.value.cause) and not caught.value.backward


def backward(f, *inputs):
    f(*inputs).sum().backward()


PULLED = {
    "log of almost 0": (lambda: backward(lambda x: x.log() * 1e10, leaf(1e-38)), "the derivative of the logarithm, 1 / 1e-38, is so large"),
    "log1p": (lambda: backward(lambda x: np.log1p(x) * 1e35, leaf(-0.9999)), r"the derivative of the logarithm, 1 / \(1 \+ -0.9999\)"),
    "a quotient": (lambda: backward(lambda x: 1.0 / x, leaf(1e-30)), "the derivative of a quotient grows as the denominator, 1e-30"),
    "a power": (lambda: backward(lambda x: x**0.5 * 0.0, leaf(0.0)), "x .. 0.5 at 0 is infinite, and the gradient that arrives is 0"),
    "a negative power": (lambda: backward(lambda x, y: x**y, leaf(1.0, -1.0), leaf(1.0, 3.0)), "the base is negative, -1"),
    "an overflow": (lambda: backward(lambda x: x * 1e20 * 1e20, leaf(1e-30)), "gradients have grown on their way back"),
    "a sum over a broadcast axis": (
        lambda: backward(lambda x: (x * np.ones(4, np.float32)) * 3e38, leaf(0.0)),
        "gradients have grown",
    ),
    "uses that add up": (
        lambda: backward(lambda x: (y := x * 1.0) * 3e38 + y * 3e38, leaf(0.0)),
        "each is finite, but their sum is larger",
    ),
    "a rule of the user's": (lambda: backward(mg.custom_rule(lambda x: (x * 1.0, (lambda g: g / 0.0,))), leaf(1.0)), "larger than float32"),
    "a transform's cotangent": (lambda: mg.vjp(lambda x: x * 2.0, leaf(1.0))[1](np.array([NAN])), "the cotangent of a transform"),
    "a rule of the user's, nan": (lambda: backward(mg.custom_rule(lambda x: (x * 1.0, (lambda g: g * NAN,))), leaf(1.0)), "not numbers"),
}


def test_a_learning_rate_is_blamed_for_what_grows_alone(quiet):
    with debug():
        w = leaf(1.0)
        (w * 0.0).sum().backward()
        optimizer = mg.SGD([w], lr=1.0)
        w.grad = np.array([-1e5])
        optimizer.step()
        with pytest.raises(
            NotFiniteError, match=r"(?s)a learning rate that is too high. `w` has grown from at most 1 to 1e\+05, in 1 update by SGD"
        ):
            w.exp()
        with pytest.raises(NotFiniteError, match="a learning rate that is too high"):
            (w * Tensor([-1.0, 1.0])).softmax().log()
        with pytest.raises(NotFiniteError, match="likely cause: division by 0"):
            w / 0.0


def test_a_parameter_that_becomes_nan_is_told_from_data():
    with debug():
        layer, x = Linear(2, 1), Tensor([1.0, 2.0])
        layer(x)
        layer.bias.data[0] = NAN
        with pytest.raises(
            NotFiniteError, match=r"(?s)bias of layer holds nan.*it was finite when it was first used, and has been written into"
        ):
            layer(x)
        w = leaf(1.0)
        w * 2.0
        w.data[0] = INF
        with pytest.raises(NotFiniteError, match=r"(?s)`w` holds inf.*it was finite when it was first used"):
            w.reshape(1, 1)


def test_the_fingerprint_of_an_array_that_is_broadcast_takes_no_time():
    array = np.broadcast_to(np.arange(3.0)[:, None, None], (3, 1 << 30, 1 << 20))
    assert fingerprint(array) == fingerprint(np.arange(3.0))
    assert fingerprint(np.empty((0, 3))) == fingerprint(np.broadcast_to(1.0, (4, 0)))


@pytest.mark.parametrize("name", PULLED)
def test_what_makes_a_gradient_that_is_not_finite(name, quiet):
    call, cause = PULLED[name]
    with debug(), pytest.raises(NotFiniteError) as caught:
        call()
    assert re.search(cause, caught.value.cause) and caught.value.backward


def masked(x):
    return mg.where(np.tri(3, dtype=bool), x, -INF).softmax()


FINE = {
    "a mask of -inf": lambda: backward(masked, Tensor(np.ones((3, 3)), requires_grad=True)),
    "a mask that is added": lambda: backward(lambda x: (x + np.array([0.0, -INF])).softmax(), leaf(1.0, 2.0)),
    "logsumexp of -inf": lambda: mg.logsumexp(Tensor([-INF, -INF])),
    "a maximum that begins with -inf": lambda: mg.maximum(Tensor(-INF), leaf(1.0, 2.0)).sum().backward(),
    "an element that is dropped": lambda: Tensor([NAN, 1.0])[1:] * 2.0,
    "an element that is masked at once": lambda: backward(lambda x: mg.where([True, False], x, 0.0) * 2.0, leaf(1.0, NAN)),
    "a padding of -inf": lambda: mg.MaxPool2d(3, padding=1)(Tensor(np.ones((1, 1, 4, 4)))),
    "a double where": lambda: backward(lambda x: mg.where(x > 0, mg.where(x > 0, x, 1.0).sqrt(), 0.0), leaf(0.0, 4.0)),
    "norm at 0": lambda: backward(mg.norm, leaf(0.0, 0.0)),
    "no elements": lambda: backward(lambda x: x[:0], leaf(1.0)),
    "a seed of its own": lambda: (leaf(1.0, 2.0) * 2.0).backward(np.array([0.0, 1e30])),
    "nothing left of a walk's end": lambda: grad(lambda x: (x * x).sum())(Tensor([1.0])),
}


@pytest.mark.parametrize("name", FINE)
def test_what_is_meant_is_let_through(name):
    with debug():
        FINE[name]()


def test_the_element_that_is_told_is_the_first_that_the_operation_made(quiet):
    with debug(), pytest.raises(NotFiniteError) as caught:
        Tensor([[-INF, 1.0, 100.0], [1.0, 100.0, 1.0]]) * Tensor([[1.0], [1.0]]).exp().exp().exp().exp()
    assert "exp" in str(caught.value)
    with debug(), pytest.raises(NotFiniteError) as caught:
        Tensor([[-INF, 1.0], [3e38, 1.0]]) * 2.0
    assert caught.value.index == (1, 0)  # -inf * 2 is -inf


# -- changes ---------------------------------------------------------------------------------------------------------------


def changed(make, write, check=lambda *made: made[-1].sum().backward()):
    """Whether a write between an operation and backward() is refused; without it, nothing is."""
    with debug():
        check(*make())
        made = make()
        write(*made)
        try:
            check(*made)
        except ChangedInPlaceError:
            return True
        return False


def pair():
    return Tensor([[1.0, 2.0]], requires_grad=True), Tensor([[3.0], [4.0]], requires_grad=True)


@mg.custom_rule
def plainly(x):
    """Makes a plain array of what it holds."""
    return x * x, (lambda g: g * 2 * np.asarray(x).astype(np.float32),)


@mg.custom_rule
def with_options(x, *, power):
    def pullback(g, values=[x], factor={"of": (power,)}):  # noqa: B006 - a place where arrays can be
        return g * factor["of"][0] * values[0] ** (power - 1)

    return x**power, (pullback,)


@mg.custom_rule
def turned(x, *, places):
    """Whose pullback indexes by an array."""
    return x[places], (lambda g: g[places],)


@mg.custom_rule
def weighted_sum(x, *, weights):
    """Whose pullback gives an array that it holds, for a gradient of 1."""
    return (x * weights).sum(), (lambda g: weights.reshape(-1),)


def made_of(f, *inputs):
    return lambda: (made := [x() for x in inputs]) and (*made, f(*made))


def of(*values, requires_grad=True):
    return lambda: Tensor([*values], requires_grad=requires_grad)


def write(k, value=7.0):
    def into(*made):
        made[k].data[...] = value

    return into


X, Y, K = of(1.0, 2.0), of(3.0, 4.0), of(5.0, 6.0, requires_grad=False)

NEEDED = {
    "a factor": (made_of(lambda x, y: x * y, X, Y), write(1)),
    "the other factor": (made_of(lambda x, y: x * y, X, Y), write(0)),
    "a constant factor": (made_of(lambda x, k: x * k, X, K), write(1)),
    "a denominator": (made_of(lambda x, y: x / y, X, Y), write(1)),
    "the input of a square": (made_of(lambda x: x**2, X), write(0)),
    "the result of exp": (made_of(lambda x: x.exp(), X), write(1)),
    "the result of softmax": (made_of(lambda x: x.softmax(), X), write(1)),
    "the sign of relu's input": (made_of(lambda x: x.relu(), X), write(0, -1.0)),
    "the weight of a product": (lambda: (*(p := pair()), p[0] @ p[1]), write(1)),
    "an operand of einsum": (lambda: (*(p := pair()), mg.einsum("ij,jk->ik", *p)), write(0)),
    "a maximum's input": (made_of(lambda x: x.max(), X), write(0, [9.0, 1.0])),
    "a detached view": (made_of(lambda x, y: x * y, X, Y), lambda x, y, z: x.detach().__setitem__(0, 5.0)),
    "a view's view": (made_of(lambda x, y: x * y, X, Y), lambda x, y, z: x.data.reshape(2, 1)[1:].__setitem__(0, 5.0)),
    "a permutation in place": (made_of(lambda x, y: x * y, X, Y), lambda x, y, z: x.data.__setitem__(slice(None), x.data[::-1].copy())),
    "a factor that was broadcast": (made_of(lambda x, y: x * y.reshape(2, 1), X, Y), write(0)),
    "one of several results": (lambda: (x := leaf(1.0, 4.0), y := apply(rules.standardize, x, axis=0, eps=1e-5)[0], y * 1.0), write(1)),
    "the input of relu, though its sign is the same": (made_of(lambda x: x.relu(), of(-1.0, -2.0)), write(0, -7.0)),
    "what is made a plain array": (made_of(plainly, X), write(0)),
    "an index": (lambda: (x := X(), i := np.array([1, 0]), turned(x, places=i)), lambda x, i, y: i.__setitem__(slice(None), [0, 1])),
    "what a pullback returns": (
        lambda: (x := X(), k := np.ones(2, np.float32), weighted_sum(x, weights=k)),
        lambda x, k, y: k.__setitem__(0, 5.0),
    ),
    "what is in defaults and lists": (made_of(lambda x: with_options(x, power=3), X), write(0)),
    "what a rule of the user's holds": (made_of(mg.custom_rule(lambda x: (x**3, (lambda g: 3 * g * x * x,))), X), write(0)),
}

# The gradient is the same, whatever was written.
HARMLESS = {
    "a term": (made_of(lambda x, y: x + y, X, Y), write(0)),
    "the input of exp": (made_of(lambda x: x.exp(), X), write(0)),
    "a result": (made_of(lambda x, y: x * y, X, Y), write(2)),
    "the factor of a constant": (made_of(lambda x, k: x * k, X, K), write(0)),
    "the input of a sum": (made_of(lambda x: x.sum(), X), write(0)),
    "what was sliced": (made_of(lambda x: x[1:], X), write(0)),
    "the weight, of its own gradient alone": (
        lambda: (x := Tensor([[1.0, 2.0]]), w := Tensor([[3.0], [4.0]], requires_grad=True), x @ w),
        write(1),
    ),
    "a layer's weight, of its own gradient alone": (
        lambda: (layer := Linear(2, 1), layer(Tensor([[1.0, 2.0]]))),
        lambda layer, y: layer.weight.data.__setitem__(slice(None), 0.0),
    ),
    "logits, once the loss is made of them": (
        lambda: (x := Tensor([[1.0, 2.0]], requires_grad=True), mg.CrossEntropyLoss()(x, [1])),
        write(0),
    ),
    "the operand of einsum whose own gradient is wanted": (
        lambda: (x := Tensor([[1.0, 2.0]], requires_grad=True), y := Tensor([[3.0], [4.0]]), mg.einsum("ij,jk->ik", x, y)),
        write(0),
    ),
    "the same values again": (made_of(lambda x, y: x * y, X, Y), lambda x, y, z: x.data.__setitem__(slice(None), x.data.copy())),
    "another array in its place": (made_of(lambda x, y: x * y, X, Y), lambda x, y, z: setattr(x, "data", np.zeros(2))),
    "what no gradient is wanted of": (
        made_of(lambda x, y: x * y, X, Y),
        write(0),
        lambda x, y, z: gradients(z.sum(), [x]),
    ),
}


@pytest.mark.parametrize("name", NEEDED)
def test_a_write_into_what_the_graph_needs_is_refused(name):
    assert changed(*NEEDED[name])


@pytest.mark.parametrize("name", HARMLESS)
def test_a_write_into_what_it_does_not_need_is_not(name):
    assert not changed(*HARMLESS[name])


def test_what_is_harmless_changes_no_gradient():
    """What the table above claims."""
    for name, (make, into, *_) in HARMLESS.items():
        made, other = make(), make()
        into(*other)
        made[-1].sum().backward()
        other[-1].sum().backward()
        if name != "what no gradient is wanted of":
            for a, b in zip(made, other, strict=True):
                for x, y in zip(*([m.parameters()] if isinstance(m, Module) else [[m]] for m in (a, b)), strict=True):
                    for p, q in zip(x, y, strict=True):
                        np.testing.assert_array_equal(p.grad, q.grad, name)


def test_an_optimizers_step_before_backward_is_named():
    with debug():
        layer, head = Linear(2, 2), Linear(2, 1)
        loss = head(layer(Tensor([[1.0, 2.0]]))).sum()
        loss.backward(retain_graph=True)
        optimizer = mg.SGD(head.parameters(), lr=0.1)
        optimizer.step()
        line = this_line() - 1
        with pytest.raises(ChangedInPlaceError, match=f"last changed by: test_debug.py, line {line}:\n    optimizer.step"):
            loss.backward()
        loss = head(layer(Tensor([[1.0, 2.0]]))).sum()
        head.weight.data[...] = 0.0  # and not the step, which was before
        with pytest.raises(ChangedInPlaceError, match=r"it seems in test_debug\.py") as caught:
            loss.backward()
        assert "last changed" not in str(caught.value)
