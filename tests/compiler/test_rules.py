"""Every rule, compiled: by NumPy all cases of the rules' table, in both orders; by native code every rule and every operation."""

import contextlib

import numpy as np
import pytest

from micrograd_plus import rules, tensor
from micrograd_plus.compiler.capture import map_tree
from micrograd_plus.compiler.graph import ELEMENTWISE
from micrograd_plus.compiler.trace import NO_SYMBOLIC_FORM, Untraceable

from ..rules.checks import cotangent, differentiable, in_dtype, parts
from ..rules.table import KINKS, TABLE, Case
from .checks import by_graph, check_graph, check_native, native

TRACED = [name for name in TABLE if name not in NO_SYMBOLIC_FORM]


def cases(name, dtype):
    """The table's, and those at ties and limits, that have elements throughout."""
    kinks = [Case(kink.inputs, kink.options) for kink in KINKS.get(name, [])]
    with np.errstate(over="ignore"):
        return [in_dtype(case, dtype) for case in [*TABLE[name].cases, *kinks] if has_elements(name, case)]


def has_elements(name, case):
    with np.errstate(all="ignore"):
        value, _ = getattr(rules, name)(*case.inputs, **case.options)
    return all(np.size(x) for x in (*case.inputs, *parts(value)))


def copied(x):
    """An array is the function's own, which may shape what it computes, only if it makes it."""
    return x.copy() if isinstance(x, np.ndarray) else x


def program(name, case, dtype, order):
    """The value and gradients of a rule, weighted at random and squared; and of the gradients, so weighted, the gradients."""
    rule, wanted, options = getattr(rules, name), differentiable(case, TABLE[name].constants), tuple(case.options.items())
    random = np.random.default_rng(5)
    with np.errstate(all="ignore"):
        value, _ = rule(*case.inputs, **case.options)
    linear, quadratic = parts(cotangent(random, value, dtype)), parts(cotangent(random, value, dtype))
    weights = [random.standard_normal(case.inputs[i].shape).astype(dtype) for i in wanted]

    def run(*inputs):
        given = [x if isinstance(x, (int, float)) else tensor._wrap(x) for x in inputs]
        for i in wanted:
            given[i].requires_grad = True
        out = tensor.apply(rule, *given, **{key: map_tree(copied, x) for key, x in options})
        if not wanted:
            return [out]
        through = [given[i] for i in wanted]
        loss = sum(((part * c + part * part * d).sum() for part, c, d in zip(parts(out), linear, quadratic, strict=True)), 0.0)
        if order == 1:
            loss.backward()
            return [parts(out), [x.grad for x in through]]
        slopes = tensor.gradients(loss, through, create_graph=True)
        slope = sum(((s * w).sum() for s, w in zip(slopes, weights, strict=True)), 0.0)
        return [parts(out), slopes, tensor.gradients(slope, through) if slope.requires_grad else []]

    return run


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", TRACED)
def test_the_graph_of_every_case_gives_what_the_rule_gives(name, dtype):
    """Of all cases, first and second order, in one graph."""
    with tensor.default_dtype(dtype), np.errstate(all="ignore"):
        programs = [(program(name, case, dtype, order), case.inputs) for case in cases(name, dtype) for order in (1, 2)]
        check_graph(lambda *args: [run(*inputs) for (run, _), inputs in zip(programs, args, strict=True)], [x for _, x in programs], name)


# The rules of one group are one program in C.
GROUPS = [TRACED[i : i + 9] for i in range(0, len(TRACED), 9)]


@native
@pytest.mark.parametrize(("dtype", "order", "count"), [(np.float32, 1, 6), (np.float64, 2, 2)])
@pytest.mark.parametrize("names", GROUPS, ids=lambda names: names[0])
def test_native_code_gives_what_the_rule_gives(names, dtype, order, count):
    with tensor.default_dtype(dtype), np.errstate(all="ignore"):
        programs = []
        for name in names:
            several = cases(name, dtype)
            programs += [(program(name, case, dtype, order), case.inputs) for case in several[:: -(-len(several) // count)]]
        check_native(lambda *args: [run(*inputs) for (run, _), inputs in zip(programs, args, strict=True)], [x for _, x in programs])


def test_every_rule_has_a_symbolic_form_or_a_reason_why_not():
    """Those with one run above; that the others really have none is tested here."""
    without = [name for name in NO_SYMBOLIC_FORM if name in TABLE]
    assert without
    for name in without:
        (case, *_) = cases(name, np.float32)
        with pytest.raises(Untraceable, match=f"np.{name} has no symbolic form, for {NO_SYMBOLIC_FORM[name]}"):
            by_graph(program(name, case, np.float32, 1), case.inputs)


def test_an_array_without_elements_is_refused():
    with pytest.raises(Untraceable, match=r"an array without elements has no symbolic form \(test_rules.py, line \d+\). Leave out empty"):
        by_graph(lambda x: x.sum(), [np.empty((0, 3), np.float32)])


# -- NumPy's functions on the arrays among the arguments -----------------------------------------------------------------

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e-40, -1e-40, 1e30, np.inf, -np.inf, np.nan, 88.0, -104.0, 1.5, -0.5, 1e-7, 700.0, -745.0]
ROUNDED = {"exp", "expm1", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "arctan", "tanh", "power"}


def numbers(dtype, *shape):
    random = np.random.default_rng(3)
    if np.dtype(dtype).kind == "f":
        return random.standard_normal(shape).astype(dtype)
    return random.integers(*((0, 2) if dtype is bool else (0, 256) if dtype is np.uint8 else (-100, 100)), shape).astype(dtype)


def ufuncs_of(dtype):
    """Those of the graph's elementwise operations that NumPy has for a dtype, and does not compute in half precision."""
    found = []
    for name in ELEMENTWISE:
        ufunc, x = getattr(np, name, None), np.zeros(1, dtype)
        if isinstance(ufunc, np.ufunc) and not (ufunc is np.power and x.dtype.kind != "f"):
            with contextlib.suppress(TypeError), np.errstate(all="ignore"):
                if np.float16 not in ufunc.resolve_dtypes((x.dtype,) * ufunc.nin + (None,)):
                    found.append(ufunc)
    return found


@native
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64, np.uint8, bool])
def test_every_elementwise_operation_of_every_dtype(dtype):
    x = np.array(SPECIAL, dtype) if np.dtype(dtype).kind == "f" else numbers(dtype, 20)
    exact = [ufunc for ufunc in ufuncs_of(dtype) if ufunc.__name__ not in ROUNDED]
    rounded = [ufunc for ufunc in ufuncs_of(dtype) if ufunc.__name__ in ROUNDED]
    for ufuncs, tolerance in ((exact, 0.0), (rounded, None)):
        if ufuncs:
            check_native(lambda x, y, ufuncs=ufuncs: [f(y, x) if f.nin == 2 else f(x) for f in ufuncs], (x, x[:, None]), tolerance)


def test_the_dtypes_above_have_all_elementwise_operations_between_them():
    found = {ufunc.__name__ for dtype in (np.float32, np.int64, bool) for ufunc in ufuncs_of(dtype)}
    assert set(ELEMENTWISE) - found == {"where", "logistic", "normal_cdf"}  # which rules use


def reduced(x):
    axes = [None, 0, -1, (0, 2), (0, 1, 2)]
    kinds = (np.sum, np.prod, np.max, np.min, np.all, np.any, np.mean, np.count_nonzero)
    found = [f(x, axis=axis, keepdims=keepdims) for f in kinds for axis in axes for keepdims in (False, True)]
    return [*found, *(f(x, axis=axis) for f in (np.argmax, np.argmin, np.cumsum) for axis in (None, 0, 1, -1))]


def moved(x):
    m = x[0]
    return [
        *(np.flip(x), np.moveaxis(x, 0, -1), np.swapaxes(x, 0, -1), np.transpose(x, (1, 2, 0)), x.T, x[::-1, 1:], x[..., None, 1]),
        *(np.clip(x, 0, 1), np.clip(x, None, 1), np.clip(x, 0, None), np.where(x > 0, x, 0), np.pad(x, 1), np.pad(m, ((0, 1), (2, 0)))),
        *(np.concatenate([x, x], -1), np.stack([x, x], 1), np.unstack(x, axis=1), np.expand_dims(x, (0, 2)), np.squeeze(x[:, :1])),
        *(np.broadcast_to(x, (2, *x.shape)), np.ravel(x), np.reshape(x, (-1, 2)), np.zeros_like(x), np.ones_like(x), np.full_like(x, 1)),
        *(np.tril(m), np.triu(m, 1), np.roll(x, 3), np.roll(x, -1, 1), np.repeat(x, 2), np.repeat(m, 3, 1), np.repeat(m, [1, 2, 0], 0)),
        *(np.tile(x, (2, 1, 1)), np.split(m, 2, 1), np.array_split(m, 3, 1), np.vstack([m, m]), np.hstack([m, m]), np.outer(m[0], m[1])),
        *(np.take(x, [0, 1]), np.take(x, np.array([0, -1]), 1), np.diag(m), np.diag(m[0], 1), np.diagonal(x, 0, 1, 2), np.trace(m)),
        *(x.astype(kind) for kind in (np.float32, np.float64, np.int32, np.int64, bool)),
    ]


@native
@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.int64, np.uint8, bool])
def test_reductions_and_movements_of_every_dtype(dtype):
    x = numbers(dtype, 2, 3, 4)
    check_native(lambda x: [reduced(x), moved(x)], [x])
    if dtype is np.float32:
        special = np.random.default_rng(0).choice(np.array([np.nan, 1, 2, 2, -np.inf, np.inf, -0.0, 0.0], dtype), (3, 4, 5))
        check_native(lambda x: reduced(x), [special], 0.0)


@pytest.mark.parametrize(
    ("function", "dtype", "text"),
    [
        (np.sqrt, np.uint8, "np.sqrt of uint8 is computed in half precision, which has no symbolic form"),
        (lambda x: x**x, np.int64, "a power of whole numbers has no symbolic form"),
        (lambda x: x @ x, np.int64, "a matrix product of whole numbers has no symbolic form"),
        (lambda x: x[x > 0], np.float32, "indexing by a mask has no symbolic form, for its shape depends on values"),
        (np.sort, np.float32, "np.sort has no symbolic form, for there is no node for sorting"),
        (np.nonzero, np.float32, "np.nonzero has no symbolic form, for its shape depends on values"),
        (np.add.reduce, np.float32, "np.add.reduce can't be traced"),
        (lambda x: np.add(x, x, out=np.ones((2, 2), np.float32)), np.float32, "out= of np.add is a plain array"),
        (lambda x: np.add(x, x, where=x > 0), np.float32, "where= of np.add can't be traced"),
        (lambda x: np.pad(x, 1, "edge"), np.float32, "np.pad with mode='edge' has no symbolic form"),
        (np.sinh, np.float32, "np.sinh has no symbolic form"),
        (lambda x: x + "a", np.float32, "a traced value met a str"),
    ],
)
def test_what_has_no_symbolic_form_says_so(function, dtype, text):
    with pytest.raises(Untraceable, match=text):
        by_graph(lambda x: function(x), [np.ones((2, 2), dtype)])


def test_what_is_computed_into_an_array_of_its_own():
    def f(x):
        y = x * 2
        z = np.subtract(y, x, out=y)
        y += 1
        return [y, z]

    check_graph(f, [np.arange(6.0).reshape(2, 3)])
    with pytest.raises(TypeError, match=r"out= is float32 \(2,\), but the result float32 \(2, 2\)"):
        by_graph(lambda x: np.add(x, x, out=x[0] * 1), [np.ones((2, 2), np.float32)])
